import { giveUpCredentials, openCredentials, opensAny, rotateMasterKey } from '../platform/master-key.js'
import { endKeyFiles, loadMasterKeys, renewKeyFile } from '../platform/secrets.js'
import { EXIT } from '../platform/exit-codes.js'
import { StartFailure } from '../platform/start-failure.js'
import { sayTo } from './backup.js'
import { refuseARunningService } from './db-copy.js'
import { withDatabase } from './with-database.js'

/** How the command was called. */
export type RotateOptions = { json?: boolean; beside?: boolean; lost?: boolean }

/**
 * Seals all credentials with a new master key. Where the key is in its file, the new one is made here; where it is a setting, that is the new one, and
 * MAILFOLD_MASTER_KEY_BEFORE the one before. It can be cut off anywhere, and run again.
 *
 * @throws StartFailure where the service runs, or neither key is the one that sealed the credentials
 */
export async function rotateKey({ json, beside, lost }: RotateOptions): Promise<void> {
  const say = sayTo(json)
  await withDatabase(async (database, settings) => {
    if (!beside) await refuseARunningService(database)
    if (lost) {
      const present = await loadMasterKeys(settings, true)
      if (await opensAny(database, present))
        throw new StartFailure(
          'the master key opens the credentials: it is not lost, and no account needs new ones',
          EXIT.USAGE,
        )
      await giveUpCredentials(database, present)
      return say(
        { lost: true },
        'The master key is taken for good: each account says CHANGE_CREDENTIALS, and needs new ones.',
      )
    }
    // a file is touched only where its key is the right one
    await openCredentials(database, settings)
    const isFile = settings.MAILFOLD_MASTER_KEY === undefined
    if (isFile) await renewKeyFile(settings.MAILFOLD_DATA)
    const keys = await loadMasterKeys(settings, false)
    if (!keys.before)
      throw new StartFailure(
        'there is no key to change from: set MAILFOLD_MASTER_KEY_BEFORE, or keep it in master.key.before',
        EXIT.CONFIG,
      )
    const { resealed, unreadable } = await rotateMasterKey(database, keys)
    if (isFile) await endKeyFiles(settings.MAILFOLD_DATA)
    const damaged = unreadable > 0 ? `; ${unreadable} could be opened with neither key` : ''
    say({ resealed, unreadable }, `${resealed} credentials were sealed with ${keys.current.name}${damaged}`)
  })
}
