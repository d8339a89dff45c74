import { hasFlag, sameFlags, type Flags } from './flags.js'
import type { AccountEvent } from './events.js'
import type { Defect, MessageData } from './message.js'
import { redactMessage } from './redaction.js'
import { mergeFlags, type MessageIdentity, type PlaceThere } from './server-place.js'

/** The mailbox that a report is about, and its numbering. */
export type MailboxPlace = { mailboxId: string; uidValidity: string }

/** A message that has the content of a reported one: still in a mailbox, or expunged before. */
export type Lookalike = {
  messageId: string
  mailboxId: string
  uidValidity: string | null
  uid: number
  flags: Flags
  internalDate: string
  /** whether its expunge was recorded already */
  wasExpunged: boolean
  /** whether the server, asked now, still has it */
  stillThere: boolean
  /** set where something else is shown of it than the server has: see Apart */
  apart: Apart | null
}

/** What bears on a message of which something else is shown than the server has, since operations on it are pending. */
export type Apart = {
  /** what is shown of it; null where it is to be deleted */
  shown: { mailboxId: string; uid: number; flags: Flags } | null
  /** whether the server has had it at all */
  isNew: boolean
  /** the mailbox that the server was, perhaps, told to put it into; null where it was not told */
  sentTo: string | null
  /** whether the server was, perhaps, told to delete it, or it is but left over: then nothing that turns up is it */
  isDeletionSent: boolean
  identity: MessageIdentity
}

/** What is known that bears on messages which the server reports. */
export type AddedView = {
  /** UIDs of this mailbox and numbering that are recorded already */
  knownUids: ReadonlySet<number>
  /** by fingerprint or EMAILID of the reported message: see keysOf; what was made here, also by that of what is perhaps its upload */
  lookalikes: ReadonlyMap<string, readonly Lookalike[]>
  /** messages of a numbering of before a reset, by fingerprint, that have not been told again yet */
  unconfirmed: ReadonlyMap<
    string,
    readonly { messageId: string; internalDate: string; flags: Flags; apart: Apart | null }[]
  >
  /** the fingerprints among theirs of messages that were forgotten */
  forgotten: ReadonlySet<string>
  /** whether the server has no MOVE (RFC 6851): then messages are copied in order to be moved */
  movesByCopy: boolean
}

/** Under what a reported message's lookalikes are found: EMAILID is certain, the fingerprint nearly so. */
export function keysOf(message: Pick<MessageData, 'emailId' | 'fingerprint'>): string[] {
  return message.emailId === null ? [message.fingerprint] : [message.emailId, message.fingerprint]
}

/** What tells a message that was made here when the server reports it; see isSameUpload. */
export type MadeHere = {
  /** bytes */
  size: number
  /** its Message-ID header */
  headerMessageId: string | null
  /** the INTERNALDATE that it was uploaded with, in ISO 8601 */
  internalDate: string
  /** its subject */
  subject: string | null
  /** whether the server has said that it has it: it is there, whatever the server has made of it */
  isAcknowledged: boolean
}

/**
 * Whether a message that the server reports is, as far as can be told, one that was made here and perhaps uploaded. Servers
 * read the header of a message that is not as RFC 5322 wants it each in their own way, so that fingerprints differ, and some
 * give a size that is about right. So two of Message-ID, size and INTERNALDATE have to be the same, and two Message-IDs
 * that differ are of two messages. What the server has said that it has may have got a header line, or a Message-ID, on its way: the same Message-ID is
 * enough then, or the same subject and INTERNALDATE.
 */
export function isSameUpload(made: MadeHere, reported: MessageData): boolean {
  const { messageId } = reported.envelope
  const isSameSize = made.size === reported.size
  const isSameDate = sameMoment(made.internalDate, reported.internalDate)
  if (made.isAcknowledged) {
    if (made.headerMessageId !== null && messageId !== null) return made.headerMessageId === messageId
    return isSameDate && (isSameSize || (made.subject ?? '') === (reported.envelope.subject ?? ''))
  }
  if (made.headerMessageId === null || messageId === null) return isSameSize && isSameDate
  return made.headerMessageId === messageId && (isSameSize || isSameDate)
}

/**
 * How messages came to be reported: at a mailbox's first sight, at that of one which was not there before, as new ones, or
 * after a reset.
 */
export type ReportOccasion = 'first sight' | 'late sight' | 'news' | { resetAfter: string | null }

/**
 * Decides what reported messages are: known already, moved here, copied here, uploaded again, or new. A message is new
 * once: what only has another number is not announced.
 *
 * @param makeId gives a new message its id
 */
