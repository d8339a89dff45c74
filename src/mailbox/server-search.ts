import type { MailboxPlace } from './message-changes.js'
import { joinUids, type UidSet } from './uid-set.js'

/** What messages are searched for on their server (SEARCH, RFC 9051 §6.4.4); every condition that is given has to hold. */
export type ServerSearch = {
  /** anywhere in the message, its header included; as the server searches */
  text: string | null
  /** in its body */
  body: string | null
  from: string | null
  to: string | null
  subject: string | null
  /** INTERNALDATE on this day or later, and before this day, as the server counts days */
  since: Date | null
  before: Date | null
  isUnread: boolean | null
  isFlagged: boolean | null
  /** bytes */
  largerThan: number | null
  smallerThan: number | null
}

/** UIDs that a search has found in a mailbox. */
export type FoundIn = MailboxPlace & { uids: UidSet }

/** Whether a search is for words that are not ASCII. */
export function isBeyondAscii({ text, body, from, to, subject }: ServerSearch): boolean {
  // eslint-disable-next-line no-control-regex
  return [text, body, from, to, subject].some((words) => words !== null && /[^\x00-\x7f]/.test(words))
}

/** What several searches have found, each mailbox once. */
export function joinFound(found: readonly FoundIn[]): FoundIn[] {
  const byPlace = Map.groupBy(found, ({ mailboxId, uidValidity }) => `${mailboxId} ${uidValidity}`)
  return [...byPlace.values()].flatMap(([first, ...others]) => {
    if (!first) return []
    return [{ ...first, uids: others.reduce<UidSet>((all, { uids }) => joinUids(all, uids), first.uids) }]
  })
}

/** What an ONLINE account's server is asked while a client waits: to search in mailboxes, one after the other. */
export type ServerQuestion = { mailboxes: readonly { mailboxId: string; path: string }[]; search: ServerSearch }

/** What came of it: what was found; why the server would not; or why it could not be asked. */
export type ServerAnswer = { found: FoundIn[] } | { refused: string } | { unanswered: string }

/**
 * What found messages are sorted by (RFC 5256 §3). ARRIVAL: INTERNALDATE. DATE: the Date header, else INTERNALDATE. FROM: the first sender's
 * address. SUBJECT: without the marks of replies.
 */
export type SortKey = 'ARRIVAL' | 'DATE' | 'FROM' | 'SIZE' | 'SUBJECT'

/** In which order found messages are. */
export type SearchOrder = { key: SortKey; isDescending: boolean }

/** The order where none is asked for: newest first. */
export const NEWEST_FIRST: SearchOrder = { key: 'ARRIVAL', isDescending: true }

/** Most UTF-16 units of what is searched for. */
const LONGEST = 1_000

/** Why nothing can be searched for by these conditions: the field, and one clause for a person. Null where it can. */
export function whyNoSearch(search: ServerSearch): { field: string; reason: string } | null {
  const { text, body, from, to, subject, largerThan, smallerThan } = search
  for (const [field, value] of Object.entries({ text, body, from, to, subject })) {
    if (value === null) continue
    // eslint-disable-next-line no-control-regex
    if (value === '' || value.length > LONGEST || /[\r\n\u0000]/.test(value))
      return { field, reason: `must be one line of 1 to ${LONGEST} characters` }
  }
  for (const [field, value] of Object.entries({ largerThan, smallerThan }))
    if (value !== null && !(Number.isSafeInteger(value) && value >= 0 && value < 2 ** 32))
      return { field, reason: 'must be a number of bytes' }
  if (Object.values(search).every((value) => value === null))
    return { field: 'search', reason: 'must have a condition' }
  return null
}
