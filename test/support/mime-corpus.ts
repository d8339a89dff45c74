import { createHash } from 'node:crypto'
import fc from 'fast-check'
import iconv from 'iconv-lite'
import libqp from 'libqp'

/*
 * Messages by the thousand, made by a grammar of MIME (RFC 2045 to 2049, RFC 2183, RFC 2231): nesting, charsets, encodings, boundaries, dispositions and
 * names, each with what is in it.
 */

/** A part that holds something, as it has to be told. */
export type MadePart = { type: string; filename: string | null; sha256: string }

/** A message, and what is in it. */
export type MadeMessage = { raw: Buffer; subject: string; from: string; to: string; parts: readonly MadePart[] }

/** A part as it is written, its header before it, and the parts that are to be told of it. */
type Written = { header: string; body: Buffer; parts: readonly MadePart[] }

const CHARSETS: readonly (readonly [charset: string, letters: string])[] = [
  ['us-ascii', 'abc XYZ,.;'],
  ['utf-8', 'grüße, 日本語 – ok 🙂'],
  ['iso-8859-1', 'éàü ñandú'],
  ['windows-1252', '“quotes” – €5'],
  ['koi8-r', 'привет мир'],
  ['windows-1251', 'Добрый день'],
  ['iso-8859-2', 'žluťoučký kůň'],
  ['gb18030', '你好 世界'],
  ['shift_jis', 'こんにちは 世界'],
  ['euc-kr', '안녕 세계'],
  ['big5', '繁體 中文'],
]

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values)

/** Some text in a charset: its letters, never in an order that would be another charset by chance. */
const written = fc.constantFrom(...CHARSETS).chain(([charset, letters]) => {
  const words = letters.split(' ')
  return fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 8 }).map((chosen) => {
    return { charset, text: chosen.join(' ') }
  })
})

const encodedWord = (charset: string, text: string, encoding: string) => {
  const bytes = iconv.encode(text, charset)
  if (encoding === 'b') return `=?${charset}?b?${bytes.toString('base64')}?=`
  const q = [...bytes].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  return `=?${charset}?q?${q}?=`
}

/** Text in a header field, in each way in which it is written. @returns the bytes as latin1, and what they say */
const headerText = fc
  .tuple(written, oneOf('b', 'q', 'words', 'raw', 'plain'), fc.boolean())
  .map(([{ charset, text }, way, isFolded]) => {
    const space = isFolded ? '\r\n ' : ' '
    const plain = { bytes: 'plain words', text: 'plain words' }
    if (way === 'plain') return plain
    // bytes beyond ASCII are UTF-8, or of the charset of the message: here the first
    if (way === 'raw') return { bytes: Buffer.from(text).toString('latin1'), text }
    if (way !== 'words') return { bytes: `Fine${space}${encodedWord(charset, text, way)}`, text: `Fine ${text}` }
    const words = text.split(' ')
    return { bytes: words.map((word) => encodedWord(charset, word, 'b')).join(space), text: words.join('') }
  })

const asciiName = fc
  .tuple(oneOf('report', 'a b', 'photo(1)', 'semi;colon', "it's", 'equal=sign'), oneOf('.pdf', '.tar.gz', '.x'))
  .map((parts) => parts.join(''))
const anyName = fc.tuple(written, oneOf('.pdf', '.jpg')).map(([{ text }, end]) => `${text}${end}`)

/** A file name, in each way in which it is written. @returns a parameter, its own name before it */
const nameParameter = (key: string) =>
  fc.oneof(
    asciiName.map((name) => ({ parameter: `${key}="${name}"`, name })),
    asciiName.filter((name) => /^[\w.]+$/.test(name)).map((name) => ({ parameter: `${key}=${name}`, name })),
    anyName.map((name) => ({ parameter: `${key}="${encodedWord('utf-8', name, 'b')}"`, name })),
    anyName.map((name) => ({ parameter: `${key}*=utf-8''${percent(name)}`, name })),
    anyName.map((name) => ({ parameter: continued(key, name), name })),
    anyName.map((name) => ({ parameter: `${key}="${Buffer.from(name).toString('latin1')}"`, name })),
  )

