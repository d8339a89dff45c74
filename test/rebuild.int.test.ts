import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { v7 as newId } from 'uuid'
import { MIGRATIONS } from '../src/event-store/migrations/index.js'
import { readStore, STORE_START } from '../src/event-store/stored-events.js'
import { Streams } from '../src/event-store/streams.js'
import { Database } from '../src/platform/database.js'
import { startEmbeddedPostgres } from '../src/platform/embedded-postgres.js'
import { LogDamaged, rebuildAccount, verifyAccount, viewOutdated, type Difference } from '../src/projections/rebuild.js'
import { History } from './support/histories.ts'
import { randomFrom } from './support/mail.ts'
import { Store } from './support/store.ts'

let store: Store

beforeAll(async () => {
  store = await Store.open()
})

afterAll(() => store.close())

/** An account with something in each table. */
async function account(seed: number, events = 700): Promise<{ accountId: string; history: History }> {
  const random = randomFrom(seed)
  const accountId = newId()
  const history = new History(accountId)
  while (history.events.length < events)
    history.take([Math.floor(random() * 20), Math.floor(random() * 1e6), Math.floor(random() * 1e6)])
  for (let at = 0; at < history.events.length; at += 50)
    await store.streams.append(accountId, at, history.events.slice(at, at + 50))
  return { accountId, history }
}

async function verify(accountId: string): Promise<Difference[]> {
  const found: Difference[] = []
  const difference = (each: Difference) => found.push(each)
  const differing = await verifyAccount(store.database, store.projection, accountId, { difference })
  expect(differing).toBe(found.length)
  return found
}

const rebuild = (accountId: string) => rebuildAccount(store.database, store.projection, accountId)
const run = (sql: string, values: unknown[] = []) => store.database.pool.query(sql, values)

/** By table, a change by hand; each is of one row. */
const BY_HAND: Record<string, { change: string; columns: string[] } | null> = {
  accounts: { change: `set server = 'another'`, columns: ['server'] },
  mailboxes: { change: 'set messages = messages + 1, path = path || $$!$$', columns: ['path', 'messages'] },
  messages: { change: `set subject = 'another', from_addresses = '[]'`, columns: ['subject', 'from_addresses'] },
  expunged_messages: { change: 'set uid = uid + 1', columns: ['uid'] },
  // has nothing but its key
  forgotten_messages: null,
  past_accounts: { change: `set connection_state = 'another'`, columns: ['connection_state'] },
  past_mailboxes: { change: 'set unseen = unseen + 1', columns: ['unseen'] },
  past_messages: { change: `set flags = '{\\Deleted}'`, columns: ['flags'] },
  past_message_states: { change: 'set seen = not seen', columns: ['seen'] },
}

test.each(Object.entries(BY_HAND))(
  'a row of %s that was changed, removed or added by hand is found, and mended',
  async (table, byHand) => {
    const { accountId } = await account(7)
    const one = `ctid = (select min(ctid) from ${table} where account_id = $1)`
    expect(await verify(accountId)).toEqual([])

    if (byHand) {
      const { change, columns } = byHand
      await run(`update ${table} ${change} where ${one}`, [accountId])
      expect(await verify(accountId)).toEqual([{ table, kind: 'changed', columns, key: expect.any(Object) as object }])
      expect(await rebuild(accountId)).toBe(1)
      expect(await verify(accountId)).toEqual([])
    }

    const { rows } = await run(`delete from ${table} where ${one} returning *`, [accountId])
    expect(rows).toHaveLength(1)
    expect(await verify(accountId)).toMatchObject([{ table, kind: 'missing' }])
    expect(await rebuild(accountId)).toBe(1)
    expect(await verify(accountId)).toEqual([])

    if (table === 'accounts') return
    const key =
      { mailboxes: 'mailbox_id', past_accounts: 'at_version', forgotten_messages: 'fingerprint' }[table] ?? 'message_id'
    const other = table === 'past_mailboxes' ? 'mailbox_id' : key
    const fresh = { at_version: '1', fingerprint: `'\\x00'` }[other] ?? `'${newId()}'`
    await run(`create table copy as select * from ${table} where ${one}`, [accountId])
    await run(`update copy set ${other} = ${fresh}`)
    if (table === 'messages') await run('update copy set uid = 999999')
    await run(`insert into ${table} select * from copy; drop table copy`)
    expect(await verify(accountId)).toMatchObject([{ table, kind: 'extra' }])
    expect(await rebuild(accountId)).toBe(1)
    expect(await verify(accountId)).toEqual([])
  },
)

