import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../mailbox/events.js'
import { isMassDeletion } from '../mailbox/mass-deletion.js'
import type { MessageData } from '../mailbox/message.js'
import {
  decideAdded,
  decideExpunged,
  decideFlags,
  staysWhenRenumbered,
  type MailboxPlace,
  type ReportOccasion,
} from '../mailbox/message-changes.js'
import { planLiveSync, planMailboxSync, type ReportedPlace, type SyncPlan } from '../mailbox/sync-plan.js'
import { formatUidSet, newestFirst, uidCount, uidSetOf, uidsOf, withoutUids, type UidSet } from '../mailbox/uid-set.js'
import type { FenceToken, Streams } from '../event-store/streams.js'
import type { Database } from '../platform/database.js'
import {
  bearsOnReset,
  viewAdded,
  viewCandidates,
  viewKnownUids,
  viewMessages,
  viewMessagesOf,
  viewNewestDate,
  viewUnconfirmed,
  viewUnconfirmedCount,
  type MailboxView,
} from '../projections/sync-views.js'
import { canMove } from '../protocols/imap/changing.js'
import type { FlagsReport, ImapConnection } from '../protocols/imap/imap-connection.js'

/** Messages that are fetched, decided on and appended together. */
export const PIECE = 500

/** What a sync of an account's mailboxes works with. */
export type SyncTools = {
  accountId: string
  connection: ImapConnection
  streams: Streams
  database: Database
  fence: FenceToken
  /** whether the work should be put down for now: its time is over, or news wait elsewhere */
  interrupted: () => boolean
  /** whether unusual mass deletion is held until a client confirms it */
  isGuarded: boolean
  /** takes notice of a mailbox of which the deletion is held */
  held: (path: string) => void
  /** UIDs whose metadata broke the connection before; they are asked for with care */
  suspects: Suspects
}

/** UIDs that are suspected of breaking the connection, by mailbox; they outlive the connection. */
export class Suspects {
  private readonly uids = new Map<string, Set<number>>()
  /** the message that was being fetched alone when a connection broke last */
  private alone: string | null = null
  /** how many messages are fetched at once while somebody is being looked for */
  pieceSize = PIECE

  /**
   * A piece broke the connection: several are asked one by one next time, and one alone is guilty when it does so twice, for
   * connections break by themselves, too.
   */
  broke(mailboxId: string, piece: UidSet): void {
    if (uidCount(piece) > 1) {
      this.pieceSize = Math.max(1, Math.floor(Math.min(this.pieceSize, uidCount(piece)) / 8))
      return
    }
    const uid = piece[0]?.[0] ?? 0
    const isSecondTime = this.alone === `${mailboxId} ${uid}`
    this.alone = `${mailboxId} ${uid}`
    if (isSecondTime) this.uids.set(mailboxId, (this.uids.get(mailboxId) ?? new Set()).add(uid))
  }

  /** Those of a mailbox. */
  of(mailboxId: string): ReadonlySet<number> {
    return this.uids.get(mailboxId) ?? new Set()
  }

  /** The mailbox is through: fetch in whole pieces again. */
  cleared(): void {
    this.pieceSize = PIECE
  }
}

/** What is left of a mailbox's sync when nothing more is asked of the server for it: commits that are under way. */
export type Remainder = { committed: Promise<void> }

/**
 * Brings one mailbox up to date, as far as its plan says and time allows; what is known of it says how far that was. The
 * next mailbox can be fetched while the remainder of this one is committed.
 */
export async function syncMailbox(tools: SyncTools, mailbox: MailboxView): Promise<Remainder> {
  const { connection } = tools
  // selected for something else, it may have been numbered anew since it was looked at
  const isKnown = mailbox.uidValidity !== null && connection.selectedUidValidity === mailbox.uidValidity
  const live = connection.selected === mailbox.path && isKnown && mailbox.place.complete
  const reported = live ? null : await connection.select(mailbox.path)
  const plan = reported
    ? planMailboxSync(mailbox.place, reported, connection.abilities)
    : planLiveSync(mailbox.place, connection.abilities)
  if (reported && plan.begin) return begin(tools, mailbox, reported, plan.begin)
  const caughtUp = await catchUp(tools, mailbox, placeOf(mailbox), plan, reported)
  if (!plan.backfill) return caughtUp
  await caughtUp.committed
  const { uidNext, highestModseq } = caughtUp
  return backfill(tools, { ...mailbox, place: { ...mailbox.place, uidNext, highestModseq } })
}

function placeOf({ mailboxId, uidValidity }: MailboxView): MailboxPlace {
  return { mailboxId, uidValidity: uidValidity as string }
}

/**
 * Begins to read a mailbox: where it stands is recorded before, or together with, the first of its messages, so that
 * whatever comes later is told from this place on.
 */
