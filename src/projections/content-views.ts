import type { Queryable } from '../platform/database.js'

/** The tables of which rows refer to blobs. */
const TABLES = ['messages', 'past_messages', 'past_message_states']

/** Messages of an account, all or those with the given ids. */
export type ContentOwner = { accountId: string; ids: readonly string[] | 'all' }

/** The names of all contents that are kept, now and in the past. */
export async function viewContentNames(session: Queryable): Promise<string[]> {
  const named = TABLES.map(
    (table) => `select encode(content_sha256, 'hex') as sha256 from ${table} where content_sha256 is not null`,
  )
  const { rows } = await session.query<{ sha256: string }>(named.join(' union '))
  return rows.map((row) => row.sha256)
}

/** Which of some contents a message has, now or in the past; by their names. */
export async function viewReferredTo(session: Queryable, sha256s: readonly string[]): Promise<ReadonlySet<string>> {
  if (sha256s.length === 0) return new Set()
  const found = TABLES.map((table) => `exists (select from ${table} where content_sha256 = decode(hash, 'hex'))`)
  const { rows } = await session.query<{ sha256: string }>(
    `select hash as sha256 from unnest($1::text[]) as hash where ${found.join(' or ')}`,
    [sha256s],
  )
  return new Set(rows.map((row) => row.sha256))
}

/** Marks the contents of messages for removal, in the transaction that ends what refers to them. */
export async function markContents(session: Queryable, { accountId, ids }: ContentOwner): Promise<void> {
  const wanted = `content_sha256 is not null and account_id = $1 and ($2::uuid[] is null or message_id = any($2))`
  const named = TABLES.map((table) => `select content_sha256 from ${table} where ${wanted}`).join(' union ')
  await session.query(
    `insert into blob_removals ${named} order by 1
     on conflict (sha256) do update set sha256 = excluded.sha256`,
    [accountId, ids === 'all' ? null : ids],
  )
}