export function decideAdded(
  place: MailboxPlace,
  reported: readonly MessageData[],
  view: AddedView,
  occasion: ReportOccasion,
  makeId: () => string,
): AccountEvent[] {
  const used = new Set<string>()
  const recorded = new Set(view.knownUids)
  const renumbered: { messageId: string; uid: number; modseq: string | null }[] = []
  const events: AccountEvent[] = []
  for (const told of reported) {
    const message = view.forgotten.has(told.fingerprint) ? redactMessage(told) : told
    // a server may tell of a message twice in one answer
    if (recorded.has(message.uid)) continue
    recorded.add(message.uid)
    const same =
      occasion === 'first sight'
        ? undefined
        : view.unconfirmed.get(message.fingerprint)?.find((each) => !used.has(each.messageId))
    if (same && !isInDoubt(same.apart, message, freeLookalikes(message, view, used))) {
      used.add(same.messageId)
      const { messageId, apart } = same
      if (!apart || apart.shown?.mailboxId === place.mailboxId)
        renumbered.push({ messageId, uid: message.uid, modseq: message.modseq })
      if (apart) events.push(...serverChanged(same.flags, { messageId, apart }, { ...place, ...message }))
      else if (!sameFlags(same.flags, message.flags))
        events.push(flagsChanged(place.mailboxId, { ...same, uid: message.uid }, message))
    } else events.push(...decideOrigin(place, message, view, occasion, used, makeId))
  }
  if (renumbered.length > 0) events.unshift({ type: 'MessagesRenumbered', data: { ...place, messages: renumbered } })
  return events
}

function decideOrigin(
  place: MailboxPlace,
  message: MessageData,
  view: AddedView,
  occasion: ReportOccasion,
  used: Set<string>,
  makeId: () => string,
): AccountEvent[] {
  const added = (
    origin: 'EXISTING' | 'ARRIVED' | 'COPIED' | 'UPLOADED_AGAIN',
    copyOf: string | null,
  ): AccountEvent[] => [{ type: 'MessageAdded', data: { messageId: makeId(), ...place, origin, copyOf, ...message } }]
  if (occasion === 'first sight') return added('EXISTING', null)
  const free = freeLookalikes(message, view, used)
  const arrived = free.filter((each) => hasLanded(each, place.mailboxId, view.movesByCopy))
  // what was made here comes first: taken for a move, a copy would have its original deleted
  const landed = arrived.find(({ apart }) => apart?.isNew) ?? arrived[0]
  if (landed) {
    used.add(landed.messageId)
    return decideLanded(place, message, landed, makeId)
  }
  const moved = findMoved(free, message)
  if (typeof occasion === 'object' && !(moved && view.unconfirmed.has(message.fingerprint))) {
    const isLater = occasion.resetAfter === null || message.internalDate > occasion.resetAfter
    return added(isLater ? 'ARRIVED' : 'EXISTING', null)
  }
  if (moved) {
    used.add(moved.messageId)
    const { messageId, mailboxId, uid, flags, wasExpunged, apart } = moved
    if (apart) return decideMovedApart(place, message, { messageId, mailboxId, flags, apart })
    const data = { messageId: moved.messageId, ...place, from: { mailboxId, uid, flags, wasExpunged }, ...message }
    return [{ type: 'MessageMoved', data }]
  }
  const alike = alikeThere(free)
  const copied = alike.find((each) => each.stillThere && sameMoment(each.internalDate, message.internalDate))
  if (copied) return added('COPIED', copied.messageId)
  const uploaded = alike[0]
  if (uploaded) return added('UPLOADED_AGAIN', uploaded.messageId)
  // a mailbox that turns up may bring old mail along
  return added(occasion === 'late sight' ? 'EXISTING' : 'ARRIVED', null)
}

/**
 * Whether a message of a mailbox that was numbered anew may be another than the one that the server was, perhaps, told to
 * delete: that one may be gone, and one like it have been moved here. Then it is not to be deleted. One that is marked as deleted is it.
 */
function isInDoubt(apart: Apart | null, message: MessageData, free: readonly Lookalike[]): boolean {
  if (!apart?.isDeletionSent || hasFlag(message.flags, '\\Deleted')) return false
  return findMoved(free, message) !== undefined
}

function freeLookalikes(message: MessageData, view: AddedView, used: ReadonlySet<string>): Lookalike[] {
  const candidates = keysOf(message).flatMap((key) => view.lookalikes.get(key) ?? [])
  return candidates.filter((each) => !used.has(each.messageId))
}

/** What was made here and never sent has nothing to do with what the server has. */
const alikeThere = (free: readonly Lookalike[]) => free.filter((each) => !each.apart?.isNew)

/**
 * One that has left its mailbox, and may be the message. COPY and MOVE keep INTERNALDATE (RFC 9051 §6.4.7, RFC 6851 §3.3); an APPEND
 * of the same bytes has its own.
 */
