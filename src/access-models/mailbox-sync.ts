import type { AccountEvent } from '../mailbox/events.js'
import { isRefusal } from '../mailbox/failures.js'
import { decideAfterReading, decideProblem, incompleteness, MOST_UNREADABLE } from '../mailbox/mailbox-problem.js'
import type { MessageData } from '../mailbox/message.js'
import { decideRead, type MailboxPlace, type ReportOccasion } from '../mailbox/message-changes.js'
import { planLiveSync, planMailboxSync, type ReportedPlace, type SyncPlan } from '../mailbox/sync-plan.js'
import { formatUidSet, newestFirst, uidCount, uidSetOf, withoutUids, type UidSet } from '../mailbox/uid-set.js'
import {
  viewCandidates,
  viewKnownUids,
  viewNewestDate,
  viewUnreadable,
  type MailboxView,
} from '../projections/sync-views.js'
import {
  countUnasked,
  expungeUnconfirmed,
  isHeld,
  NO_CHANGES,
  record,
  recordAdded,
  recordChanges,
  recordExpunged,
  release,
  type FewChanges,
  type SyncTools,
} from './mailbox-record.js'
import { PIECE } from './suspects.js'

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
  const news =
    plan.newFrom === null ? NO_NEWS : await takeNews(tools, mailbox, place, plan.newFrom, reported?.uidNext ?? null)
  uidNext = Math.max(uidNext, news.next)
  let held = false
  let left: FewChanges = { ...NO_CHANGES, news: news.unrecorded }
  /** records what was found up to now */
  const recordLeft = async () => {
    await recordChanges(tools, place, left, [])
    left = NO_CHANGES
  }
  try {
    if (connection.selected !== mailbox.path) await connection.select(mailbox.path)
    if (plan.changes === 'compare') {
      await recordLeft()
      held = await compareAll(tools, mailbox, place, uidNext)
    } else if (plan.changes !== 'none') {
      const upTo = Math.max(uidNext, reported?.uidNext ?? 0, 2) - 1
      const changes = await connection.changesSince(highestModseq ?? '0', upTo, PIECE, async (piece) => {
        if (left.flags.length > 0) await recordLeft()
        left = { ...left, flags: piece }
      })
      const compares = plan.changes === 'changed since, compare UIDs' && mailbox.place.complete
      const { vanished } = changes
      if (compares || uidCount(vanished) > PIECE) {
        await recordLeft()
        held = compares
          ? await compareUids(tools, mailbox, place, uidNext)
          : await recordExpunged(tools, mailbox, place, vanished)
      } else {
        held = await isHeld(tools, mailbox, await countUnasked(tools, place, vanished))
        if (!held) left = { ...left, vanished }
      }
      // what is held has to be told again
      if (!held) highestModseq = changes.highestModseq
    }
  } catch (error) {
    // what has come is recorded, whatever did not
    await recordLeft()
    throw error
  }
  if (!held) await release(tools, mailbox)
  uidNext = Math.max(uidNext, reported?.uidNext ?? 0)
  if (!held && reported?.highestModseq && BigInt(reported.highestModseq) > BigInt(highestModseq ?? '0'))
    highestModseq = reported.highestModseq
  const { complete } = mailbox.place
  const isCompared = plan.changes === 'compare' || plan.changes === 'changed since, compare UIDs'
  const unlisted = isCompared && complete ? connection.unlisted : null
  const problems = decideAfterReading(
    mailbox.mailboxId,
    mailbox.problem,
    unlisted,
    reported?.messages === mailbox.messages,
  )
  const isPlaceKnown = uidNext === mailbox.place.uidNext && highestModseq === mailbox.place.highestModseq
  const data = { ...place, uidNext, highestModseq, complete, serverMessages: connection.exists }
  const synchronized: AccountEvent[] = isPlaceKnown ? [] : [{ type: 'MailboxSynchronized', data }]
  // nothing more is asked of the server for it
  const committed = recordChanges(tools, place, left, [...synchronized, ...problems])
  committed.catch(() => undefined)
  return { committed, uidNext, highestModseq }
}

/** What came into a mailbox: the UID after the highest, 0 when nothing did; and what of it is to be recorded with the mailbox's changes. */
type News = { next: number; unrecorded: readonly MessageData[] }

const NO_NEWS: News = { next: 0, unrecorded: [] }

/**
 * Whether what came of new messages is all that there is, as far as that can be told without asking: as many as the server counts, and no UID left out
 * between them. An answer that could not be parsed leaves no other trace.
 *
 * @param uidNext the server's UIDNEXT, where it said that
 * @param added how many messages more the server counts than are known
 */
function isWhole(found: readonly MessageData[], from: number, uidNext: number | null, added: number): boolean {
  const end = Math.max(uidNext ?? 0, uidBehind(found), from)
  return found.length >= added && found.length === end - from
}

/**
 * Fetches messages from a UID up, and records them, but for a few to which nothing known is alike.
 *
 * @param uidNext the server's UIDNEXT, where it said that
 */
