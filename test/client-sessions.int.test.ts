import { forClient, TooBusy } from '../src/platform/client-sessions.js'
import { MIGRATIONS } from '../src/event-store/migrations/index.js'
import { Database } from '../src/platform/database.js'
import { until } from './support/service.ts'
import { Store } from './support/store.ts'

let store: Store
let database: Database

beforeAll(async () => {
  store = await Store.open()
  database = await Database.open(store.url, MIGRATIONS, { longestStatement: 60_000 })
})

afterAll(async () => {
  await database.close()
  await store.close()
})

const SLEEP = 'select pg_sleep(50)'
const mallory = (signal: AbortSignal | null) => ({ client: 'mallory', signal })

/** Statements that Postgres runs for clients now. */
async function running(): Promise<number> {
  const { rows } = await store.database.pool.query<{ count: string }>(
    `select count(*) from pg_stat_activity where application_name = 'mailfold-clients' and state = 'active'`,
  )
  return Number(rows[0]?.count)
}

/** A client that asks for as much as it can, in two operations. */
async function greedy(count: number): Promise<{ gone: AbortController; answers: Promise<unknown>[] }> {
  const gone = new AbortController()
  const reads = () => Array.from({ length: count }, () => database.reads.query(SLEEP).catch((error: unknown) => error))
  const answers = [...forClient(mallory(gone.signal), reads), ...forClient(mallory(gone.signal), reads)]
  await until(async () => (await running()) > 0)
  return { gone, answers }
}

test('a client that asks for everything leaves sessions to others, to the service and to its health', async () => {
  const { gone, answers } = await greedy(100)
  await until(async () => (await running()) === 8)
  for (const signal of [null, new AbortController().signal]) {
    const other = () => database.reads.query<{ one: number }>('select 1 as one')
    expect((await forClient({ client: 'alice', signal }, other)).rows).toEqual([{ one: 1 }])
  }
  expect((await database.pool.query<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(await database.answers()).toBe(true)
  expect(await running()).toBe(8)
  gone.abort(new Error('gone'))
  expect((await Promise.all(answers)).map((answer) => (answer as Error).message)).toEqual(Array(200).fill('gone'))
  // of what it had under way nothing goes on, and what it had waiting has never begun
  await until(async () => (await running()) === 0)
})

test('what waits is bounded', async () => {
  const { gone, answers } = await greedy(1_100)
  const refused = forClient(mallory(null), () => database.reads.query(SLEEP))
  await expect(refused).rejects.toBeInstanceOf(TooBusy)
  gone.abort(new Error('gone'))
  const told = (await Promise.all(answers)).map((answer) => (answer as Error).message)
  expect(told.filter((message) => message === 'gone')).toHaveLength(2_008)
})

test('operations of one client take turns', async () => {
  const done: string[] = []
  const operation = (name: string, count: number) =>
    forClient(mallory(null), () =>
      Array.from({ length: count }, async () => {
        await database.reads.query('select pg_sleep(0.05)')
        done.push(name)
      }),
    )
  await Promise.all([...operation('large', 80), ...operation('small', 1)])
  expect(done.indexOf('small')).toBeLessThan(40)
})

test('a statement that takes too long is cancelled, and the session of it is not used again', async () => {
  const impatient = await Database.open(store.url, MIGRATIONS, { longestStatement: 200 })
  const scope = { client: 'mallory', signal: null }
  await expect(forClient(scope, () => impatient.reads.query(SLEEP))).rejects.toMatchObject({ code: '57014' })
  await expect(forClient(scope, () => impatient.pool.query(SLEEP))).rejects.toMatchObject({ code: '57014' })
  const inTransaction = () => impatient.transaction((session) => session.query(SLEEP))
  await expect(forClient(scope, inTransaction)).rejects.toMatchObject({ code: '57014' })
  // what the service does by itself may take as long as it needs
  await impatient.pool.query('select pg_sleep(0.4)')
  await impatient.close()
})

test('a client that uses all its sessions for changes is not kept from what those read besides', async () => {
  const change = () =>
    database.transaction(async (session) => {
      await session.query('select pg_sleep(0.2)')
      return (await database.pool.query('select 1')).rowCount
    })
  const changes = forClient(mallory(null), () => Array.from({ length: 12 }, change))
  expect(await Promise.all(changes)).toEqual(Array(12).fill(1))
})
