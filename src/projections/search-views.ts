import type { FoundIn, SearchOrder, ServerSearch, SortKey } from '../mailbox/server-search.js'
import { uidSetOf, uidsOf } from '../mailbox/uid-set.js'
import type { Queryable } from '../platform/database.js'
import { conditionsOf, containing, namesPerson } from './message-views.js'

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

/** Most messages of the index that are found beside those of the server. */
const MOST_MATCHING = 10_000
/** That a message of the account $1 has a place on the server, and words to be found. */
const IN_INDEX = ['account_id = $1', 'uid > 0', 'not forgotten']

/**
 * The messages of an ONLINE account's index that a search is for, as far as the index tells: words in the header, and no others. A search in bodies finds none.
 *
 * @param mailboxId the mailbox that is searched; null for all
 */
export async function viewMatching(
  session: Queryable,
  accountId: string,
  mailboxId: string | null,
  search: ServerSearch,
): Promise<FoundIn[]> {
  if (search.body !== null) return []
  const values: unknown[] = [accountId]
  const given = (value: unknown) => `$${values.push(value)}`
  const { rows } = await session.query<{ mailbox_id: string; uid_validity: string; uids: string[] }>(
    `select mailbox_id, uid_validity, array_agg(uid) as uids from (
       select mailbox_id, uid_validity, uid from messages as message
       where ${[...IN_INDEX, ...searched(search, mailboxId, given)].join(' and ')}
       order by internal_date desc limit ${MOST_MATCHING}) as found
     group by mailbox_id, uid_validity`,
    values,
  )
  return rows.map(({ mailbox_id: id, uid_validity: uidValidity, uids }) => {
    return { mailboxId: id, uidValidity, uids: uidSetOf(uids.map(Number)) }
  })
}

function searched(search: ServerSearch, mailboxId: string | null, given: (value: unknown) => string): string[] {
  const { text, to, largerThan, smallerThan, ...filter } = search
  const conditions = conditionsOf(filter, given)
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value !== null) conditions.push(condition(given(value)))
  }
  const isTo = (pattern: string) => namesPerson(`message.other_addresses->'to'`, pattern)
  add(mailboxId, (id) => `mailbox_id = ${id}`)
  add(to && containing(to), isTo)
  add(text && containing(text), (pattern) => {
    return `(subject ilike ${pattern} or ${namesPerson('message.from_addresses', pattern)} or ${isTo(pattern)})`
  })
  add(largerThan, (bytes) => `size > ${bytes}::bigint`)
  add(smallerThan, (bytes) => `size < ${bytes}::bigint`)
  return conditions
}