async function takeNews(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  from: number,
  uidNext: number | null,
): Promise<News> {
  const { connection, suspects } = tools
  const added = connection.exists - mailbox.place.messages
  const few = added <= PIECE && suspects.of(place.mailboxId).size === 0 && suspects.pieceSize === PIECE
  let next = 0
  const recordPiece = async (messages: readonly MessageData[]) => {
    if (messages.length > 0) await recordAdded(tools, place, messages, 'news')
    next = Math.max(next, uidBehind(messages))
  }
  if (few && mailbox.place.complete) {
    const found = await fetchGuarded(tools, place, [[from, from]], () => connection.messagesFrom(from))
    if (!isWhole(found, from, uidNext, added)) {
      const missing = withoutUids(await connection.uidsFrom(from), uidSetOf(found.map(({ uid }) => uid)))
      for (const piece of newestFirst(missing, PIECE)) found.push(...(await fetchPiece(tools, place, piece)))
    }
    if (found.length === 0) return NO_NEWS
    await tools.before
    const alike = await viewCandidates(tools.database.pool, tools.accountId, found)
    if (alike.length === 0) return { next: uidBehind(found), unrecorded: found }
    // what Mailfold has put there itself is known
    const { mailboxId, uidValidity } = place
    const isHere = (each: (typeof alike)[number]) => each.mailboxId === mailboxId && each.uidValidity === uidValidity
    const here = new Set(alike.filter(isHere).map(({ uid }) => uid))
    if (found.every(({ uid }) => here.has(uid))) return { next: uidBehind(found), unrecorded: [] }
    await recordPiece(found)
    return { next, unrecorded: [] }
  }
  const uids = await connection.uidsFrom(from)
  for (const piece of newestFirst(uids, suspects.pieceSize).reverse()) {
    if (connection.selected !== mailbox.path) await connection.select(mailbox.path)
    await recordPiece(await fetchPiece(tools, place, piece))
  }
  return { next, unrecorded: [] }
}

/** The UID after the highest of messages; 0 when there are none. */
const uidBehind = (messages: readonly MessageData[]) => Math.max(0, ...messages.map(({ uid }) => uid + 1))

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
  const closing: AccountEvent[] = [
    { type: 'MailboxSynchronized', data },
    ...decideProblem(mailbox.mailboxId, mailbox.problem, incompleteness(connection.unlisted)),
  ]
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
    committed = recordAdded(tools, place, messages, occasion, before, isLast && isLastStep ? closing : [])
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
    await record(tools, held ? before : [...before, ...closing])
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

/** Fetches a piece of messages. What the server names, and brings nothing readable of, is among them; there is a bound to that. */
async function fetchPiece(tools: SyncTools, place: MailboxPlace, piece: UidSet): Promise<MessageData[]> {
  const found = await fetchAll(tools, place, piece)
  const unreadable = found.filter(({ defects }) => defects.includes('UNREADABLE')).length
  const all = tools.suspects.unreadable(place.mailboxId, unreadable)
  if (unreadable > 0 && all > MOST_UNREADABLE) throw tools.connection.refused('FETCH', `${all} messages cannot be read`)
  return found
}

async function fetchAll(tools: SyncTools, place: MailboxPlace, piece: UidSet): Promise<MessageData[]> {
  const suspected = uidSetOf([...tools.suspects.of(place.mailboxId)])
  const harmless = withoutUids(piece, suspected)
  const found =
    harmless.length > 0 ? await fetchGuarded(tools, place, harmless, () => fetchAround(tools, harmless)) : []
  for (const [uid] of newestFirst(withoutUids(piece, harmless), 1).flat())
    found.push(...(await tools.connection.messageCarefully(uid)))
  return found
}

/** Fetches messages. Where the server refuses to bring some of them, those are found by halving, and the others are brought. */
async function fetchAround(tools: SyncTools, piece: UidSet): Promise<MessageData[]> {
  try {
    return await tools.connection.messages(piece)
  } catch (error) {
    const count = uidCount(piece)
    if (!isRefusal(error) || count === 1) throw error
    const found: MessageData[] = []
    for (const half of newestFirst(piece, Math.ceil(count / 2))) found.push(...(await fetchAround(tools, half)))
    return found
  }
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
    if (!isRefusal(error)) tools.suspects.broke(place.mailboxId, piece)
    throw error
  }
}

/** Compares the UIDs of a mailbox: finds messages that are gone, on a server that does not tell of them, and messages that were passed over. */
async function compareUids(
  tools: SyncTools,
  mailbox: MailboxView,
  place: MailboxPlace,
  uidNext: number,
): Promise<boolean> {
  const onServer = await tools.connection.allUids()
  const known = await viewKnownUids(tools.database.pool, place)
  const upTo: UidSet = [[uidNext, 4_294_967_295]]
  // a message that the server has and that was passed over: whatever was the reason, it is taken in now
  if (mailbox.place.complete)
    for (const piece of newestFirst(missingBelow(uidNext, onServer, known), tools.suspects.pieceSize)) {
      if (tools.connection.selected !== mailbox.path) await tools.connection.select(mailbox.path)
      await recordAdded(tools, place, await fetchPiece(tools, place, piece), 'news')
    }
  return recordExpunged(tools, mailbox, place, withoutUids(withoutUids(known, onServer), upTo))
}

/** Messages of which something could not be read that are read again at once. */
const READ_AGAIN = 200

/** Reads messages again of which something could not be read: the server, or what reads its answers, may do better by now. */
export async function readAgain(tools: SyncTools, mailboxes: readonly MailboxView[]): Promise<void> {
  const unreadable = await viewUnreadable(tools.database.pool, tools.accountId, READ_AGAIN)
  for (const [mailboxId, messages] of unreadable) {
    const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
    if (!mailbox?.selectable || !mailbox.place.complete || tools.interrupted()) continue
    const { uidValidity } = await tools.connection.select(mailbox.path)
    const there = messages.filter((message) => message.uidValidity === uidValidity)
    const found = await tools.connection.messages(uidSetOf(there.map(({ uid }) => uid)))
    const place = { mailboxId, uidValidity }
    await tools.streams.decide(
      tools.accountId,
      (session) => viewUnreadable(session, tools.accountId, READ_AGAIN),
      (now) => decideRead(place, found, now.get(mailboxId) ?? []),
      tools.fence,
    )
  }
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
      await recordChanges(tools, place, { ...NO_CHANGES, flags: reported }, [])
  }
}
