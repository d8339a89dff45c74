/* Raw messages go when nothing refers to them, and never while something does, or is about to. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { BlobStore, Removed } from '../src/content/blobs/blob-store.js'
import { holdBlobs, markForRemoval, removeMarked } from '../src/content/blobs/blob-removal.js'
import { FileBlobs } from '../src/content/blobs/file-blobs.js'
import type { Database, Queryable } from '../src/platform/database.js'
import { Store } from './support/store.ts'
import { until } from './support/service.ts'

let store: Store
let database: Database
let folder: string
let blobs: FileBlobs

beforeAll(async () => {
  store = await Store.open()
  database = store.database
  folder = await mkdtemp(join(tmpdir(), 'mailfold-blobs-'))
  blobs = new FileBlobs(folder)
  await blobs.open()
  // what stands for messages that refer to blobs
  await database.pool.query('create table referring (sha256 text)')
})

afterAll(async () => {
  await store?.close()
  await rm(folder, { recursive: true, force: true })
})

const referredTo = async (session: Queryable, names: readonly string[]) => {
  const { rows } = await session.query<{ sha256: string }>('select sha256 from referring where sha256 = any($1)', [
    names,
  ])
  return new Set(rows.map(({ sha256 }) => sha256))
}

let made = 0
const put = async (count: number): Promise<string[]> => {
  const contents = Array.from({ length: count }, () => Buffer.from(`message ${++made}`))
  const { names, durable } = blobs.putMany(contents)
  await durable
  return names.map(({ sha256 }) => sha256)
}
const marks = async () => {
  const { rows } = await database.pool.query<{ count: string }>('select count(*) from blob_removals')
  return Number(rows[0]?.count)
}
const remove = (from: BlobStore = blobs) => removeMarked(database, from, referredTo)

/** Removes until no mark is left. */
async function removeAll(): Promise<void> {
  await until(async () => !(await remove()).isMore)
}

test('core 5: 24 transactions that each hold 500 blobs at once take no lock for each blob', async () => {
  const names = await Promise.all(Array.from({ length: 24 }, () => put(500)))
  const locks: number[] = []
  await Promise.all(
    names.map((piece) =>
      database.alone(async (session) => {
        await session.query('begin')
        expect((await holdBlobs(session, blobs, piece)).size).toBe(500)
        const { rows } = await session.query<{ count: string }>(
          'select count(*) from pg_locks where pid = pg_backend_pid()',
        )
        locks.push(Number(rows[0]?.count))
        await session.query('commit')
      }),
    ),
  )
  expect(Math.max(...locks)).toBeLessThan(20)
})

test('core 9: thousands of marked blobs go in a few transactions, and their marks with them', async () => {
  const names = await put(3_000)
  await markForRemoval(database.pool, names)
  const { rows } = await database.pool.query<{ id: string }>('select pg_current_xact_id()::text as id')
  await removeAll()
  expect((await blobs.present(names)).size).toBe(0)
  expect(await marks()).toBe(0)
  const { rows: after } = await database.pool.query<{ id: string }>('select pg_current_xact_id()::text as id')
  expect(Number(after[0]?.id) - Number(rows[0]?.id)).toBeLessThan(100)
})

test('core 9: a blob that cannot be removed stays marked, and keeps none of the others', async () => {
  const names = await put(20)
  await markForRemoval(database.pool, names)
  const [stuck = ''] = names
  const failing = Object.assign(Object.create(blobs) as FileBlobs, {
    remove: async (asked: readonly string[]): Promise<Removed> => {
      const { gone } = await blobs.remove(asked.filter((each) => each !== stuck))
      return { gone, error: asked.includes(stuck) ? new Error('the disk says no') : null }
    },
  })
  await until(async () => {
    const round = await remove(failing)
    if (round.failed.length > 0) expect([round.failed, round.error?.message]).toEqual([[stuck], 'the disk says no'])
    return (await marks()) === 1
  })
  expect([...(await blobs.present(names))]).toEqual([stuck])
  await removeAll()
  expect((await blobs.present(names)).size).toBe(0)
})

test('one to which something refers stays, and loses its mark', async () => {
  const names = await put(2)
  await database.pool.query('insert into referring values ($1)', [names[0]])
  await markForRemoval(database.pool, names)
  await removeAll()
  expect([...(await blobs.present(names))]).toEqual([names[0]])
  expect(await marks()).toBe(0)
})

test.each([
  ['before it was marked', false],
  ['after it was marked', true],
])(
  'one that a transaction holds since %s stays until that has ended, and then if it refers to it',
  async (_, isMarked) => {
    for (const end of ['commit', 'rollback']) {
      const [name = ''] = await put(1)
      if (isMarked) await markForRemoval(database.pool, [name])
      await database.alone(async (session) => {
        await session.query('begin')
        expect((await holdBlobs(session, blobs, [name])).has(name)).toBe(true)
        if (!isMarked) await markForRemoval(database.pool, [name])
        const removing = isMarked ? remove() : null
        await removing
        await session.query('insert into referring values ($1)', [name])
        // a round waits for the transaction; whatever it does, the blob is here
        const round = isMarked ? Promise.resolve() : remove()
        expect((await blobs.present([name])).has(name)).toBe(true)
        await session.query(end)
        await round
      })
      await removeAll()
      expect([end, (await blobs.present([name])).has(name)]).toEqual([end, end === 'commit'])
    }
  },
)

test('whoever holds, marks and removes at once: what is referred to in the end is there, and nothing else is', async () => {
  const contents = Array.from({ length: 40 }, (_, number) => Buffer.from(`contended ${number}`))
  const writer = async (turn: number) => {
    for (let round = 0; round < 15; round++) {
      const content = contents[(turn * 7 + round * 3) % contents.length] as Buffer
      const { sha256 } = await blobs.put(Readable.from([content]))
      await database.transaction(async (session) => {
        if (!(await holdBlobs(session, blobs, [sha256])).has(sha256)) return
        await session.query('insert into referring values ($1)', [sha256])
      })
      if (round % 2 === 0)
        await database.transaction(async (session) => {
          await session.query('delete from referring where sha256 = $1', [sha256])
          await markForRemoval(session, [sha256])
        })
      await markForRemoval(database.pool, [sha256])
    }
  }
  let isOver = false
  const remover = async () => {
    while (!isOver) await remove()
  }
  const removers = [remover(), remover()]
  await Promise.all(Array.from({ length: 6 }, (_, turn) => writer(turn)))
  isOver = true
  await Promise.all(removers)
  await removeAll()
  const { rows } = await database.pool.query<{ sha256: string }>('select distinct sha256 from referring')
  const referring = rows.map(({ sha256 }) => sha256)
  expect((await blobs.present(referring)).size).toBe(referring.length)
  const listed: string[] = []
  for await (const found of blobs.list()) listed.push(...found.map(({ sha256 }) => sha256))
  const left = contents.map((content) => blobs.put(Readable.from([content])))
  const names = new Set((await Promise.all(left)).map(({ sha256 }) => sha256))
  expect(listed.filter((name) => names.has(name) && !referring.includes(name))).toEqual([])
  expect((await readdir(join(folder, 'incoming'))).length).toBe(0)
})
