/*
 * What to ask of the server for one mailbox, given what is known and what it reports.
 *
 *   known            | reported                          | plan
 *   -----------------+-----------------------------------+----------------------------------------------------------
 *   nothing          | anything                          | record where it stands, then fetch all, newest first
 *   incomplete       | same UIDVALIDITY                  | new mail and changes as below, then the UIDs still missing
 *   complete         | same UIDVALIDITY, nothing moved   | nothing
 *   complete         | UIDNEXT higher                    | fetch UIDNEXT as known and up
 *   complete         | HIGHESTMODSEQ higher, QRESYNC     | FETCH (CHANGEDSINCE VANISHED)
 *   complete         | HIGHESTMODSEQ higher, CONDSTORE   | FETCH (CHANGEDSINCE); compare UIDs if the count is off
 *   complete         | only the count is off             | compare UIDs
 *   complete         | no CONDSTORE                      | compare UIDs and flags
 *   complete, empty  | other UIDVALIDITY, empty          | nothing: some servers number an empty mailbox anew at each look
 *   any              | other UIDVALIDITY                 | record the reset, tell all messages again by content
 */

/** How far a mailbox is known; null in `uidValidity` for one that was never opened. */
export type KnownPlace = {
  uidValidity: string | null
  uidNext: number
  highestModseq: string | null
  /** messages that are recorded as being there, and those that the server is known to count without naming them */
  messages: number
  complete: boolean
}

/** What the server says of a mailbox (SELECT or STATUS); null where it did not say. */
export type ReportedPlace = {
  uidValidity: string
  uidNext: number | null
  highestModseq: string | null
  messages: number | null
}

/** How expunged messages and changed flags are found. */
export type ChangeSearch = 'none' | 'vanished' | 'changed since' | 'changed since, compare UIDs' | 'compare'

/** What to do about a mailbox. */
export type SyncPlan = {
  /** the mailbox is new to us, or numbered anew: record the place before anything is fetched */
  begin: 'first sight' | 'reset' | null
  /** fetch messages from this UID up; null when there can be none */
  newFrom: number | null
  changes: ChangeSearch
  /** messages of before are missing or unconfirmed */
  backfill: boolean
}

/** What a connection can do that matters to a plan. */
export type SyncAbilities = { condstore: boolean; qresync: boolean }

/** Decides what to ask for; the table above is the rule. */
export function planMailboxSync(known: KnownPlace, reported: ReportedPlace, abilities: SyncAbilities): SyncPlan {
  if (known.uidValidity === null) return { begin: 'first sight', newFrom: null, changes: 'none', backfill: true }
  if (isEmptyStill(known, reported)) return { begin: null, newFrom: null, changes: 'none', backfill: false }
  if (known.uidValidity !== reported.uidValidity)
    return { begin: 'reset', newFrom: null, changes: 'none', backfill: true }
  const newFrom = reported.uidNext !== null && reported.uidNext <= known.uidNext ? null : known.uidNext
  return { begin: null, newFrom, changes: searchForChanges(known, reported, abilities), backfill: !known.complete }
}

/** Whether a mailbox was empty when it was last looked at, and is: whatever its numbers are, they are of nothing. */
export function isEmptyStill(known: KnownPlace, reported: ReportedPlace): boolean {
  const isOther = known.uidValidity !== null && known.uidValidity !== reported.uidValidity
  return isOther && known.complete && known.messages === 0 && reported.messages === 0
}

/** The plan for a mailbox that is selected and whose server just said that something is new: ask for all it may be. */
export function planLiveSync(known: KnownPlace, { condstore, qresync }: SyncAbilities): SyncPlan {
  const bySince = condstore && known.highestModseq !== null
  const changes = !bySince ? 'compare' : qresync ? 'vanished' : 'changed since, compare UIDs'
  return { begin: null, newFrom: known.uidNext, changes, backfill: !known.complete }
}

function searchForChanges(known: KnownPlace, reported: ReportedPlace, abilities: SyncAbilities): ChangeSearch {
  const { condstore, qresync } = abilities
  if (!condstore || known.highestModseq === null || reported.highestModseq === null) return 'compare'
  const moved = BigInt(reported.highestModseq) > BigInt(known.highestModseq)
  // messages that came and went between two looks leave the count as it was, but raise the modseq
  const arrived = reported.uidNext === null ? 0 : reported.uidNext - known.uidNext
  const countIsOff = known.complete && reported.messages !== known.messages + Math.max(0, arrived)
  // that of a server with QRESYNC is off where it has not told of all that vanished
  if (qresync && moved) return 'vanished'
  if (countIsOff) return 'changed since, compare UIDs'
  return moved ? 'changed since, compare UIDs' : 'none'
}

/** Whether a STATUS answer differs from what is known, so that the mailbox is worth opening. */
export function looksChanged(known: KnownPlace, reported: ReportedPlace): boolean {
  if (isEmptyStill(known, reported)) return false
  if (known.uidValidity !== reported.uidValidity || !known.complete) return true
  if (reported.uidNext !== null && reported.uidNext !== known.uidNext) return true
  if (reported.messages !== null && reported.messages !== known.messages) return true
  // without a MODSEQ (NOMODSEQ, RFC 7162 §3.1.2.2) a change of flags shows nowhere but in the mailbox itself
  if (reported.highestModseq === null || known.highestModseq === null) return true
  return BigInt(reported.highestModseq) > BigInt(known.highestModseq)
}
