import { EVENT_SHAPES } from '../mailbox/event-shapes.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'

/*
 * Events are facts, and are never changed, but for one reason: to forget. Their versions, times and causes stay.
 * All of this is done in a transaction that holds the stream's head.
 */

/** The versions of the events of a stream that name one of the given ids anywhere in their data. */
export async function versionsNaming(session: Queryable, accountId: string, ids: readonly string[]): Promise<number[]> {
  const { rows } = await session.query<{ version: string }>(
    `select version from events where account_id = $1 and data::text like any ($2::text[]) order by version`,
    [accountId, ids.map((id) => `%${id}%`)],
  )
  return rows.map((row) => Number(row.version))
}

/** Puts other data in the place of that of recorded events, in their present shapes. */
export async function rewriteEvents(
  session: Queryable,
  accountId: string,
  events: readonly RecordedEvent[],
): Promise<void> {
  const rows = events.map(({ version, type, data }) => ({ version, shape: EVENT_SHAPES[type], data }))
  await session.query(
    `update events set data = rewritten.data, shape = rewritten.shape
     from json_to_recordset($2::json) as rewritten (version bigint, shape smallint, data json)
     where account_id = $1 and events.version = rewritten.version`,
    [accountId, JSON.stringify(rows)],
  )
}

/** Leaves nothing of a stream's events but that they were, and closes it: what is appended yet is the last. */
export async function blankStream(session: Queryable, accountId: string): Promise<void> {
  await session.query(`update events set type = 'EventForgotten', shape = $2, data = '{}' where account_id = $1`, [
    accountId,
    EVENT_SHAPES.EventForgotten,
  ])
  await session.query('update streams set closed = true, fence = fence + 1 where account_id = $1', [accountId])
}
