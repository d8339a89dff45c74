import libmime from 'libmime'
import { decodeBytes, decodeWords } from './header-text.js'

/** One field of a header: its name in lower case, and its value as it came, unfolded, one character for each byte. */
export type HeaderField = { name: string; value: string }

/**
 * The fields of a raw header, in their order (RFC 5322 §2.2). What is no field, such as the `From ` line of an mbox, is passed over; a line that is
 * folded belongs to the field before it.
 *
 * @param header its bytes, with or without the empty line behind it
 */
export function fieldsOf(header: Buffer): HeaderField[] {
  const fields: HeaderField[] = []
  let isField = false
  for (const line of header.toString('latin1').split(/\r?\n/)) {
    const last = fields.at(-1)
    if (/^[ \t]/.test(line)) {
      if (last && isField) last.value += line
      continue
    }
    const found = /^([!-9;-~]+)[ \t]*:[ \t]*(.*)$/s.exec(line)
    isField = found !== null
    if (found) fields.push({ name: (found[1] ?? '').toLowerCase(), value: found[2] ?? '' })
  }
  return fields.map(({ name, value }) => ({ name, value: value.trim() }))
}

/** The first field of a name; null where there is none. Of fields that may stand once, the first counts. */
export function firstOf(fields: readonly HeaderField[], name: string): string | null {
  return fields.find((field) => field.name === name)?.value ?? null
}

/** A field with parameters (RFC 2045 §5.1): its value in lower case, and its parameters by their names in lower case, as text. */
export type Parameterised = { value: string; params: Readonly<Record<string, string>> }

/** Characters of a field with parameters that are looked at. */
const LONGEST_PARAMETERS = 64 * 1024

/** Reads a field with parameters, their continuations and charsets (RFC 2231), and the encoded words that mailers write instead of those. */
export function parameterised(field: string | null): Parameterised {
  if (field === null) return { value: '', params: {} }
  const text = decodeBytes(field.slice(0, LONGEST_PARAMETERS))
  const { value, params } = libmime.parseHeaderValue(text) as { value: string | false; params: Record<string, string> }
  const decoded = Object.entries(params).map(([name, written]) => [name.toLowerCase(), decodeWords(written)] as const)
  return { value: (value || '').trim().toLowerCase(), params: Object.fromEntries(decoded) }
}

/**
 * Where a header ends, and where the body begins: behind the first empty line.
 *
 * @param from where to begin looking
 * @returns null where the header goes on
 */
export function endOfHeader(bytes: Buffer, from = 0): { at: number; behind: number } | null {
  if (bytes[0] === 10) return { at: 0, behind: 1 }
  if (bytes[0] === 13 && bytes[1] === 10) return { at: 0, behind: 2 }
  const [crlf, lf] = [bytes.indexOf('\r\n\r\n', from), bytes.indexOf('\n\n', from)]
  if (crlf >= 0 && (lf < 0 || crlf < lf)) return { at: crlf, behind: crlf + 4 }
  return lf < 0 ? null : { at: lf, behind: lf + 2 }
}
