import { decodeText } from './charset.js'

/** An encoded word (RFC 2047 §2); mailers leave spaces in it unencoded. */
const ENCODED_WORD = /=\?([^?\s]*)\?([bq])\?([^?]*)\?=/gi

/** Charsets of which each encoded word begins and ends in ASCII (RFC 2047 §3), so that none is cut in a character. */
const STATEFUL = /^(cs)?(iso-?2022|utf-?7|hz)/i

/**
 * Text of a header field as a person reads it: encoded words (RFC 2047) are decoded, bytes beyond ASCII are read in UTF-8 (RFC 6532) or the charset of
 * the message, and what was folded is one line.
 *
 * @param value one character for each byte, unfolded
 * @param charset of the message's body, in which old mailers write their headers too
 */
export function decodeHeaderText(value: string, charset: string | null = null): string {
  const line = value.includes('\t') ? value.replace(/\s*\t\s*/g, ' ') : value
  return decodeWords(decodeBytes(line, charset))
}

/** Bytes beyond ASCII in a field as text. @param value one character for each byte */
export function decodeBytes(value: string, charset: string | null = null): string {
  // eslint-disable-next-line no-control-regex
  return /[^\x00-\x7f]/.test(value) ? decodeText(Buffer.from(value, 'latin1'), null, charset) : value
}

/** Text with its encoded words (RFC 2047) decoded. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text
  const runs: (string | Run)[] = []
  let at = 0
  for (const { index, 0: whole, 1: label = '', 2: encoding = '', 3: encoded = '' } of text.matchAll(ENCODED_WORD)) {
    const between = text.slice(at, index)
    const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(encoded, 'base64') : decodeQ(encoded)
    const last = runs.at(-1)
    // white space between two encoded words is not shown (RFC 2047 §6.2)
    const isNext = last !== undefined && typeof last !== 'string' && between.trim() === ''
    // a character may be cut in two between words of one charset
    const isSame = isNext && last.label.toLowerCase() === label.toLowerCase() && !STATEFUL.test(label)
    if (isSame) last.bytes = Buffer.concat([last.bytes, bytes])
    else {
      if (!isNext) runs.push(between)
      runs.push({ label, bytes })
    }
    at = index + whole.length
  }
  runs.push(text.slice(at))
  return runs.map((run) => (typeof run === 'string' ? run : decodeText(run.bytes, run.label))).join('')
}

/** Encoded words that follow each other, in one charset. */
type Run = { label: string; bytes: Buffer }

/** The Q encoding (RFC 2047 §4.2). */
function decodeQ(text: string): Buffer {
  const latin1 = text
    .replaceAll('_', ' ')
    .replace(/=([\da-f]{2})/gi, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)))
  return Buffer.from(latin1, 'latin1')
}
