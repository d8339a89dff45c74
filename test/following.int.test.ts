import { setTimeout as sleep } from 'node:timers/promises'
import { v7 as newId } from 'uuid'
import { Feeds } from '../src/event-store/feeds.js'
import type { Streams } from '../src/event-store/streams.js'
import { Consumers, type Consumer } from '../src/event-store/consumers.js'
import { keepPositionsGrowing, STORE_START, type StoreEvent } from '../src/event-store/stored-events.js'
import type { AccountEvent } from '../src/mailbox/events.js'
import { makeLogger } from '../src/platform/logs.js'
import { randomFrom } from './support/mail.ts'
import { until } from './support/service.ts'
import { Store } from './support/store.ts'

let store: Store

beforeAll(async () => {
  store = await Store.open()
})

afterAll(() => store.close())

const lost = (reason: string): AccountEvent => ({ type: 'ConnectionLost', data: { reason } })
const key = ({ event }: StoreEvent) => `${event.accountId}@${event.version}`

async function account(): Promise<string> {
  const accountId = newId()
  const server = { protocol: 'IMAP', host: 'mail.example.org', port: 993, security: 'IMPLICIT_TLS' } as const
  const data = { ...server, username: accountId, model: 'DISCONNECTED' } as const
  await store.streams.append(accountId, 0, [{ type: 'AccountConnected', data }])
  return accountId
}

/** Many writers: some quick, some that hold their transaction open, some that give up at the end of it. */
async function writeTogether(accounts: readonly string[], turns: number): Promise<Set<string>> {
  const written = new Set<string>()
  const writer = async (number: number) => {
    const random = randomFrom(number)
    for (let turn = 0; turn < turns; turn++) {
      const accountId = accounts[Math.floor(random() * accounts.length)] as string
      const events = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, index) =>
        lost(`${number}.${turn}.${index}`),
      )
      const kind = random()
      const version = await store.streams
        .decide(
          accountId,
          async (session) => {
            // the transaction has its id from here on, and commits much later than others that begin after it
            if (kind < 0.2) await session.query('select pg_current_xact_id()')
            if (kind < 0.3) await sleep(random() * 30)
          },
          () => {
            if (kind > 0.9) throw new Error('rolled back')
            return events
          },
        )
        .then(
          (result) => result.version,
          (error: Error) => (error.message === 'rolled back' ? null : Promise.reject(error)),
        )
      if (version !== null) for (let at = 0; at < events.length; at++) written.add(`${accountId}@${version - at}`)
    }
  }
  await Promise.all(Array.from({ length: 12 }, (_, number) => writer(number + 1)))
  return written
}

async function count(from: string): Promise<number> {
  const { rows } = await store.database.pool.query<{ count: string }>(`select count(*) from ${from}`)
  return Number(rows[0]?.count)
}

async function offset(): Promise<string | undefined> {
  const { rows } = await store.database.pool.query<{ offset: string }>('select position_offset as offset from store')
  return rows[0]?.offset
}

async function collect(from = STORE_START, count: number): Promise<StoreEvent[]> {
  const enough = new AbortController()
  const seen: StoreEvent[] = []
  const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(30_000)])
  for await (const events of store.storeFeed.follow(from, signal)) {
    seen.push(...events)
    if (seen.length >= count) enough.abort()
  }
  return seen
}

/** Each account's versions, in the order in which they were seen. */
function versionsOf(seen: readonly StoreEvent[]): number[][] {
  const accounts = Map.groupBy(seen, ({ event }) => event.accountId)
  return [...accounts.values()].map((events) => events.map(({ event }) => event.version))
}

test('with writers that race, dawdle and give up: who follows sees each event once, in the order of all who follow', async () => {
  const from = await store.storeFeed.end()
  const accounts = await Promise.all(Array.from({ length: 5 }, account))
  const followers = new AbortController()
  const seen: StoreEvent[][] = [[], [], []]
  const following = seen.map(async (list) => {
    for await (const events of store.storeFeed.follow(from, followers.signal)) list.push(...events)
  })
  const written = await writeTogether(accounts, 60)
  for (const accountId of accounts) written.add(`${accountId}@1`)
  await until(() => seen.every((list) => list.length >= written.size))
  await sleep(100)
  followers.abort()
  await Promise.all(following)
  const afterwards = await collect(from, written.size)
  for (const list of seen) {
    expect(list.map(key)).toEqual(afterwards.map(key))
    expect(new Set(list.map(key))).toEqual(written)
  }
  for (const versions of versionsOf(afterwards)) expect(versions).toEqual(versions.map((_, index) => index + 1))
})

test('from any place in the middle, following goes on with the next event, also within one append', async () => {
  const from = await store.storeFeed.end()
  const one = await account()
  await store.streams.append(one, 1, [lost('a'), lost('b'), lost('c')])
  const all = await collect(from, 4)
  for (const [index, { place }] of all.entries()) {
    if (index === all.length - 1) expect(await store.storeFeed.end()).toEqual(place)
    else expect((await collect(place, all.length - 1 - index)).map(key)).toEqual(all.slice(index + 1).map(key))
  }
})

