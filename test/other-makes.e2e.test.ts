/* What servers of other makes do that Dovecot and Cyrus do not: a real server behind a wire that answers in its place. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
import { headerItem, honest, ScriptedImap } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

/** An account with one message in INBOX and a mailbox Work. */
async function connected(): Promise<DisconnectedAccount> {
  const username = `make-${++made}`
  const client = await dovecot.client(username)
  await client.mailboxCreate('Work')
  await client.append('INBOX', mail(1, { subject: 'one' }))
  await client.logout()
  return DisconnectedAccount.connect(service, dovecot, username)
}

test('servers: a server that offers MOVE and refuses it has messages moved by COPY and UID EXPUNGE, and is asked to MOVE once', async () => {
  const mine = await connected()
  let moves = 0
  mine.wire.answering = (command) => (/^UID MOVE/.test(command) ? (moves++, 'NO it cannot be done') : null)
  const { id } = await mine.message('one')
  const { operation } = await mine.move([id], 'Work')
  await mine.upload()
  expect((await mine.operation(operation?.id ?? '')).state).toBe('APPLIED')
  expect((await mine.onServer('Work')).map(({ subject }) => subject)).toEqual(['one'])
  await until(async () => (await mine.onServer('INBOX')).length === 0)
  expect((await mine.message('one')).id).toBe(id)
  await mine.move([id], 'INBOX')
  await mine.upload()
  expect((await mine.onServer('INBOX')).map(({ subject }) => subject)).toEqual(['one'])
  expect(moves).toBe(1)
  await mine.end()
})

test('servers: a search that a server does not understand finds what the index has', async () => {
  const subject = `=?utf-8?b?${Buffer.from('Grüße').toString('base64')}?=`
  const messages = [subject, 'other'].map((each, index) => {
    const items = `UID ${index + 1} FLAGS () INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 10`
    const from = headerItem({ Subject: each, From: 'Zoe <zoe@example.org>' })
    return `* ${index + 1} FETCH (${items} ${from} BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 10 1))`
  })
  const server = await ScriptedImap.start((command, say) => {
    if (/^UID SEARCH .*(SUBJECT|TEXT|BODY)/is.test(command)) return (say('* SEARCH'), 'OK nothing')
    return honest(command, say, messages)
  })
  const address = { host: '127.0.0.1', port: server.port, security: 'PLAINTEXT', username: 'ada', password: 'secret' }
  const id = await service.connect({ ...address, model: 'ONLINE' })
  await service.synced(id)
  await service.ask('mutation ($id: ID!) { openSession(input: { accountId: $id }) { errors { __typename } } }', { id })
  const found = async (search: object) => {
    const query = `query ($input: SearchServerInput!) { searchServer(input: $input) {
      total messages { subject } errors { __typename } } }`
    const answer = await service.ask<{ searchServer: object }>(query, { input: { accountId: id, search } })
    return answer.searchServer
  }
  const greetings = { total: 1, messages: [{ subject: 'Grüße' }], errors: [] }
  expect(await found({ subject: 'grüß' })).toEqual(greetings)
  expect(await found({ text: 'Grüße', from: 'zoe', isFlagged: false })).toEqual(greetings)
  expect(await found({ text: 'Grüße', since: '2026-02-01T00:00:00Z' })).toMatchObject({ total: 0 })
  expect(await found({ body: 'Grüße' })).toMatchObject({ total: 0 })
  server.stop()
})

test('servers: a server whose PERMANENTFLAGS name no flag of the system is asked, and its answer counts', async () => {
  const mine = await connected()
  mine.wire.rewriting = (said) => said.replace(/\[PERMANENTFLAGS \([^)]*\)\]/g, '[PERMANENTFLAGS (\\*)]')
  mine.wire.cut()
  const { id } = await mine.message('one')
  await mine.ask('changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: ['\\Flagged'] })
  const [operation] = await mine.upload()
  expect(operation).toMatchObject({ state: 'APPLIED' })
  await until(async () => (await mine.onServer('INBOX'))[0]?.flags.includes('\\Flagged') === true)
  await mine.end()
})
