import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../mailbox/events.js'
import { sameFlags } from '../mailbox/flags.js'
import { isMassDeletion } from '../mailbox/mass-deletion.js'
import type { MessageData } from '../mailbox/message.js'
import {
  decideAdded,
  decideExpunged,
  decideFlags,
  staysWhenRenumbered,
  type KnownMessage,
  type MailboxPlace,
  type ReportOccasion,
} from '../mailbox/message-changes.js'
import { newestFirst, uidCount, uidSetOf, uidsOf, withoutUids, type UidSet } from '../mailbox/uid-set.js'
import type { FenceToken, Streams } from '../event-store/streams.js'
import type { Database } from '../platform/database.js'
import { together } from '../platform/together.js'
import {
  bearsOnReset,
  viewAdded,
  viewCandidates,
  viewKnownUids,
  viewMessages,
  viewMessagesOf,
  viewUnconfirmed,
  viewUnconfirmedCount,
  type MailboxView,
  type WantedForAdded,
} from '../projections/sync-views.js'
import { canMove } from '../protocols/imap/changing.js'
import type { FlagsReport, ImapConnection } from '../protocols/imap/imap-connection.js'
import { PIECE, type Suspects } from './suspects.js'

/** What a sync of an account's mailboxes works with. */
export type SyncTools = {
  accountId: string
  connection: ImapConnection
  streams: Streams
  database: Database
  fence: FenceToken
  /** until what was found in the mailbox before is committed */
  before: Promise<unknown>
  /** whether the work should be put down for now: its time is over, or news wait elsewhere */
  interrupted: () => boolean
  /** whether unusual mass deletion is held until a client confirms it */
  isGuarded: boolean
  /** takes notice of a mailbox of which the deletion is held */
  held: (path: string) => void
  /** UIDs whose metadata broke the connection before; they are asked for with care */
  suspects: Suspects
}

/** Changes of a mailbox that are few enough to be recorded together; its news are new to the account. */
export type FewChanges = { news: readonly MessageData[]; flags: readonly FlagsReport[]; vanished: UidSet }

/** Nothing of all that. */
export const NO_CHANGES: FewChanges = { news: [], flags: [], vanished: [] }

/**
 * Records what was found in a mailbox, in one transaction where what arrived is new and nothing else was told of it since.
 *
 * @param after what is to be recorded with it
 */
export async function recordChanges(
  tools: SyncTools,
  place: MailboxPlace,
  changes: FewChanges,
  after: readonly AccountEvent[],
): Promise<void> {
  const { news, flags, vanished } = changes
  const gone = new Set(uidsOf(vanished))
  const arrived = new Map(news.map((message) => [message.uid, message]))
  const hasChangedSince = ({ uid, flags }: FlagsReport) => !sameFlags(flags, arrived.get(uid)?.flags ?? flags)
  if (flags.some(hasChangedSince) || news.some(({ uid }) => gone.has(uid))) {
    // without asking the server, which has something else to do by now: nothing was alike to them
    await recordReported(tools, place, news, 'news', new Set())
    return recordChanges(tools, place, { ...changes, news: [] }, after)
  }
  // of what is gone, its flags have been
  const reports = flags.filter(({ uid }) => !gone.has(uid) && !arrived.has(uid))
  const uids = [...reports.map(({ uid }) => uid), ...gone]
  if (news.length === 0 && uids.length === 0) return after.length > 0 ? record(tools, after) : undefined
  let isDone = true
  await tools.streams.decide(
    tools.accountId,
    async (session) => {
      const added = viewAdded(session, tools.accountId, place, news, wanted(tools, 'news', new Set()))
      const known =
        uids.length > 0 ? viewMessages(session, place, uids) : Promise.resolve(new Map<number, KnownMessage>())
      return together([added, known])
    },
    ([view, known]) => {
      const added = decideAdded(place, news, view, 'news', newId)
      // one that is known after all bears on what else was told of it
      isDone = added.every(({ type }) => type === 'MessageAdded')
      if (!isDone) return added
      const expunged = [...known.values()].filter(({ uid }) => gone.has(uid))
      return [...added, ...decideFlags(place, reports, known), ...decideExpunged(place.mailboxId, expunged), ...after]
    },
    tools.fence,
  )
  if (!isDone) await recordChanges(tools, place, { ...changes, news: [] }, after)
}

/** Records what needs no decision. */
export async function record(tools: SyncTools, events: readonly AccountEvent[]): Promise<void> {
  await tools.streams.record(tools.accountId, events, 'SERVER', tools.fence)
}

/** After a reset, what nothing on the server matched is gone. @returns whether that is held */
export async function expungeUnconfirmed(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
): Promise<boolean> {
  if (mailbox.resetAfter === null) return false
  if (await isHeld(tools, mailbox, await viewUnconfirmedCount(tools.database.pool, place))) return true
  for (;;) {
    const view = (session: Parameters<typeof viewUnconfirmed>[0]) => viewUnconfirmed(session, place, PIECE)
    const { events } = await tools.streams.decide(
      tools.accountId,
      view,
      (left) => decideExpunged(place.mailboxId, left),
      tools.fence,
    )
    if (events.length === 0) return false
  }
}

/**
 * Decides and records what reported messages are.
 *
 * @param before events to be recorded with them, and `after`
 */
