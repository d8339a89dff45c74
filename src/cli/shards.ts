import { setShardCount } from '../event-store/leases.js'
import { MOST_SHARDS } from '../platform/settings.js'
import { counted, EXIT } from '../platform/exit-codes.js'
import { StartFailure } from '../platform/start-failure.js'
import { withDatabase } from './with-database.js'

/** Says how many shards there are and who holds them, or changes how many. Beside a running service: it sees it at its next look. */
export async function shards(count: string | undefined, { json }: { json?: boolean }): Promise<void> {
  await withDatabase(async (database) => {
    if (count !== undefined) await setShardCount(database, numberOf(count))
    const { rows } = await database.pool.query<{ address: string | null; shards: string }>(
      `select address, count(*) as shards from shards left join workers using (worker_id) group by address order by address`,
    )
    const total = rows.reduce((sum, row) => sum + Number(row.shards), 0)
    if (json) process.stdout.write(`${JSON.stringify({ shards: total })}\n`)
    else {
      process.stdout.write(`${counted(total, 'shard')}\n`)
      for (const row of rows) process.stdout.write(`${row.shards}  ${row.address ?? 'held by nobody now'}\n`)
    }
  })
}

function numberOf(count: string): number {
  const number = Number(count)
  if (!Number.isInteger(number) || number < 1 || number > MOST_SHARDS)
    throw new StartFailure(`the number of shards must be a whole number from 1 to ${MOST_SHARDS}`, EXIT.USAGE)
  return number
}
