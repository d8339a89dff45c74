import { hasFlag, type Flags } from './flags.js'
import { changesPlace, type OperationKind, type PendingOperation } from './operation.js'
import type { MailboxListing, StoredContent } from './events.js'
import { flagsToSend, isPlaceSettled, type TrackedMessage } from './tracked-message.js'

/*
 * What the server is to be told of, given what is shown here and what it has. It follows from the difference and not from
 * the operations one by one, so what cancels out is not sent, and what is alike goes in one command (RFC 4549 §3.2). Steps
 * come in the order in which none spoils another:
 *
 *   1. mailboxes are made, renamed, subscribed to        what follows may go into them
 *   2. messages are appended                             what follows may copy them
 *   3. messages are copied                               before their originals go
 *   4. flags are set                                     before a move takes them along
 *   5. messages are moved
 *   6. messages are expunged
 *   7. mailboxes are deleted                             when nothing waits that is in them
 */

/** A mailbox with what is shown of it and what the server has. */
export type TrackedMailbox = MailboxListing & {
  mailboxId: string
  /** it is not shown: to be deleted */
  isHidden: boolean
  /** its path on the server; null where it is not there */
  serverPath: string | null
  serverSubscribed: boolean
  uidValidity: string | null
  /** all changes up to this MODSEQ are known; null without CONDSTORE */
  highestModseq: string | null
  /** messages that are shown in it */
  messages: number
  /** the operations on it that wait for their outcomes, in order */
  operations: readonly { operationId: string; kind: PendingOperation['kind']; isSent: boolean }[]
}

/** Messages by their UIDs in one mailbox. */
export type UploadSet = { mailboxId: string; messages: readonly { messageId: string; uid: number }[] }

/** Messages to be expunged, with the flags that each is known to have: one that has others by now is looked at first. */
export type ExpungeSet = {
  mailboxId: string
  messages: readonly { messageId: string; uid: number; flags: Flags }[]
}

/** One thing to tell the server. */
export type UploadStep =
  | { kind: 'create'; mailboxId: string; path: string }
  | {
      kind: 'rename'
      mailboxId: string
      from: string
      to: string
      below: readonly { mailboxId: string; path: string }[]
    }
  | { kind: 'subscribe'; mailboxId: string; path: string; subscribed: boolean }
  | { kind: 'append'; messageId: string; mailboxId: string; flags: Flags; internalDate: string; content: StoredContent }
  | { kind: 'copy'; from: string; to: string; copies: readonly { messageId: string; uid: number; size: number }[] }
  | { kind: 'store'; on: UploadSet; add: Flags; remove: Flags }
  | { kind: 'move'; from: UploadSet; to: string }
  | { kind: 'expunge'; on: ExpungeSet }
  | { kind: 'delete'; mailboxId: string; path: string }

/** `impossible` are copies of which the original is nowhere, as far as known, and nothing is kept here to make them of. */
export type UploadPlan = { steps: UploadStep[]; impossible: readonly TrackedMessage[] }

/** What a plan is made of. */
export type UploadView = {
  mailboxes: readonly TrackedMailbox[]
  messages: readonly TrackedMessage[]
  /** where the originals of copies are on the server, by their ids; those that are nowhere are missing */
  originals: ReadonlyMap<string, { mailboxId: string; uid: number }>
  /** whether the server can expunge single messages (UIDPLUS, RFC 4315) */
  canExpunge: boolean
}

