import type { AccountEvent, StoredContent } from './events.js'
import { changeFlags, sameFlags, type Flags } from './flags.js'
import { DELIMITER, localListing, numbered, type LocalMailbox, type Maker } from './local-mailboxes.js'
import type { MessageData } from './message.js'

/** A message that is shown here, with all that is known of it; `uidValidity` is 0 where its UID is. */
export type LocalMessage = { messageId: string; mailboxId: string; uidValidity: string; data: MessageData }

/** Why a change was not made; nothing was changed then. */
export type ChangeFailure =
  | { kind: 'AccountNotFound' }
  | { kind: 'MessageNotFound' }
  | { kind: 'MailboxNotFound' }
  | { kind: 'ModelNotPossible'; reason: string }
  | { kind: 'InvalidSettings'; field: string; reason: string }
  | { kind: 'MailboxProtected'; path: string }
  | { kind: 'MailboxNotEmpty'; path: string; messages: number }
  | { kind: 'MailboxExists'; path: string }
  | { kind: 'TooManyMessages'; most: number }
  | { kind: 'MassDeletion'; messages: number; of: number }
  | { kind: 'OperationNotFound' }
  | { kind: 'OperationNotPending'; state: string }
  | { kind: 'LaterOperation'; operationId: string }
  | { kind: 'NotOffered'; answer: string }
  | { kind: 'SessionNotFound' }
  | { kind: 'WouldBeLost'; operations: number; messages: number }
  | { kind: 'CandidatesChanged'; messages: number; bytes: number }
  | { kind: 'NoSession' }
  | { kind: 'NoConnection'; reason: string | null }

/** What a decision came to: the events that it makes necessary, which may be none, or why it cannot be made. */
export type Decision = { events: AccountEvent[] } | { failure: ChangeFailure }

/** The flags that a client may set (RFC 9051 §2.3.2), in lower case. */
const SYSTEM_FLAGS: ReadonlySet<string> = new Set(['\\seen', '\\answered', '\\flagged', '\\deleted', '\\draft'])

/** What is wrong with flags or keywords that a client gives; null when nothing is. A keyword is an atom (RFC 9051 §9). */
export function whyNoFlags(flags: readonly string[]): string | null {
  if (flags.length > 100) return 'may be 100 at most'
  for (const flag of flags) {
    if (SYSTEM_FLAGS.has(flag.toLowerCase())) continue
    if (!/^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]{1,255}$/.test(flag))
      return `${JSON.stringify(flag.slice(0, 100))} is neither a system flag nor a keyword`
  }
  return null
}

/** Adds and removes flags and keywords; where one is in both, it is added. What is so already changes nothing. */
export function decideFlagChange(
  messages: readonly LocalMessage[],
  add: readonly string[],
  remove: readonly string[],
): AccountEvent[] {
  return messages.flatMap(({ messageId, mailboxId, data }): AccountEvent[] => {
    const { uid, flags: previousFlags, modseq } = data
    const flags: Flags = changeFlags(previousFlags, add, remove)
    if (sameFlags(flags, previousFlags)) return []
    return [{ type: 'MessageFlagsChanged', data: { messageId, mailboxId, uid, flags, previousFlags, modseq } }]
  })
}

/** Moves messages into a mailbox; they keep their ids, and get new UIDs. Those that are in it already stay as they are. */
export function decideMove(messages: readonly LocalMessage[], target: LocalMailbox): AccountEvent[] {
  const { mailboxId, uidValidity } = target
  const moving = messages.filter((message) => message.mailboxId !== mailboxId)
  if (moving.length === 0) return []
  const events = moving.map(({ messageId, mailboxId: from, data }, index): AccountEvent => {
    const place = { mailboxId: from, uid: data.uid, flags: data.flags, wasExpunged: false }
    const moved = { ...data, uid: target.uidNext + index }
    return { type: 'MessageMoved', data: { messageId, mailboxId, uidValidity, from: place, ...moved } }
  })
  return [...events, numbered({ ...target, uidNext: target.uidNext + moving.length })]
}

/**
 * Deletes messages: into Trash, or, those that are in it and where that is wanted, for good.
 *
 * @param mailboxes all of the account
 */
export function decideDeletion(
  messages: readonly LocalMessage[],
  mailboxes: readonly LocalMailbox[],
  forGood: boolean,
): Decision {
  const trash = trashOf(mailboxes)
  if (!forGood && !trash) return { failure: { kind: 'MailboxNotFound' } }
  const isExpunged = (message: LocalMessage) => forGood || message.mailboxId === trash?.mailboxId
  const moved = messages.filter((message) => !isExpunged(message))
  return {
    events: [...decideExpunge(messages.filter(isExpunged)), ...(trash ? decideMove(moved, trash) : [])],
  }
}

