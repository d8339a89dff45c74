import { endingOf } from './conflicts.js'
import type { AccountEvent } from './events.js'
import { changeFlags, hasFlag, sameFlags } from './flags.js'
import {
  changesPlace,
  type ConflictPolicy,
  type OperationOutcome,
  type OutcomeReason,
  type PendingOperation,
  type ServerChange,
} from './operation.js'
import type { MailboxPlace } from './message-changes.js'
import { flagDifference, type PlaceLeft } from './server-place.js'
import {
  flagsShown,
  hideShown,
  isAsShown,
  isPlaceSettled,
  showAsOnServer,
  showAt,
  type TrackedMessage,
} from './tracked-message.js'

/*
 * What becomes of pending operations, given what the server is known to have now. The outcome follows from the difference
 * between what is shown and what the server has: where there is none, everything asked for is so. Hence an operation of
 * which the answer was lost is told from one that was not done by looking at the mailbox, and nothing is done twice.
 */

/** How many messages of an operation wait for their outcomes, and how many have come to which. */
export type Tally = { waiting: number } & Record<OperationOutcome, number>

/** What a settlement works with. */
export type SettlementTerms = {
  policy: ConflictPolicy
  /** how far the operations are that wait for an outcome */
  tallies: ReadonlyMap<string, Tally>
  /** whether every mailbox was looked at: only then is what was not found gone */
  isEverywhereLooked: boolean
  /** whether the server can expunge single messages (UIDPLUS, RFC 4315); without that they are marked \\Deleted */
  canExpunge: boolean
}

/** Decides which operations on messages have come to an outcome, and what is to be shown where they did not do what was asked. */
export function decideSettlement(messages: readonly TrackedMessage[], terms: SettlementTerms): AccountEvent[] {
  const settling = new Settling(terms)
  for (const message of messages) settleMessage(message, terms, settling)
  return settling.events()
}

/**
 * Takes out of the server's word on flags what makes messages' operations come to their outcomes at once: those that have the flags
 * that are shown, where they are shown.
 *
 * @returns what settles those messages, and the reports on others
 */
export function decideStored<Report extends { uid: number; flags: readonly string[]; modseq: string | null }>(
  messages: readonly TrackedMessage[],
  place: MailboxPlace,
  reports: readonly Report[],
  terms: SettlementTerms,
): { events: AccountEvent[]; others: Report[] } {
  const byUid = new Map(reports.map((report) => [report.uid, report]))
  const settled = messages.flatMap((message): TrackedMessage[] => {
    const { server } = message
    if (server.state !== 'THERE' || server.mailboxId !== place.mailboxId) return []
    const report = server.uidValidity === place.uidValidity ? byUid.get(server.uid) : undefined
    if (!report) return []
    const told = { ...message, server: { ...server, flags: report.flags, modseq: report.modseq } }
    if (!isAsShown(told)) return []
    byUid.delete(report.uid)
    return [told]
  })
  return { events: decideSettlement(settled, terms), others: [...byUid.values()] }
}

function settleMessage(message: TrackedMessage, terms: SettlementTerms, settling: Settling): void {
  const { shown, server, operations } = message
  if (shown === null) return settleHidden(message, terms, settling)
  if (server.state === 'GONE') {
    if (!terms.isEverywhereLooked) return
    return lose(message, 'MESSAGE_GONE', settling)
  }
  if (server.state === 'UNNUMBERED') return settleUnnumbered(message, server, settling)
  if (server.state === 'NOT_YET') {
    // of no request any more: it stays here, with the flags that it has, until a client tries again or discards it
    if (!operations.some(changesPlace)) settling.done(message, operations)
    return
  }
  const left = settlePlace(message, terms, settling)
  const flagsLeft = sameFlags(shown.data.flags, server.flags) ? settleFlags(message, left, settling) : left
  if (flagsLeft.length > 0) return
  settling.show(message, showAsOnServer(message), true)
}