/** Decides what to tell the server next; mailboxes first, and alone, since what follows depends on their being there. */
export function planUpload(view: UploadView): UploadPlan {
  const ofMailboxes = planMailboxes(view.mailboxes)
  if (ofMailboxes.length > 0) return { steps: ofMailboxes, impossible: [] }
  const isThere = new Set(
    view.mailboxes.flatMap(({ mailboxId, serverPath }) => (serverPath === null ? [] : [mailboxId])),
  )
  const sets = new Sets()
  const appends: UploadStep[] = []
  const impossible: TrackedMessage[] = []
  for (const message of view.messages) {
    const { messageId, shown, server, operations, content } = message
    if (server.state === 'THERE') {
      const { mailboxId, uid } = server
      if (!isThere.has(mailboxId)) continue
      // without UIDPLUS nothing more can be done than to mark it
      if (shown === null && (view.canExpunge || !hasFlag(server.flags, '\\Deleted')))
        sets.expunged(mailboxId, { messageId, uid, flags: server.flags })
      const { added, removed } = flagsToSend(message)
      if (added.length > 0) sets.stored(mailboxId, 'add', added, { messageId, uid })
      if (removed.length > 0) sets.stored(mailboxId, 'remove', removed, { messageId, uid })
      if (shown !== null && !isPlaceSettled(message) && isThere.has(shown.mailboxId))
        sets.moved(mailboxId, shown.mailboxId, { messageId, uid })
      continue
    }
    if (server.state !== 'NOT_YET' || shown === null || !isThere.has(shown.mailboxId)) continue
    if (!operations.some(changesPlace)) continue
    const copyOf = operations.find(({ effect }) => effect.copyOf !== undefined)?.effect.copyOf
    const original = copyOf === undefined ? undefined : view.originals.get(copyOf)
    if (original && isThere.has(original.mailboxId)) {
      sets.copied(original.mailboxId, shown.mailboxId, { messageId, uid: original.uid, size: shown.data.size })
    } else if (content !== null && content.sha256 !== null) {
      const { flags, internalDate } = shown.data
      appends.push({ kind: 'append', messageId, mailboxId: shown.mailboxId, flags, internalDate, content })
    } else if (copyOf !== undefined) impossible.push(message)
  }
  const steps = [...appends, ...sets.steps()]
  return { steps: steps.length > 0 ? steps : planDeletions(view), impossible }
}

function planMailboxes(mailboxes: readonly TrackedMailbox[]): UploadStep[] {
  const shown = mailboxes.filter(({ isHidden }) => !isHidden)
  const renamed = shown.filter(({ path, serverPath }) => serverPath !== null && serverPath !== path)
  const isAsked = ({ operations }: TrackedMailbox) => operations.some(({ kind }) => kind === 'CREATE_MAILBOX')
  const created = shown
    .filter((each) => each.serverPath === null && isAsked(each))
    .sort((one, other) => one.path.length - other.path.length)
  return [
    ...renamed.flatMap((mailbox) => (goesAlong(mailbox, renamed) ? [] : [renameOf(mailbox, renamed)])),
    ...created.map(({ mailboxId, path }): UploadStep => ({ kind: 'create', mailboxId, path })),
    // asked for, or left over of a renaming that was cut off before the subscription had been taken along
    ...shown.flatMap(({ mailboxId, path, serverPath, subscribed, serverSubscribed }): UploadStep[] =>
      path === serverPath && subscribed !== serverSubscribed
        ? [{ kind: 'subscribe', mailboxId, path, subscribed }]
        : [],
    ),
  ]
}

/** Whether the server renames a mailbox with one above it (RFC 9051 §6.3.6). */
function goesAlong(mailbox: TrackedMailbox, renamed: readonly TrackedMailbox[]): boolean {
  return renamed.some((above) => isBelow(mailbox, above))
}

function isBelow(mailbox: TrackedMailbox, above: TrackedMailbox): boolean {
  const { delimiter, serverPath, path } = above
  if (delimiter === null || serverPath === null || mailbox.serverPath === null) return false
  const rest = mailbox.serverPath.slice(serverPath.length)
  return mailbox.serverPath.startsWith(serverPath + delimiter) && mailbox.path === path + rest
}

function renameOf(mailbox: TrackedMailbox, renamed: readonly TrackedMailbox[]): UploadStep {
  const below = renamed.filter((each) => isBelow(each, mailbox)).map(({ mailboxId, path }) => ({ mailboxId, path }))
  return { kind: 'rename', mailboxId: mailbox.mailboxId, from: mailbox.serverPath ?? '', to: mailbox.path, below }
}

/** Mailboxes to be deleted, those below others first. */
function planDeletions({ mailboxes }: UploadView): UploadStep[] {
  return mailboxes
    .filter(({ isHidden, serverPath }) => isHidden && serverPath !== null)
    .sort((one, other) => other.path.length - one.path.length)
    .map(({ mailboxId, serverPath }) => ({ kind: 'delete', mailboxId, path: serverPath ?? '' }))
}

/** Gathers what goes in one command. */
class Sets {
  private readonly copies = new Map<string, { kind: 'copy'; from: string; to: string; copies: Copied[] }>()
  private readonly stores = new Map<string, { kind: 'store'; on: Gathered; add: Flags; remove: Flags }>()
  private readonly moves = new Map<string, { kind: 'move'; from: Gathered; to: string }>()
  private readonly expunges = new Map<string, { kind: 'expunge'; on: Gathered<Flagged> }>()

  copied(from: string, to: string, copy: Copied): void {
    const step = this.copies.get(`${from} ${to}`) ?? { kind: 'copy', from, to, copies: [] }
    this.copies.set(`${from} ${to}`, step)
    // a second copy of the same message comes next time: a set has each UID once
    if (!step.copies.some(({ uid }) => uid === copy.uid)) step.copies.push(copy)
  }

