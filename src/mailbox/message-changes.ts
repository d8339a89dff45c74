import { sameFlags, type Flags } from './flags.js'
import type { AccountEvent } from './events.js'
import type { MessageData } from './message.js'
import { redactMessage } from './redaction.js'

/** The mailbox that a report is about, and its numbering. */
export type MailboxPlace = { mailboxId: string; uidValidity: string }

/** A message that has the content of a reported one: still in a mailbox, or expunged before. */
export type Lookalike = {
  messageId: string
  mailboxId: string
  uid: number
  flags: Flags
  internalDate: string
  /** whether its expunge was recorded already */
  wasExpunged: boolean
  /** whether the server, asked now, still has it */
  stillThere: boolean
}

/** What is known that bears on messages which the server reports. */
export type AddedView = {
  /** UIDs of this mailbox and numbering that are recorded already */
  knownUids: ReadonlySet<number>
  /** by fingerprint or EMAILID of the reported message: see keysOf */
  lookalikes: ReadonlyMap<string, readonly Lookalike[]>
  /** messages of a numbering of before a reset, by fingerprint, that have not been told again yet */
  unconfirmed: ReadonlyMap<string, readonly { messageId: string; internalDate: string; flags: Flags }[]>
  /** the fingerprints among theirs of messages that were forgotten */
  forgotten: ReadonlySet<string>
}

/** Under what a reported message's lookalikes are found: EMAILID is certain, the fingerprint nearly so. */
export function keysOf(message: Pick<MessageData, 'emailId' | 'fingerprint'>): string[] {
  return message.emailId === null ? [message.fingerprint] : [message.emailId, message.fingerprint]
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
    if (same) {
      used.add(same.messageId)
      renumbered.push({ messageId: same.messageId, uid: message.uid, modseq: message.modseq })
      if (!sameFlags(same.flags, message.flags))
        events.push(flagsChanged(place.mailboxId, { ...same, uid: message.uid }, message))
    } else events.push(decideOrigin(place, message, view, occasion, used, makeId))
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
): AccountEvent {
  const added = (
    origin: 'EXISTING' | 'ARRIVED' | 'COPIED' | 'UPLOADED_AGAIN',
    copyOf: string | null,
  ): AccountEvent => ({
    type: 'MessageAdded',
    data: { messageId: makeId(), ...place, origin, copyOf, ...message },
  })
  if (occasion === 'first sight') return added('EXISTING', null)
  if (typeof occasion === 'object') {
    const isLater = occasion.resetAfter === null || message.internalDate > occasion.resetAfter
    return added(isLater ? 'ARRIVED' : 'EXISTING', null)
  }
  const candidates = keysOf(message).flatMap((key) => view.lookalikes.get(key) ?? [])
  const alike = candidates.filter((each) => !used.has(each.messageId))
  // COPY and MOVE keep INTERNALDATE (RFC 9051 §6.4.7, RFC 6851 §3.3); an APPEND of the same bytes has its own
  const sameDate = alike.filter((each) => sameMoment(each.internalDate, message.internalDate))
  const moved = sameDate.find((each) => !each.stillThere)
  if (moved) {
    used.add(moved.messageId)
    const { mailboxId, uid, flags, wasExpunged } = moved
    const data = { messageId: moved.messageId, ...place, from: { mailboxId, uid, flags, wasExpunged }, ...message }
    return { type: 'MessageMoved', data }
  }
  const copied = sameDate.find((each) => each.stillThere)
  if (copied) return added('COPIED', copied.messageId)
  const uploaded = alike[0]
  if (uploaded) return added('UPLOADED_AGAIN', uploaded.messageId)
  // a mailbox that turns up may bring old mail along
  return added(occasion === 'late sight' ? 'EXISTING' : 'ARRIVED', null)
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
}

/** Decides what reported flags change; a report of what is known already, or of an unknown UID, changes nothing. */
export function decideFlags(
  mailboxId: string,
  reported: readonly { uid: number; flags: Flags; modseq: string | null }[],
  known: ReadonlyMap<number, KnownMessage>,
): AccountEvent[] {
  return reported.flatMap((report) => {
    const message = known.get(report.uid)
    return message && !sameFlags(message.flags, report.flags) ? [flagsChanged(mailboxId, message, report)] : []
  })
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

/** Decides what the server's word that messages are gone changes; only known ones can go. */
export function decideExpunged(mailboxId: string, known: readonly KnownMessage[]): AccountEvent[] {
  return known.map(({ messageId, uid, flags, fingerprint, internalDate, emailId }) => ({
    type: 'MessageExpunged',
    data: { messageId, mailboxId, uid, flags, fingerprint, internalDate, emailId },
  }))
}
