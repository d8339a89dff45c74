import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Queryable } from '../../platform/database.js'
import type { BlobStore } from './blob-store.js'

/*
 * A blob may be the content of many messages, of several accounts. It goes when nothing refers to it any more, and its going is durable: it is marked, in the
 * transaction after which nothing may refer to it, and removed later. Whoever wants to refer to a blob looks for its mark and for the blob itself, in its
 * own transaction. The mark is locked then, so that the blob stays until that transaction ends. A mark that is made after the look is not seen by it:
 * a marked blob is therefore removed only when every transaction has ended that had begun before the mark was seen here, and only if nothing refers to it then.
 */

/** The lock of whoever removes: one process at a time. */
const REMOVAL_LOCK = 4_701_145

/** Blobs that are removed together. */
const PIECE = 500

/** Milliseconds for which transactions are waited for that may not know of a mark, and between two looks. */
const LONGEST_WAIT = 10_000
const PAUSE = 50

/**
 * Marks blobs, in the transaction that ends what referred to them. A mark of a blob to which something refers does no harm. A mark that is there already is locked: whoever
 * is removing the blob right now may take that mark away, and then a new one is needed.
 */
export async function markForRemoval(session: Queryable, sha256s: readonly string[]): Promise<void> {
  if (sha256s.length === 0) return
  await session.query(
    `insert into blob_removals select decode(hash, 'hex') from unnest($1::text[]) as hash order by 1
     on conflict (sha256) do update set sha256 = excluded.sha256`,
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
  // before the marks are looked for, so that whoever sees a later mark knows of this transaction
  await session.query('select pg_current_xact_id()')
  await session.query(
    `select from blob_removals where sha256 in (select decode(hash, 'hex') from unnest($1::text[]) as hash) order by sha256 for share`,
    [sha256s],
  )
  return blobs.present(sha256s)
}

/** Which of some blobs anything refers to. */
export type ReferredTo = (session: Queryable, sha256s: readonly string[]) => Promise<ReadonlySet<string>>

/** What one round of removing came to: how many blobs are gone, which could not be removed and why, and whether marks are left. */
export type RemovalRound = { removed: number; failed: readonly string[]; error: Error | null; isMore: boolean }

const NOTHING: RemovalRound = { removed: 0, failed: [], error: null, isMore: false }

/**
 * Removes marked blobs to which nothing refers, a piece of them. Does nothing while another process does.
 *
 * @param except blobs that are left for another time
 */
export async function removeMarked(
  database: Database,
  blobs: BlobStore,
  referredTo: ReferredTo,
  except: ReadonlySet<string> = new Set(),
): Promise<RemovalRound> {
  return database.session(async (guard) => {
    const { rows } = await guard.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [REMOVAL_LOCK])
    if (rows[0]?.held !== true) return { ...NOTHING, isMore: true }
    try {
      const marked = await settledMarks(guard, except)
      if (marked === 'not yet') return { ...NOTHING, isMore: true }
      if (marked.length === 0) return NOTHING
      return await database.transaction((session) => removePiece(session, blobs, marked, referredTo))
    } finally {
      await guard.query('select pg_advisory_unlock($1)', [REMOVAL_LOCK])
    }
  })
}

/** Marks of which every transaction knows that may refer to their blobs. */
async function settledMarks(session: Queryable, except: ReadonlySet<string>): Promise<string[] | 'not yet'> {
  const { rows } = await session.query<{ sha256: string; horizon: string }>(
    `select encode(sha256, 'hex') as sha256, pg_snapshot_xmax(pg_current_snapshot())::text as horizon
     from blob_removals where sha256 not in (select decode(hash, 'hex') from unnest($2::text[]) as hash)
     order by sha256 limit $1`,
    [PIECE, [...except]],
  )
  const [first] = rows
  const deadline = performance.now() + LONGEST_WAIT
  while (first) {
    const { rows: past } = await session.query<{ isReached: boolean }>(
      `select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 as "isReached"`,
      [first.horizon],
    )
    if (past[0]?.isReached === true) break
    if (performance.now() > deadline) return 'not yet'
    await sleep(PAUSE)
  }
  return rows.map(({ sha256 }) => sha256)
}

async function removePiece(
  session: Queryable,
  blobs: BlobStore,
  marked: readonly string[],
  referredTo: ReferredTo,
): Promise<RemovalRound> {
  // those that somebody holds are left for the next time
  const { rows } = await session.query<{ sha256: string }>(
    `select encode(sha256, 'hex') as sha256 from blob_removals
     where sha256 in (select decode(hash, 'hex') from unnest($1::text[]) as hash) order by sha256 for update skip locked`,
    [marked],
  )
  const free = rows.map(({ sha256 }) => sha256)
  const referred = await referredTo(session, free)
  const removable = free.filter((sha256) => !referred.has(sha256))
  const { gone, error } = await blobs.remove(removable)
  await session.query(
    `delete from blob_removals where sha256 in (select decode(hash, 'hex') from unnest($1::text[]) as hash)`,
    [[...gone, ...referred]],
  )
  const failed = removable.filter((sha256) => !gone.includes(sha256))
  return { removed: gone.length, failed, error, isMore: true }
}
