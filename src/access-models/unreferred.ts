import { markForRemoval, removeMarked } from '../content/blobs/blob-removal.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
import { StreamNotFound } from '../event-store/streams.js'
import type { Database } from '../platform/database.js'
import { isReferredTo } from '../projections/content-views.js'

/** Removes raw messages that were to be referred to and are not: another message may have the same, and keeps it. */
export async function removeUnreferred(
  { database, blobs }: { database: Database; blobs: BlobStore },
  sha256s: readonly string[],
): Promise<void> {
  if (sha256s.length === 0) return
  await markForRemoval(database.pool, sha256s)
  await removeMarked(database, blobs, isReferredTo)
}

/** Records what refers to raw messages that have just been kept. Where the account was forgotten meanwhile nothing refers to them, and they go again. */
export async function recordKept<T>(
  tools: { database: Database; blobs: BlobStore },
  sha256s: readonly string[],
  decided: Promise<T>,
): Promise<T> {
  try {
    return await decided
  } catch (error) {
    if (error instanceof StreamNotFound) await removeUnreferred(tools, sha256s)
    throw error
  }
}
