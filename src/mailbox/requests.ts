import type { AccountEvent, StoredContent } from './events.js'
import { changeFlags, hasFlag, type Flags } from './flags.js'
import type { Decision, LocalMessage } from './local-work.js'
import type { MessageData } from './message.js'
import { changesPlace, type Effect, type OperationKind, type PendingOperation } from './operation.js'
import { flagDifference, hasNoUid, mergeFlags, type ServerPlace } from './server-place.js'
import { flagsShown, hideShown, identityOf, showAsOnServer, showAt, type TrackedMessage } from './tracked-message.js'

/*
 * What clients ask of mail that is on its server (DISCONNECTED accounts): it is shown at once, and recorded as an operation of
 * which the server is told later. Nothing here is sent: what the server is told follows from what is shown and what it has.
 */

/** A request, apart from what it changes. */
export type Request = {
  operationId: string
  kind: OperationKind
  /** the mailbox that messages go into */
  mailboxId: string | null
  /** the rejected operation that is tried again */
  retryOf: string | null
}

/**
 * Asks for flags and keywords to be added and removed; where one is in both, it is added.
 *
 * @param change what of each message, by its id
 */
export function requestFlags(
  messages: readonly TrackedMessage[],
  change: (messageId: string) => { add: readonly string[]; remove: readonly string[] },
  request: Request,
): AccountEvent[] {
  const changes = messages.flatMap((message) => {
    const { add, remove } = change(message.messageId)
    const before = message.shown?.data.flags ?? []
    const flags = changeFlags(before, add, remove)
    const events = flagsShown(message, flags)
    const effect: Effect = { messageId: message.messageId, ...flagDifference(before, flags) }
    return events.length > 0 ? [{ message, effect, events }] : []
  })
  return requested(request, changes)
}

/** Asks for messages to be moved; those that are shown there already stay as they are. */
export function requestMove(messages: readonly TrackedMessage[], target: string, request: Request): AccountEvent[] {
  return requested(
    { ...request, mailboxId: target },
    messages.flatMap((message) => moveTo(message, target)),
  )
}

function moveTo(message: TrackedMessage, to: string): Change[] {
  const { messageId, shown } = message
  if (shown === null || shown.mailboxId === to) return []
  const effect: Effect = { messageId, from: shown.mailboxId, to }
  return [{ message, effect, events: showAt(message, to, shown.data.flags) }]
}

/**
 * Asks for messages to be deleted: into Trash, or, those that are in it and where that is wanted, for good.
 *
 * @param trash null where there is none: then all are deleted for good
 */
export function requestDeletion(
  messages: readonly TrackedMessage[],
  trash: string | null,
  forGood: boolean,
  request: Request,
): AccountEvent[] {
  const changes = messages.flatMap((message) => {
    const toTrash = !forGood && trash !== null && message.shown?.mailboxId !== trash
    return toTrash ? moveTo(message, trash) : expunge(message)
  })
  return requested(request, changes)
}

function expunge(message: TrackedMessage): Change[] {
  const { messageId, shown, server, isApart } = message
  if (shown === null) return []
  const serverFlags = !isApart ? shown.data.flags : server.state === 'THERE' ? server.flags : []
  return [{ message, effect: { messageId, from: shown.mailboxId, to: null, serverFlags }, events: hideShown(message) }]
}

/** Asks for messages to be copied. @param makeId gives each copy its id */
export function requestCopies(
  messages: readonly TrackedMessage[],
  target: string,
  request: Request,
  makeId: () => string,
): AccountEvent[] {
  const changes = messages.flatMap(({ shown, content, messageId: copyOf }): Change[] => {
    if (shown === null) return []
    const messageId = makeId()
    const place = { messageId, mailboxId: target, uidValidity: '0', origin: 'COPIED' as const, copyOf }
    const data = { ...shown.data, uid: 0, modseq: null }
    const added: AccountEvent = { type: 'MessageAdded', data: { ...place, ...(content && { content }), ...data } }
    const message = madeHere(messageId, shown, content)
    return [{ message, effect: { messageId, from: null, to: target, copyOf }, events: [added] }]
  })
  return requested({ ...request, mailboxId: target }, changes)
}

