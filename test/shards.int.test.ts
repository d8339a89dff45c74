/* Leases of shards on a real Postgres: who may append, and what becomes of one that stands still in the middle of it. */
import { v7 as newId } from 'uuid'
import { Leases, setShardCount } from '../src/event-store/leases.js'
import { MIGRATIONS } from '../src/event-store/migrations/index.js'
import { shardInSql, shardOf } from '../src/event-store/shards.js'
import { FenceRefused } from '../src/event-store/streams.js'
import type { AccountEvent } from '../src/mailbox/events.js'
import { Database } from '../src/platform/database.js'
import { Store } from './support/store.ts'
import { until } from './support/service.ts'

const ADDRESS = 'http://127.0.0.1:1'
const lost: AccountEvent = { type: 'ConnectionLost', data: { reason: 'x' } }

let store: Store
beforeEach(async () => {
  store = await Store.open()
})
afterEach(() => store.close())

const worker = () => new Leases(store.database, newId())

async function account(): Promise<string> {
  const id = newId()
  const server = {
    protocol: 'IMAP',
    host: 'mail.example.org',
    port: 993,
    security: 'IMPLICIT_TLS',
    username: id,
  } as const
  await store.streams.append(id, 0, [{ type: 'AccountConnected', data: { ...server, model: 'DISCONNECTED' } }])
  return id
}

test('an account is in the same shard for the program and for the database', async () => {
  const ids = Array.from({ length: 500 }, () => newId())
  for (const shards of [1, 7, 32, 1_024]) {
    const { rows } = await store.database.pool.query<{ id: string; shard: string }>(
      `select id, ${shardInSql('id', '$2::int')} as shard from unnest($1::uuid[]) as id`,
      [ids, shards],
    )
    for (const { id, shard } of rows) expect(Number(shard)).toBe(shardOf(id, shards))
  }
})

test('who has lost the shard can neither append nor take the account again, also if nobody has worked on it since', async () => {
  const id = await account()
  const [first, second] = [worker(), worker()]
  await first.prepare(1)
  const before = (await first.renew(ADDRESS, 50)).leases[0]
  if (!before) throw new Error('there is no lease')
  const fence = await store.streams.takeFence(id, before)
  await store.streams.record(id, [lost], 'SERVER', fence)
  await until(async () => (await second.renew(ADDRESS, 60_000)).leases.length === 1)
  await expect(store.streams.record(id, [lost], 'SERVER', fence)).rejects.toBeInstanceOf(FenceRefused)
  await expect(store.streams.takeFence(id, before)).rejects.toBeInstanceOf(FenceRefused)
  expect((await first.renew(ADDRESS, 60_000)).leases).toEqual([])
  expect(await store.streams.version(id)).toBe(2)
})

test('workers that start at once have their parts from the beginning', async () => {
  const [one, other] = [worker(), worker()]
  await one.prepare(8)
  await one.announce(ADDRESS, 60_000)
  await other.announce(ADDRESS, 60_000)
  for (const each of [one, other]) {
    const { leases, release } = await each.renew(ADDRESS, 60_000)
    expect([leases.length, release]).toEqual([4, []])
  }
})

test('a lease that ran out and that nobody took is good again when it is renewed', async () => {
  const id = await account()
  const only = worker()
  await only.prepare(1)
  const before = (await only.renew(ADDRESS, 100)).leases
  await until(
    async () => (await store.database.pool.query('select from shards where expires_at < now()')).rowCount === 1,
  )
  expect((await only.renew(ADDRESS, 60_000)).leases).toEqual(before)
  if (before[0]) await store.streams.takeFence(id, before[0])
})

test('no token of before is worth anything after the number of shards was changed, and changed back', async () => {
  const id = await account()
  const only = worker()
  await only.prepare(2)
  const { leases } = await only.renew(ADDRESS, 60_000)
  await setShardCount(store.database, 1)
  await setShardCount(store.database, 2)
  for (const lease of leases) await expect(store.streams.takeFence(id, lease)).rejects.toBeInstanceOf(FenceRefused)
  const after = await only.renew(ADDRESS, 60_000)
  expect([after.shards, after.leases.length]).toEqual([2, 2])
  for (const { token } of after.leases) expect(leases.map((each) => each.token)).not.toContain(token)
})

test('who stands still in the middle of an append, or of a look at the leases, holds up nobody for long', async () => {
  const id = await account()
  const still = await Database.open(store.url, MIGRATIONS, { longestPause: 500 })
  const stood = still.transaction(async (session) => {
    await session.query('select pg_advisory_xact_lock(4701144)')
    await session.query('select from streams where account_id = $1 for update', [id])
    // as long as it stands still
    await new Promise((resolve) => session.once('error', resolve))
    await session.query('commit')
  })
  const ended = expect(stood).rejects.toThrow()
  const other = worker()
  await other.prepare(1)
  const { leases } = await other.renew(ADDRESS, 60_000)
  if (!leases[0]) throw new Error('there is no lease')
  await store.streams.record(id, [lost], 'SERVER', await store.streams.takeFence(id, leases[0]))
  await ended
  await still.close()
})
