import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { decodeText } from './charset.js'
import { readDate } from './header-date.js'
import { fieldsOf, parameterised } from './header-fields.js'
import { decodeHeaderText } from './header-text.js'
import { MimeTreeReader, readTree, type MimePart } from './mime-tree.js'
import { decodedContent } from './transfer-encoding.js'

/** A tree without its headers: what lies where. */
type Shape = { number: string; type: string; start: number; end: number; children: Shape[] }
function shapeOf({ number, type, start, end, children }: MimePart): Shape {
  return { number, type: type.value, start, end, children: children.map(shapeOf) }
}

const line = fc.constantFrom(
  ...['--a', '--a--', '--b', '--b--', '--ab', '', '', 'text', '-', '--', '- -', ' folded', 'no field', '\u00ff'],
  ...[
    'Content-Type: multipart/mixed; boundary=a',
    'Content-Type: multipart/digest; boundary=b',
    'Content-Type: multipart/x',
  ],
  ...[
    'Content-Type: message/rfc822',
    'Content-Type: text/html',
    'Content-Transfer-Encoding: base64',
    'Content-Type: text',
  ],
  ...['begin 644 a.txt', '#86)C', '`', 'end'],
)
const message = fc
  .array(fc.tuple(line, fc.constantFrom('\r\n', '\r\n', '\n')), { maxLength: 40 })
  .map((lines) => Buffer.from(lines.flat().join(''), 'latin1'))

test('content: a tree is the same however its message is cut on its way', () => {
  fc.assert(
    fc.property(message, fc.integer({ min: 1, max: 9 }), (raw, piece) => {
      const reader = new MimeTreeReader()
      for (let at = 0; at < raw.length; at += piece) reader.take(raw.subarray(at, at + piece))
      expect(shapeOf(reader.end().root)).toEqual(shapeOf(readTree(raw).root))
    }),
    { numRuns: 2_000 },
  )
})

test('content: whatever comes, parts lie in their parents, behind each other, and each has a number of its own', () => {
  const look = (part: Shape, numbers: string[]) => {
    expect(part.start).toBeLessThanOrEqual(part.end)
    if (!part.type.startsWith('multipart/')) numbers.push(part.number)
    let from = part.start
    for (const child of part.children) {
      expect(child.start).toBeGreaterThanOrEqual(from)
      expect(child.end).toBeLessThanOrEqual(part.end)
      from = child.end
      look(child, numbers)
    }
    return numbers
  }
  fc.assert(
    fc.property(message, (raw) => {
      const { root, size } = readTree(raw)
      expect(size).toBe(raw.length)
      const numbers = look(shapeOf(root), [])
      expect(new Set(numbers).size).toBe(numbers.length)
      for (const number of numbers) expect(number).toMatch(/^\d+(\.\d+)*$/)
    }),
    { numRuns: 2_000 },
  )
})

/** Lines of uuencode, with `begin` and `end`. */
function uuencoded(name: string, bytes: Uint8Array, lineEnd: string): string {
  const lines = [`begin 644 ${name}`]
  const character = (value: number) => String.fromCharCode((value & 63) === 0 ? 96 : 32 + (value & 63))
  for (let at = 0; at < bytes.length; at += 45) {
    const piece = bytes.subarray(at, at + 45)
    let line = character(piece.length)
    for (let from = 0; from < piece.length; from += 3) {
      const [a, b, c] = [piece[from] ?? 0, piece[from + 1] ?? 0, piece[from + 2] ?? 0]
      line += [a >> 2, (a << 4) | (b >> 4), (b << 2) | (c >> 6), c].map(character).join('')
    }
    lines.push(line)
  }
  return [...lines, '`', 'end', ''].join(lineEnd)
}

test('content: files that are written in a text are parts of it, with their bytes', async () => {
  const file = fc.tuple(fc.constantFrom('a.txt', 'b c.pdf', 'x'), fc.uint8Array({ maxLength: 200 }))
  const written = fc.tuple(
    fc.array(file, { maxLength: 3 }),
    fc.constantFrom('\r\n', '\n'),
    fc.integer({ min: 1, max: 50 }),
  )
  await fc.assert(
    fc.asyncProperty(written, async ([files, lineEnd, piece]) => {
      const text = files.map(([name, bytes]) => `begin no file${lineEnd}${uuencoded(name, bytes, lineEnd)}`)
      const raw = Buffer.from(`Subject: x${lineEnd}${lineEnd}${text.join('')}begin 644 unfinished${lineEnd}`, 'latin1')
      const reader = new MimeTreeReader()
      for (let at = 0; at < raw.length; at += piece) reader.take(raw.subarray(at, at + piece))
      const parts = reader.end().root.children
      expect(parts.map(({ type }) => type.params['name'])).toEqual(files.map(([name]) => name))
      for (const [index, { start, end, encoding }] of parts.entries()) {
        const content = await buffer(decodedContent(Readable.from([raw.subarray(start, end)]), encoding))
        expect(content).toEqual(Buffer.from(files[index]?.[1] ?? []))
      }
    }),
  )
})

