import type { Database, Queryable } from '../../platform/database.js'
import type { BlobStore } from './blob-store.js'

/*
 * A blob may be the content of many messages, of several accounts. It goes when nothing refers to it any more, and its
 * going is durable: first it is marked, in the transaction after which nothing may refer to it; then, under a lock of
 * its name, it is looked whether anything does, removed if not, and the mark taken away. Whoever wants to refer to a blob
 * shares that lock in the same transaction, and looks whether the blob is there.
 */

const LOCKS = 4_701_145

/** Marks blobs, in the transaction that ends what referred to them. */
export async function markForRemoval(session: Queryable, sha256s: readonly string[]): Promise<void> {
  if (sha256s.length === 0) return
  await session.query(
    `insert into blob_removals select decode(hash, 'hex') from unnest($1::text[]) as hash on conflict do nothing`,
    [sha256s],
  )
}

/** A blob was removed between being put and being held, since another message had it that went: it has to be put again. */
export class BlobWent extends Error {
  constructor() {
    super('a blob went while it was being recorded')
  }
}

/** Keeps a blob from being removed until the transaction ends. @returns whether it is there */
export async function holdBlob(session: Queryable, blobs: BlobStore, sha256: string): Promise<boolean> {
  return (await holdBlobs(session, blobs, [sha256])).has(sha256)
}

/** The same for several. @returns the names of those that are there */
export async function holdBlobs(
  session: Queryable,
  blobs: BlobStore,
  sha256s: readonly string[],
): Promise<ReadonlySet<string>> {
  await session.query('select pg_advisory_xact_lock_shared($1, hashtext(hash)) from unnest($2::text[]) as hash', [
    LOCKS,
    sha256s,
  ])
  return blobs.present(sha256s)
}

/**
 * Removes the marked blobs to which nothing refers. What is cut off is done by the next call.
 *
 * @param isReferredTo whether anything refers to a blob
 */
export async function removeMarked(
  database: Database,
  blobs: BlobStore,
  isReferredTo: (session: Queryable, sha256: string) => Promise<boolean>,
): Promise<void> {
  const sql = `select encode(sha256, 'hex') as sha256 from blob_removals`
  const { rows } = await database.pool.query<{ sha256: string }>(sql)
  for (const { sha256 } of rows) {
    await database.transaction(async (session) => {
      await session.query('select pg_advisory_xact_lock($1, hashtext($2))', [LOCKS, sha256])
      if (!(await isReferredTo(session, sha256))) await blobs.remove(sha256)
      await session.query(`delete from blob_removals where sha256 = decode($1, 'hex')`, [sha256])
    })
  }
}
