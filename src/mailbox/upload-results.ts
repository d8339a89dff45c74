import type { AccountEvent } from './events.js'
import { changeFlags, sameFlags, type Flags } from './flags.js'
import { leftOver } from './message-changes.js'
import type { ServerChange } from './operation.js'
import type { PlaceThere } from './server-place.js'
import { decideSettlement, type SettlementTerms } from './settlement.js'
import { isAsShown, type TrackedMessage } from './tracked-message.js'
import { messagesOf, operationOf, type UploadStep, type UploadView } from './upload-plan.js'

/**
 * Decides what the server's word changes that messages have new places: their copies, moves or uploads are done. Those that are then as
 * they are shown come to their outcomes at once.
 *
 * @param terms null where more is about to be told of the plan: its operations wait for the end of that
 */
export function decidePlaced(
  messages: readonly TrackedMessage[],
  placed: ReadonlyMap<string, PlaceThere>,
  terms: SettlementTerms | null,
): AccountEvent[] {
  const there = messages.flatMap((message) => {
    const place = placed.get(message.messageId)
    return place ? [{ ...message, server: { state: 'THERE' as const, ...place } }] : []
  })
  const settled = terms === null ? [] : there.filter(isAsShown)
  const places = there.flatMap((message) => {
    const { messageId, identity, server } = message
    return settled.includes(message) ? [] : [{ messageId, identity, server }]
  })
  const changed: AccountEvent[] = places.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: places } }] : []
  return terms === null ? changed : [...changed, ...decideSettlement(settled, terms)]
}

/**
 * Decides what it changes that the server has put messages somewhere and does not say under which UIDs: they are not told again, whether
 * they are found there or not.
 */
export function decideUnnumbered(messages: readonly TrackedMessage[], mailboxId: string): AccountEvent[] {
  const made = messages.flatMap(({ messageId, identity, server, shown, last }) => {
    if (server.state !== 'NOT_YET') return []
    const flags = (shown ?? last)?.data.flags ?? []
    return [{ messageId, identity, server: { state: 'UNNUMBERED' as const, mailboxId, flags } }]
  })
  return made.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: made } }] : []
}

/**
 * Decides what a copy changes that was made in order to move messages (where the server has no MOVE): they are where they
 * were to go, and what is left over of them in their old places is to be deleted.
 */
export function decideCopiedToMove(
  messages: readonly TrackedMessage[],
  placed: ReadonlyMap<string, PlaceThere>,
  terms: SettlementTerms | null,
  makeId: () => string,
): AccountEvent[] {
  const left = messages.flatMap(({ messageId, shown, last, server }) => {
    // it may have been deleted here while it was being copied
    const known = shown ?? last
    if (!placed.has(messageId) || server.state !== 'THERE' || known === null) return []
    return leftOver(makeId(), messageId, known.data, server)
  })
  return [...decidePlaced(messages, placed, terms), ...left]
}

/**
 * Decides which operations are to be recorded as sent: those that the steps of a plan carry out. It is recorded together with
 * the plan, before any step is taken, so that what was taken back is not sent, and what was asked for later is not taken for it.
 */
export function decideSent(
  steps: readonly UploadStep[],
  { messages, mailboxes }: Pick<UploadView, 'messages' | 'mailboxes'>,
): AccountEvent[] {
  const touched = new Set(steps.flatMap(messagesOf))
  const onMessages = messages.flatMap(({ messageId, operations }) => (touched.has(messageId) ? operations : []))
  const onMailboxes = steps.flatMap((step) => {
    const kind = operationOf(step)
    if (kind === null || !('mailboxId' in step)) return []
    const operations = mailboxes.find(({ mailboxId }) => mailboxId === step.mailboxId)?.operations ?? []
    return operations.filter((operation) => operation.kind === kind)
  })
  const ids = [...onMessages, ...onMailboxes].flatMap(({ operationId, isSent }) => (isSent ? [] : [operationId]))
  return ids.length > 0 ? [{ type: 'OperationsSent', data: { operationIds: [...new Set(ids)] } }] : []
}

/**
 * What a refusal means for an operation, by its response code (RFC 5530, RFC 9208). Null where the mailbox may be gone, which
 * the list of mailboxes says for certain.
 */
export function changeOfRefusal(code: string | null | undefined): ServerChange | null {
  switch (code) {
    case 'OVERQUOTA':
      return 'OVER_QUOTA'
    case 'NOPERM':
    case 'READ-ONLY':
      return 'NO_PERMISSION'
    case 'ALREADYEXISTS':
      return 'MAILBOX_EXISTS'
    case 'TRYCREATE':
    case 'NONEXISTENT':
      return null
    default:
      return 'SERVER_REFUSED'
  }
}

/**
 * Which messages have other flags than they were known to have, now that they are marked as deleted: somebody has changed them since the
 * mailbox was looked at. They are not expunged before that is looked at (FLAGS_CHANGED).
 *
 * @param known   the messages, each with the flags that are known
 * @param reports what the server says of them after the mark
 */
export function changedBeforeExpunge(
  known: readonly { uid: number; flags: Flags }[],
  reports: readonly { uid: number; flags: Flags }[],
): number[] {
  const reported = new Map(reports.map(({ uid, flags }) => [uid, flags]))
  const unmarked = (flags: Flags) => changeFlags(flags, [], ['\\Deleted'])
  return known.flatMap(({ uid, flags }) => {
    const now = reported.get(uid)
    return now && !sameFlags(unmarked(now), unmarked(flags)) ? [uid] : []
  })
}

/** What a step asks of each of its messages, for their refusal: flags, or a place. */
export function aspectOf(step: UploadStep): { flags: readonly string[] } | 'place' {
  return step.kind === 'store' ? { flags: [...step.add, ...step.remove] } : 'place'
}