/** Copies messages into a mailbox. @param makeId gives each copy its id */
export function decideCopies(
  messages: readonly (LocalMessage & { content: StoredContent | null })[],
  target: LocalMailbox,
  makeId: () => string,
): AccountEvent[] {
  if (messages.length === 0) return []
  const { mailboxId, uidValidity } = target
  const events = messages.map(({ messageId: copyOf, data, content }, index): AccountEvent => {
    const place = { messageId: makeId(), mailboxId, uidValidity, origin: 'COPIED' as const, copyOf }
    const kept = content ? { content } : {}
    return { type: 'MessageAdded', data: { ...place, ...kept, ...data, uid: target.uidNext + index } }
  })
  return [...events, numbered({ ...target, uidNext: target.uidNext + messages.length })]
}

/** Removes messages for good. */
export function decideExpunge(messages: readonly LocalMessage[]): AccountEvent[] {
  return messages.map(({ messageId, mailboxId, data }) => {
    const { uid, flags, fingerprint, internalDate, emailId } = data
    return { type: 'MessageExpunged', data: { messageId, mailboxId, uid, flags, fingerprint, internalDate, emailId } }
  })
}

/** The mailbox for Trash. */
export function trashOf(mailboxes: readonly LocalMailbox[]): LocalMailbox | undefined {
  return mailboxes.find((mailbox) => mailbox.specialUse === '\\Trash')
}

/** Makes a mailbox. */
export function decideMailboxCreated(mailboxes: readonly LocalMailbox[], path: string, maker: Maker): Decision {
  const failure = whyNoPath(path) ?? whyTaken(mailboxes, path)
  if (failure) return { failure }
  const { makeId, uidValidity } = maker
  return { events: [{ type: 'MailboxCreated', data: { mailboxId: makeId(), uidValidity, ...localListing(path) } }] }
}

/** Gives a mailbox another path, and those below it with it. */
export function decideMailboxRenamed(mailboxes: readonly LocalMailbox[], mailboxId: string, path: string): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  if (mailbox.path === path) return { events: [] }
  const failure = whyProtected(mailbox) ?? whyNoPath(path) ?? whyTaken(mailboxes, path)
  if (failure) return { failure }
  if (path.startsWith(mailbox.path + DELIMITER))
    return { failure: { kind: 'InvalidSettings', field: 'path', reason: 'a mailbox cannot be below itself' } }
  const below = mailboxes.filter((each) => each.path.startsWith(mailbox.path + DELIMITER))
  const renamed = [mailbox, ...below].map((each) => ({ each, path: path + each.path.slice(mailbox.path.length) }))
  const taken = renamed.map((to) => whyTaken(mailboxes, to.path)).find((why) => why !== null)
  if (taken) return { failure: taken }
  return {
    events: renamed.map(({ each, path: to }) => {
      const data = { mailboxId: each.mailboxId, previousPath: each.path, ...localListing(to, each.specialUse) }
      return { type: 'MailboxRenamed', data }
    }),
  }
}

/** Removes a mailbox that is empty. */
export function decideMailboxDeleted(mailboxes: readonly LocalMailbox[], mailboxId: string): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  const { path, messages } = mailbox
  const failure = whyProtected(mailbox)
  if (failure) return { failure }
  if (messages > 0) return { failure: { kind: 'MailboxNotEmpty', path, messages } }
  return { events: [{ type: 'MailboxDeleted', data: { mailboxId, path } }] }
}

/** Subscribes to a mailbox, or no longer. */
export function decideMailboxSubscribed(
  mailboxes: readonly LocalMailbox[],
  mailboxId: string,
  subscribed: boolean,
): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  const data = { mailboxId, ...localListing(mailbox.path, mailbox.specialUse), subscribed }
  return { events: [{ type: 'MailboxChanged', data }] }
}

function whyProtected({ path, specialUse }: LocalMailbox): ChangeFailure | null {
  return path === 'INBOX' || specialUse === '\\Trash' ? { kind: 'MailboxProtected', path } : null
}

function whyTaken(mailboxes: readonly LocalMailbox[], path: string): ChangeFailure | null {
  return mailboxes.some((mailbox) => mailbox.path === path) ? { kind: 'MailboxExists', path } : null
}

/** What is wrong with the names between the delimiters of a path; null when nothing is. @param delimiter null in a flat namespace */
export function whyNoLevels(path: string, delimiter: string | null): ChangeFailure | null {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(path) || !path.isWellFormed()) return invalidPath('may have no control characters')
  const levels = delimiter === null ? [path] : path.split(delimiter)
  if (path.length > 1_000 || levels.some((level) => level.trim() === ''))
    return invalidPath(`must be names between ${delimiter ?? 'nothing'}, 1000 characters at most`)
  return null
}

/** A path that cannot be used. */
export function invalidPath(reason: string): ChangeFailure {
  return { kind: 'InvalidSettings', field: 'path', reason }
}

/** What is wrong with the path of a mailbox that a client wants; null when nothing is. */
export function whyNoPath(path: string): ChangeFailure | null {
  const failure = whyNoLevels(path, DELIMITER)
  if (failure) return failure
  if (path.split(DELIMITER)[0]?.toUpperCase() === 'INBOX')
    return invalidPath('INBOX is there already, and has nothing below it')
  return null
}
