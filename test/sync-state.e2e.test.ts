/* What an account says of how complete it is, and compared with what. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { message } from './support/hostile-servers.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { OfflineAccount } from './support/maildrop.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

const SYNC = `query ($id: ID!) { account(id: $id) { sync {
  isComplete comparedWith completeAt messages serverMessages mailboxesWithProblems { path problem { kind } } unreadableMessages
} } }`

type Seen = { isComplete: boolean; completeAt: string | null; unreadableMessages: number; messages: number }

let dovecot: Dovecot
let service: Service
let scripted: ScriptedImap

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  scripted?.stop()
})

const syncOf = async (id: string) => (await service.ask<{ account: { sync: Seen } }>(SYNC, { id })).account.sync

test('core 10: an account whose mail is all here says so, compared with what, and when', async () => {
  const before = Date.now()
  await dovecot.fill('whole', { INBOX: [mail(1), mail(2)], Work: [mail(3)] })
  const { id } = await DisconnectedAccount.connect(service, dovecot, 'whole')
  await until(async () => (await syncOf(id)).completeAt !== null)
  expect(await syncOf(id)).toMatchObject({
    isComplete: true,
    comparedWith: 'EXISTS_AND_SEARCH',
    messages: 3,
    serverMessages: 3,
    mailboxesWithProblems: [],
    unreadableMessages: 0,
  })
  expect(Date.parse((await syncOf(id)).completeAt ?? '')).toBeGreaterThan(before)

  await dovecot.fill('collected', { INBOX: [mail(4)] })
  const offline = await OfflineAccount.connect(service, 'POP3', { port: dovecot.pop3Port, username: 'collected' })
  await until(async () => (await syncOf(offline.id)).completeAt !== null)
  expect(await syncOf(offline.id)).toMatchObject({ isComplete: true, comparedWith: 'STAT_AND_UIDL', messages: 1 })
})

test('core 10: an account with a mailbox that is refused, and a message that cannot be read, says both, and is not complete', async () => {
  const messages = [message(1), message(2, 'q"k'), message(3)]
  scripted = await ScriptedImap.start((command, say) => {
    if (/^(SELECT|EXAMINE|STATUS) "?Shared/i.test(command)) return 'NO [NOPERM] not yours'
    if (/^LIST "" "\*"/i.test(command)) say('* LIST () "/" Shared')
    return honest(command, say, messages)
  })
  const server = { host: '127.0.0.1', port: scripted.port, security: 'PLAINTEXT', username: 'odd', password: PASSWORD }
  const id = await service.connect(server)
  await until(async () => {
    const { unreadableMessages, messages: count } = await syncOf(id)
    return count === 3 && unreadableMessages === 1
  })
  await until(async () => !(await syncOf(id)).isComplete)
  expect(await syncOf(id)).toMatchObject({
    isComplete: false,
    completeAt: null,
    mailboxesWithProblems: [{ path: 'Shared', problem: { kind: 'REFUSED' } }],
  })
})