test('a row that was given to another account by hand goes back', async () => {
  const [{ accountId: one }, { accountId: other }] = [await account(3), await account(4)]
  await run('update messages set account_id = $2 where ctid = (select min(ctid) from messages where account_id = $1)', [
    one,
    other,
  ])
  await run(
    'update mailboxes set account_id = $2 where ctid = (select min(ctid) from mailboxes where account_id = $1)',
    [one, other],
  )
  expect(await verify(one)).toHaveLength(2)
  expect(await verify(other)).toHaveLength(2)
  await rebuild(one)
  expect(await verify(one)).toEqual([])
  expect(await verify(other)).toEqual([])
})

test('reads and appends of the account go on while it is folded again, and what they add is there', async () => {
  const { accountId, history } = await account(11, 3_000)
  await run(`update messages set subject = 'by hand' where account_id = $1`, [accountId])
  const [{ subject: before } = { subject: '' }] = (
    await run('select string_agg(distinct subject, $$,$$) as subject from messages where account_id = $1', [accountId])
  ).rows as { subject: string }[]
  expect(before).toBe('by hand')
  let running = true
  const random = randomFrom(5)
  const appending = (async () => {
    let appended = 0
    while (running) {
      const at = history.events.length
      history.take([Math.floor(random() * 20), Math.floor(random() * 1e6), Math.floor(random() * 1e6)])
      await store.streams.append(accountId, at, history.events.slice(at))
      appended++
    }
    return appended
  })()
  /** Messages by whether they are as they were made by hand: never some of both, but for those that came since. */
  const reading = (async () => {
    const states = new Set<string>()
    while (running) {
      const sql = `select string_agg(distinct case subject when 'by hand' then 'wrong' else 'right' end, ',') as state
        from messages where account_id = $1 and added_version <= 3000`
      states.add(((await run(sql, [accountId])).rows as { state: string }[])[0]?.state ?? '')
    }
    return states
  })()
  const progress: number[] = []
  const differing = await rebuildAccount(store.database, store.projection, accountId, {
    progress: ({ done, total }) => progress.push(done / total),
  })
  running = false
  expect(differing).toBeGreaterThan(100)
  expect(await appending).toBeGreaterThan(5)
  expect([...(await reading)].sort()).not.toContain('right,wrong')
  expect(progress.at(-1)).toBe(1)
  expect(await verify(accountId)).toEqual([])
})

test('a log in which an event is missing is told, and nothing is folded from it', async () => {
  const { accountId } = await account(13)
  await run('delete from events where account_id = $1 and version = 300', [accountId])
  await expect(verify(accountId)).rejects.toThrow(new LogDamaged(`event 300 of account ${accountId} is missing`))
  await expect(rebuild(accountId)).rejects.toBeInstanceOf(LogDamaged)
  await run('delete from events where account_id = $1 and version >= 300', [accountId])
  await expect(verify(accountId)).rejects.toThrow(new LogDamaged(`event 300 of account ${accountId} is missing`))
})

test('a store that an earlier version has made is brought up to date: tables, times and the order of the whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mailfold-earlier-'))
  await chmod(folder, 0o711)
  const postgres = await startEmbeddedPostgres(folder)
  const accountId = newId()
  const earlier = await Database.open(postgres.url, MIGRATIONS.slice(0, 1))
  const { events } = History.of(
    accountId,
    Array.from({ length: 300 }, (_, step) => [step % 20, step * 7919, step * 104_729] as const),
  )
  await earlier.pool.query('insert into streams (account_id, version) values ($1, $2)', [accountId, events.length])
  await earlier.pool.query(
    `insert into events (account_id, version, type, shape, recorded_at, data)
     select $1, row_number() over (), type, 1, timestamptz '2026-01-01' + random() * interval '1 hour', data
     from json_to_recordset($2::json) as event (type text, data json)`,
    [accountId, JSON.stringify(events)],
  )
  await earlier.close()
  const database = await Database.open(postgres.url, MIGRATIONS)
  try {
    const { projection } = store
    expect(await viewOutdated(database.pool, projection)).toEqual([accountId])
    expect(await rebuildAccount(database, projection, accountId)).toBeGreaterThan(100)
    expect(await viewOutdated(database.pool, projection)).toEqual([])
    expect(await verifyAccount(database, projection, accountId)).toBe(0)
    const streams = new Streams(database, projection, () => undefined)
    expect(await streams.versionAt(accountId, new Date('2026-01-01T02:00:00Z'))).toBe(events.length)
    expect(await streams.versionAt(accountId, new Date('2025-12-31T00:00:00Z'))).toBe(0)
    await streams.append(accountId, events.length, [{ type: 'ConnectionLost', data: { reason: 'afterwards' } }])
    const whole = await readStore(database.pool, STORE_START, 1_000)
    expect(whole.map(({ event }) => event.version)).toEqual(
      Array.from({ length: events.length + 1 }, (_, at) => at + 1),
    )
  } finally {
    await database.close()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}, 30_000)
