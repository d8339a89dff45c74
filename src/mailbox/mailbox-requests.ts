import { endingOf } from './conflicts.js'
import type { AccountEvent, MailboxListing } from './events.js'
import { invalidPath, whyNoLevels, type ChangeFailure, type Decision } from './local-work.js'
import type { OperationKind, OperationOutcome, OutcomeReason, ServerChange } from './operation.js'
import type { Request } from './requests.js'
import { isGivenUp, type GivenUp } from './giving-up.js'
import { compareMailboxes, isAlike, type KnownMailbox, type ListedMailbox } from './mailbox-list.js'
import { pathOnServer, type Namespaces } from './namespaces.js'
import type { MessageIdentity, ServerPlace } from './server-place.js'
import { lose, refusePlace, Settling, type SettlementTerms } from './settlement.js'
import { showAt, type TrackedMessage } from './tracked-message.js'
import type { TrackedMailbox } from './upload-plan.js'

/*
 * What clients ask of mailboxes that are on a server (DISCONNECTED accounts), and what becomes of it. As with messages, what is
 * shown changes at once, and the server is told what differs.
 */

/** What is known when a client names a mailbox of a server. */
export type NamingView = {
  /** all of the account */
  mailboxes: readonly TrackedMailbox[]
  /** where the server keeps mailboxes (RFC 2342); null where it has not told that */
  namespaces: Namespaces | null
}

/** Asks for a mailbox to be made. @param specialUse what it is for (RFC 6154); null where nobody said */
export function requestMailbox(
  { mailboxes, namespaces }: NamingView,
  wanted: string,
  request: Request,
  makeId: () => string,
  specialUse: string | null = null,
): Decision {
  const delimiter = delimiterOf(mailboxes)
  const path = pathOnServer(wanted, delimiter, namespaces)
  const failure = whyNoServerPath(path, delimiter) ?? whyTaken(mailboxes, path)
  if (failure) return { failure }
  // one that is to be deleted, and is wanted again before it was, has only to be shown
  const hidden = mailboxes.find((each) => each.isHidden && each.serverPath === path)
  if (hidden) return { events: shownAgain(hidden, request) }
  const mailboxId = makeId()
  const listing = {
    path,
    delimiter,
    attributes: [],
    specialUse,
    subscribed: true,
    selectable: true,
    objectId: null,
  }
  const created: AccountEvent = {
    type: 'MailboxCreated',
    data: { mailboxId, uidValidity: '0', ...listing, pending: true },
  }
  return { events: [requested({ ...request, mailboxId }), created] }
}

/** Asks again for a mailbox to be made that is shown here and has not come to the server. */
export function requestMailboxAgain({ mailboxId }: TrackedMailbox, request: Request): AccountEvent[] {
  return [requested({ ...request, mailboxId })]
}

function shownAgain({ mailboxId, operations }: TrackedMailbox, request: Request): AccountEvent[] {
  const deletions = operations.filter(({ kind, isSent }) => kind === 'DELETE_MAILBOX' && !isSent)
  return [
    requested({ ...request, mailboxId }),
    { type: 'MailboxHidden', data: { mailboxId, hidden: false } },
    ...deletions.map(({ operationId }) => ended(operationId, 'SUPERSEDED', 'LATER_OPERATION')),
    ended(request.operationId, 'SUPERSEDED', 'ALREADY_SO'),
  ]
}

/** Asks for a mailbox to get another path, and those below it with it. */
export function requestRename(
  { mailboxes, namespaces }: NamingView,
  mailboxId: string,
  wanted: string,
  request: Request,
): Decision {
  const shown = mailboxes.filter(({ isHidden }) => !isHidden)
  const mailbox = shown.find((each) => each.mailboxId === mailboxId)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  const { delimiter } = mailbox
  const path = pathOnServer(wanted, delimiter, namespaces)
  const failure = whyProtected(mailbox) ?? whyNoServerPath(path, delimiter)
  if (failure) return { failure }
  if (delimiter !== null && path.startsWith(mailbox.path + delimiter))
    return { failure: { kind: 'InvalidSettings', field: 'path', reason: 'a mailbox cannot be below itself' } }
  const below = delimiter === null ? [] : shown.filter((each) => each.path.startsWith(mailbox.path + delimiter))
  const renamed = [mailbox, ...below].map((each) => ({ each, to: path + each.path.slice(mailbox.path.length) }))
  const staying = mailboxes.filter((each) => !renamed.some((one) => one.each === each))
  const taken = renamed.map(({ to }) => whyTaken(staying, to)).find((why) => why !== null)
  if (taken) return { failure: taken }
  const events = renamed.flatMap(({ each, to }) => renamedTo(each, to))
  return { events: [requested({ ...request, mailboxId }), ...events, ...alreadySo(events, request)] }
}

