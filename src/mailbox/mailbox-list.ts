import { endingOf } from './conflicts.js'
import type { AccountEvent, MailboxListing } from './events.js'
import { canonicalPath } from './namespaces.js'
import type { ConflictPolicy } from './operation.js'

/** A mailbox as the server has it, as far as known, and what is shown of it otherwise, since operations on it are pending. */
export type KnownMailbox = MailboxListing & {
  mailboxId: string
  uidValidity: string | null
  messages: number
  shown: { path: string; subscribed: boolean }
}

/** A mailbox as the server lists it, with what tells it again after a rename. */
export type ListedMailbox = MailboxListing & { uidValidity: string | null; messages: number | null }

/** What a comparison of mailboxes found, the ids of those that are missing and not yet believed to be gone, and those that are. */
export type MailboxComparison = {
  events: AccountEvent[]
  missing: ReadonlySet<string>
  deleted: readonly KnownMailbox[]
}

/** What a comparison works with; see compareMailboxes. */
export type ComparisonTerms = {
  awaited: readonly { mailboxId: string; path: string; subscribed: boolean; isSent: boolean }[]
  believedGone: ReadonlySet<string>
  policy: ConflictPolicy
}

/**
 * Compares the server's list of mailboxes with the known ones. A known mailbox that is gone and a new one that carries
 * its MAILBOXID (RFC 8474), or else its UIDVALIDITY and number of messages, are one mailbox that was renamed. One that
 * is missing is gone only when the server, asked for it by name after that, does not know it either: Dovecot, asked
 * right after a deletion, may leave out mailboxes that are there, more than once.
 *
 * What is shown of a mailbox otherwise than the server has it, since operations on it are pending, stays shown, unless the
 * server's change contradicts it and the policy gives precedence to that.
 *
 * @param awaited mailboxes that were made here and are not on the server, as far as known
 * @param believedGone ids of mailboxes that an earlier comparison missed and that the server does not know by name
 * @param makeId gives a new mailbox its id
 */
export function compareMailboxes(
  known: readonly KnownMailbox[],
  listed: readonly ListedMailbox[],
  { awaited, believedGone, policy }: ComparisonTerms,
  makeId: () => string,
): MailboxComparison {
  const byPath = new Map(known.map((mailbox) => [mailbox.path, mailbox]))
  const gone = new Set(known.filter((mailbox) => !listed.some((each) => each.path === mailbox.path)))
  const events: AccountEvent[] = []
  for (const mailbox of listed) {
    const same = byPath.get(mailbox.path)
    if (same) {
      if (!sameListing(same, mailbox)) events.push(...listedAnew(same, mailbox))
      continue
    }
    const made =
      awaited.find((each) => each.path === canonicalPath(mailbox.path, mailbox.delimiter)) ??
      awaited.find((each) => each.isSent && isAlike(each.path, mailbox.path))
    if (made) {
      const { mailboxId, subscribed } = made
      const { path } = mailbox
      events.push({ type: 'MailboxChanged', data: { mailboxId, ...listingOf(mailbox), subscribed } })
      events.push({ type: 'ServerMailboxChanged', data: { mailboxId, path, subscribed: mailbox.subscribed } })
      continue
    }
    const before =
      [...gone].find((each) => isNamedOtherwise(each, mailbox)) ?? [...gone].find((each) => isRenamed(each, mailbox))
    if (before) {
      gone.delete(before)
      events.push(...renamed(before, mailbox, policy))
    } else {
      const data = { mailboxId: makeId(), foundLater: known.length > 0, ...listingOf(mailbox) }
      events.push({ type: 'MailboxDiscovered', data })
    }
  }
  const missing = new Set<string>()
  const deleted: KnownMailbox[] = []
  for (const mailbox of gone) {
    if (believedGone.has(mailbox.mailboxId)) deleted.push(mailbox)
    else missing.add(mailbox.mailboxId)
  }
  return { events, missing, deleted }
}

/** The attributes, of Mailfold's own, of mailboxes in the namespaces of others (RFC 2342): of other users, and shared by all. */
export const OTHER_USERS = '\\X-Mailfold-OtherUsers'
export const SHARED = '\\X-Mailfold-Shared'

/** Whose a mailbox is (RFC 2342). */
export type Namespace = 'PERSONAL' | 'OTHER_USERS' | 'SHARED'

