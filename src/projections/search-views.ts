import type { FoundIn, SearchOrder, SortKey } from '../mailbox/server-search.js'
import { uidsOf } from '../mailbox/uid-set.js'
import type { Queryable } from '../platform/database.js'

/** A subject as sorting compares it: without the marks of replies and of lists (RFC 5256 §2.1). */
const BASE_SUBJECT = `regexp_replace(lower(subject), '^(\\s*(\\[[^\\]]*\\]\\s*)*(re|fwd?)\\s*(\\[[^\\]]*\\])?\\s*:)+\\s*', '')`

/** What is compared for each key; RFC 5256 §3. */
const KEYS: Readonly<Record<SortKey, string>> = {
  ARRIVAL: 'message.internal_date',
  DATE: `coalesce(sent_at, to_char(message.internal_date at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS'))`,
  FROM: `lower(coalesce(from_addresses->0->>'address', ''))`,
  SIZE: 'size',
  SUBJECT: BASE_SUBJECT,
}

/** The messages of the index that have given UIDs on the server, by their ids, in an order, at most `limit`. */
export async function viewFound(
  session: Queryable,
  found: readonly FoundIn[],
  { key, isDescending }: SearchOrder,
  limit: number,
): Promise<string[]> {
  const direction = isDescending ? 'desc' : 'asc'
  const all = found.flatMap(({ mailboxId, uidValidity, uids }) =>
    uidsOf(uids).map((uid) => [mailboxId, uidValidity, uid] as const),
  )
  const { rows } = await session.query<{ message_id: string }>({
    name: `found-messages-${key}-${direction}`,
    text: `select message_id
           from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as found (mailbox_id, uid_validity, uid)
             cross join lateral (
               select message_id from server_messages as server
               where (server.mailbox_id, server.uid_validity, server.uid) = (found.mailbox_id, found.uid_validity, found.uid) offset 0
             ) as server
             join messages as message using (message_id)
           order by ${KEYS[key]} ${direction}, message.internal_date desc, message_id desc limit $4`,
    values: [
      all.map(([mailboxId]) => mailboxId),
      all.map(([, validity]) => validity),
      all.map(([, , uid]) => uid),
      limit,
    ],
  })
  return rows.map((row) => row.message_id)
}