function findMoved(free: readonly Lookalike[], message: MessageData): Lookalike | undefined {
  return alikeThere(free).find(
    (each) => !each.stillThere && mayBeMoved(each) && sameMoment(each.internalDate, message.internalDate),
  )
}

/**
 * Whether a lookalike counts as still there when its mailbox was numbered anew, so that the server cannot be asked for it by UID.
 * What was perhaps copied in order to be moved does: it is left over, until that mailbox is read again and says otherwise.
 */
export function staysWhenRenumbered(apart: Apart | null, movesByCopy: boolean): boolean {
  return movesByCopy && apart !== null && apart.sentTo !== null
}

/** One that the server was told to put somewhere else is looked for there and nowhere else, and one to delete not at all. */
function mayBeMoved({ apart }: Lookalike): boolean {
  return apart === null || (apart.sentTo === null && !apart.isDeletionSent)
}

/** Whether the server was, perhaps, told to put a message here that was not on it, or was somewhere else. */
function hasLanded({ apart, mailboxId, stillThere }: Lookalike, target: string, movesByCopy: boolean): boolean {
  if (apart?.sentTo !== target) return false
  return apart.isNew || (mailboxId !== target && (movesByCopy || !stillThere))
}

/**
 * An upload of which the answer was lost has reached the server after all: the message is where it was to go. Where it was
 * copied there in order to be moved, what is left over in its old place is a message that is to be deleted.
 */
function decideLanded(to: MailboxPlace, message: MessageData, landed: Lookalike, makeId: () => string): AccountEvent[] {
  const { messageId, mailboxId, uid, flags, uidValidity, stillThere } = landed
  const apart = landed.apart as Apart
  const { shown } = apart
  const before = apart.isNew ? message.flags : flags
  const events = serverChanged(before, { messageId, apart }, { ...to, ...message })
  if (shown?.mailboxId === to.mailboxId) {
    const messages = [{ messageId, uid: message.uid, modseq: message.modseq }]
    events.push({ type: 'MessagesRenumbered', data: { ...to, messages } })
  }
  if (apart.isNew || !stillThere || uidValidity === null) return events
  const place = { mailboxId, uidValidity, uid, flags, modseq: null }
  return [...events, ...leftOver(makeId(), messageId, message, place)]
}

/**
 * What is left over of a message in the place that it was copied from in order to be moved: a message that is to be deleted. That
 * it was there is recorded, for it is shown again if the server will not have it deleted.
 *
 * @param data of the message of which it is left over
 */
export function leftOver(messageId: string, copyOf: string, data: MessageData, place: PlaceThere): AccountEvent[] {
  const { mailboxId, flags } = place
  const { fingerprint, internalDate, emailId } = data
  const identity = { fingerprint, internalDate, emailId }
  const told = { ...data, uid: 0, modseq: null, flags }
  const server = { state: 'THERE' as const, ...place }
  return [
    { type: 'MessageAdded', data: { messageId, mailboxId, uidValidity: '0', origin: 'COPIED', copyOf, ...told } },
    { type: 'MessageExpunged', data: { messageId, mailboxId, uid: 0, flags, ...identity } },
    { type: 'ServerPlacesChanged', data: { messages: [{ messageId, server, identity }] } },
  ]
}

/** Somebody else moved a message on which operations are pending; one that is shown where it was is shown where it is. */
function decideMovedApart(
  place: MailboxPlace,
  message: MessageData,
  moved: { messageId: string; mailboxId: string; flags: Flags; apart: Apart },
): AccountEvent[] {
  const { messageId, flags: before, apart } = moved
  const { shown, identity } = apart
  if (shown === null || shown.mailboxId !== moved.mailboxId) {
    const events = serverChanged(before, { messageId, apart }, { ...place, ...message })
    if (shown?.mailboxId !== place.mailboxId) return events
    const messages = [{ messageId, uid: message.uid, modseq: message.modseq }]
    return [{ type: 'MessagesRenumbered', data: { ...place, messages } }, ...events]
  }
  const flags = mergeFlags(before, shown.flags, message.flags)
  const from = { mailboxId: shown.mailboxId, uid: shown.uid, flags: shown.flags, wasExpunged: false }
  const { uid, modseq } = message
  return [
    { type: 'MessageMoved', data: { messageId, ...place, from, ...message, flags } },
    placeChanged(messageId, identity, { ...place, uid, flags: message.flags, modseq }),
  ]
}

