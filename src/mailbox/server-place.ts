import { changeFlags, hasFlag, type Flags } from './flags.js'

/**
 * Where the server has a message of which something else is shown here, since operations on it are pending. THERE: in a
 * mailbox, as far as known. NOT_YET: it was made here. UNNUMBERED: the server has said that it put it into a mailbox, and not under which
 * UID. GONE: it was there, and is in none of the mailboxes looked at since.
 */
export type ServerPlace =
  | ({ state: 'THERE' } & PlaceThere)
  | { state: 'NOT_YET' }
  | ({ state: 'UNNUMBERED' } & PlaceLeft)
  | ({ state: 'GONE' } & PlaceLeft)

/** A message's place on the server, and its flags there. */
export type PlaceThere = {
  /** the mailbox, by Mailfold's id */
  mailboxId: string
  /** the mailbox's UIDVALIDITY; decimal */
  uidValidity: string
  /** its UID there */
  uid: number
  /** its flags and keywords there */
  flags: Flags
  /** its MODSEQ; decimal, null without CONDSTORE */
  modseq: string | null
}

/** Where a message was on the server last. */
export type PlaceLeft = {
  /** the mailbox that it was in, by Mailfold's id */
  mailboxId: string
  /** its flags and keywords there */
  flags: Flags
}

/** What tells a message again on the server; see MessageData. */
export type MessageIdentity = {
  /** hash of what stays the same when it is copied or uploaded */
  fingerprint: string
  /** INTERNALDATE in ISO 8601 */
  internalDate: string
  /** EMAILID or X-GM-MSGID, where the server gives one */
  emailId: string | null
}

/** Whether a message that was made here has no UID on the server, as far as known: it is not there yet, or the server has not said which. */
export function hasNoUid({ state }: ServerPlace): boolean {
  return state === 'NOT_YET' || state === 'UNNUMBERED'
}

/** What the shown flags are to become when the server's change: flag by flag, what was changed here stays changed. */
export function mergeFlags(before: Flags, shown: Flags, now: Flags): Flags {
  const { added, removed } = flagDifference(before, shown)
  return changeFlags(now, added, removed)
}

/** The flags of one set that are not in the other, each way. */
export function flagDifference(before: Flags, after: Flags): { added: Flags; removed: Flags } {
  return {
    added: after.filter((flag) => !hasFlag(before, flag)),
    removed: before.filter((flag) => !hasFlag(after, flag)),
  }
}