/**
 * A message that the server has put into a mailbox, in which it was not told again: that much is done. Nothing more can be asked of the server for a
 * message without a UID, so it is shown as it was put there.
 */
function settleUnnumbered(message: TrackedMessage, server: PlaceLeft, settling: Settling): void {
  const { shown, operations } = message
  const isDone = (operation: PendingOperation) => operation.isSent && operation.effect.to === server.mailboxId
  settling.done(message, operations.filter(isDone))
  const others = operations.filter((operation) => !isDone(operation))
  if (others.length === 0) return
  settling.settle(message, others, 'REJECTED', 'MESSAGE_GONE')
  const isElsewhere = shown !== null && shown.mailboxId !== server.mailboxId
  const events = isElsewhere ? showAt(message, server.mailboxId, server.flags) : flagsShown(message, server.flags)
  settling.show(message, events, false)
}

/** A message that is to be deleted for good. */
function settleHidden(message: TrackedMessage, terms: SettlementTerms, settling: Settling): void {
  const { server, operations } = message
  const isSent = operations.some((operation) => operation.isSent)
  if (server.state === 'THERE') {
    const change = changeOfHidden(message)
    const ending = change && endingOf('DELETE', change, terms.policy)
    const isMarked = hasFlag(server.flags, '\\Deleted') && !terms.canExpunge
    // as much as can be done: it is hidden here, and goes when somebody expunges the mailbox
    if (isMarked && !ending) return settling.done(message, operations)
    if (!change || !ending) return
    settling.settle(message, operations, ending.outcome, change)
    return settling.show(message, showAt(message, server.mailboxId, server.flags), true)
  }
  // what the server has put somewhere stays there: nobody knows which it is
  if (server.state === 'UNNUMBERED') {
    const isPlaced = (operation: PendingOperation) => operation.isSent && operation.effect.to === server.mailboxId
    settling.done(message, operations.filter(isPlaced))
    const others = operations.filter((operation) => !isPlaced(operation))
    settling.settle(message, others, 'SUPERSEDED', 'MESSAGE_GONE')
    return settling.show(message, [], true)
  }
  // an upload of which the answer was lost may still be found
  if (!terms.isEverywhereLooked && (server.state === 'GONE' || isSent)) return
  const deletions = operations.filter(({ effect }) => effect.to === null)
  const others = operations.filter(({ effect }) => effect.to !== null)
  settling.settle(message, others, 'SUPERSEDED', 'LATER_OPERATION')
  const byUs = deletions.some((operation) => operation.isSent)
  settling.settle(
    message,
    deletions,
    byUs ? 'APPLIED' : 'SUPERSEDED',
    byUs ? null : server.state === 'GONE' ? 'MESSAGE_GONE' : 'ALREADY_SO',
  )
  settling.show(message, [], true)
}

function changeOfHidden({ server, operations }: TrackedMessage): 'MOVED_ELSEWHERE' | 'FLAGS_CHANGED' | null {
  const deletion = operations.findLast(({ effect }) => effect.to === null)
  if (!deletion || server.state !== 'THERE') return null
  const places = operations.flatMap(({ effect }) => [effect.from, effect.to])
  if (!places.includes(server.mailboxId)) return 'MOVED_ELSEWHERE'
  const { added, removed } = flagDifference(deletion.effect.serverFlags ?? [], server.flags)
  // the mark that comes before an expunge is our own
  const changed = [...added, ...removed].filter((flag) => flag.toLowerCase() !== '\\deleted')
  const asked = operations.flatMap(({ effect }) => [...(effect.added ?? []), ...(effect.removed ?? [])])
  return changed.some((flag) => !hasFlag(asked, flag)) ? 'FLAGS_CHANGED' : null
}