function renamedTo(mailbox: TrackedMailbox, path: string): AccountEvent[] {
  const { mailboxId, path: previousPath } = mailbox
  if (path === previousPath) return []
  return [{ type: 'MailboxRenamed', data: { mailboxId, previousPath, ...listingOf(mailbox), path, pending: true } }]
}

/** Asks for a mailbox to be deleted, which has to be empty as far as is shown. */
export function requestMailboxDeletion(
  mailboxes: readonly TrackedMailbox[],
  mailboxId: string,
  request: Request,
): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId && !each.isHidden)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  const { path, messages, serverPath, operations } = mailbox
  const failure = whyProtected(mailbox)
  if (failure) return { failure }
  if (messages > 0) return { failure: { kind: 'MailboxNotEmpty', path, messages } }
  const opening = requested({ ...request, mailboxId })
  if (serverPath !== null || operations.some(({ isSent }) => isSent))
    return { events: [opening, { type: 'MailboxHidden', data: { mailboxId, hidden: true } }] }
  // the server never knew of it
  return {
    events: [
      opening,
      { type: 'MailboxDeleted', data: { mailboxId, path } },
      ...operations.map(({ operationId }) => ended(operationId, 'SUPERSEDED', 'LATER_OPERATION')),
      ended(request.operationId, 'SUPERSEDED', 'ALREADY_SO'),
    ],
  }
}

/** Asks for a mailbox to be subscribed to, or no longer (RFC 9051 §6.3.7, §6.3.8). */
export function requestSubscription(
  mailboxes: readonly TrackedMailbox[],
  mailboxId: string,
  subscribed: boolean,
  request: Request,
): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId && !each.isHidden)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  const data = { mailboxId, ...listingOf(mailbox), subscribed, pending: true as const }
  const events: AccountEvent[] = mailbox.subscribed === subscribed ? [] : [{ type: 'MailboxChanged', data }]
  return { events: [requested({ ...request, mailboxId }), ...events, ...alreadySo(events, request)] }
}

/** Takes an operation on a mailbox back of which the server was not told; a mailbox that was made has to be empty. */
export function decideMailboxUndo(
  mailboxes: readonly TrackedMailbox[],
  mailbox: TrackedMailbox,
  operationId: string,
): Decision {
  const own = mailbox.operations.find((each) => each.operationId === operationId)
  if (!own) return { events: [] }
  const later = mailbox.operations.slice(mailbox.operations.indexOf(own) + 1).find(({ kind }) => kind !== 'SUBSCRIBE')
  if (later && own.kind !== 'SUBSCRIBE') return { failure: { kind: 'LaterOperation', operationId: later.operationId } }
  const ending = ended(operationId, 'UNDONE', null)
  if (own.kind !== 'CREATE_MAILBOX') return { events: [...shownAsOnServer(mailboxes, mailbox, own.kind), ending] }
  const discarded = decideMailboxDiscard(mailbox)
  return 'failure' in discarded ? discarded : { events: [...discarded.events, ending] }
}

/** Drops a mailbox that was made here and has not come to the server; it has to be empty. */
export function decideMailboxDiscard({ mailboxId, path, messages, serverPath }: TrackedMailbox): Decision {
  if (serverPath !== null) return { events: [] }
  if (messages > 0) return { failure: { kind: 'MailboxNotEmpty', path, messages } }
  return { events: [{ type: 'MailboxDeleted', data: { mailboxId, path } }] }
}

