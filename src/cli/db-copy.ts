import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { setShardCount } from '../event-store/leases.js'
import { MIGRATIONS } from '../event-store/migrations/index.js'
import { Database } from '../platform/database.js'
import { counted, EXIT } from '../platform/exit-codes.js'
import { databaseAddress } from '../platform/settings.js'
import { StartFailure } from '../platform/start-failure.js'
import { columnsOf, foldAll, refuseWhatIsNotEmpty, sayTo, TABLES } from './backup.js'
import { withDatabase } from './with-database.js'

/**
 * Copies the log from the present database to an empty one, and folds all other tables from it: from the embedded Postgres to one of your own, say. Blobs
 * stay where they are. The service is stopped meanwhile, so that nothing is recorded that is not copied.
 *
 * @param url of the database to copy to
 * @throws StartFailure where the service runs, or a database cannot be reached; ApiFailure where the other one is not empty
 */
export async function copyDatabase(url: string, { json }: { json?: boolean }): Promise<void> {
  const say = sayTo(json)
  const address = databaseAddress.safeParse(url)
  if (!address.success)
    throw new StartFailure(`the database to copy to ${address.error.issues[0]?.message ?? ''}`, EXIT.USAGE)
  await withDatabase(async (from) => {
    await refuseARunningService(from)
    const shards = await from.pool.query('select from shards')
    const to = await Database.open(url, MIGRATIONS)
    try {
      await from.alone((source) => to.alone((target) => copyTables(source, target, say)))
      if (shards.rowCount) await setShardCount(to, shards.rowCount)
    } finally {
      await to.close()
    }
    await foldAll(url, say)
  })
  say({ copied: true }, 'All is copied: start the service with DATABASE_URL, and the same MAILFOLD_DATA.')
}

/** @throws StartFailure where the service runs on a database */
export async function refuseARunningService({ pool }: Database): Promise<void> {
  const { rowCount } = await pool.query('select from workers where expires_at > now()')
  if (rowCount) throw new StartFailure('the service runs on this database: stop it first')
}

async function copyTables(source: pg.Client, target: pg.Client, say: ReturnType<typeof sayTo>): Promise<void> {
  await refuseWhatIsNotEmpty(target)
  await source.query('begin isolation level repeatable read, read only')
  await target.query('begin')
  await target.query('delete from store')
  for (const name of TABLES) {
    const columns = (await columnsOf(source, name)).join()
    const into = target.query(copyFrom(`copy ${name} (${columns}) from stdin`))
    await pipeline(source.query(copyTo(`copy ${name} (${columns}) to stdout`)), into)
    say({ table: name, rows: into.rowCount }, `${name}: ${counted(into.rowCount ?? 0, 'row')}`)
  }
  await target.query('update streams set projection = 0')
  await target.query('commit')
  await source.query('commit')
}