/** A message that is to be put onto the server, durable here already. */
export type NewContent = { messageId: string; data: Omit<MessageData, 'uid' | 'modseq'>; content: StoredContent }

/**
 * Asks for a message to be put into a mailbox (APPEND).
 *
 * @param replaced the message whose place it takes, which is deleted for good: an earlier state of a draft; null for none
 */
export function requestAppend(
  { messageId, data, content }: NewContent,
  target: string,
  replaced: TrackedMessage | null,
  request: Request,
): AccountEvent[] {
  const place = { messageId, mailboxId: target, uidValidity: '0', origin: 'APPENDED' as const, copyOf: null }
  const told = { ...data, uid: 0, modseq: null }
  const added: AccountEvent = { type: 'MessageAdded', data: { ...place, content, ...told } }
  const local: LocalMessage = { messageId, mailboxId: target, uidValidity: '0', data: told }
  const message = madeHere(messageId, local, content)
  const changes = [{ message, effect: { messageId, from: null, to: target }, events: [added] }]
  return requested({ ...request, mailboxId: target }, [...changes, ...(replaced ? expunge(replaced) : [])])
}

/** Asks again for a message to be put onto the server that was made here and has not come there. */
export function requestAppendAgain(messages: readonly TrackedMessage[], request: Request): AccountEvent[] {
  const changes = messages.flatMap((message): Change[] => {
    const { messageId, shown, server } = message
    if (shown === null || server.state !== 'NOT_YET') return []
    // it is here whatever becomes of this request, hence no `from`
    return [{ message, effect: { messageId, to: shown.mailboxId }, events: [] }]
  })
  return requested(request, changes)
}

/** Drops what was made here, has not come to the server, and is wanted no longer. */
export function decideDiscard(messages: readonly TrackedMessage[]): AccountEvent[] {
  const local = messages.filter(({ server, operations }) => hasNoUid(server) && operations.length === 0)
  if (local.length === 0) return []
  const places = local.map(({ messageId }) => ({ messageId, server: null }))
  return [...local.flatMap(hideShown), { type: 'ServerPlacesChanged', data: { messages: places } }]
}

/** Asks for messages that are gone from the server to be put there again, from what is kept of them here. */
export function requestRestore(
  messages: readonly TrackedMessage[],
  target: string,
  request: Request,
  makeId: () => string,
): AccountEvent[] {
  const changes = messages.flatMap(({ shown, last, content }): Change[] => {
    if (shown !== null || last === null || content === null || content.sha256 === null) return []
    const messageId = makeId()
    const place = {
      messageId,
      mailboxId: target,
      uidValidity: '0',
      origin: 'RESTORED' as const,
      copyOf: last.messageId,
    }
    const added: AccountEvent = {
      type: 'MessageAdded',
      data: { ...place, content, ...last.data, uid: 0, modseq: null },
    }
    return [
      { message: madeHere(messageId, last, content), effect: { messageId, from: null, to: target }, events: [added] },
    ]
  })
  return requested({ ...request, mailboxId: target }, changes)
}

function madeHere(messageId: string, like: LocalMessage, content: StoredContent | null): TrackedMessage {
  const server: ServerPlace = { state: 'NOT_YET' }
  return {
    messageId,
    identity: identityOf(like),
    shown: null,
    last: null,
    server,
    isApart: false,
    content,
    operations: [],
  }
}

/** What a request changes of one message: what it was, and what is shown from now on. */
type Change = { message: TrackedMessage; effect: Effect; events: AccountEvent[] }

/** From here on the server's place of what is changed is kept apart. What changes nothing has its outcome at once. */
function requested(request: Request, changes: readonly Change[]): AccountEvent[] {
  const { operationId } = request
  const effects = changes.map(({ effect }) => effect)
  const opening: AccountEvent = { type: 'OperationRequested', data: { ...request, effects } }
  if (changes.length === 0) {
    const data = { operationId, settled: [], outcome: 'SUPERSEDED', reason: 'ALREADY_SO' } as const
    return [opening, { type: 'OperationSettled', data }]
  }
  const places = changes.flatMap(({ message }) => {
    const { messageId, identity, server, isApart } = message
    return isApart ? [] : [{ messageId, server, identity }]
  })
  const apart: AccountEvent[] = places.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: places } }] : []
  return [opening, ...apart, ...changes.flatMap(({ events }) => events)]
}