/** What a kind of operation has changed is shown as the server has it. */
function shownAsOnServer(
  mailboxes: readonly TrackedMailbox[],
  mailbox: TrackedMailbox,
  kind: OperationKind,
): AccountEvent[] {
  const { mailboxId, path, serverPath, delimiter, serverSubscribed } = mailbox
  if (kind === 'DELETE_MAILBOX') return [{ type: 'MailboxHidden', data: { mailboxId, hidden: false } }]
  if (kind === 'SUBSCRIBE') {
    const data = { mailboxId, ...listingOf(mailbox), subscribed: serverSubscribed, pending: true as const }
    return [{ type: 'MailboxChanged', data }]
  }
  if (kind !== 'RENAME_MAILBOX' || serverPath === null) return []
  const below = mailboxes.filter((each) => delimiter !== null && each.path.startsWith(path + delimiter))
  return [
    ...renamedTo(mailbox, serverPath),
    ...below.flatMap((each) => renamedTo(each, serverPath + each.path.slice(path.length))),
  ]
}

/**
 * Gives up what is asked of mailboxes: each is shown as the server has it, and one that the server never had no longer. One that it has
 * was made, if perhaps not subscribed to.
 *
 * @param missing mailboxes that may be gone, of which nothing is certain yet
 */
export function decideMailboxesGivenUp(
  mailboxes: readonly TrackedMailbox[],
  which: GivenUp,
  missing: ReadonlySet<string>,
): AccountEvent[] {
  return mailboxes.flatMap((mailbox) => {
    const { mailboxId, path, serverPath, messages, operations } = mailbox
    if (!isGivenUp(operations, which) || missing.has(mailboxId)) return []
    const endings = operations.map(({ operationId, kind }) => {
      const isMade = kind === 'CREATE_MAILBOX' && serverPath !== null
      return isMade ? ended(operationId, 'APPLIED', null) : ended(operationId, 'REJECTED', 'NO_CONNECTION')
    })
    if (serverPath === null && messages > 0) return []
    if (serverPath === null) return [{ type: 'MailboxDeleted' as const, data: { mailboxId, path } }, ...endings]
    // what is made is to be subscribed to
    const kinds = [...new Set(operations.map(({ kind }) => (kind === 'CREATE_MAILBOX' ? 'SUBSCRIBE' : kind)))]
    return [...kinds.flatMap((kind) => shownAsOnServer(mailboxes, mailbox, kind)), ...endings]
  })
}

/** Decides which operations on mailboxes have come to an outcome: those that ask for what is so on the server. */
export function decideMailboxSettlement(mailboxes: readonly TrackedMailbox[]): AccountEvent[] {
  return mailboxes.flatMap((mailbox) =>
    mailbox.operations.flatMap(({ operationId, kind, isSent }): AccountEvent[] => {
      if (!isSo(mailbox, kind)) return []
      if (isSent) return [ended(operationId, 'APPLIED', null)]
      const reason = kind === 'CREATE_MAILBOX' ? 'MAILBOX_EXISTS' : 'ALREADY_SO'
      return [ended(operationId, 'SUPERSEDED', reason)]
    }),
  )
}

function isSo({ path, serverPath, subscribed, serverSubscribed }: TrackedMailbox, kind: string): boolean {
  if (kind === 'CREATE_MAILBOX') return serverPath !== null && subscribed === serverSubscribed
  if (kind === 'RENAME_MAILBOX') return serverPath === path && subscribed === serverSubscribed
  return kind === 'SUBSCRIBE' && subscribed === serverSubscribed
}

/**
 * Decides what becomes of operations on a mailbox that the server would not do; what is shown is what the server has. One that
 * was made here stays, with what is in it.
 */
export function decideMailboxRefusal(
  mailboxes: readonly TrackedMailbox[],
  mailbox: TrackedMailbox,
  kind: OperationKind,
  change: ServerChange,
  terms: Pick<SettlementTerms, 'policy'>,
): AccountEvent[] {
  const refused = mailbox.operations.filter((operation) => operation.kind === kind)
  // one that is being made is subscribed to along with that, or, where the server does not want it, not
  if (kind === 'SUBSCRIBE' && refused.length === 0) return shownAsOnServer(mailboxes, mailbox, kind)
  return refused.flatMap(({ operationId }) => {
    const ending = endingOf(kind, change, terms.policy)
    if (!ending) return []
    return [...shownAsOnServer(mailboxes, mailbox, kind), ended(operationId, ending.outcome, change)]
  })
}

