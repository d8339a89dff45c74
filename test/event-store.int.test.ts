import { readdirSync, readFileSync } from 'node:fs'
import { v7 as newId } from 'uuid'
import type { Feeds } from '../src/event-store/feeds.js'
import {
  FenceRefused,
  NewerProjection,
  StreamNotFound,
  Streams,
  VersionConflict,
  type FenceToken,
} from '../src/event-store/streams.js'
import type { AccountEvent, RecordedEvent } from '../src/mailbox/events.js'
import { rebuildAccount, verifyAccount } from '../src/projections/rebuild.js'
import { Store } from './support/store.ts'

let store: Store
let streams: Streams
let feeds: Feeds

beforeAll(async () => {
  store = await Store.open()
  ;({ streams, feeds } = store)
})

afterAll(() => store.close())

const connected = (username: string): AccountEvent => ({
  type: 'AccountConnected',
  data: {
    protocol: 'IMAP',
    host: 'mail.example.org',
    port: 993,
    security: 'IMPLICIT_TLS',
    username,
    model: 'DISCONNECTED',
  },
})
const lost = (reason: string): AccountEvent => ({ type: 'ConnectionLost', data: { reason } })

async function account(): Promise<string> {
  const id = newId()
  await streams.append(id, 0, [connected(id)])
  return id
}

test('of many that create one stream at once, one does, and the others are told so', async () => {
  const id = newId()
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => streams.append(id, 0, [connected(id)])))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  expect(failures).toHaveLength(7)
  for (const failure of failures) expect(failure).toBeInstanceOf(VersionConflict)
  expect(await streams.version(id)).toBe(1)
})

test('an append at a version that is not the newest writes nothing', async () => {
  const id = await account()
  await streams.append(id, 1, [lost('a')])
  await expect(streams.append(id, 1, [lost('b')])).rejects.toBeInstanceOf(VersionConflict)
  await expect(streams.append(id, 0, [lost('c')])).rejects.toBeInstanceOf(VersionConflict)
  expect(await streams.version(id)).toBe(2)
})

test('writers that race leave versions without a gap, and each event once', async () => {
  const id = await account()
  const write = (writer: number) => async () => {
    for (let turn = 0; turn < 20; turn++) {
      await streams.decide(
        id,
        async () => null,
        () => [lost(`${writer}.${turn}.a`), lost(`${writer}.${turn}.b`)],
      )
    }
  }
  await Promise.all(Array.from({ length: 6 }, (_, writer) => write(writer)()))
  const events = await streams.read(id, 0, 1000)
  expect(events.map((event) => event.version)).toEqual(Array.from({ length: 241 }, (_, index) => index + 1))
  expect(new Set(events.map((event) => JSON.stringify(event.data))).size).toBe(241)
})

test.each([
  ['a little', 5_000, true],
  ['a year', 365 * 86_400_000, false],
])('core 13: after a clock that was ahead by %s, times are in order or right again', async (_, ahead, isInOrder) => {
  const id = await account()
  const { now } = Date
  Date.now = () => now() + ahead
  try {
    await streams.append(id, 1, [lost('ahead')])
  } finally {
    Date.now = now
  }
  const before = Date.now()
  await streams.append(id, 2, [lost('after')])
  const [early, late] = (await streams.read(id, 1, 10)).map((event) => event.recordedAt.getTime()) as [number, number]
  if (isInOrder) expect(late).toBe(early)
  else expect(late).toBeLessThan(before + 60_000)
  // what a moment shows has everything that was recorded by then
  expect(await streams.versionAt(id, new Date(late))).toBe(3)
  expect(await streams.versionAt(id, new Date(before - 60_000))).toBe(0)
})

test('a worker whose account was taken over cannot write any more, and the API can', async () => {
  const id = await account()
  const lease = await store.lease()
  const stale = await streams.takeFence(id, lease)
  const fresh = await streams.takeFence(id, lease)
  const decide = (fence?: FenceToken) =>
    streams.decide(
      id,
      async () => null,
      () => [lost('x')],
      fence,
    )
  await expect(decide(stale)).rejects.toBeInstanceOf(FenceRefused)
  await expect(decide(fresh)).resolves.toMatchObject({ version: 2 })
  await expect(decide()).resolves.toMatchObject({ version: 3 })
})

test('an account that is not there has version 0, and nothing can be decided on it', async () => {
  const id = newId()
  expect(await streams.version(id)).toBe(0)
  await expect(
    streams.decide(
      id,
      async () => null,
      () => [lost('x')],
    ),
  ).rejects.toBeInstanceOf(StreamNotFound)
})

