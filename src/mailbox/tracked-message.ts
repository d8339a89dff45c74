import type { AccountEvent, StoredContent } from './events.js'
import { decideExpunge, type LocalMessage } from './local-work.js'
import { sameFlags } from './flags.js'
import { changesPlace, type PendingOperation } from './operation.js'
import { flagDifference, type MessageIdentity, type PlaceThere, type ServerPlace } from './server-place.js'

/** A message with everything that bears on operations on it: what is shown here, what the server has, and what is asked for. */
export type TrackedMessage = {
  messageId: string
  identity: MessageIdentity
  /** what is shown; null where it is to be deleted */
  shown: LocalMessage | null
  /** what was shown last; null for what is only left over on the server */
  last: LocalMessage | null
  server: ServerPlace
  /** whether the server's place is kept apart; else it is what is shown */
  isApart: boolean
  /** its raw message, where that is kept here */
  content: StoredContent | null
  /** the operations that wait for their outcomes, in the order in which they were asked for */
  operations: readonly PendingOperation[]
}

/** What tells a message again. */
export function identityOf({ data }: LocalMessage): MessageIdentity {
  const { fingerprint, internalDate, emailId } = data
  return { fingerprint, internalDate, emailId }
}

/** The place of a message of which the server has what is shown. */
export function placeShown({ mailboxId, uidValidity, data: { uid, flags, modseq } }: LocalMessage): PlaceThere {
  return { mailboxId, uidValidity, uid, flags, modseq }
}

/** The flags that the server is still to be told of; none where it cannot be told. */
export function flagsToSend({ shown, server }: TrackedMessage): {
  added: readonly string[]
  removed: readonly string[]
} {
  if (shown === null || server.state !== 'THERE') return { added: [], removed: [] }
  return flagDifference(server.flags, shown.data.flags)
}

/** Whether the server has a message in the mailbox in which it is shown, or neither has it. */
export function isPlaceSettled({ shown, server }: TrackedMessage): boolean {
  if (shown === null) return server.state !== 'THERE'
  return server.state === 'THERE' && server.mailboxId === shown.mailboxId
}

/** Whether the server has a message as it is shown: where, and with which flags. */
export function isAsShown(message: TrackedMessage): boolean {
  const { shown, server } = message
  if (shown === null || server.state !== 'THERE') return false
  return server.mailboxId === shown.mailboxId && sameFlags(shown.data.flags, server.flags)
}

/**
 * The mailbox that the server was, perhaps, told to put a message into: that of the last operation that was sent, since what
 * comes before it is not told one by one. None where nothing was.
 */
export function sentTo(operations: readonly PendingOperation[]): string | null {
  return operations.findLast((operation) => operation.isSent && changesPlace(operation))?.effect.to ?? null
}

/** Whether the server was, perhaps, told to delete a message that is not shown, or has it but as what was left over of another. */
export function isDeletionSent(isShown: boolean, operations: readonly PendingOperation[]): boolean {
  return !isShown && (operations.length === 0 || operations.some(({ isSent, effect }) => isSent && effect.to === null))
}

/** Shows a message somewhere else, or with other flags, or where it was not shown. Its UID is that which the server gave. */
export function showAt(message: TrackedMessage, mailboxId: string, flags: readonly string[]): AccountEvent[] {
  const { messageId, shown, last, server, content } = message
  const there = server.state === 'THERE' && server.mailboxId === mailboxId ? server : null
  const known = (shown ?? last)?.data
  if (!known) return []
  const uidValidity = there?.uidValidity ?? '0'
  const data = { ...known, uid: there?.uid ?? 0, modseq: there?.modseq ?? null, flags }
  if (shown === null) {
    const kept = content ? { content } : {}
    return [
      {
        type: 'MessageAdded',
        data: { messageId, mailboxId, uidValidity, origin: 'RESTORED', copyOf: null, ...kept, ...data },
      },
    ]
  }
  if (shown.mailboxId !== mailboxId) {
    const from = { mailboxId: shown.mailboxId, uid: shown.data.uid, flags: shown.data.flags, wasExpunged: false }
    return [{ type: 'MessageMoved', data: { messageId, mailboxId, uidValidity, from, ...data } }]
  }
  return flagsShown(message, flags)
}

/** Shows a message as the server has it: where, with which flags, and under the UID that it has there; nothing where it is not on it. */
export function showAsOnServer(message: TrackedMessage): AccountEvent[] {
  const { messageId, shown, server } = message
  if (server.state !== 'THERE') return []
  const { mailboxId, uidValidity, uid, modseq } = server
  if (shown?.mailboxId !== mailboxId) return showAt(message, mailboxId, server.flags)
  const changed = flagsShown(message, server.flags)
  if (shown.data.uid === uid && shown.uidValidity === uidValidity) return changed
  return [
    { type: 'MessagesRenumbered', data: { mailboxId, uidValidity, messages: [{ messageId, uid, modseq }] } },
    ...changed,
  ]
}

/** Shows a message with other flags. */
export function flagsShown({ messageId, shown }: TrackedMessage, flags: readonly string[]): AccountEvent[] {
  if (shown === null) return []
  const { mailboxId, data } = shown
  const { added, removed } = flagDifference(data.flags, flags)
  if (added.length + removed.length === 0) return []
  const { uid, modseq, flags: previousFlags } = data
  return [{ type: 'MessageFlagsChanged', data: { messageId, mailboxId, uid, flags, previousFlags, modseq } }]
}

/** Shows a message no longer. */
export function hideShown({ shown }: TrackedMessage): AccountEvent[] {
  return shown === null ? [] : decideExpunge([shown])
}
