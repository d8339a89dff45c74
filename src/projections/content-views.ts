import type { Queryable } from '../platform/database.js'

/** The tables of which rows refer to blobs. */
const TABLES = ['messages', 'past_messages', 'past_message_states']

/** Messages of an account, all or those with the given ids. */
export type ContentOwner = { accountId: string; ids: readonly string[] | 'all' }

/** The names of all contents that are kept, now and in the past: of everything, or of somebody. */
export async function viewContentNames(session: Queryable, of: ContentOwner | null): Promise<string[]> {
  const wanted = `content_sha256 is not null and ($1::uuid is null or account_id = $1)
    and ($2::uuid[] is null or message_id = any($2))`
  const { rows } = await session.query<{ sha256: string }>(
    TABLES.map((table) => `select encode(content_sha256, 'hex') as sha256 from ${table} where ${wanted}`).join(
      ' union ',
    ),
    [of?.accountId ?? null, of && of.ids !== 'all' ? of.ids : null],
  )
  return rows.map((row) => row.sha256)
}

/** Whether a message, now or in the past, has the content of that name. */
export async function isReferredTo(session: Queryable, sha256: string): Promise<boolean> {
  const found = TABLES.map((table) => `exists (select from ${table} where content_sha256 = decode($1, 'hex'))`)
  const { rows } = await session.query<{ found: boolean }>(`select ${found.join(' or ')} as found`, [sha256])
  return rows[0]?.found === true
}
