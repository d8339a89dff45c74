import { BlobWent, markForRemoval } from '../content/blobs/blob-removal.js'
import type { Database } from '../platform/database.js'

/** Has raw messages removed that were to be referred to and are not. Another message may have the same, and keeps it. */
export async function removeUnreferred(
  { database }: { database: Database },
  sha256s: readonly string[],
): Promise<void> {
  await markForRemoval(database.pool, sha256s)
}

/** Records what refers to raw messages that have just been kept. Where that is not recorded they go again, unless something else refers to them. */
export async function recordKept<T>(
  tools: { database: Database },
  sha256s: readonly string[],
  decided: Promise<T>,
): Promise<T> {
  try {
    return await decided
  } catch (error) {
    // what could not even be marked is found by the sweep
    if (!(error instanceof BlobWent)) await removeUnreferred(tools, sha256s).catch(() => undefined)
    throw error
  }
}
