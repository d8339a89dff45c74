import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { nodeId } from '../api/ids.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
import { FileBlobs } from '../content/blobs/file-blobs.js'
import { blobPlace, blobsAt } from '../content/blobs/open-blobs.js'
import { MIGRATIONS } from '../event-store/migrations/index.js'
import { Database } from '../platform/database.js'
import { prepareDataFolder, startEmbeddedPostgres } from '../platform/embedded-postgres.js'
import { counted, EXIT } from '../platform/exit-codes.js'
import { makeFolder } from '../platform/make-folder.js'
import { readSettings } from '../platform/settings.js'
import { viewContentNames } from '../projections/content-views.js'
import { CoreProjection } from '../projections/core-projection.js'
import { rebuildOutdated } from '../projections/rebuild.js'
import { ApiFailure } from './api-client.js'
import { whole } from './partial.js'
import { withDatabase } from './with-database.js'

/** What nothing else follows from, in an order in which it can be put back. All other tables are folded from it. */
export const TABLES = [
  'store',
  'streams',
  'events',
  'appends',
  'consumers',
  'credentials',
  'master_key',
  'blob_removals',
] as const

/** What says what a backup holds; written last, so that a folder without it is none. */
type Manifest = {
  format: 1
  createdAt: string
  /** names of the migrations that made its tables */
  migrations: string[]
  tables: { name: string; columns: string[]; rows: number }[]
  blobs: { count: number; bytes: number; missing: string[] }
}

/** Says how far it has come, in one line or one JSON value each. */
type Say = (told: object, text: string) => void

/** Says it in JSON, or in words. */
export const sayTo =
  (json: boolean | undefined): Say =>
  (told, text) =>
    void process.stdout.write((json ? JSON.stringify(told) : text) + '\n')

/**
 * Copies log and blobs into a new folder, while the service goes on: all tables as of one moment, then the blobs to which
 * they refer, each checked against its name. The keys are not among it. @returns the exit code
 */
export async function backup(folder: string, { json }: { json?: boolean }): Promise<number> {
  if (existsSync(folder))
    throw new ApiFailure(`${folder} is there already: give a folder that is not`, EXIT.CANNOT_CREATE)
  const say = sayTo(json)
  return withDatabase(async (database, settings) => {
    const manifest = await whole(folder, async (partial) => {
      await makeFolder(join(partial, 'tables'), 0o700)
      const blobs = blobsAt(blobPlace(settings))
      const made = await database.alone((session) => copyOut(session, blobs, partial, say))
      await writeFile(join(partial, 'manifest.json'), JSON.stringify(made, null, 2))
      return made
    })
    const { count, missing } = manifest.blobs
    const events = manifest.tables.find(({ name }) => name === 'events')?.rows ?? 0
    say(
      { folder, events, blobs: count, missing },
      `${folder}: ${counted(events, 'event')} and ${counted(count, 'blob')}${missing.length > 0 ? `; not there or damaged: ${missing.length}` : ''}`,
    )
    return 0
  })
}

async function copyOut(session: pg.Client, blobs: BlobStore, folder: string, say: Say): Promise<Manifest> {
  await session.query('begin isolation level repeatable read, read only')
  const tables: Manifest['tables'] = []
  for (const name of TABLES) {
    const columns = await columnsOf(session, name)
    const out = session.query(copyTo(`copy ${name} (${columns.join()}) to stdout`))
    await pipeline(out, createGzip({ level: 3 }), createWriteStream(tablePath(folder, name), { mode: 0o600 }))
    tables.push({ name, columns, rows: out.rowCount })
    say({ table: name, rows: out.rowCount }, `${name}: ${counted(out.rowCount, 'row')}`)
  }
  const { rows: migrations } = await session.query<{ name: string }>('select name from migrations order by id')
  const names = await viewContentNames(session)
  await session.query('commit')
  const copied = await copyBlobs(blobs, new FileBlobs(join(folder, 'blobs')), names)
  return {
    format: 1,
    createdAt: new Date().toISOString(),
    migrations: migrations.map((row) => row.name),
    tables,
    blobs: copied,
  }
}

/** Copies blobs; one that is not what its name says is told of, and not copied. */
async function copyBlobs(from: BlobStore, to: BlobStore, names: readonly string[]): Promise<Manifest['blobs']> {
  const wanted = new Set(names)
  const copied: Manifest['blobs'] = { count: 0, bytes: 0, missing: [] }
  for (const name of names) {
    const blob = (await from.has(name)) && (await to.put(from.read(name)))
    if (blob?.sha256 === name) {
      copied.count++
      copied.bytes += blob.size
      continue
    }
    copied.missing.push(name)
    if (blob && !wanted.has(blob.sha256)) await to.remove([blob.sha256])
  }
  return copied
}

