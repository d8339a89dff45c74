import type { EventBus } from '@nestjs/cqrs'
import fc from 'fast-check'
import { v7 as newId } from 'uuid'
import { VersionConflict } from '../src/event-store/streams.js'
import { readStore } from '../src/event-store/stored-events.js'
import { ForgetMessageHandler } from '../src/forgetting/forget-handlers.js'
import { ForgetMessage } from '../src/mailbox/commands.js'
import type { AccountEvent, RecordedEvent } from '../src/mailbox/events.js'
import type { Platform } from '../src/platform/platform.js'
import { viewAccounts } from '../src/projections/account-views.js'
import { viewMailboxList } from '../src/projections/mailbox-views.js'
import { viewMessageList, type MessageList, type MessagePage } from '../src/projections/message-views.js'
import { viewPastAccount } from '../src/projections/past-accounts.js'
import { viewPastMessageList } from '../src/projections/past-messages.js'
import {
  viewDifference,
  type DifferencePage,
  type DifferencePlace,
  type MessageDifference,
} from '../src/projections/difference.js'
import { viewMessageHistory } from '../src/projections/message-history.js'
import { rebuildAccount, verifyAccount, type Difference } from '../src/projections/rebuild.js'
import { Fold, History, steps } from './support/histories.ts'
import { Store } from './support/store.ts'

/** Histories of each property; the long form is `MAILFOLD_CASES=1000000 npm test -- test/histories`. */
const CASES = Number(process.env['MAILFOLD_CASES'] ?? 300)
const runs = (share: number) => ({
  numRuns: Math.max(10, Math.round(CASES * share)),
  endOnFailure: process.env['MAILFOLD_CASES'] === undefined,
})

let store: Store

beforeAll(async () => {
  store = await Store.open()
})

afterAll(() => store.close())

/** Appends events in pieces of the given sizes, over and over. */
async function write(accountId: string, events: readonly AccountEvent[], sizes: readonly number[]): Promise<void> {
  for (let at = 0, turn = 0; at < events.length; turn++) {
    const piece = events.slice(at, at + (sizes[turn % sizes.length] ?? 1))
    await store.streams.append(accountId, at, piece)
    at += piece.length
  }
}

const recorded = (accountId: string, events: readonly AccountEvent[]): RecordedEvent[] =>
  events.map((event, index): RecordedEvent => {
    return { ...event, accountId, version: index + 1, recordedAt: new Date(0), cause: 'SERVER' }
  })

/** What a list shows of its messages, from the fold in memory and from the database alike. */
function shownOf(fold: Fold, mailboxId: string | null) {
  return fold.list(mailboxId).map((row) => ({
    id: row.message_id,
    mailbox: row.mailbox_id,
    uid: row.uid ?? 0,
    flags: row.flags,
    isUnread: !row.seen,
    isFlagged: row.flagged,
    date: row.internal_date,
    subject: row.subject,
    from: row.from_addresses,
    origin: row.origin,
  }))
}

function shown({ messages }: MessageList) {
  return messages.map((view) => ({
    id: view.messageId,
    mailbox: view.mailboxId,
    uid: view.uid,
    flags: view.flags,
    isUnread: view.isUnread,
    isFlagged: view.isFlagged,
    date: view.internalDate.toISOString(),
    subject: view.subject,
    from: view.from,
    origin: view.origin,
  }))
}

/** All of a list, page by page. */
async function pages(size: number, read: (page: MessagePage) => Promise<MessageList>) {
  const all: ReturnType<typeof shown> = []
  for (let from: MessagePage['from'] = null; ;) {
    const page = await read({ size, from, direction: 'older' })
    all.push(...shown(page))
    const last = page.messages.at(-1)
    if (!page.hasMore || !last) return all
    from = { internalDate: last.internalDate, messageId: last.messageId }
  }
}

type Mailboxes = readonly { mailboxId: string; path: string; messages: number; unseen: number; complete: boolean }[]
const countsOf = (mailboxes: Mailboxes) =>
  mailboxes.map(({ mailboxId, path, messages, unseen, complete }) => ({ mailboxId, path, messages, unseen, complete }))

const shownMailboxes = (fold: Fold) => [...fold.mailboxes].filter(([, { hidden }]) => hidden !== true)

const countsIn = (fold: Fold) =>
  shownMailboxes(fold).map(([mailboxId, { path, messages, unseen, complete = false }]) => {
    return { mailboxId, path, messages, unseen, complete }
  })

const byId = <Item extends { mailboxId: string }>(items: Item[]) =>
  items.sort((one, other) => (one.mailboxId < other.mailboxId ? -1 : 1))

