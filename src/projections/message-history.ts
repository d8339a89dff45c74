import { readEvents } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'

/**
 * When something became of messages $2 of account $1 while they were there: rows of `message_id` and `version`. Each event
 * that touched one has begun or ended a row of it.
 */
const TOUCHED = `(
  select message_id, unnest(array[added_version, version]) as version from messages
  where account_id = $1 and message_id = any($2::uuid[])
  union all
  select message_id, unnest(array[added_version, version, until_version]) from past_messages
  where account_id = $1 and message_id = any($2::uuid[])
  union all
  select message_id, unnest(array[version, until_version]) from past_message_states
  where account_id = $1 and message_id = any($2::uuid[])
) as touched`

/** The versions at which something became of the given messages while they were there. */
export async function viewTouched(session: Queryable, accountId: string, ids: readonly string[]): Promise<number[]> {
  const { rows } = await session.query<{ version: string }>({
    name: 'touched',
    text: `select distinct version from ${TOUCHED} order by version`,
    values: [accountId, ids],
  })
  return rows.map((row) => Number(row.version))
}

/** The last version up to the given one at which each message was touched. */
export async function viewLastTouched(
  session: Queryable,
  accountId: string,
  ids: readonly string[],
  version: number,
): Promise<Map<string, number>> {
  const { rows } = await session.query<{ message_id: string; version: string }>({
    name: 'last-touched',
    text: `select message_id, max(version) as version from ${TOUCHED} where version <= $3 group by message_id`,
    values: [accountId, ids, version],
  })
  return new Map(rows.map((row) => [row.message_id, Number(row.version)]))
}

/** Events of a message's history, oldest first, and whether there are more behind them. */
export type MessageHistory = { events: RecordedEvent[]; hasMore: boolean }

/**
 * The events that touched one message while it was there, its coming and going included.
 *
 * @param after and `until`: only events behind the first version, and up to the second; null for no end
 */
export async function viewMessageHistory(
  session: Queryable,
  accountId: string,
  messageId: string,
  range: { after: number; until: number | null },
  limit: number,
): Promise<MessageHistory> {
  const { rows } = await session.query<{ version: string }>({
    name: 'message-history',
    text: `select distinct version from ${TOUCHED}
           where version > $3 and ($4::bigint is null or version <= $4) order by version limit $5`,
    values: [accountId, [messageId], range.after, range.until, limit + 1],
  })
  const versions = rows.slice(0, limit).map((row) => Number(row.version))
  return { events: await readEvents(session, accountId, versions), hasMore: rows.length > limit }
}
