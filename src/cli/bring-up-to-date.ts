import { keepPositionsGrowing } from '../event-store/stored-events.js'
import type { Database } from '../platform/database.js'
import { CoreProjection } from '../projections/core-projection.js'
import { rebuildOutdated } from '../projections/rebuild.js'
import { withDatabase } from './with-database.js'

const FOLDING_LOCK = 4_701_146

/** What an earlier version has folded is folded again, before anything reads it. @param folded is told of each account */
export async function bringUpToDate(database: Database, folded: (accountId: string) => void): Promise<void> {
  await database.alone(async (session) => {
    // of processes that start at once, one does it and the others wait
    await session.query('select pg_advisory_lock($1)', [FOLDING_LOCK])
    await keepPositionsGrowing(database.pool)
    await rebuildOutdated(database, new CoreProjection(), folded)
  })
}

/** Brings the database up to this version, before the service starts: so that of many processes none has to. */
export async function migrate({ json }: { json?: boolean }): Promise<void> {
  let accounts = 0
  await withDatabase((database) => bringUpToDate(database, () => accounts++))
  process.stdout.write(json ? `${JSON.stringify({ foldedAgain: accounts })}\n` : 'The database is up to date.\n')
}
