import { readEvents } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'

/** Events of a message's history, oldest first, and whether there are more behind them. */
export type MessageHistory = { events: RecordedEvent[]; hasMore: boolean }

/**
 * The events that touched one message while it was there, its coming and going included: each has begun or ended a row
 * of the message, and rows say at which versions they did.
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
    text: `select distinct version from (
             select unnest(array[added_version, version]) as version from messages
             where message_id = $2 and account_id = $1
             union all
             select unnest(array[added_version, version, until_version]) from past_messages
             where account_id = $1 and message_id = $2
             union all
             select unnest(array[version, until_version]) from past_message_states
             where account_id = $1 and message_id = $2
           ) as touched
           where version > $3 and ($4::bigint is null or version <= $4) order by version limit $5`,
    values: [accountId, messageId, range.after, range.until, limit + 1],
  })
  const versions = rows.slice(0, limit).map((row) => Number(row.version))
  return { events: await readEvents(session, accountId, versions), hasMore: rows.length > limit }
}