/** Reads off a mailbox's attributes whose it is. */
export function namespaceOf(attributes: readonly string[]): Namespace {
  if (attributes.includes(OTHER_USERS)) return 'OTHER_USERS'
  return attributes.includes(SHARED) ? 'SHARED' : 'PERSONAL'
}

function listedAnew({ mailboxId, shown, ...known }: KnownMailbox, listed: ListedMailbox): AccountEvent[] {
  const { path, subscribed } = listed
  const isApart = shown.path !== known.path || shown.subscribed !== known.subscribed
  if (!isApart) return [{ type: 'MailboxChanged', data: { mailboxId, ...listingOf(listed) } }]
  const data = { mailboxId, ...listingOf(listed), path: shown.path, subscribed: shown.subscribed }
  return [
    { type: 'MailboxChanged', data },
    { type: 'ServerMailboxChanged', data: { mailboxId, path, subscribed } },
  ]
}

function renamed(known: KnownMailbox, listed: ListedMailbox, policy: ConflictPolicy): AccountEvent[] {
  const { mailboxId, shown } = known
  const { path, subscribed } = listed
  const isApart = shown.path !== known.path
  // as it was asked for here, or, where the policy wants it, still to become so
  if (isApart && (shown.path === path || endingOf('RENAME_MAILBOX', 'MAILBOX_RENAMED', policy) === null))
    return [{ type: 'ServerMailboxChanged', data: { mailboxId, path, subscribed } }]
  const data = { mailboxId, previousPath: shown.path, ...listingOf(listed) }
  if (shown.subscribed === known.subscribed) return [{ type: 'MailboxRenamed', data }]
  return [
    { type: 'MailboxRenamed', data: { ...data, subscribed: shown.subscribed } },
    { type: 'ServerMailboxChanged', data: { mailboxId, path, subscribed } },
  ]
}

/**
 * Whether two paths are the same but for what servers change in names that they are given: they lose quotes, trim, or replace what they
 * do not know. Letters and digits stay.
 */
export function isAlike(one: string, other: string): boolean {
  const core = (path: string) =>
    path
      .normalize('NFKD')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]/gu, '')
  return core(one) !== '' && core(one) === core(other)
}

/** Whether a mailbox that the server was told to make, or to rename, is listed under another name than it was given. */
function isNamedOtherwise(known: KnownMailbox, listed: ListedMailbox): boolean {
  if (known.objectId !== null && listed.objectId !== null) return known.objectId === listed.objectId
  const isNumberedSame =
    known.uidValidity === null || listed.uidValidity === null || known.uidValidity === listed.uidValidity
  return isNumberedSame && isAlike(known.path, listed.path)
}

function isRenamed(known: KnownMailbox, listed: ListedMailbox): boolean {
  if (known.objectId !== null && listed.objectId !== null) return known.objectId === listed.objectId
  if (!known.selectable || !listed.selectable || known.uidValidity === null) return false
  return (
    known.uidValidity === listed.uidValidity &&
    known.messages === listed.messages &&
    known.delimiter === listed.delimiter
  )
}

function listingOf({
  path,
  delimiter,
  attributes,
  specialUse,
  subscribed,
  selectable,
  objectId,
}: MailboxListing): MailboxListing {
  return { path, delimiter, attributes, specialUse, subscribed, selectable, objectId }
}

function sameListing(known: MailboxListing, listed: MailboxListing): boolean {
  return (
    known.specialUse === listed.specialUse &&
    known.subscribed === listed.subscribed &&
    known.selectable === listed.selectable &&
    known.delimiter === listed.delimiter &&
    (listed.objectId === null || known.objectId === listed.objectId) &&
    [...known.attributes].sort().join() === [...listed.attributes].sort().join()
  )
}

const FIRST: readonly (string | null)[] = ['\\Inbox', '\\Sent', '\\Drafts', '\\Junk', '\\Archive', '\\All', null]

/** The order in which mailboxes are first fetched: where people look first; Trash last. */
export function fetchOrder<Mailbox extends Pick<MailboxListing, 'path' | 'specialUse'>>(
  mailboxes: readonly Mailbox[],
): Mailbox[] {
  const rank = (mailbox: Mailbox) => {
    const at = FIRST.indexOf(mailbox.path.toUpperCase() === 'INBOX' ? '\\Inbox' : mailbox.specialUse)
    return at < 0 ? FIRST.length : at
  }
  return [...mailboxes].sort((one, other) => rank(one) - rank(other) || one.path.localeCompare(other.path))
}