/** @returns the operations that still wait */
function settlePlace(message: TrackedMessage, terms: SettlementTerms, settling: Settling): readonly PendingOperation[] {
  const { server, operations } = message
  const ofPlace = operations.filter(changesPlace)
  if (server.state !== 'THERE' || ofPlace.length === 0) return operations
  const without = (settled: readonly PendingOperation[]) => operations.filter((each) => !settled.includes(each))
  if (isPlaceSettled(message)) {
    settling.done(message, ofPlace)
    return without(ofPlace)
  }
  const reached = ofPlace.findLastIndex(({ effect }) => effect.to === server.mailboxId)
  if (reached >= 0) {
    const settled = ofPlace.slice(0, reached + 1)
    settling.done(message, settled)
    return without(settled)
  }
  if (ofPlace[0]?.effect.from === server.mailboxId) return operations
  const ending = endingOf('MOVE', 'MOVED_ELSEWHERE', terms.policy)
  if (!ending) return operations
  settling.settle(message, ofPlace, ending.outcome, 'MOVED_ELSEWHERE')
  const left = without(ofPlace)
  if (left.length > 0) settling.show(message, showAt(message, server.mailboxId, message.shown?.data.flags ?? []), false)
  return left
}

function settleFlags(
  message: TrackedMessage,
  left: readonly PendingOperation[],
  settling: Settling,
): readonly PendingOperation[] {
  const ofFlags = left.filter((operation) => !changesPlace(operation))
  settling.done(message, ofFlags)
  return left.filter(changesPlace)
}

/**
 * Decides what becomes of messages' operations of which the server would not do what they ask, or for which it lacks what
 * they need.
 *
 * @param aspect what it would not do: set these flags, or put the message where it is shown
 */
export function decideRefusal(
  messages: readonly TrackedMessage[],
  aspect: { flags: readonly string[] } | 'place',
  change: ServerChange,
  terms: SettlementTerms,
): AccountEvent[] {
  const settling = new Settling(terms)
  for (const message of messages) {
    if (aspect === 'place') refusePlace(message, change, settling)
    else refuseFlags(message, aspect.flags, change, settling)
  }
  return settling.events()
}

function refuseFlags(
  message: TrackedMessage,
  flags: readonly string[],
  change: ServerChange,
  settling: Settling,
): void {
  const { shown, server, operations } = message
  if (shown === null || server.state !== 'THERE') return
  const refused = operations.filter(({ kind, effect }) => {
    const touched = [...(effect.added ?? []), ...(effect.removed ?? [])]
    return kind === 'CHANGE_FLAGS' && touched.some((flag) => hasFlag(flags, flag))
  })
  settling.settle(message, refused, 'REJECTED', change)
  const kept = server.flags.filter((flag) => hasFlag(flags, flag))
  const reverted = changeFlags(shown.data.flags, kept, flags)
  const isFree = refused.length === operations.length
  settling.show(message, isFree ? showAsOnServer(message) : flagsShown(message, reverted), isFree)
}

/** What a message's operations ask of its place is not done: it is shown where the server has it. */
export function refusePlace(message: TrackedMessage, change: ServerChange, settling: Settling): void {
  const { shown, server, operations } = message
  const isAll = shown === null || server.state === 'NOT_YET'
  const refused = isAll ? operations : operations.filter(changesPlace)
  settling.settle(message, refused, 'REJECTED', change)
  const isFree = refused.length === operations.length
  if (server.state === 'THERE') {
    if (isFree) return settling.show(message, showAsOnServer(message), true)
    const flags = shown === null ? server.flags : shown.data.flags
    return settling.show(message, showAt(message, server.mailboxId, flags), false)
  }
  const isCopy = refused.some(({ effect }) => effect.copyOf !== undefined)
  // what a client wrote is never dropped; a copy's original is where it was
  if (shown !== null && isCopy) settling.show(message, hideShown(message), true)
}

/** A message is gone, and with it what was asked of it. */
export function lose(message: TrackedMessage, change: ServerChange, settling: Settling): void {
  settling.settle(message, message.operations, 'REJECTED', change)
  settling.show(message, hideShown(message), true)
}