const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

/** A long parameter in several lines (RFC 2231 §4.1). */
function continued(key: string, name: string): string {
  const pieces = percent(name).match(/.{1,30}/gs) ?? []
  return pieces.map((piece, index) => `${key}*${index}*=${index === 0 ? "utf-8''" : ''}${piece}`).join(';\r\n ')
}

/** A line end of a text is one; in other bytes it is not (RFC 2045 §6.7). */
const encodedQ = (bytes: Buffer) =>
  libqp
    .encode(bytes)
    .replace(/(?<!\r)\n/g, '=0A')
    .replace(/\r(?!\n)/g, '=0D')

const encodedBody = (bytes: Buffer, encoding: string): Buffer => {
  if (encoding === 'base64') return Buffer.from(bytes.toString('base64').replace(/.{1,76}/g, '$&\r\n'))
  if (encoding === 'quoted-printable') return Buffer.from(libqp.wrap(encodedQ(bytes), 76))
  return bytes
}

const anyCase = (field: string) => fc.constantFrom(field, field.toLowerCase(), field.toUpperCase())
const fields = (...lines: readonly string[]) =>
  lines
    .filter((line) => line !== '')
    .map((line) => `${line}\r\n`)
    .join('')

const LINES = ['-- ', '--', '--not a boundary', '.', 'From here on', ' indented', '', 'end']
const textLeaf = fc
  .record({
    content: written,
    lines: fc.array(oneOf(...LINES), { maxLength: 4 }),
    encoding: oneOf('7bit', '8bit', 'base64', 'quoted-printable', ''),
    type: oneOf('text/plain', 'text/html', 'text/plain', 'text/calendar'),
    name: anyCase('Content-Type'),
    isQuoted: fc.boolean(),
  })
  .map(({ content: { charset, text }, lines, encoding, type, name, isQuoted }): Written => {
    const bytes = Buffer.concat([...lines, text].map((line) => Buffer.concat([iconv.encode(line, charset), CRLF])))
    const parameter = isQuoted ? `charset="${charset}"` : `charset=${charset.toUpperCase()}`
    const header = fields(`${name}: ${type}; ${parameter}`, encoding && `Content-Transfer-Encoding: ${encoding}`)
    return { header, body: encodedBody(bytes, encoding), parts: [{ type, filename: null, sha256: sha256(bytes) }] }
  })
const CRLF = Buffer.from('\r\n')

const fileLeaf = fc
  .record({
    bytes: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    type: oneOf('application/pdf', 'image/png', 'application/octet-stream', 'text/csv', 'application/x-odd'),
    inDisposition: fc.option(nameParameter('filename')),
    inType: fc.option(nameParameter('name')),
    disposition: oneOf('attachment', 'inline', 'ATTACHMENT', 'x-odd'),
    contentId: fc.option(oneOf('<a@b>', '<image001.png@01D>')),
    encoding: oneOf('base64', 'Base64', 'quoted-printable'),
    isFolded: fc.boolean(),
  })
  .map(({ bytes, type, inDisposition, inType, disposition, contentId, encoding, isFolded }): Written => {
    const space = isFolded ? ';\r\n\t' : '; '
    const header = fields(
      `Content-Type: ${type}${inType ? space + inType.parameter : ''}`,
      `Content-Disposition: ${disposition}${inDisposition ? space + inDisposition.parameter : ''}`,
      contentId === null ? '' : `Content-ID: ${contentId}`,
      `Content-Transfer-Encoding: ${encoding}`,
    )
    const filename = inDisposition?.name ?? inType?.name ?? null
    const body = encodedBody(bytes, encoding.toLowerCase())
    return { header, body, parts: [{ type, filename, sha256: sha256(bytes) }] }
  })

