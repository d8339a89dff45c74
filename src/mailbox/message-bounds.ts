import type { Defect } from './message.js'

/*
 * Bounds on what one message may put into the index, whoever has read it. The raw message keeps the rest, and a defect says so.
 */

const LONGEST_TEXT = 4_000
/** Addresses of one header. */
export const MOST_ADDRESSES = 500
/** Parts of a message's structure. */
export const MOST_PARTS = 500
const MOST_REFERENCES = 200

/** Neither NUL nor half a surrogate pair can be stored as text. */
export function clean(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.toWellFormed().replace(/\u0000/g, '\uFFFD')
}

/** A header's text, as long as the index keeps it. @param defects where it is noted that it was cut */
export function bounded(text: string | undefined, defects: Set<Defect>): string {
  if (!text) return ''
  if (text.length > LONGEST_TEXT) defects.add('HEADER_TRUNCATED')
  return clean(text.slice(0, LONGEST_TEXT))
}

/** A date in ISO 8601, null for what is none. */
export function isoDate(date: Date | string | undefined): string | null {
  const parsed = date === undefined ? NaN : new Date(date).getTime()
  // beyond these years it is no date of mail, and Postgres's own range begins to matter
  return parsed >= -62_135_596_800_000 && parsed <= 253_402_300_799_000 ? new Date(parsed).toISOString() : null
}

/** The message ids in a References header, oldest first. */
export function boundedReferences(header: string, defects: Set<Defect>): string[] {
  const found = header.match(/<[^<>\s]{1,998}>/g) ?? []
  if (found.length > MOST_REFERENCES) defects.add('HEADER_TRUNCATED')
  // the first names the thread's root, the last ones the nearest ancestors
  const kept = found.length > MOST_REFERENCES ? [...found.slice(0, 1), ...found.slice(1 - MOST_REFERENCES)] : found
  return kept.map(clean)
}

/** The identifier in a List-Id header (RFC 2919 §3); null for what has none. */
export function boundedListId(header: string): string | null {
  return clean(/<([^<>\s]{1,255})>\s*$/.exec(header)?.[1]?.toLowerCase() ?? '') || null
}

/** The field of a message that says by which list it came; none where it came by none. */
export function listOf(listId: string | null): { listId?: string } {
  return listId === null ? {} : { listId }
}
