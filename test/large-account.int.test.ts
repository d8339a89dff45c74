/* What is looked up for a message that arrives, or is found, costs the same however many messages the account has. */
import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../src/mailbox/events.js'
import type { MessageData } from '../src/mailbox/message.js'
import type { Queryable } from '../src/platform/database.js'
import { viewContentsToFetch } from '../src/projections/selection-views.js'
import { viewFound } from '../src/projections/search-views.js'
import { viewAdded, viewCandidates, viewMessages } from '../src/projections/sync-views.js'
import { Store } from './support/store.ts'

const MESSAGES = 3_000

let store: Store
const accountId = newId()
const mailboxId = newId()
const place = { mailboxId, uidValidity: '1' }

const message = (uid: number): MessageData => ({
  ...{ uid, flags: [], modseq: '1', size: 1_000, structure: null, references: [], defects: [], threadId: null },
  envelope: {
    ...{ date: null, subject: String(uid), messageId: null, inReplyTo: null },
    ...{ from: [], sender: [], replyTo: [], to: [], cc: [], bcc: [] },
  },
  internalDate: new Date(1.7e12 + uid * 60_000).toISOString(),
  fingerprint: uid.toString(16).padStart(64, '0'),
  emailId: `e${uid}`,
})

beforeAll(async () => {
  store = await Store.open()
  const listing = {
    delimiter: '/',
    attributes: [],
    subscribed: true,
    selectable: true,
    specialUse: null,
    objectId: null,
  }
  const server = {
    protocol: 'IMAP',
    host: 'mail.example.org',
    port: 993,
    security: 'IMPLICIT_TLS',
    username: 'a',
  } as const
  const events: AccountEvent[] = [
    { type: 'AccountConnected', data: { ...server, model: 'DISCONNECTED' } },
    { type: 'MailboxDiscovered', data: { mailboxId, path: 'INBOX', foundLater: false, ...listing } },
    ...Array.from({ length: MESSAGES }, (_, index): AccountEvent => {
      const told = { messageId: newId(), ...place, origin: 'EXISTING' as const, copyOf: null }
      return { type: 'MessageAdded', data: { ...told, ...message(index + 1) } }
    }),
  ]
  await store.streams.append(accountId, 0, events)
})

afterAll(() => store.close())

/** How many rows of the messages are read for a view. */
async function rowsRead(view: (session: Queryable) => Promise<unknown>): Promise<number> {
  const session = await store.database.pool.connect()
  const read = async () => {
    await session.query('select pg_stat_force_next_flush()')
    const { rows } = await session.query<{ read: string }>(
      `select seq_tup_read + idx_tup_fetch as read from pg_stat_user_tables where relname = 'messages'`,
    )
    return Number(rows[0]?.read)
  }
  try {
    const before = await read()
    await view(session)
    return (await read()) - before
  } finally {
    session.release()
  }
}

const isKnown = message(7)
const isNew = { ...message(MESSAGES + 1), fingerprint: 'f'.repeat(64) }

test.each([
  ['a message that is new', isNew, 0],
  ['a message that another is alike', { ...isNew, fingerprint: isKnown.fingerprint }, 1],
  ['a message that another is alike by EMAILID', { ...isNew, emailId: isKnown.emailId }, 1],
])('what is alike to %s', async (_, reported, alike) => {
  expect(await viewCandidates(store.database.pool, accountId, [reported])).toHaveLength(alike)
  expect(await rowsRead((session) => viewCandidates(session, accountId, [reported]))).toBeLessThan(10)
})

test('what a decision on a message needs, after the mailbox was numbered anew as well', async () => {
  const want = { lookalikes: 'apart', unconfirmed: true, gone: new Set<string>(), movesByCopy: false } as const
  const anew = { ...place, uidValidity: '2' }
  const view = await viewAdded(store.database.pool, accountId, anew, [isKnown], want)
  expect(view.unconfirmed.get(isKnown.fingerprint)).toHaveLength(1)
  const read = await rowsRead((session) => viewAdded(session, accountId, anew, [isKnown], want))
  expect(read).toBeLessThan(10)
})

test('messages by their UIDs, and those that a server has found', async () => {
  expect(await rowsRead((session) => viewMessages(session, place, [3, 4]))).toBeLessThan(10)
  const found = [{ ...place, uids: [[3, 4]] as [number, number][] }]
  const order = { key: 'DATE', isDescending: true } as const
  expect(await viewFound(store.database.pool, found, order, 10)).toHaveLength(2)
  expect(await rowsRead((session) => viewFound(session, found, order, 10))).toBeLessThan(20)
})

test('what is still to be copied', async () => {
  const { pool } = store.database
  const selection = { keep: 'WHOLE', newest: null, days: null, maxBytes: null, flags: [] } as const
  await store.streams.record(accountId, [{ type: 'SelectionChanged', data: { mailboxId: null, selection } }], 'CLIENT')
  const toFetch = (session: Queryable) => viewContentsToFetch(session, accountId, 10_000, [], 2 * MESSAGES)
  const missing = await toFetch(pool)
  expect(missing).toHaveLength(MESSAGES)
  const stored = missing.slice(1).map(({ messageId }): AccountEvent => {
    return { type: 'MessageContentStored', data: { messageId, sha256: 'a'.repeat(64), size: 900 } }
  })
  await store.streams.record(accountId, stored, 'POLICY')
  // the one that is left is the newest, and what has been written anew is swept away
  await pool.query('vacuum analyze messages')
  expect(await toFetch(pool)).toEqual(missing.slice(0, 1))
  expect(await rowsRead(toFetch)).toBeLessThan(10)
})