const boundary = fc
  .tuple(oneOf('b', '=_a', "'()+_,-./:=?", 'two words', 'x'.repeat(60)), fc.nat({ max: 999 }))
  .map(([start, number]) => `${start}${number}`)

/** A multipart. The boundary of an inner one begins as that of the outer one does, and goes on. */
const multipart = (children: fc.Arbitrary<readonly Written[]>) =>
  fc
    .record({
      children,
      kind: oneOf('mixed', 'alternative', 'related', 'report', 'x-odd', 'signed'),
      boundary,
      preamble: oneOf('', 'This is a message in MIME format.\r\n'),
      epilogue: oneOf('', '\r\nan end\r\n'),
      isPadded: fc.boolean(),
    })
    .map(({ children, kind, boundary: start, preamble, epilogue, isPadded }): Written => {
      // no boundary begins as one of its parts does
      const depth = Math.max(0, ...children.map(({ header }) => Number(/deep(\d+)/.exec(header)?.[1] ?? 0))) + 1
      const own = `${start}deep${depth}`.slice(-70)
      const line = `--${own}${isPadded ? ' \t' : ''}\r\n`
      const pieces = children.flatMap(({ header, body }) => [Buffer.from(`${line}${header}\r\n`, 'latin1'), body, CRLF])
      const body = Buffer.concat([Buffer.from(preamble), ...pieces, Buffer.from(`--${own}--\r\n${epilogue}`)])
      const header = fields(`Content-Type: multipart/${kind};\r\n boundary="${own}"`)
      return { header, body, parts: children.flatMap(({ parts }) => parts) }
    })

const embedded = (inner: fc.Arbitrary<Written>) =>
  fc.tuple(inner, headerText, oneOf('', 'attachment', 'inline')).map(([content, subject, disposition]): Written => {
    const head = fields('From: Inner <inner@example.org>', `Subject: ${subject.bytes}`)
    const body = Buffer.concat([Buffer.from(`${head}${content.header}\r\n`, 'latin1'), content.body])
    const header = fields('Content-Type: message/rfc822', disposition && `Content-Disposition: ${disposition}`)
    const whole = { type: 'message/rfc822', filename: null, sha256: sha256(body) }
    return { header, body, parts: [whole, ...content.parts] }
  })

const leaf = fc.oneof({ weight: 3, arbitrary: textLeaf }, { weight: 2, arbitrary: fileLeaf })
const { tree } = fc.letrec<{ tree: Written }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'medium', maxDepth: 4, withCrossShrink: true },
    { weight: 2, arbitrary: leaf },
    { weight: 3, arbitrary: multipart(fc.array(tie('tree'), { minLength: 1, maxLength: 4 })) },
    { weight: 1, arbitrary: embedded(tie('tree')) },
  ),
}))

const message = fc.tuple(tree, headerText, headerText).map(([content, subject, sender]): MadeMessage => {
  const isQuoted = /[^ -~]|[,.]/.test(sender.bytes) && !sender.bytes.includes('=?')
  const head = fields(
    `From: ${isQuoted ? `"${sender.bytes}"` : sender.bytes} <ann@example.org>`,
    'To: Bo <bo@example.org>',
    'Date: Mon, 2 Mar 2026 10:00:00 +0100',
    `Subject: ${subject.bytes}`,
    'MIME-Version: 1.0',
  )
  const raw = Buffer.concat([Buffer.from(`${head}${content.header}\r\n`, 'latin1'), content.body])
  return { raw, subject: subject.text, from: sender.text, to: 'Bo', parts: content.parts }
})

/** The first messages of a corpus that is the same for the same seed; each names its number in the field X-Case. */
export function corpus(count: number, seed: number): MadeMessage[] {
  return fc.sample(message, { numRuns: count, seed }).map((made, number) => {
    return { ...made, raw: Buffer.concat([Buffer.from(`X-Case: ${number}\r\n`), made.raw]) }
  })
}