async function begin(
  tools: SyncTools,
  mailbox: MailboxView,
  reported: ReportedPlace,
  why: 'first sight' | 'reset',
): Promise<Remainder> {
  const { mailboxId, uidValidity: previousUidValidity } = mailbox
  const { uidValidity, highestModseq } = reported
  const uidNext = reported.uidNext ?? ((await tools.connection.allUids()).at(-1)?.[1] ?? 0) + 1
  const place = { uidValidity, uidNext, highestModseq, complete: false }
  const data = { mailboxId, ...place, serverMessages: reported.messages ?? 0 }
  const synchronized: AccountEvent = { type: 'MailboxSynchronized', data }
  const known = { ...mailbox, uidValidity, place: { ...mailbox.place, ...place } }
  if (why === 'first sight' || previousUidValidity === null) return backfill(tools, known, [synchronized])
  let resetAfter: string | null = null
  await tools.streams.decide(
    tools.accountId,
    (session) => viewNewestDate(session, mailboxId),
    (newestInternalDate): AccountEvent[] => {
      resetAfter = newestInternalDate
      const reset = { mailboxId, uidValidity, previousUidValidity, newestInternalDate }
      return [{ type: 'MailboxReset', data: reset }, synchronized]
    },
    tools.fence,
  )
  return backfill(tools, { ...known, resetAfter })
}

/** News and changes since the mailbox was last looked at, then how far it is known now. */
async function catchUp(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  plan: SyncPlan,
  reported: ReportedPlace | null,
): Promise<Remainder & Pick<MailboxView['place'], 'uidNext' | 'highestModseq'>> {
  const { connection } = tools
  let uidNext = mailbox.place.uidNext
  let highestModseq = mailbox.place.highestModseq
  // expunges last would make a message that was moved away and back look like two
  if (plan.newFrom !== null) uidNext = Math.max(uidNext, await recordNews(tools, mailbox, place, plan.newFrom))
  if (connection.selected !== mailbox.path) await connection.select(mailbox.path)
  let held = false
  let left: FewChanges = { flags: [], vanished: [] }
  if (plan.changes === 'compare') held = await compareAll(tools, mailbox, place, uidNext)
  else if (plan.changes !== 'none') {
    const upTo = Math.max(uidNext, reported?.uidNext ?? 0, 2) - 1
    let flags: FlagsReport[] = []
    const changes = await connection.changesSince(highestModseq ?? '0', upTo, PIECE, async (piece) => {
      await recordFlags(tools, place, flags)
      flags = piece
    })
    const compares = plan.changes === 'changed since, compare UIDs' && mailbox.place.complete
    const { vanished } = changes
    if (compares || uidCount(vanished) > PIECE) {
      await recordFlags(tools, place, flags)
      held = compares
        ? await compareUids(tools, mailbox, place, uidNext)
        : await recordExpunged(tools, mailbox, place, vanished)
    } else {
      held = await isHeld(tools, mailbox, await countUnasked(tools, place, vanished))
      left = { flags, vanished: held ? [] : vanished }
    }
    // what is held has to be told again
    if (!held) highestModseq = changes.highestModseq
  }
  if (!held) await release(tools, mailbox)
  uidNext = Math.max(uidNext, reported?.uidNext ?? 0)
  if (!held && reported?.highestModseq && BigInt(reported.highestModseq) > BigInt(highestModseq ?? '0'))
    highestModseq = reported.highestModseq
  const { complete } = mailbox.place
  const isPlaceKnown = uidNext === mailbox.place.uidNext && highestModseq === mailbox.place.highestModseq
  const data = { ...place, uidNext, highestModseq, complete, serverMessages: connection.exists }
  const synchronized: AccountEvent[] = isPlaceKnown ? [] : [{ type: 'MailboxSynchronized', data }]
  // nothing more is asked of the server for it
  const committed = recordChanges(tools, place, left, synchronized)
  committed.catch(() => undefined)
  return { committed, uidNext, highestModseq }
}

/** Changes of a mailbox that are few enough to be recorded together. */
type FewChanges = { flags: readonly FlagsReport[]; vanished: UidSet }

async function recordChanges(
  tools: SyncTools,
  place: MailboxPlace,
  { flags, vanished }: FewChanges,
  after: readonly AccountEvent[],
): Promise<void> {
  const gone = new Set(uidsOf(vanished))
  // of what is gone, its flags have been
  const reports = flags.filter(({ uid }) => !gone.has(uid))
  if (reports.length === 0 && gone.size === 0) return after.length > 0 ? record(tools, after) : undefined
  await tools.streams.decide(
    tools.accountId,
    (session) => viewMessages(session, place, [...reports.map(({ uid }) => uid), ...gone]),
    (known) => {
      const expunged = [...known.values()].filter(({ uid }) => gone.has(uid))
      return [...decideFlags(place, reports, known), ...decideExpunged(place.mailboxId, expunged), ...after]
    },
    tools.fence,
  )
}