/** The server has a message on which operations are pending in another place, or with other flags, than before. */
function serverChanged(
  before: Flags,
  { messageId, apart: { shown, identity } }: { messageId: string; apart: Apart },
  { mailboxId, uidValidity, uid, flags, modseq }: PlaceThere,
): AccountEvent[] {
  const events = [placeChanged(messageId, identity, { mailboxId, uidValidity, uid, flags, modseq })]
  if (shown === null) return events
  const merged = mergeFlags(before, shown.flags, flags)
  if (sameFlags(merged, shown.flags)) return events
  return [...events, flagsChanged(shown.mailboxId, { messageId, ...shown }, { flags: merged, modseq })]
}

function placeChanged(messageId: string, identity: MessageIdentity, place: PlaceThere): AccountEvent {
  const server = { state: 'THERE' as const, ...place }
  return { type: 'ServerPlacesChanged', data: { messages: [{ messageId, server, identity }] } }
}

function sameMoment(one: string, other: string): boolean {
  return Date.parse(one) === Date.parse(other)
}

/** A known message, as far as reports of flags and expunges need it. */
export type KnownMessage = {
  messageId: string
  uid: number
  flags: Flags
  fingerprint: string
  internalDate: string
  emailId: string | null
  /** set where something else is shown of it than the server has */
  apart: Apart | null
}

/** Decides what reported flags change; a report of what is known already, or of an unknown UID, changes nothing. */
export function decideFlags(
  { mailboxId, uidValidity }: MailboxPlace,
  reported: readonly { uid: number; flags: Flags; modseq: string | null }[],
  known: ReadonlyMap<number, KnownMessage>,
): AccountEvent[] {
  return joinPlaces(
    reported.flatMap((report) => {
      const message = known.get(report.uid)
      if (!message || sameFlags(message.flags, report.flags)) return []
      const { messageId, apart } = message
      if (!apart) return [flagsChanged(mailboxId, message, report)]
      return serverChanged(message.flags, { messageId, apart }, { mailboxId, uidValidity, ...report })
    }),
  )
}

/** A message that is known and of which something could not be read. */
export type UnreadableMessage = {
  messageId: string
  uid: number
  flags: Flags
  origin: Extract<AccountEvent, { type: 'MessageRead' }>['data']['origin']
  defects: readonly Defect[]
}

/** What is wrong with what a server says of a message: it may say it better another time. */
export const UNREADABLE_DEFECTS: readonly Defect[] = ['UNREADABLE', 'FLAGS_UNREADABLE']

/** Decides what it changes that messages were read again: what can be read now is recorded, and what cannot stays as it is. */
export function decideRead(
  place: MailboxPlace,
  reported: readonly MessageData[],
  known: readonly UnreadableMessage[],
): AccountEvent[] {
  const unread = ({ defects }: Pick<MessageData, 'defects'>) =>
    UNREADABLE_DEFECTS.filter((defect) => defects.includes(defect)).length
  return known.flatMap((message): AccountEvent[] => {
    const told = reported.find(({ uid }) => uid === message.uid)
    if (!told || unread(told) >= unread(message)) return []
    const { messageId, origin, flags: previousFlags } = message
    return [{ type: 'MessageRead', data: { messageId, ...place, origin, previousFlags, ...told } }]
  })
}

/** Makes one event of those that tell of messages' places on the server; each message is among them once. */
function joinPlaces(events: readonly AccountEvent[]): AccountEvent[] {
  type Places = Extract<AccountEvent, { type: 'ServerPlacesChanged' }>
  const places = events.filter((event): event is Places => event.type === 'ServerPlacesChanged')
  if (places.length < 2) return [...events]
  const messages = places.flatMap(({ data }) => data.messages)
  const others = events.filter((event) => event.type !== 'ServerPlacesChanged')
  return [{ type: 'ServerPlacesChanged', data: { messages } }, ...others]
}

function flagsChanged(
  mailboxId: string,
  message: { messageId: string; uid: number; flags: Flags },
  report: { flags: Flags; modseq: string | null },
): AccountEvent {
  const { messageId, uid, flags: previousFlags } = message
  return {
    type: 'MessageFlagsChanged',
    data: { messageId, mailboxId, uid, flags: report.flags, previousFlags, modseq: report.modseq },
  }
}

/**
 * Decides what the server's word that messages are gone changes; only known ones can go. One on which operations are pending
 * may have been moved: it stays shown until every mailbox was looked at.
 */
export function decideExpunged(mailboxId: string, known: readonly KnownMessage[]): AccountEvent[] {
  return joinPlaces(
    known.map(({ messageId, uid, flags, fingerprint, internalDate, emailId, apart }): AccountEvent => {
      if (!apart) {
        const data = { messageId, mailboxId, uid, flags, fingerprint, internalDate, emailId }
        return { type: 'MessageExpunged', data }
      }
      const server = { state: 'GONE' as const, mailboxId, flags }
      const gone = { messageId, server, identity: apart.identity }
      return { type: 'ServerPlacesChanged', data: { messages: [gone] } }
    }),
  )
}