export async function recordAdded(
  tools: SyncTools,
  place: MailboxPlace,
  messages: readonly MessageData[],
  occasion: ReportOccasion,
  before: readonly AccountEvent[] = [],
  after: readonly AccountEvent[] = [],
): Promise<void> {
  const mayBeKnown = occasion === 'news' || occasion === 'late sight'
  const gone = occasion !== 'first sight' ? await findGone(tools, place, messages, mayBeKnown) : new Set<string>()
  await recordReported(tools, place, messages, occasion, gone, before, after)
}

async function recordReported(
  tools: SyncTools,
  place: MailboxPlace,
  messages: readonly MessageData[],
  occasion: ReportOccasion,
  gone: ReadonlySet<string>,
  before: readonly AccountEvent[] = [],
  after: readonly AccountEvent[] = [],
): Promise<void> {
  await tools.streams.decide(
    tools.accountId,
    (session) => viewAdded(session, tools.accountId, place, messages, wanted(tools, occasion, gone)),
    (view) => [...before, ...decideAdded(place, messages, view, occasion, newId), ...after],
    tools.fence,
  )
}

/** What of what is known bears on reported messages. @param gone lookalikes that the server no longer has */
function wanted(tools: SyncTools, occasion: ReportOccasion, gone: ReadonlySet<string>): WantedForAdded {
  const isAfterReset = typeof occasion === 'object'
  const mayBeKnown = occasion === 'news' || occasion === 'late sight'
  const lookalikes = mayBeKnown ? 'all' : isAfterReset ? 'apart' : 'none'
  return { lookalikes, unconfirmed: isAfterReset, gone, movesByCopy: !canMove(tools.connection) }
}

/**
 * Which lookalikes of new messages the server no longer has: those were moved, the others copied. The server is asked
 * only when there are any, since a message may be in its new mailbox before its old one has said that it went.
 */
async function findGone(
  tools: SyncTools,
  place: MailboxPlace,
  messages: readonly MessageData[],
  all: boolean,
): Promise<Set<string>> {
  const found = await viewCandidates(tools.database.pool, tools.accountId, messages)
  const candidates = all ? found : found.filter((each) => bearsOnReset(each, place))
  const reported = new Set(messages.map((message) => message.uid))
  const inQuestion = candidates.filter(
    (each) => !each.wasExpunged && !(each.mailboxId === place.mailboxId && reported.has(each.uid)),
  )
  const gone = new Set<string>()
  const movesByCopy = !canMove(tools.connection)
  for (const [path, group] of Map.groupBy(inQuestion, (each) => each.path)) {
    if (path === null) continue
    if (tools.connection.selected !== path) await tools.connection.select(path)
    const { selectedUidValidity } = tools.connection
    const known = group.filter(({ uidValidity }) => uidValidity === selectedUidValidity)
    const there = known.length > 0 ? await tools.connection.present(uidSetOf(known.map((each) => each.uid))) : []
    const absent = withoutUids(uidSetOf(known.map((each) => each.uid)), there)
    for (const { messageId, uid, uidValidity, apart } of group) {
      const isAbsent =
        uidValidity === selectedUidValidity
          ? absent.some(([first, last]) => uid >= first && uid <= last)
          : !staysWhenRenumbered(apart, movesByCopy)
      if (isAbsent) gone.add(messageId)
    }
  }
  return gone
}

/** @returns whether it is held, since it is unusually many */
export async function recordExpunged(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  uids: UidSet,
): Promise<boolean> {
  if (uids.length === 0) return false
  const gone = uidCount(uids) <= PIECE ? uids : await onlyKnown(tools, place, uids)
  if (await isHeld(tools, mailbox, await countUnasked(tools, place, gone))) return true
  for (const piece of newestFirst(gone, PIECE)) {
    await tools.streams.decide(
      tools.accountId,
      (session) => viewMessagesOf(session, place, piece),
      (view) => decideExpunged(place.mailboxId, [...view.values()]),
      tools.fence,
    )
  }
  return false
}

/** How many of some messages go without any operation on them that waits; few are not worth counting. */
export async function countUnasked(tools: SyncTools, place: MailboxPlace, uids: UidSet): Promise<number> {
  const all = uidCount(uids)
  if (!isMassDeletion(all, all)) return 0
  let count = 0
  for (const piece of newestFirst(uids, PIECE)) {
    const known = await viewMessagesOf(tools.database.pool, place, piece)
    for (const { apart } of known.values()) if (apart === null) count++
  }
  return count
}

/** Whether a deletion waits for a client to confirm it: unusually many messages are gone at once. */
export async function isHeld(tools: SyncTools, mailbox: MailboxView, gone: number): Promise<boolean> {
  const { mailboxId, heldDeletion, isDeletionConfirmed, place } = mailbox
  if (!tools.isGuarded || isDeletionConfirmed || !isMassDeletion(gone, place.messages)) return false
  tools.held(mailbox.path)
  if (gone !== heldDeletion) await record(tools, [{ type: 'DeletionHeld', data: { mailboxId, messages: gone } }])
  return true
}

/** Nothing of a mailbox is held any more. */
export async function release(
  tools: SyncTools,
  { mailboxId, heldDeletion, isDeletionConfirmed }: MailboxView,
): Promise<void> {
  if (heldDeletion > 0 || isDeletionConfirmed)
    await record(tools, [{ type: 'DeletionHeld', data: { mailboxId, messages: 0 } }])
}

/** A set from outside may span millions of UIDs that were never there: only known ones are looked at. */
async function onlyKnown(tools: SyncTools, place: MailboxPlace, uids: UidSet): Promise<UidSet> {
  const known = await viewKnownUids(tools.database.pool, place)
  return withoutUids(known, withoutUids(known, uids))
}
