import type { Queryable } from '../platform/database.js'
import { messagesAt } from './past-messages.js'

/** Most messages of a thread that are shown. */
export const LARGEST_THREAD = 500
/** A thread that goes further than this many steps of references is cut. */
const MOST_STEPS = 10

type MessageRecord = {
  message_id: string
  account_id: string
  thread_id: string | null
  header_message_id: string | null
  in_reply_to: string | null
  message_references: string[]
}

const COLUMNS = 'message_id, account_id, thread_id, header_message_id, in_reply_to, message_references'

/**
 * The messages of a conversation, by their ids, oldest first: those that the server puts into one thread (THREADID, RFC 8474 §5.2), and,
 * of those of which it does not tell that, or has not yet, those that refer to one another (RFC 5256, REFERENCES). They may be in several
 * mailboxes.
 *
 * @param at the version of the account at which they are looked for; null for now
 */
export async function viewThread(session: Queryable, messageId: string, at: number | null): Promise<string[]> {
  const [message] = await select(session, at, 'row.message_id = $2', 'message_id', [messageId])
  if (!message) return []
  const names = namesOf(message)
  const threads = new Set(message.thread_id === null ? [] : [message.thread_id])
  const isClosed = threads.size > 0
  let found: readonly MessageRecord[] = [message]
  for (let step = 0; step < MOST_STEPS; step++) {
    const values = [message.account_id, [...threads], [...names], LARGEST_THREAD]
    const rows = await select(session, at, OF_THREAD, 'internal_date, message_id limit $5', values)
    // what the server has put into another thread is not drawn into this one by its references
    const next = rows.filter(({ thread_id: thread }) => !isClosed || thread === null || threads.has(thread))
    if (next.length === found.length) break
    found = next
    for (const each of found) {
      for (const name of namesOf(each)) names.add(name)
      if (each.thread_id !== null) threads.add(each.thread_id)
    }
  }
  return found.map((each) => each.message_id)
}

const OF_THREAD = `row.account_id = $2 and (row.thread_id = any($3::text[]) or row.header_message_id = any($4::text[])
  or row.in_reply_to = any($4::text[]) or row.message_references && $4::text[])`

/** Reads messages, now or as they were. @param values of the conditions, from $2 on */
async function select(
  session: Queryable,
  at: number | null,
  conditions: string,
  order: string,
  values: unknown[],
): Promise<MessageRecord[]> {
  const now = `select row.* from messages as row where $1::bigint is null and ${conditions}`
  const source = at === null ? now : messagesAt(conditions)
  const text = `select ${COLUMNS} from (${source}) as message order by ${order}`
  return (await session.query<MessageRecord>(text, [at, ...values])).rows
}

/** The message ids that put a message into its thread: its own, and those that it refers to. */
function namesOf({ header_message_id: own, in_reply_to: parent, message_references: references }: MessageRecord) {
  return new Set([own, parent, ...references].filter((name) => name !== null && name !== ''))
}