/** Compares everything that is shown of an account at a version with the fold of so many events. */
async function compareAt(accountId: string, events: readonly RecordedEvent[], version: number, size: number) {
  const { pool } = store.database
  const fold = Fold.of(events.slice(0, version))
  const past = await viewPastAccount(pool, accountId, version)
  expect(past.account?.state ?? null).toBe(fold.account?.['connection_state'] ?? null)
  expect(past.account?.server ?? null).toBe(fold.account?.['server'] ?? null)
  expect(byId(countsOf(past.mailboxes))).toEqual(byId(countsIn(fold)))
  const inMailboxes = [null, ...fold.mailboxes.keys()]
  for (const mailboxId of inMailboxes.slice(0, 2)) {
    const read = (page: MessagePage) => viewPastMessageList(pool, version, accountId, mailboxId, {}, page)
    expect(await pages(size, read)).toEqual(shownOf(fold, mailboxId))
  }
}

test('whatever happened: no version is missing, and the tables are the fold of the log, now and at every version', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(steps(120), sizes, fc.nat(), fc.integer({ min: 3, max: 60 }), async (taken, cuts, past, size) => {
      const accountId = newId()
      const { events } = History.of(accountId, taken)
      await write(accountId, events, cuts)
      const { pool } = store.database
      const log = await store.streams.read(accountId, 0, events.length + 1)
      expect(log.map((event) => event.version)).toEqual(events.map((_, index) => index + 1))
      expect(log.map(({ type, data }) => ({ type, data }))).toEqual(events)

      const fold = Fold.of(recorded(accountId, events))
      const [account] = await viewAccounts(pool, [accountId])
      expect(account).toMatchObject({ version: events.length, state: fold.account?.['connection_state'] })
      expect(byId(countsOf(await viewMailboxList(pool, { accounts: [accountId] })))).toEqual(byId(countsIn(fold)))
      const read = (page: MessagePage) => viewMessageList(pool, accountId, null, {}, page)
      expect(await pages(size, read)).toEqual(shownOf(fold, null))
      for (const at of [past % (events.length + 1), events.length])
        await compareAt(accountId, recorded(accountId, events), at, size)
    }),
    runs(1),
  )
}, 3_600_000)

test('with writers that conflict: nothing is lost or doubled, no version is missing, and following sees each event once', async () => {
  const plans = fc.array(fc.array(fc.tuple(fc.nat(1), fc.integer({ min: 1, max: 5 })), { maxLength: 8 }), {
    minLength: 2,
    maxLength: 5,
  })
  await fc.assert(
    fc.asyncProperty(plans, async (writers) => {
      const from = await store.storeFeed.end()
      const accounts = [newId(), newId()]
      for (const accountId of accounts) await store.streams.append(accountId, 0, History.of(accountId, []).events)
      const opening = History.of('', []).events.length
      const acknowledged: string[] = []
      const write = async (writer: number, which: number, count: number, turn: number) => {
        const accountId = accounts[which] as string
        const events = Array.from({ length: count }, (_, index): AccountEvent => {
          return { type: 'ConnectionLost', data: { reason: `${writer}.${turn}.${index}` } }
        })
        for (let version = opening; ;) {
          try {
            const after = await store.streams.append(accountId, version, events)
            events.forEach(({ data }, index) =>
              acknowledged.push(`${accountId}@${after - count + 1 + index} ${(data as { reason: string }).reason}`),
            )
            return
          } catch (error) {
            if (!(error instanceof VersionConflict)) throw error
            version = error.actual
          }
        }
      }
      await Promise.all(
        writers.map(async (plan, writer) => {
          for (const [turn, [which, count]] of plan.entries()) await write(writer, which, count, turn)
        }),
      )
      const logs = await Promise.all(accounts.map((accountId) => store.streams.read(accountId, 0, 10_000)))
      for (const log of logs) expect(log.map(({ version }) => version)).toEqual(log.map((_, index) => index + 1))
      const written = logs.flatMap((log) =>
        log.flatMap((event) =>
          event.type === 'ConnectionLost' ? [`${event.accountId}@${event.version} ${event.data.reason}`] : [],
        ),
      )
      expect(written.sort()).toEqual(acknowledged.sort())
      const seen: string[] = []
      for (let place = from; ;) {
        const piece = await readStore(store.database.pool, place, 7)
        seen.push(...piece.map(({ event }) => `${event.accountId}@${event.version}`))
        place = piece.at(-1)?.place ?? place
        if (piece.length === 0) break
      }
      const inOrder = accounts.map((accountId) => seen.filter((each) => each.startsWith(accountId)))
      expect(inOrder).toEqual(logs.map((log) => log.map((event) => `${event.accountId}@${event.version}`)))
      expect(seen).toHaveLength(logs.flat().length)
    }),
    runs(0.25),
  )
}, 3_600_000)

