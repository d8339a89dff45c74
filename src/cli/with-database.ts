import { MIGRATIONS } from '../event-store/migrations/index.js'
import { Database } from '../platform/database.js'
import { joinEmbeddedPostgres } from '../platform/embedded-postgres.js'
import { readSettings, type Settings } from '../platform/settings.js'

/**
 * Runs a command's work on the service's database, beside the service or without it: that at DATABASE_URL, or the
 * embedded one, which is left as it was found.
 *
 * @throws BadSetting, StartFailure
 */
export async function withDatabase<T>(work: (database: Database, settings: Settings) => Promise<T>): Promise<T> {
  const settings = readSettings(process.env)
  const embedded = settings.DATABASE_URL === undefined ? await joinEmbeddedPostgres(settings.MAILFOLD_DATA) : null
  try {
    const database = await Database.open(embedded?.url ?? settings.DATABASE_URL ?? '', MIGRATIONS)
    try {
      return await work(database, settings)
    } finally {
      await database.close()
    }
  } finally {
    await embedded?.stop()
  }
}