type SettledGroup = { outcome: OperationOutcome; reason: OutcomeReason | null; messageIds: string[] }
type SettledGroups = Map<string, SettledGroup>

/** Gathers outcomes, and what is shown because of them. */
export class Settling {
  private readonly shown: AccountEvent[] = []
  private readonly together: { messageId: string; server: null }[] = []
  private readonly settled = new Map<string, SettledGroups>()

  constructor(private readonly terms: SettlementTerms) {}

  settle(
    { messageId }: TrackedMessage,
    operations: readonly PendingOperation[],
    outcome: OperationOutcome,
    reason: OutcomeReason | null,
  ): void {
    for (const { operationId } of operations) {
      const groups: SettledGroups = this.settled.get(operationId) ?? new Map<string, SettledGroup>()
      this.settled.set(operationId, groups)
      const key = `${outcome} ${reason}`
      const group = groups.get(key) ?? { outcome, reason, messageIds: [] }
      groups.set(key, group)
      group.messageIds.push(messageId)
    }
  }

  /** What was asked for is so: because the server was told, or without that. */
  done(message: TrackedMessage, operations: readonly PendingOperation[]): void {
    this.settle(
      message,
      operations.filter(({ isSent }) => isSent),
      'APPLIED',
      null,
    )
    this.settle(
      message,
      operations.filter(({ isSent }) => !isSent),
      'SUPERSEDED',
      'ALREADY_SO',
    )
  }

  /** @param isTogether whether what is shown then is what the server has */
  show({ messageId }: TrackedMessage, events: readonly AccountEvent[], isTogether: boolean): void {
    this.shown.push(...events)
    if (isTogether) this.together.push({ messageId, server: null })
  }

  events(): AccountEvent[] {
    const places: AccountEvent[] =
      this.together.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: this.together } }] : []
    return [
      ...joined(this.shown),
      ...places,
      ...[...this.settled].map(([operationId, groups]) => this.ending(operationId, [...groups.values()])),
    ]
  }

  private ending(
    operationId: string,
    settled: readonly { outcome: OperationOutcome; reason: OutcomeReason | null; messageIds: readonly string[] }[],
  ): AccountEvent {
    const tally = { ...(this.terms.tallies.get(operationId) ?? NO_TALLY) }
    for (const { outcome, messageIds } of settled) {
      tally[outcome] += messageIds.length
      tally.waiting -= messageIds.length
    }
    const outcome = tally.waiting > 0 ? null : wholeOf(tally)
    const reason = settled.find((group) => group.outcome === outcome)?.reason ?? null
    return { type: 'OperationSettled', data: { operationId, settled, outcome, reason } }
  }
}

const NO_TALLY: Tally = { waiting: 0, APPLIED: 0, SUPERSEDED: 0, REJECTED: 0, UNDONE: 0 }

/** The outcome of an operation of which all messages have theirs: it was applied where it was applied to any. */
export function wholeOf(tally: Record<OperationOutcome, number>): OperationOutcome {
  if (tally.APPLIED > 0) return 'APPLIED'
  if (tally.REJECTED > 0) return 'REJECTED'
  return tally.UNDONE > 0 ? 'UNDONE' : 'SUPERSEDED'
}

/** New numbers of one mailbox make one event. */
function joined(events: readonly AccountEvent[]): AccountEvent[] {
  type Renumbered = Extract<AccountEvent, { type: 'MessagesRenumbered' }>
  const groups = new Map<string, Renumbered>()
  const others: AccountEvent[] = []
  for (const event of events) {
    if (event.type !== 'MessagesRenumbered') {
      others.push(event)
      continue
    }
    const key = `${event.data.mailboxId} ${event.data.uidValidity}`
    const group = groups.get(key)
    const messages = [...(group?.data.messages ?? []), ...event.data.messages]
    groups.set(key, { type: 'MessagesRenumbered', data: { ...event.data, messages } })
  }
  return [...groups.values(), ...others]
}