/**
 * Takes an operation back of which the server was not told: what it changed is shown as before. One on which a later
 * operation stands is taken back after that one.
 *
 * @param messages all that it changed
 */
export function decideUndo(
  operation: { operationId: string; state: string },
  messages: readonly TrackedMessage[],
): Decision {
  const { operationId, state } = operation
  if (state !== 'PENDING') return { failure: { kind: 'OperationNotPending', state } }
  const events: AccountEvent[] = []
  const settled: { messageId: string; server: null }[] = []
  for (const message of messages) {
    const at = message.operations.findIndex((each) => each.operationId === operationId)
    const own = message.operations[at]
    if (!own) continue
    const later = message.operations.slice(at + 1).find((each) => standsOn(each, own))
    if (later) return { failure: { kind: 'LaterOperation', operationId: later.operationId } }
    const isFree = isFreeOf(message, own.effect)
    if (isFree) settled.push({ messageId: message.messageId, server: null })
    // an earlier operation may have given it a place of which nothing is shown yet
    const isThere = isFree && message.shown !== null && own.effect.from !== null
    events.push(...(isThere ? showAsOnServer(message) : takenBack(message, own, message.operations.slice(0, at))))
  }
  const ids = messages.map(({ messageId }) => messageId)
  const ending: AccountEvent = {
    type: 'OperationSettled',
    data: {
      operationId,
      settled: [{ outcome: 'UNDONE', reason: null, messageIds: ids }],
      outcome: 'UNDONE',
      reason: null,
    },
  }
  const together: AccountEvent[] =
    settled.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: settled } }] : []
  return { events: [...events, ...together, ending] }
}

function standsOn(later: PendingOperation, own: PendingOperation): boolean {
  if (own.effect.from === null || later.effect.to === null) return true
  if (changesPlace(own) || changesPlace(later)) return changesPlace(own) && changesPlace(later)
  return flagsOf(later.effect).some((flag) => hasFlag(flagsOf(own.effect), flag))
}

const flagsOf = ({ added = [], removed = [] }: Effect): Flags => [...added, ...removed]

/** What is shown without an operation: what an earlier one, of which the outcome is awaited, has left, or else what the server has. */
function takenBack(
  message: TrackedMessage,
  own: PendingOperation,
  earlier: readonly PendingOperation[],
): AccountEvent[] {
  const { shown, last, server } = message
  const { from, added = [], removed = [] } = own.effect
  const flags = (shown ?? last)?.data.flags ?? []
  if (from === null) return hideShown(message)
  if (from !== undefined) {
    const isFirst = server.state === 'THERE' && !earlier.some(changesPlace)
    // while it was not shown, what the server changed could not be merged into what is
    const isMissed = shown === null && server.state === 'THERE' && own.effect.serverFlags !== undefined
    const merged = isMissed ? mergeFlags(own.effect.serverFlags ?? [], flags, server.flags) : flags
    return showAt(message, isFirst ? server.mailboxId : from, merged)
  }
  const isFirst = (flag: string) =>
    server.state === 'THERE' && !earlier.some(({ effect }) => hasFlag(flagsOf(effect), flag))
  const wasSet = (flag: string, before: boolean) =>
    isFirst(flag) && server.state === 'THERE' ? hasFlag(server.flags, flag) : before
  const touched = flagsOf(own.effect)
  const set = [...added.filter((flag) => wasSet(flag, false)), ...removed.filter((flag) => wasSet(flag, true))]
  return flagsShown(message, changeFlags(flags, set, touched))
}

/** Whether the undone operation was all that lay between what is shown and what the server has. */
function isFreeOf({ operations, server }: TrackedMessage, { from }: Effect): boolean {
  return operations.length === 1 && (from === null || server.state === 'THERE')
}