/** Fetches and records messages from a UID up. @returns the UID after the highest of them, 0 when there are none */
async function recordNews(tools: SyncTools, mailbox: MailboxView, place: MailboxPlace, from: number): Promise<number> {
  const { connection, suspects } = tools
  const few =
    connection.exists - mailbox.place.messages <= PIECE &&
    suspects.of(place.mailboxId).size === 0 &&
    suspects.pieceSize === PIECE
  let next = 0
  const recordPiece = async (messages: MessageData[]) => {
    if (messages.length === 0) return
    await recordAdded(tools, place, messages, 'news')
    next = Math.max(next, ...messages.map((message) => message.uid + 1))
  }
  if (few && mailbox.place.complete) {
    const first = await fetchGuarded(tools, place, [[from, from]], () => connection.messagesFrom(from))
    await recordPiece(first)
    return next
  }
  const uids = await connection.uidsFrom(from)
  for (const piece of newestFirst(uids, suspects.pieceSize).reverse()) {
    if (connection.selected !== mailbox.path) await connection.select(mailbox.path)
    await recordPiece(await fetchPiece(tools, place, piece))
  }
  return next
}

/**
 * Fetches what is missing of the messages that were there at first sight, newest first; each piece is committed while
 * the next is fetched, and so is the last one while the next mailbox is.
 *
 * @param opening what is to be recorded with the first piece, if it is not yet
 */
async function backfill(
  tools: SyncTools,
  mailbox: MailboxView,
  opening: readonly AccountEvent[] = [],
): Promise<Remainder> {
  const { connection, database, suspects } = tools
  const place = placeOf(mailbox)
  const { uidNext, highestModseq, messages: count } = mailbox.place
  const all = await connection.allUids()
  const known = count === 0 ? [] : await viewKnownUids(database.pool, place)
  const gone = withoutUids(known, all)
  // what was put there before the mailbox was looked at may have other flags than were asked for
  if (opening.length > 0) await compareFlags(tools, place, known)
  const firstSight = mailbox.foundLater ? 'late sight' : 'first sight'
  const occasion: ReportOccasion = mailbox.resetAfter === null ? firstSight : { resetAfter: mailbox.resetAfter }
  const data = { ...place, uidNext, highestModseq, complete: true, serverMessages: connection.exists }
  const closing: AccountEvent = { type: 'MailboxSynchronized', data }
  // usually nothing is left to do after the last piece, and the closing goes with it
  const isLastStep = gone.length === 0 && mailbox.resetAfter === null
  const pieces = newestFirst(missingBelow(uidNext, all, known), suspects.pieceSize)
  let before = opening
  let committed: Promise<void> = Promise.resolve()
  for (const [index, piece] of pieces.entries()) {
    if (connection.selected !== mailbox.path) await connection.select(mailbox.path)
    const messages = await fetchPiece(tools, place, piece)
    await committed
    const isLast = index === pieces.length - 1
    committed = recordAdded(tools, place, messages, occasion, before, isLast && isLastStep ? [closing] : [])
    // without this a failure between here and the next await would count as unhandled
    committed.catch(() => undefined)
    // what may have been elsewhere is looked for there, on this connection: nothing else can go on meanwhile
    if (occasion === 'late sight') await committed
    before = []
    if (!isLast && tools.interrupted()) return { committed }
  }
  suspects.cleared()
  if (pieces.length > 0 && isLastStep) return { committed }
  const finish = async () => {
    await committed
    const held =
      (await recordExpunged(tools, mailbox, place, gone)) || (await expungeUnconfirmed(tools, mailbox, place))
    if (!held) await release(tools, mailbox)
    // a mailbox of which the deletion is held is not through
    await record(tools, held ? before : [...before, closing])
  }
  const finished = finish()
  finished.catch(() => undefined)
  return { committed: finished }
}

/** The UIDs below a UIDNEXT that the server has and that are not known; those above it are news. */
function missingBelow(uidNext: number, all: UidSet, known: UidSet): UidSet {
  const news: UidSet = [[uidNext, 4_294_967_295]]
  return withoutUids(withoutUids(all, news), known)
}

async function record(tools: SyncTools, events: readonly AccountEvent[]): Promise<void> {
  await tools.streams.record(tools.accountId, events, 'SERVER', tools.fence)
}

