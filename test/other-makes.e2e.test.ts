/* What servers of other makes do that Dovecot and Cyrus do not: a real server behind a wire that answers in its place. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
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
