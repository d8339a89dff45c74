/* Sessions of ONLINE accounts, where the clock of a process is not that of the database. */
import { v7 as newId } from 'uuid'
import { Sessions } from '../src/access-models/online/sessions.js'
import type { Platform } from '../src/platform/platform.js'
import { Store } from './support/store.ts'

let store: Store

beforeAll(async () => {
  store = await Store.open()
})
afterAll(() => store?.close())
afterEach(() => void (Date.now = now))

const now = Date.now

test.each([
  ['behind', -3_600_000],
  ['ahead', 3_600_000],
])(
  'core 13: a session lasts as long as it is said, whatever the clock of a process says: an hour %s',
  async (_, off) => {
    const sessions = new Sessions({ database: store.database } as Platform)
    const accountId = newId()
    Date.now = () => now() + off
    const { sessionId } = await sessions.open(accountId, 60)
    expect(await sessions.used(store.database.pool, accountId)).toHaveLength(1)
    Date.now = now
    // of another process
    const kept = await sessions.keep(sessionId)
    expect(Math.abs((kept?.expiresAt ?? 0) - now() - 60_000)).toBeLessThan(30_000)
    const sql = 'select extract(epoch from expires_at - now())::float as left from sessions where session_id = $1'
    const { rows } = await store.database.pool.query<{ left: number }>(sql, [sessionId])
    expect(rows[0]?.left).toBeGreaterThan(0)
    expect(rows[0]?.left).toBeLessThanOrEqual(60)

    await store.database.pool.query('update sessions set expires_at = now() where session_id = $1', [sessionId])
    expect(await sessions.keep(sessionId)).toBeUndefined()
    await sessions.open(accountId, 60)
    const all = await store.database.pool.query('select from sessions where account_id = $1', [accountId])
    expect(all.rowCount).toBe(1)
  },
)
