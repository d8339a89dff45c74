import { readEvents } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'
import { writesOf } from '../platform/statements.js'
import { concernsMessages } from './core-projection.js'
import { foldMessages } from './message-rows.js'
import { project } from './project.js'
import { OF_MESSAGES, TABLES } from './rebuild.js'
import type { At, MessageChange } from './row-changes.js'

/** A message that has the content of another. */
export type Copy = { messageId: string; fingerprint: string; isForgotten: boolean }

/** The messages of an account that have the content of a given one, itself included, be they there or gone. */
export async function viewCopies(session: Queryable, accountId: string, messageId: string): Promise<Copy[]> {
  const { rows } = await session.query<{ message_id: string; fingerprint: string; forgotten: boolean }>(
    `with wanted as (
       select fingerprint from messages where account_id = $1 and message_id = $2
       union select fingerprint from past_messages where account_id = $1 and message_id = $2
     )
     select message_id, encode(min(fingerprint), 'hex') as fingerprint, bool_and(forgotten) as forgotten from (
       select message_id, fingerprint, forgotten from messages where account_id = $1
       union all
       select message_id, fingerprint, forgotten from past_messages where account_id = $1
     ) as message
     where fingerprint in (select fingerprint from wanted) group by message_id`,
    [accountId, messageId],
  )
  return rows.map((row) => {
    return { messageId: row.message_id, fingerprint: row.fingerprint, isForgotten: row.forgotten }
  })
}

/** Makes all rows of the given messages anew, from the events at the given versions: all that touched them. */
export async function refoldMessages(
  session: Queryable,
  accountId: string,
  ids: readonly string[],
  versions: readonly number[],
): Promise<void> {
  for (const table of OF_MESSAGES)
    await session.query(`delete from ${table} where account_id = $1 and message_id = any($2::uuid[])`, [accountId, ids])
  const wanted = new Set(ids)
  const events = await readEvents(session, accountId, versions)
  await foldMessages(
    writesOf(session),
    accountId,
    events.flatMap((event) => changesOf(event, wanted)),
  )
}

function changesOf(event: RecordedEvent, wanted: ReadonlySet<string>): At<MessageChange>[] {
  return project(event)
    .map((change) => ({ version: event.version, change }))
    .filter(concernsMessages)
    .map((at): At<MessageChange> => {
      const removesCopies = at.change.change === 'remove copies'
      return removesCopies ? { ...at, change: { change: 'remove copies', messageIds: [...wanted] } } : at
    })
    .filter(({ change }) => {
      if (change.change === 'remove copies') return true
      if ('row' in change) return wanted.has(change.row.message_id)
      // of a mailbox that is gone there are no messages but those that were just put back
      return change.change === 'remove mailbox' || ('messageId' in change && wanted.has(change.messageId))
    })
}

/** Removes every row of an account. */
export async function removeAccountRows(session: Queryable, accountId: string): Promise<void> {
  for (const table of [...Object.keys(TABLES), 'schedule', 'sessions'])
    await session.query(`delete from ${table} where account_id = $1`, [accountId])
}
