import type { AccountEvent, MailboxListing } from './events.js'

/** A mailbox as it is known. */
export type KnownMailbox = MailboxListing & { mailboxId: string; uidValidity: string | null; messages: number }

/** A mailbox as the server lists it, with what tells it again after a rename. */
export type ListedMailbox = MailboxListing & { uidValidity: string | null; messages: number | null }

/** What a comparison of mailboxes found, and the ids of those that are missing and not yet believed to be gone. */
export type MailboxComparison = { events: AccountEvent[]; missing: ReadonlySet<string> }

/**
 * Compares the server's list of mailboxes with the known ones. A known mailbox that is gone and a new one that carries
 * its MAILBOXID (RFC 8474), or else its UIDVALIDITY and number of messages, are one mailbox that was renamed. One that
 * is missing is gone only when the server, asked for it by name after that, does not know it either: Dovecot, asked
 * right after a deletion, may leave out mailboxes that are there, more than once.
 *
 * @param believedGone ids of mailboxes that an earlier comparison missed and that the server does not know by name
 * @param makeId gives a new mailbox its id
 */
export function compareMailboxes(
  known: readonly KnownMailbox[],
  listed: readonly ListedMailbox[],
  believedGone: ReadonlySet<string>,
  makeId: () => string,
): MailboxComparison {
  const byPath = new Map(known.map((mailbox) => [mailbox.path, mailbox]))
  const gone = new Set(known.filter((mailbox) => !listed.some((each) => each.path === mailbox.path)))
  const events: AccountEvent[] = []
  for (const mailbox of listed) {
    const same = byPath.get(mailbox.path)
    if (same) {
      const data = { mailboxId: same.mailboxId, ...listingOf(mailbox) }
      if (!sameListing(same, mailbox)) events.push({ type: 'MailboxChanged', data })
      continue
    }
    const before = [...gone].find((each) => isRenamed(each, mailbox))
    if (before) {
      gone.delete(before)
      const data = { mailboxId: before.mailboxId, previousPath: before.path, ...listingOf(mailbox) }
      events.push({ type: 'MailboxRenamed', data })
    } else {
      const data = { mailboxId: makeId(), foundLater: known.length > 0, ...listingOf(mailbox) }
      events.push({ type: 'MailboxDiscovered', data })
    }
  }
  const missing = new Set<string>()
  for (const { mailboxId, path } of gone) {
    if (believedGone.has(mailboxId)) events.push({ type: 'MailboxDeleted', data: { mailboxId, path } })
    else missing.add(mailboxId)
  }
  return { events, missing }
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