/**
 * Decides what becomes of messages that were to go into a mailbox which the server would not make: they are shown where the
 * server has them. What a client wrote for it stays in it.
 *
 * @param messages those of which something else is shown than the server has
 */
export function decideUnmade(
  mailboxId: string,
  messages: readonly TrackedMessage[],
  change: ServerChange,
  terms: SettlementTerms,
): AccountEvent[] {
  if (endingOf('CREATE_MAILBOX', change, terms.policy)?.outcome !== 'REJECTED') return []
  const settling = new Settling(terms)
  for (const message of messages) if (message.shown?.mailboxId === mailboxId) refusePlace(message, change, settling)
  return settling.events()
}

/** What is known when the server lists its mailboxes. */
export type ListView = {
  /** those that are on the server, as it has them */
  known: readonly KnownMailbox[]
  /** all, with what is shown of them */
  tracked: readonly TrackedMailbox[]
  /** the messages, in mailboxes that are believed to be gone, of which something else is shown than the server has */
  messages: readonly TrackedMessage[]
}

/**
 * Decides what the server's list of mailboxes changes: see compareMailboxes; and what becomes of operations that it
 * contradicts.
 *
 * @param believedGone ids of mailboxes that an earlier list missed and that the server does not know by name
 * @returns also the ids of those that are missing and not yet believed to be gone
 */
export function decideList(
  { known, tracked, messages }: ListView,
  listed: readonly ListedMailbox[],
  believedGone: ReadonlySet<string>,
  terms: SettlementTerms,
  makeId: () => string,
): { events: AccountEvent[]; missing: ReadonlySet<string> } {
  const awaited = tracked
    .filter(({ serverPath, isHidden }) => serverPath === null && !isHidden)
    .map((mailbox) => ({ ...mailbox, isSent: mailbox.operations.some(({ isSent }) => isSent) }))
  const comparison = compareMailboxes(known, listed, { awaited, believedGone, policy: terms.policy }, makeId)
  const byId = new Map(tracked.map((mailbox) => [mailbox.mailboxId, mailbox]))
  const inbox = tracked.find(({ path }) => path.toUpperCase() === 'INBOX')?.mailboxId ?? null
  const endings = comparison.events.flatMap((event) => {
    const mailbox = event.type === 'MailboxRenamed' ? byId.get(event.data.mailboxId) : undefined
    if (event.type !== 'MailboxRenamed' || !mailbox) return []
    return wasRenamedHere(mailbox, event.data.path)
      ? mailbox.operations.flatMap(({ operationId, kind }) =>
          kind === 'RENAME_MAILBOX' ? [ended(operationId, 'APPLIED', null)] : [],
        )
      : decideRenamedElsewhere(mailbox, terms)
  })
  const deletions = comparison.deleted.flatMap(({ mailboxId }) => {
    const mailbox = byId.get(mailboxId)
    return mailbox ? decideMailboxGone(mailbox, messages, inbox, terms) : []
  })
  return { events: [...comparison.events, ...endings, ...deletions], missing: comparison.missing }
}

/** Whether the server did rename a mailbox when it was told to, if to another name than it was given. */
function wasRenamedHere({ path, serverPath }: TrackedMailbox, listedAs: string): boolean {
  return path === serverPath && isAlike(path, listedAs)
}

function decideRenamedElsewhere(mailbox: TrackedMailbox, terms: Pick<SettlementTerms, 'policy'>): AccountEvent[] {
  const ending = endingOf('RENAME_MAILBOX', 'MAILBOX_RENAMED', terms.policy)
  if (!ending) return []
  return mailbox.operations
    .filter(({ kind }) => kind === 'RENAME_MAILBOX')
    .map(({ operationId }) => ended(operationId, ending.outcome, 'MAILBOX_RENAMED'))
}