test('content: a thousand messages in each other, and boundaries that are opened for ever, end', () => {
  const nested = Buffer.from('Content-Type: message/rfc822\r\n\r\n'.repeat(1_000) + 'end')
  expect(readTree(nested).isTruncated).toBe(true)
  const many = Buffer.from('Content-Type: multipart/mixed; boundary=a\r\n\r\n' + '--a\r\n\r\nx\r\n'.repeat(10_000))
  const { root, isTruncated } = readTree(many)
  expect(isTruncated).toBe(true)
  expect(root.children.length).toBeLessThan(3_001)
})

test.each([
  ['utf-8 that is declared', 'utf-8', [0x47, 0xc3, 0xbc], 'Gü'],
  ['utf-8 that is not', null, [0x47, 0xc3, 0xbc], 'Gü'],
  ['Latin-1 that is not declared', null, [0x47, 0xfc], 'Gü'],
  ['a charset that nobody knows', 'x-nobody', [0x47, 0xfc], 'Gü'],
  ['windows-1252 that calls itself Latin-1', 'iso-8859-1', [0x93, 0x80], '“€'],
  ['a name in quotes', '"utf8"', [0xc3, 0xbc], 'ü'],
])('content: %s is read', (_, charset, bytes, text) => {
  expect(decodeText(Uint8Array.from(bytes), charset)).toBe(text)
})

test('content: any bytes are text in any charset', () => {
  const charset = fc.constantFrom(
    'utf-8',
    'utf-7',
    'iso-2022-kr',
    'iso-2022-jp',
    'gb18030',
    'cp850',
    'x-none',
    '',
    'replacement',
  )
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      charset,
      (bytes, name) => typeof decodeText(bytes, name) === 'string',
    ),
  )
})

test.each([
  ['=?utf-8?q?a?= =?utf-8?q?b?=', 'ab'],
  ['=?utf-8?q?a?= and =?utf-8?q?b?=', 'a and b'],
  ['=?utf-8?b?w7w=?==?utf-8?b?w7w=?=', 'üü'],
  ['=?utf-8?q?broken', '=?utf-8?q?broken'],
  ['plain =?= text ?=', 'plain =?= text ?='],
])('content: the header text %j is %j', (written, read) => expect(decodeHeaderText(written)).toBe(read))

test.each([
  ['Mon, 2 Mar 2026 10:00:00 +0100', '2026-03-02T09:00:00.000Z'],
  ['2 Mar 26 10:00 EST', '2026-03-02T15:00:00.000Z'],
  ['Mon, 2 Mar 2026 10:00:00', '2026-03-02T10:00:00.000Z'],
  ['Mon, 30 Feb 2026 10:00:00 +0100', null],
  ['Message 7', null],
  ['', null],
])('content: the date %j is %j', (written, read) => {
  const moment = readDate(written)
  expect(moment === null ? null : new Date(moment).toISOString()).toBe(read)
})

test('content: any text is a date, or none, at once', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const moment = readDate(text)
      return moment === null || Number.isFinite(moment)
    }),
  )
  expect(readDate('('.repeat(100_000))).toBeNull()
  expect(readDate(' '.repeat(100_000) + '1')).toBeNull()
})

test('content: a line that is no field takes nothing from the fields beside it', () => {
  const fields = fieldsOf(Buffer.from('From somebody Mon\r\nSubject: a\r\n b\r\nno field\r\n folded\r\nTo: c\r\n'))
  expect(fields).toEqual([
    { name: 'subject', value: 'a b' },
    { name: 'to', value: 'c' },
  ])
  expect(parameterised('Text/Plain; NAME="a b"; charset=utf-8')).toEqual({
    value: 'text/plain',
    params: { name: 'a b', charset: 'utf-8' },
  })
})