  stored(mailboxId: string, how: 'add' | 'remove', flags: Flags, message: Named): void {
    const key = `${mailboxId} ${how} ${flags.join(' ').toLowerCase()}`
    const none = { add: [], remove: [], [how]: flags }
    const step = this.stores.get(key) ?? { kind: 'store', on: { mailboxId, messages: [] }, ...none }
    this.stores.set(key, step)
    step.on.messages.push(message)
  }

  moved(from: string, to: string, message: Named): void {
    const step = this.moves.get(`${from} ${to}`) ?? { kind: 'move', from: { mailboxId: from, messages: [] }, to }
    this.moves.set(`${from} ${to}`, step)
    step.from.messages.push(message)
  }

  expunged(mailboxId: string, message: Flagged): void {
    const step = this.expunges.get(mailboxId) ?? { kind: 'expunge' as const, on: { mailboxId, messages: [] } }
    this.expunges.set(mailboxId, step)
    step.on.messages.push(message)
  }

  steps(): UploadStep[] {
    return [...this.copies.values(), ...this.stores.values(), ...this.moves.values(), ...this.expunges.values()]
  }
}

type Named = { messageId: string; uid: number }
type Copied = Named & { size: number }
type Flagged = Named & { flags: Flags }
type Gathered<Message = Named> = { mailboxId: string; messages: Message[] }

/** The messages that a step is about, by Mailfold's ids. */
export function messagesOf(step: UploadStep): string[] {
  switch (step.kind) {
    case 'append':
      return [step.messageId]
    case 'copy':
      return step.copies.map(({ messageId }) => messageId)
    case 'store':
    case 'expunge':
      return step.on.messages.map(({ messageId }) => messageId)
    case 'move':
      return step.from.messages.map(({ messageId }) => messageId)
    default:
      return []
  }
}

/** That of a step which is about some of its messages, or about its mailbox, by Mailfold's ids; null where that is nothing. */
export function ofMessages(step: UploadStep, isMeant: (id: string) => boolean): UploadStep | null {
  const meant = <Message extends { messageId: string }>(messages: readonly Message[]) =>
    messages.filter(({ messageId }) => isMeant(messageId))
  switch (step.kind) {
    case 'append':
      return isMeant(step.messageId) ? step : null
    case 'copy': {
      const copies = meant(step.copies)
      return copies.length > 0 ? { ...step, copies } : null
    }
    case 'store': {
      const messages = meant(step.on.messages)
      return messages.length > 0 ? { ...step, on: { ...step.on, messages } } : null
    }
    case 'expunge': {
      const messages = meant(step.on.messages)
      return messages.length > 0 ? { ...step, on: { ...step.on, messages } } : null
    }
    case 'move': {
      const messages = meant(step.from.messages)
      return messages.length > 0 ? { ...step, from: { ...step.from, messages } } : null
    }
    default:
      return isMeant(step.mailboxId) ? step : null
  }
}

const OPERATION_OF = {
  create: 'CREATE_MAILBOX',
  rename: 'RENAME_MAILBOX',
  subscribe: 'SUBSCRIBE',
  delete: 'DELETE_MAILBOX',
} as const satisfies Record<string, OperationKind>

/** The kind of operations that a step on a mailbox carries out; null for a step on messages. */
export function operationOf({ kind }: UploadStep): OperationKind | null {
  return kind in OPERATION_OF ? OPERATION_OF[kind as keyof typeof OPERATION_OF] : null
}

/** Whether a server can expunge single messages (RFC 4315; RFC 9051 has it). @param offers whether it has a capability */
export function expungesSingly(offers: (capability: string) => boolean): boolean {
  return offers('UIDPLUS') || offers('IMAP4REV2')
}

/**
 * What of a step's flags a mailbox does not let anybody keep.
 *
 * @param permanent its PERMANENTFLAGS (RFC 9051 §7.1); null where it said nothing. One that names `\*` alone, and no flag of the system, says nothing of
 *   those: the server is asked.
 */
export function flagsNotKept(flags: Flags, permanent: Flags | null): string[] {
  if (permanent === null) return []
  const keepsAny = permanent.includes('\\*')
  const isSystem = (flag: string) => flag.startsWith('\\') && flag !== '\\*'
  const namesSystem = !keepsAny || permanent.some(isSystem)
  return flags.filter((flag) => !hasFlag(permanent, flag) && (isSystem(flag) ? namesSystem : !keepsAny))
}