test('between any two versions, exactly the messages that differ are told, each once; and each history is whole', async () => {
  const kinds = new Set(['ADDED', 'REMOVED', 'MOVED', 'FLAGS_CHANGED'] as const)
  await fc.assert(
    fc.asyncProperty(
      steps(150),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 30 }),
      async (taken, one, other, size) => {
        const accountId = newId()
        const { events } = History.of(accountId, taken)
        await write(accountId, events, [30])
        const log = recorded(accountId, events)
        const [from, to] = [one % (events.length + 1), other % (events.length + 1)].sort((a, b) => a - b) as [
          number,
          number,
        ]
        const { pool } = store.database
        const told: MessageDifference[] = []
        for (let after: DifferencePlace | null = null; ;) {
          const page: DifferencePage = await viewDifference(
            pool,
            accountId,
            { from, to },
            kinds,
            after,
            size,
            10 * size,
          )
          told.push(...page.differences)
          after = page.end
          if (after === null) break
        }
        const [before, now] = [Fold.of(log.slice(0, from)).messages, Fold.of(log.slice(0, to)).messages]
        const expected = [...new Set([...before.keys(), ...now.keys()])].flatMap((id) => {
          const [was, is] = [before.get(id), now.get(id)]
          if (!was || !is) return [[id, [was ? 'REMOVED' : 'ADDED']]]
          const moved = was.mailbox_id === is.mailbox_id ? [] : ['MOVED']
          const flags = was.flags.join() === is.flags.join() ? [] : ['FLAGS_CHANGED']
          return moved.length + flags.length === 0 ? [] : [[id, [...moved, ...flags]]]
        })
        expect(told).toHaveLength(expected.length)
        expect(Object.fromEntries(told.map((each) => [each.messageId, each.kinds]))).toEqual(
          Object.fromEntries(expected),
        )

        for (const [messageId, versions] of [...Fold.of(log).touched].slice(0, 5)) {
          const history: number[] = []
          for (let after = 0; ;) {
            const page = await viewMessageHistory(pool, accountId, messageId, { after, until: null }, size)
            history.push(...page.events.map((event) => event.version))
            after = history.at(-1) ?? 0
            if (!page.hasMore) break
          }
          expect(history).toEqual([...versions])
        }
      },
    ),
    runs(0.25),
  )
}, 3_600_000)

test('however the log was cut when it was folded: folding it again leaves the same rows', async () => {
  await fc.assert(
    fc.asyncProperty(steps(400), fc.integer({ min: 1, max: 90 }), async (taken, cut) => {
      const accountId = newId()
      await write(accountId, History.of(accountId, taken).events, [cut])
      const found: Difference[] = []
      const listener = { difference: (difference: Difference) => found.push(difference) }
      await verifyAccount(store.database, store.projection, accountId, listener)
      await rebuildAccount(store.database, store.projection, accountId, listener)
      expect(found).toEqual([])
    }),
    runs(0.05),
  )
}, 3_600_000)

test('whatever is forgotten: no version is missing, its words are nowhere, and the tables are the fold of what is left', async () => {
  const handler = new ForgetMessageHandler({ database: store.database } as Platform, store.streams, {
    publish: () => undefined,
  } as unknown as EventBus)
  await fc.assert(
    fc.asyncProperty(steps(120), fc.nat(), fc.nat(), async (taken, which, past) => {
      const accountId = newId()
      const { events } = History.of(accountId, taken)
      await write(accountId, events, [30])
      const known = [...Fold.of(recorded(accountId, events)).touched.keys()]
      const messageId = known[which % known.length]
      if (!messageId) return
      const outcome = await handler.execute(new ForgetMessage(messageId, 'somebody'))
      expect(outcome?.messageIds).toContain(messageId)
      const log = await store.streams.read(accountId, 0, 1_000)
      expect(log.map((event) => event.version)).toEqual(log.map((_, index) => index + 1))
      expect(log.length).toBeGreaterThan(events.length)
      const added = events.find((event) => event.type === 'MessageAdded' && event.data.messageId === messageId)
      const subject = added?.type === 'MessageAdded' ? `"${added.data.envelope.subject}"` : 'nothing'
      expect(JSON.stringify(log)).not.toContain(subject)
      const found: Difference[] = []
      await verifyAccount(store.database, store.projection, accountId, { difference: (each) => found.push(each) })
      expect(found).toEqual([])
      for (const at of [past % log.length, log.length]) await compareAt(accountId, log, at, 20)
    }),
    runs(0.05),
  )
}, 3_600_000)

test('over tens of thousands of versions, the past is what it was', async () => {
  const pad = (count: number): AccountEvent[] =>
    Array.from({ length: count }, (_, index) => ({ type: 'ConnectionLost', data: { reason: String(index) } }))
  await fc.assert(
    fc.asyncProperty(steps(120), fc.nat(11_000), fc.nat(90_000), fc.nat(), async (taken, gap, wide, past) => {
      const accountId = newId()
      const { events } = History.of(accountId, taken)
      const third = Math.ceil(events.length / 3)
      const log = [
        ...events.slice(0, third),
        ...pad(gap),
        ...events.slice(third, 2 * third),
        ...pad(wide),
        ...events.slice(2 * third),
      ]
      await write(accountId, log, [1_000])
      for (const at of [past % log.length, third + gap + (past % third), log.length - (past % third)])
        await compareAt(accountId, recorded(accountId, log), at, 7)
    }),
    runs(0.01),
  )
}, 3_600_000)
