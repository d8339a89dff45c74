import type { BlobStore, StoredBlob } from '../content/blobs/blob-store.js'
import type { Database } from '../platform/database.js'
import { viewReferredTo } from '../projections/content-views.js'

/** Blobs that are asked about together. */
const PIECE = 2_000

/**
 * Finds the blobs to which nothing refers: what was kept before it was decided whether it stays, by whoever was killed, or refused, in between.
 *
 * @param before  only those that were put before
 */
export async function* unreferredBlobs(
  database: Database,
  blobs: BlobStore,
  before: Date,
): AsyncGenerator<StoredBlob[]> {
  for await (const listed of blobs.list())
    for (let at = 0; at < listed.length; at += PIECE) {
      const old = listed.slice(at, at + PIECE).filter(({ since }) => since < before)
      const names = old.map(({ sha256 }) => sha256)
      const referred = await viewReferredTo(database.pool, names)
      const found = old.filter(({ sha256 }) => !referred.has(sha256))
      if (found.length > 0) yield found
    }
}