/** Puts a backup into a new data folder, or an empty database, and folds all tables from its log. @returns the exit code */
export async function restore(folder: string, { json }: { json?: boolean }): Promise<number> {
  const manifest = await readManifest(folder)
  const settings = readSettings(process.env)
  const say = sayTo(json)
  await prepareDataFolder(settings.MAILFOLD_DATA)
  const embedded = settings.DATABASE_URL === undefined ? await startEmbeddedPostgres(settings.MAILFOLD_DATA) : null
  try {
    const url = embedded?.url ?? settings.DATABASE_URL ?? ''
    // the tables as they were when the backup was made; later migrations then change what is in them
    const old = await Database.open(url, MIGRATIONS.slice(0, manifest.migrations.length))
    try {
      await old.alone((session) => copyIn(session, manifest, folder, say))
    } finally {
      await old.close()
    }
    const found = await readdir(join(folder, 'blobs'), { recursive: true }).catch(() => [])
    const names = found.map((path) => basename(path)).filter((name) => /^[0-9a-f]{64}$/.test(name))
    const { count, missing } = await copyBlobs(
      new FileBlobs(join(folder, 'blobs')),
      blobsAt(blobPlace(settings)),
      names,
    )
    say(
      { blobs: count, missing },
      `${counted(count, 'blob')}${missing.length > 0 ? `; damaged: ${missing.length}` : ''}`,
    )
    await foldAll(url, say)
    return missing.length > 0 ? 1 : 0
  } finally {
    await embedded?.stop()
  }
}

/** @throws ApiFailure when there is no whole backup that this version can read */
async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => null)
  if (text === null)
    throw new ApiFailure(`${folder} is no backup, or one that was cut off: it has no manifest.json`, EXIT.NO_INPUT)
  const manifest = manifestIn(text, folder)
  const known = MIGRATIONS.map((migration) => new migration().name)
  if (!manifest.migrations.every((name, at) => name === known[at]))
    throw new ApiFailure(`${folder} was made by a newer Mailfold`, EXIT.DATA)
  return manifest
}

/** @throws ApiFailure when it is no manifest, or one that was cut off */
function manifestIn(text: string, folder: string): Manifest {
  try {
    return JSON.parse(text) as Manifest
  } catch {
    throw new ApiFailure(`${folder} is damaged: its manifest.json cannot be read`, EXIT.DATA)
  }
}

/** @throws ApiFailure when there is something already */
export async function refuseWhatIsNotEmpty(session: pg.Client): Promise<void> {
  const { rows } = await session.query<{ any: boolean }>('select exists (select from streams) as any')
  if (rows[0]?.any)
    throw new ApiFailure('the store is not empty: take a new data folder, or an empty database', EXIT.CANNOT_CREATE)
}

/** All tables or none. @throws ApiFailure when there is something already */
async function copyIn(session: pg.Client, manifest: Manifest, folder: string, say: Say): Promise<void> {
  await refuseWhatIsNotEmpty(session)
  await session.query('begin')
  await session.query('delete from store')
  for (const { name, columns, rows: count } of manifest.tables) {
    const into = session.query(copyFrom(`copy ${name} (${columns.join()}) from stdin`))
    await pipeline(createReadStream(tablePath(folder, name)), createGunzip(), into).catch((error: unknown) => {
      // an error of zlib: the file was changed, or copied only in part
      if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error
      throw new ApiFailure(`${folder} is damaged: ${tablePath('', name)} cannot be read to its end`, EXIT.DATA)
    })
    if (into.rowCount !== count)
      throw new ApiFailure(`${name} has ${into.rowCount} rows, and should have ${count}`, EXIT.DATA)
    say({ table: name, rows: count }, `${name}: ${counted(count, 'row')}`)
  }
  // no table but these was copied: all others are to be folded
  await session.query('update streams set projection = 0')
  await session.query('commit')
}

/** Folds all tables that are not copied. */
export async function foldAll(url: string, say: Say): Promise<void> {
  const database = await Database.open(url, MIGRATIONS)
  try {
    await rebuildOutdated(database, new CoreProjection(), (accountId) =>
      say({ account: nodeId('Account', accountId) }, `account ${nodeId('Account', accountId)}: folded`),
    )
  } finally {
    await database.close()
  }
}

/** The columns of a table, by name. */
export async function columnsOf(session: pg.Client, table: string): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [table],
  )
  return rows.map((row) => row.name)
}

const tablePath = (folder: string, table: string) => join(folder, 'tables', `${table}.copy.gz`)
