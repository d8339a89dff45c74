/*
 * Mail that is worth deleting on a server that fills up. What is flagged counts as wanted, and is in no group but DUPLICATES, TRASH and
 * JUNK.
 */

/**
 * A group of messages that are worth deleting. LARGEST: of a size or more. READ_ATTACHMENTS: those of them with attachments, and read.
 * DUPLICATES: with the Message-ID and the size of an earlier one, which stays. TRASH, JUNK: in the mailboxes for that (RFC 6154). NEWSLETTERS: come
 * by a mailing list (RFC 2919), and never read. OLD: come so long ago.
 */
export type CandidateKind = 'LARGEST' | 'READ_ATTACHMENTS' | 'DUPLICATES' | 'TRASH' | 'JUNK' | 'NEWSLETTERS' | 'OLD'

/** All of them, in the order in which they are listed. */
export const CANDIDATE_KINDS: readonly CandidateKind[] = [
  'LARGEST',
  'READ_ATTACHMENTS',
  'DUPLICATES',
  'TRASH',
  'JUNK',
  'NEWSLETTERS',
  'OLD',
]

/** What counts as large, in bytes, and as old, in days since INTERNALDATE. */
export type CandidateTerms = { minBytes: number; olderThanDays: number }

/** What they are where nobody says. */
export const CANDIDATE_TERMS: CandidateTerms = { minBytes: 1_000_000, olderThanDays: 365 }

/** How many messages a group has, and the bytes that go with them. */
export type CandidateSum = { messages: number; bytes: number }

/** Why terms cannot be: the field, and one clause for a person. Null where they can. */
export function whyNoTerms({ minBytes, olderThanDays }: CandidateTerms): { field: string; reason: string } | null {
  if (!Number.isSafeInteger(minBytes) || minBytes < 1)
    return { field: 'minBytes', reason: 'must be a whole number above 0' }
  if (!Number.isSafeInteger(olderThanDays) || olderThanDays < 1 || olderThanDays > 36_500)
    return { field: 'olderThanDays', reason: 'must be a whole number from 1 to 36500' }
  return null
}
