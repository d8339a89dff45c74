import { markForRemoval, removeMarked } from '../content/blobs/blob-removal.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
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
