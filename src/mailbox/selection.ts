import type { Flags } from './flags.js'

/**
 * What a DISCONNECTED account has here of its messages, or of those of one mailbox: nothing, the index, or the raw messages as
 * well. What is given beside WHOLE has to hold of a message, all of it.
 */
export type Selection = {
  /** NONE: not even the index; HEADERS: the index, and the raw messages that were asked for; WHOLE: all raw messages */
  keep: 'NONE' | 'HEADERS' | 'WHOLE'
  /** among so many newest of its mailbox, by INTERNALDATE; null for any */
  newest: number | null
  /** come in the last so many days, by INTERNALDATE; null for any */
  days: number | null
  /** of at most so many bytes; null for any */
  maxBytes: number | null
  /** with at least one of these flags and keywords; empty for any */
  flags: Flags
}

/** What an account has before anything is set. */
export const FIRST_SELECTION: Selection = { keep: 'HEADERS', newest: null, days: null, maxBytes: null, flags: [] }

/** Most days that a selection may look back. */
const MOST_DAYS = 36_500

/** Why a selection cannot be: the field, and one clause for a person. Null where it can. */
export function whyNoSelection(selection: Selection): { field: string; reason: string } | null {
  const { keep, newest, days, maxBytes, flags } = selection
  for (const [field, value] of Object.entries({ newest, days, maxBytes }))
    if (value !== null && !(Number.isSafeInteger(value) && value > 0))
      return { field, reason: 'must be a whole number above 0' }
  if (days !== null && days > MOST_DAYS) return { field: 'days', reason: `must be at most ${MOST_DAYS}` }
  const isNarrowed = newest !== null || days !== null || maxBytes !== null || flags.length > 0
  if (keep !== 'WHOLE' && isNarrowed) return { field: 'keep', reason: 'only what is kept WHOLE can be narrowed down' }
  return null
}

/** Whether two selections are the same. */
export function sameSelection(one: Selection | null, other: Selection | null): boolean {
  if (one === null || other === null) return one === other
  const sameNumbers = one.newest === other.newest && one.days === other.days && one.maxBytes === other.maxBytes
  return one.keep === other.keep && sameNumbers && one.flags.join(' ') === other.flags.join(' ')
}

/**
 * What another selection would change: messages that it would have fetched, what is here and would be dropped, and messages that would
 * come into the index, as far as known, and leave it.
 */
export type SelectionPreview = {
  indexMessages: number
  leaveMessages: number
  fetchMessages: number
  fetchBytes: number
  dropMessages: number
  dropBytes: number
}