/** After a reset, what nothing on the server matched is gone. @returns whether that is held */
async function expungeUnconfirmed(tools: SyncTools, mailbox: MailboxView, place: MailboxPlace): Promise<boolean> {
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

async function fetchPiece(tools: SyncTools, place: MailboxPlace, piece: UidSet): Promise<MessageData[]> {
  const suspected = uidSetOf([...tools.suspects.of(place.mailboxId)])
  const harmless = withoutUids(piece, suspected)
  const found =
    harmless.length > 0 ? await fetchGuarded(tools, place, harmless, () => tools.connection.messages(harmless)) : []
  for (const [uid] of newestFirst(withoutUids(piece, harmless), 1).flat())
    found.push(...(await tools.connection.messageCarefully(uid)))
  return found
}

/** Notes which messages were being fetched when a connection broke. */
async function fetchGuarded<T>(
  tools: SyncTools,
  place: MailboxPlace,
  piece: UidSet,
  fetch: () => Promise<T>,
): Promise<T> {
  try {
    return await fetch()
  } catch (error) {
    tools.suspects.broke(place.mailboxId, piece)
    throw error
  }
}

async function recordAdded(
  tools: SyncTools,
  place: MailboxPlace,
  messages: MessageData[],
  occasion: ReportOccasion,
  before: readonly AccountEvent[] = [],
  after: readonly AccountEvent[] = [],
): Promise<void> {
  const mayBeKnown = occasion === 'news' || occasion === 'late sight'
  const gone = occasion !== 'first sight' ? await findGone(tools, place, messages, mayBeKnown) : new Set<string>()
  const isAfterReset = typeof occasion === 'object'
  const lookalikes = mayBeKnown ? 'all' : isAfterReset ? 'apart' : 'none'
  const movesByCopy = !canMove(tools.connection)
  const want = { lookalikes, unconfirmed: isAfterReset, gone, movesByCopy } as const
  await tools.streams.decide(
    tools.accountId,
    (session) => viewAdded(session, tools.accountId, place, messages, want),
    (view) => [...before, ...decideAdded(place, messages, view, occasion, newId), ...after],
    tools.fence,
  )
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

async function recordFlags(tools: SyncTools, place: MailboxPlace, flags: readonly FlagsReport[]): Promise<void> {
  await recordChanges(tools, place, { flags, vanished: [] }, [])
}

/** @returns whether it is held, since it is unusually many */
async function recordExpunged(
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
async function countUnasked(tools: SyncTools, place: MailboxPlace, uids: UidSet): Promise<number> {
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
async function isHeld(tools: SyncTools, mailbox: MailboxView, gone: number): Promise<boolean> {
  const { mailboxId, heldDeletion, isDeletionConfirmed, place } = mailbox
  if (!tools.isGuarded || isDeletionConfirmed || !isMassDeletion(gone, place.messages)) return false
  tools.held(mailbox.path)
  if (gone !== heldDeletion) await record(tools, [{ type: 'DeletionHeld', data: { mailboxId, messages: gone } }])
  return true
}

/** Nothing of a mailbox is held any more. */
async function release(tools: SyncTools, { mailboxId, heldDeletion, isDeletionConfirmed }: MailboxView): Promise<void> {
  if (heldDeletion > 0 || isDeletionConfirmed)
    await record(tools, [{ type: 'DeletionHeld', data: { mailboxId, messages: 0 } }])
}

/** A set from outside may span millions of UIDs that were never there: only known ones are looked at. */
async function onlyKnown(tools: SyncTools, place: MailboxPlace, uids: UidSet): Promise<UidSet> {
  const known = await viewKnownUids(tools.database.pool, place)
  return withoutUids(known, withoutUids(known, uids))
}

/** Finds expunged messages on a server that doesn't tell of them. */
async function compareUids(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  uidNext: number,
): Promise<boolean> {
  const onServer = await tools.connection.allUids()
  const known = await viewKnownUids(tools.database.pool, place)
  const upTo: UidSet = [[uidNext, 4_294_967_295]]
  return recordExpunged(tools, mailbox, place, withoutUids(withoutUids(known, onServer), upTo))
}

/** Compares UIDs and flags of a whole mailbox, for servers without CONDSTORE. */
async function compareAll(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  uidNext: number,
): Promise<boolean> {
  if (tools.connection.exists === 0 && mailbox.place.messages === 0) return false
  const held = await compareUids(tools, mailbox, place, uidNext)
  await compareFlags(tools, place, await viewKnownUids(tools.database.pool, place))
  return held
}

async function compareFlags(tools: SyncTools, place: MailboxPlace, known: UidSet): Promise<void> {
  for (const piece of newestFirst(known, PIECE * 4)) {
    for await (const reported of tools.connection.flags(formatUidSet(piece), PIECE * 4))
      await recordFlags(tools, place, reported)
  }
}