test('a transaction that takes its number first and commits last is not passed by', async () => {
  const [slow, quick] = [await account(), await account()]
  const from = await store.storeFeed.end()
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const late = store.streams.decide(
    slow,
    async (session) => {
      await session.query('select pg_current_xact_id()')
      await held
    },
    () => [lost('late')],
  )
  await sleep(50)
  await store.streams.append(quick, 1, [lost('early')])
  const seen: StoreEvent[] = []
  const abort = new AbortController()
  const following = (async () => {
    for await (const events of store.storeFeed.follow(from, abort.signal)) seen.push(...events)
  })()
  await sleep(200)
  expect(seen).toEqual([])
  release()
  await late
  await until(() => seen.length === 2)
  abort.abort()
  await following
  expect(seen.map(({ event }) => event.data)).toEqual([{ reason: 'late' }, { reason: 'early' }])
})

test('a store that was moved to a database of smaller transaction ids goes on behind what it holds', async () => {
  const { pool } = store.database
  const one = await account()
  await pool.query('update appends set position = position + 5000000')
  await keepPositionsGrowing(pool)
  await store.streams.append(one, 1, [lost('after the move')])
  const all = await collect(STORE_START, await count('events'))
  expect(all.at(-1)?.event).toMatchObject({ accountId: one, version: 2 })
  const before = await offset()
  await keepPositionsGrowing(pool)
  expect(await offset()).toBe(before)
})

describe('a consumer', () => {
  const run = (consumer: Consumer, signal: AbortSignal) =>
    new Consumers(store.database, store.storeFeed, makeLogger('silent')).run(consumer, signal)

  test('that fails gets the same events again, and after a restart goes on where it was', async () => {
    const name = 'fails-now-and-then'
    const handled: string[] = []
    let failures = 0
    const consumer: Consumer = {
      name,
      from: 'now',
      handle: async (events) => {
        handled.push(...events.map(key))
        if (++failures % 2) throw new Error('not now')
      },
    }
    const first = new AbortController()
    const running = run(consumer, first.signal)
    await until(() => hasCheckpoint(name))
    const one = await account()
    for (let version = 1; version < 10; version++) await store.streams.append(one, version, [lost(String(version))])
    await until(() => handled.includes(`${one}@10`) && failures % 2 === 0)
    first.abort()
    await running
    const expected = Array.from({ length: 10 }, (_, index) => `${one}@${index + 1}`)
    expect([...new Set(handled)]).toEqual(expected)

    await store.streams.append(one, 10, [lost('while nobody ran')])
    handled.length = 0
    const second = new AbortController()
    const again = run(consumer, second.signal)
    await until(() => handled.length >= 2 && failures % 2 === 0)
    second.abort()
    await again
    expect(new Set(handled)).toEqual(new Set([`${one}@11`]))
  })

  test('of whom two run does its work once, and the second takes over when the first ends', async () => {
    const handled: [number, string][] = []
    const consumer = (number: number): Consumer => ({
      name: 'two-of-them',
      from: 'now',
      handle: async (events, session) => {
        await session.query('select 1')
        handled.push(...events.map((event): [number, string] => [number, key(event)]))
      },
    })
    const aborts = [new AbortController(), new AbortController()]
    const running = aborts.map(({ signal }, index) => run(consumer(index), signal))
    await until(() => hasCheckpoint('two-of-them'))
    const one = await account()
    await until(() => handled.length === 1)
    aborts[handled[0]?.[0] ?? 0]?.abort()
    await store.streams.append(one, 1, [lost('to the other')])
    await until(() => handled.length === 2)
    for (const abort of aborts) abort.abort()
    await Promise.all(running)
    expect(handled.map(([, what]) => what)).toEqual([`${one}@1`, `${one}@2`])
    expect(new Set(handled.map(([number]) => number)).size).toBe(2)
  })

  const hasCheckpoint = async (name: string) => (await count(`consumers where name = '${name}'`)) === 1
})

test('core 3: a query that fails ends the subscription that asked for it, and nothing else', async () => {
  const accountId = await account()
  const unawaited: unknown[] = []
  const note = (reason: unknown) => unawaited.push(reason)
  process.on('unhandledRejection', note)
  // the session is ended while the first follower asks how long the stream is, and a wake-up comes meanwhile
  const failing = new Feeds({
    version: () => Promise.reject(new Error('terminating connection due to administrator command')),
    versions: () => Promise.resolve(new Map()),
    read: (...args: Parameters<Streams['read']>) => store.streams.read(...args),
  } as never)
  const signal = new AbortController()
  const first = failing.follow(accountId, 0, signal.signal).next()
  failing.advanced(accountId, 1)
  await expect(first).rejects.toThrow('terminating connection')
  // one more turn of the event loop: that is when Node reports a rejection that nobody has handled
  await new Promise((resolve) => setImmediate(resolve))
  expect(unawaited).toEqual([])
  process.off('unhandledRejection', note)
  signal.abort()
})

test('core 3: a feed whose first query failed serves the next who follows it', async () => {
  const accountId = await account()
  let fails = true
  const feeds = new Feeds({
    version: (id: string) => {
      if (!fails) return store.streams.version(id)
      fails = false
      return Promise.reject(new Error('terminating connection due to administrator command'))
    },
    versions: (ids: string[]) => store.streams.versions(ids),
    read: (...args: Parameters<Streams['read']>) => store.streams.read(...args),
  } as never)
  const signal = new AbortController()
  // keeps the feed there while its first follower fails
  feeds.prepare(accountId, signal.signal)
  await expect(feeds.follow(accountId, 0, signal.signal).next()).rejects.toThrow()
  expect(await feeds.follow(accountId, 0, signal.signal).next()).toMatchObject({
    value: { version: 1, type: 'AccountConnected' },
  })
  signal.abort()
})
