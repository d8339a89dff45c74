import { readStream } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'
import { viewLastTouched } from './message-history.js'
import type { MessageView } from './message-views.js'
import { viewPastMessagesById } from './past-messages.js'

/** What is another with a message at a later version than at an earlier one. */
export type DifferenceKind = 'ADDED' | 'REMOVED' | 'MOVED' | 'FLAGS_CHANGED'

/** A message that is not the same at two versions; one that was not there at one of them is null there. */
export type MessageDifference = {
  messageId: string
  kinds: DifferenceKind[]
  before: MessageView | null
  after: MessageView | null
  /** the last event between the two that touched it: its place among the differences */
  version: number
}

/** A place among the differences: behind that of a message at a version. */
export type DifferencePlace = { version: number; messageId: string }

/** A page of differences; `end` is the place to go on from where there may be more, null where there are none. */
export type DifferencePage = { differences: MessageDifference[]; end: DifferencePlace | null }

/** Events that are looked through at once, and for a page: one may come out short, or empty, with more behind it. */
const PIECE = 500
const PAGE_EVENTS = 20_000
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/**
 * The messages that differ between two versions of an account, each once, in the order in which they were touched last.
 * Costs as much as the events that are looked through until so many differences are found.
 *
 * @param pageEvents at most so many events are looked through
 */
export async function viewDifference(
  session: Queryable,
  accountId: string,
  versions: { from: number; to: number },
  kinds: ReadonlySet<DifferenceKind>,
  after: DifferencePlace | null,
  limit: number,
  pageEvents = PAGE_EVENTS,
): Promise<DifferencePage> {
  const found: MessageDifference[] = []
  const first = Math.max(versions.from, (after?.version ?? 0) - 1)
  let version = first
  while (version < versions.to && version - first < pageEvents && found.length <= limit) {
    const events = await readStream(session, accountId, version, Math.min(PIECE, versions.to - version))
    const last = events.at(-1)
    if (!last) break
    version = last.version
    const inPiece = await differencesIn(session, accountId, versions, events)
    found.push(...inPiece.filter((each) => each.kinds.some((kind) => kinds.has(kind)) && isBehind(each, after)))
  }
  const differences = found.slice(0, limit)
  if (found.length > limit) return { differences, end: differences.at(-1) ?? null }
  return { differences, end: version < versions.to ? { version, messageId: LAST_ID } : null }
}

function isBehind({ version, messageId }: MessageDifference, place: DifferencePlace | null): boolean {
  return place === null || version > place.version || (version === place.version && messageId > place.messageId)
}

/** The differences of messages that were touched last in a piece of the stream. */
async function differencesIn(
  session: Queryable,
  accountId: string,
  { from, to }: { from: number; to: number },
  events: readonly RecordedEvent[],
): Promise<MessageDifference[]> {
  const touched = new Map<string, Set<number>>()
  for (const event of events)
    for (const messageId of await messagesOf(session, accountId, event))
      touched.set(messageId, (touched.get(messageId) ?? new Set()).add(event.version))
  const ids = [...touched.keys()]
  if (ids.length === 0) return []
  const byId = (views: MessageView[]) => new Map(views.map((view) => [view.messageId, view]))
  const before = byId(await viewPastMessagesById(session, from, ids))
  const after = byId(await viewPastMessagesById(session, to, ids))
  const lastTouched = await viewLastTouched(session, accountId, ids, to)
  return ids
    .flatMap((messageId) => {
      const version = lastTouched.get(messageId) ?? 0
      if (!touched.get(messageId)?.has(version)) return []
      const [one, other] = [before.get(messageId) ?? null, after.get(messageId) ?? null]
      const kinds = kindsOf(one, other)
      return kinds.length === 0 ? [] : [{ messageId, kinds, before: one, after: other, version }]
    })
    .sort((one, other) => one.version - other.version || (one.messageId < other.messageId ? -1 : 1))
}

/** The messages that an event touches. */
async function messagesOf(session: Queryable, accountId: string, event: RecordedEvent): Promise<string[]> {
  switch (event.type) {
    case 'MessagesRenumbered':
      return event.data.messages.map(({ messageId }) => messageId)
    case 'MailboxDeleted': {
      const { rows } = await session.query<{ message_id: string }>({
        name: 'messages-of-deleted-mailbox',
        text: `select message_id from past_messages
               where account_id = $1 and mailbox_id = $2 and until_version = $3`,
        values: [accountId, event.data.mailboxId, event.version],
      })
      return rows.map((row) => row.message_id)
    }
    default:
      return 'messageId' in event.data ? [event.data.messageId] : []
  }
}

function kindsOf(before: MessageView | null, after: MessageView | null): DifferenceKind[] {
  if (!before || !after) return before ? ['REMOVED'] : after ? ['ADDED'] : []
  const kinds: DifferenceKind[] = []
  if (before.mailboxId !== after.mailboxId) kinds.push('MOVED')
  if (JSON.stringify(before.flags) !== JSON.stringify(after.flags)) kinds.push('FLAGS_CHANGED')
  return kinds
}
