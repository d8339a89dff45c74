import type { ImapFlow } from 'imapflow'
import type { Client as Socket } from 'graphql-ws'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Dovecot } from './support/dovecot.ts'
import { apollo, relay, urql, type Frontend } from './support/frontends.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { compileForRelay } from './support/relay-artifacts.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let account: string
let other: ImapFlow
let socket: Socket
let folder: string
let artifacts: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailfold-relay-'))
  artifacts = await compileForRelay(folder)
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_CHECK_INTERVAL: '500' })
  await fillMaildir(dovecot.mailOf('ada'), null, 8, (number) => mail(number))
  account = await service.connect({
    ...{ host: 'localhost', port: dovecot.imapsPort, username: 'ada', password: PASSWORD },
  })
  await service.synced(account)
  other = await dovecot.client('ada')
  await other.mailboxOpen('INBOX')
  socket = service.socket()
})

afterAll(async () => {
  await socket?.dispose()
  await other?.logout()
  await service?.stop()
  await dovecot?.stop()
  await rm(folder, { recursive: true, force: true })
})

const version = async () =>
  (
    await service.ask<{ account: { version: number } }>('query ($id: ID!) { account(id: $id) { version } }', {
      id: account,
    })
  ).account.version

const FRONTENDS: [string, string, () => Frontend][] = [
  ['Apollo Client', '$apollo', () => apollo(service, socket, account)],
  ['urql with Graphcache', '$urql', () => urql(service, socket, account)],
  ["Relay's store", '$relay', () => relay(service, socket, account, artifacts)],
]

test.each(FRONTENDS)(
  '%s: neither a past state nor a difference overwrites the present in the cache',
  async (_, keyword, open) => {
    const frontend = open()
    const then = { version: await version() }
    await frontend.fetchInbox(null)
    const before = await frontend.inbox(null)
    expect(before).toHaveLength(8)
    const [first, second] = before
    expect(first?.id).toBe(first?.presentId)

    // live: another client sets a keyword on all messages
    await frontend.follow()
    await other.messageFlagsAdd('1:*', [keyword], { uid: true })
    await until(async () => (await frontend.inbox(null)).every(({ flags }) => flags.includes(keyword)))
    const present = await frontend.inbox(null)
    expect(present.map(({ id }) => id)).toEqual(before.map(({ id }) => id))

    // the past, and how it differs
    await frontend.fetchInbox(then)
    const past = await frontend.inbox(then)
    expect(past.map(({ presentId }) => presentId)).toEqual(present.map(({ id }) => id))
    for (const { flags } of past) expect(flags).not.toContain(keyword)
    expect(await frontend.inbox(null)).toEqual(present)
    await frontend.fetchSince(then)
    const differences = await frontend.since(then)
    expect(differences.map(({ messageId }) => messageId).sort()).toEqual(present.map(({ id }) => id).sort())
    for (const { messageId, before: earlier, after: later } of differences) {
      expect(earlier?.flags).not.toContain(keyword)
      expect(later?.flags).toContain(keyword)
      expect(later?.id).toBe(messageId)
    }
    expect(await frontend.inbox(null)).toEqual(present)
    expect(await frontend.inbox(then)).toEqual(past)

    // what the client changes is changed in the present alone
    await frontend.markRead([past[1]?.presentId ?? ''])
    const shown = await frontend.inbox(null)
    expect(shown.find(({ id }) => id === second?.id)?.flags).toContain('\\Seen')
    expect(await frontend.inbox(then)).toEqual(past)
  },
)