test('a decision that fails, and a fold that fails, leave neither events nor a gap', async () => {
  const id = await account()
  const broken = { type: 'MailboxDiscovered', data: { mailboxId: 'not a uuid' } } as unknown as AccountEvent
  await expect(
    streams.decide(
      id,
      async () => null,
      () => [lost('a'), broken],
    ),
    // what failed, and not what was sent behind it
  ).rejects.toThrow('invalid input syntax for type uuid')
  expect(await streams.version(id)).toBe(1)
  await streams.append(id, 1, [lost('b')])
  expect((await streams.read(id, 0, 10)).map((event) => event.version)).toEqual([1, 2])
})

test('a statement that cannot be sent takes back what was sent before it', async () => {
  const id = await account()
  const { projection, database } = store
  const unsendable = {
    toPostgres() {
      throw new Error('not to be written')
    },
  }
  const fold: typeof projection.fold = async (session) => {
    await session.query({ text: 'select $1::text', values: [unsendable] })
  }
  const broken = new Streams(database, { version: projection.version, fold }, () => undefined)
  await expect(broken.append(id, 1, [lost('a')])).rejects.toThrow('not to be written')
  await expect(broken.record(id, [lost('b')], 'CLIENT')).rejects.toThrow('not to be written')
  expect(await streams.version(id)).toBe(1)
})

test('a process of the version before leaves an account alone of which a newer one has folded the tables', async () => {
  const id = await account()
  const { projection, database } = store
  const before = new Streams(
    database,
    {
      version: projection.version - 1,
      fold: (session, accountId, events) => projection.fold(session, accountId, events),
    },
    () => undefined,
  )
  await expect(before.append(id, 1, [lost('a')])).rejects.toBeInstanceOf(NewerProjection)
  await expect(before.record(id, [lost('b')], 'CLIENT')).rejects.toBeInstanceOf(NewerProjection)
  expect(await streams.version(id)).toBe(1)
  // what the newer one has not folded yet it may go on with
  const other = newId()
  await before.append(other, 0, [connected(other)])
  await before.append(other, 1, [lost('c')])
  expect(await streams.version(other)).toBe(2)
})

test('followers that begin anywhere, while writers write, see every event once and in order', async () => {
  const id = await account()
  const total = 300
  const elsewhere = new Streams(store.database, store.projection, () => undefined)
  const follow = async (after: number) => {
    const abort = new AbortController()
    const seen: RecordedEvent[] = []
    for await (const event of feeds.follow(id, after, abort.signal)) {
      seen.push(event)
      if (event.version === total) abort.abort()
    }
    return seen
  }
  const early = [0, 1, 1].map(follow)
  for (let version = 1; version < total; version++) {
    // those of another process are only told of
    const writer = version % 7 === 0 ? elsewhere : streams
    await writer.append(id, version, [lost(String(version))])
    if (writer === elsewhere) feeds.advanced(id, version + 1)
    if (version === 150) early.push(follow(0), follow(77), follow(150))
  }
  const stored = await streams.read(id, 0, total)
  expect(stored.map(({ version }) => version)).toEqual(Array.from({ length: total }, (_, index) => index + 1))
  // as they are in the store, to the last field
  expect(await Promise.all(early)).toStrictEqual([0, 1, 1, 0, 77, 150].map((after) => stored.slice(after)))
})

test.each(readdirSync('test/fixtures/events'))(
  'the stored log of %s is read, and folded into the tables',
  async (name) => {
    const id = newId()
    // a login is connected once
    const stored = readFileSync(`test/fixtures/events/${name}`, 'utf8').replace('"ada"', `"${name}"`)
    const { pool } = store.database
    const { rows } = await pool.query<{ count: string }>(
      `with log as (
       insert into events (account_id, version, type, shape, recorded_at, data)
       select $1, row_number() over (), type, shape, now(), data
       from json_to_recordset($2::json) as event (type text, shape smallint, data json) returning 1
     ) select count(*) from log`,
      [id, stored],
    )
    const count = Number(rows[0]?.count)
    await pool.query('insert into streams (account_id, version) values ($1, $2)', [id, count])
    expect(await streams.read(id, 0, 1_000)).toHaveLength(count)
    expect(await rebuildAccount(store.database, store.projection, id)).toBeGreaterThan(0)
    expect(await verifyAccount(store.database, store.projection, id)).toBe(0)
  },
)