/**
 * Decides what becomes of a mailbox that is no longer on the server, and of operations on it. Messages that were to go into it
 * are shown where the server has them; what a client wrote for it is shown in INBOX and never dropped.
 *
 * @param messages those of which something else is shown than the server has
 * @param inboxId null where there is none
 */
export function decideMailboxGone(
  mailbox: TrackedMailbox,
  messages: readonly TrackedMessage[],
  inboxId: string | null,
  terms: SettlementTerms,
): AccountEvent[] {
  const { mailboxId, path } = mailbox
  const settling = new Settling(terms)
  const gone: { messageId: string; server: ServerPlace; identity: MessageIdentity }[] = []
  for (const message of messages) {
    const { messageId, shown, server, identity } = message
    const isShownHere = shown?.mailboxId === mailboxId
    if ((server.state === 'THERE' || server.state === 'UNNUMBERED') && server.mailboxId === mailboxId) {
      if (isShownHere) lose(message, 'MAILBOX_DELETED', settling)
      else gone.push({ messageId, server: { state: 'GONE', mailboxId, flags: server.flags }, identity })
    } else if (isShownHere) {
      refusePlace(message, 'MAILBOX_DELETED', settling)
      const isKept = server.state === 'NOT_YET' && !message.operations.some(({ effect }) => effect.copyOf !== undefined)
      if (isKept && inboxId !== null) settling.show(message, showAt(message, inboxId, shown.data.flags), false)
    }
  }
  const places: AccountEvent[] = gone.length > 0 ? [{ type: 'ServerPlacesChanged', data: { messages: gone } }] : []
  const endings = mailbox.operations.map(({ operationId, kind, isSent }) => {
    if (kind === 'DELETE_MAILBOX' && isSent) return ended(operationId, 'APPLIED', null)
    // the server said OK, and there is none
    if (kind === 'CREATE_MAILBOX') return ended(operationId, 'REJECTED', 'SERVER_REFUSED')
    const ending = endingOf(kind, 'MAILBOX_DELETED', terms.policy)
    return ended(operationId, ending?.outcome ?? 'REJECTED', 'MAILBOX_DELETED')
  })
  return [...settling.events(), ...places, { type: 'MailboxDeleted', data: { mailboxId, path } }, ...endings]
}

const requested = (request: Request): AccountEvent => ({
  type: 'OperationRequested',
  data: { ...request, effects: [] },
})

function ended(operationId: string, outcome: OperationOutcome, reason: OutcomeReason | null): AccountEvent {
  return { type: 'OperationSettled', data: { operationId, settled: [], outcome, reason } }
}

const alreadySo = (events: readonly AccountEvent[], { operationId }: Request): AccountEvent[] =>
  events.length > 0 ? [] : [ended(operationId, 'SUPERSEDED', 'ALREADY_SO')]

function listingOf(mailbox: TrackedMailbox): MailboxListing {
  const { path, delimiter, attributes, specialUse, subscribed, selectable, objectId } = mailbox
  return { path, delimiter, attributes, specialUse, subscribed, selectable, objectId }
}

/** What stands between the levels of an account's paths, as its server has it. */
export function delimiterOf(mailboxes: readonly TrackedMailbox[]): string | null {
  return mailboxes.find(({ delimiter }) => delimiter !== null)?.delimiter ?? null
}

function whyProtected({ path, specialUse }: TrackedMailbox): ChangeFailure | null {
  return path.toUpperCase() === 'INBOX' || specialUse === '\\Trash' ? { kind: 'MailboxProtected', path } : null
}

function whyTaken(mailboxes: readonly TrackedMailbox[], path: string): ChangeFailure | null {
  return mailboxes.some((mailbox) => !mailbox.isHidden && mailbox.path === path)
    ? { kind: 'MailboxExists', path }
    : null
}

/** What is wrong with the path of a mailbox that a client wants on a server; null when nothing is. */
function whyNoServerPath(path: string, delimiter: string | null): ChangeFailure | null {
  const failure = whyNoLevels(path, delimiter)
  if (failure) return failure
  if (/[%*]/.test(path)) return invalidPath('may have neither % nor *')
  return path.toUpperCase() === 'INBOX' ? invalidPath('INBOX is there already') : null
}
