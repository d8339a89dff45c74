import type { Dovecot } from './dovecot.ts'
import { mail } from './mail.ts'
import { OfflineAccount, onServer, sha256, type Collecting } from './maildrop.ts'
import { fillMaildir } from './maildir.ts'
import { until, type Service } from './service.ts'
import { Wire } from './wire.ts'

/*
 * Accounts in the middle of whose runs something is to break, and what is promised afterwards: every message is here once, with the
 * server's bytes, and nothing is gone there that is not here.
 */

const OLD = 3
const NEW = 2
const body = (number: number) => `Line ${number}\r\n.\r\n..dots\r\n${'x'.repeat(3_000 + number)}`
const raw = (number: number) => mail(number, { subject: `message ${number}`, body: body(number) })
/** SHA-256 of all of them, sorted. */
const ALL = Array.from({ length: OLD + NEW }, (_, number) => sha256(Buffer.from(raw(number)))).sort()

/** A policy as it is set, what has to be so before, and how many messages it leaves on the server. */
export type Case = {
  policy: string
  before: (account: OfflineAccount, service: Service) => Promise<void>
  set: object
  left: number
}

const nothing = async () => undefined

const CASES: Case[] = [
  { policy: 'NEVER', before: nothing, set: { kind: 'NEVER' }, left: OLD + NEW },
  { policy: 'AT_ONCE', before: nothing, set: { kind: 'AT_ONCE' }, left: 0 },
  {
    policy: 'AFTER_DAYS',
    // three days pass
    before: async ({ id }, service) => {
      const accountId = Buffer.from(id, 'base64url').toString().split(':')[1]
      const sql = `update server_copies set collected_at = collected_at - interval '3 days' where account_id = $1`
      const database = await service.database()
      await database.query(sql, [accountId])
      await database.end()
    },
    set: { kind: 'AFTER_DAYS', days: 2 },
    left: NEW,
  },
  {
    policy: 'WHEN_DELETED_HERE',
    before: async (account) => {
      const { messages } = await account.state()
      const messageIds = messages.nodes.slice(0, 1).map(({ id }) => id)
      await account.change('deleteMessages', 'DeleteMessagesInput', { messageIds, forGood: true }, 'deletedIds')
    },
    set: { kind: 'WHEN_DELETED_HERE' },
    left: OLD + NEW - 1,
  },
  {
    policy: 'WHEN_QUOTA_PASSES',
    before: async (account) => {
      await account.setCollection({ limit: 18_000 })
      await until(async () => (await account.state()).maildrop?.limit === 18_000)
    },
    set: { kind: 'WHEN_QUOTA_PASSES', percent: 80, downTo: 45 },
    left: 2,
  },
]

/** Every protocol with every policy. */
export const TABLE: (Case & { protocol: Collecting })[] = (['POP3', 'IMAP'] as const).flatMap((protocol) =>
  CASES.map((each) => ({ protocol, ...each })),
)
let users = 0

/** An account with messages that were collected, and others that were not; its next session goes through a wire. */
export async function prepared(
  dovecot: Dovecot,
  service: Service,
  { protocol, before, set }: { protocol: Collecting } & Case,
) {
  const user = `broken${users++}`
  await fillMaildir(dovecot.mailOf(user), null, OLD, raw)
  const wire = await Wire.to(protocol === 'POP3' ? dovecot.pop3Port : dovecot.imapPort)
  const account = await OfflineAccount.connect(service, protocol, { port: wire.port, username: user })
  await until(() => wire.said.length >= 2)
  await before(account, service)
  await account.setPolicy(set)
  await until(() => !wire.isOpen)
  await fillMaildir(dovecot.mailOf(user), null, NEW, (number) => raw(OLD + number), OLD)
  return { user, wire, account, dovecot }
}

/** An account that is prepared for something to break. */
export type Prepared = Awaited<ReturnType<typeof prepared>>

/** What is promised, once all is at rest. */
export async function holds({ user, account, dovecot }: Prepared, { policy, left }: Case): Promise<void> {
  await until(async () => {
    const { messages, connection } = await account.state()
    const here = messages.nodes.length + (policy === 'WHEN_DELETED_HERE' ? 1 : 0)
    return here === OLD + NEW && connection.state === 'CONNECTED' && (await onServer(dovecot, user)) === left
  })
  const contents = await account.contents()
  const wanted = policy === 'WHEN_DELETED_HERE' ? ALL.filter((sha) => contents.includes(sha)) : ALL
  expect(contents).toEqual(wanted)
  expect(new Set(contents).size).toBe(contents.length)
}

/** Ends what was prepared: nothing of it takes time of the rest. */
export async function putAway({ wire, account }: Prepared): Promise<void> {
  wire.stop()
  await account.forget()
}
