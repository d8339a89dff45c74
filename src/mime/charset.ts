import iconv from 'iconv-lite'

/** Charsets that say no more than that bytes may be anything: what was written is guessed. */
const UNKNOWN = /^(us-ascii|ascii|unknown(-8bit)?|x-unknown|8bit|binary|default|none|x-user-defined)$/

/**
 * Text in whatever charset a message names for it; never throws.
 *
 * Where none is named, or none that is known: UTF-8 where the bytes are that, else `otherwise`, else windows-1252, as which Latin-1 is read (WHATWG Encoding
 * Standard §4.2). A named one is believed.
 *
 * @param charset as the message names it; null where it names none
 * @param otherwise the charset of the text around it, which may be the one that was meant
 */
export function decodeText(bytes: Uint8Array, charset: string | null, otherwise: string | null = null): string {
  const named = labelOf(charset)
  return (
    (named === null ? null : decodeAs(bytes, named)) ??
    asUtf8(bytes) ??
    (otherwise === null ? null : decodeAs(bytes, labelOf(otherwise) ?? 'windows-1252')) ??
    new TextDecoder('windows-1252').decode(bytes)
  )
}

/** A charset's name as decoders know it; null for what names none. */
function labelOf(charset: string | null): string | null {
  // RFC 2231 §5 allows a language behind the charset of an encoded word
  const label = (charset ?? '')
    .replace(/\*.*$/s, '')
    .replace(/["'\s]/g, '')
    .toLowerCase()
    .replace(/^cs_?/, 'cs')
    .replace(/_/g, '-')
  return label === '' || UNKNOWN.test(label) ? null : label
}

/** @returns null for a charset that nobody knows */
function decodeAs(bytes: Uint8Array, label: string): string | null {
  if (/^(cs)?iso-?2022-?kr$/.test(label)) return decodeIso2022Kr(bytes)
  // WHATWG's decoders read Latin-1 and the like as mailers mean them; some of its labels stand for no decoder
  const decoder = decoderOf(label)
  if (decoder) return decoder.decode(bytes)
  return iconv.encodingExists(label) ? iconv.decode(Buffer.from(bytes), label) : null
}

function decoderOf(label: string): InstanceType<typeof TextDecoder> | null {
  try {
    const decoder = new TextDecoder(label)
    return decoder.encoding === 'replacement' ? null : decoder
  } catch {
    return null
  }
}

function asUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/** ISO-2022-KR (RFC 1557): SO and SI shift between ASCII and KS X 1001, which EUC-KR has with the eighth bit set. */
function decodeIso2022Kr(bytes: Uint8Array): string {
  const [escape, shiftOut, shiftIn] = [0x1b, 0x0e, 0x0f]
  const found: number[] = []
  let isShifted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    // ESC $ ) C, the designation, comes once
    if (byte === escape) at += 3
    else if (byte === shiftOut || byte === shiftIn) isShifted = byte === shiftOut
    else found.push(isShifted && byte > 0x20 ? byte | 0x80 : byte)
  }
  return new TextDecoder('euc-kr').decode(Uint8Array.from(found))
}
