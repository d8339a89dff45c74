import fc from 'fast-check'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { mboxOf, readMbox, type Ambiguity } from './mbox.js'

const FROM = 'From ann@example.org Mon Mar  2 10:00:00 2026\n'
const mail = (subject: string, body: string) => `Subject: ${subject}\n\n${body}\n`

/** The messages of an mbox, with line ends as files have them, and what was ambiguous. */
async function read(mbox: string | Buffer, piece = 7) {
  const bytes = Buffer.from(mbox)
  const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, at) =>
    bytes.subarray(at * piece, (at + 1) * piece),
  )
  const ambiguous: Ambiguity[] = []
  const found: string[] = []
  for await (const { content } of readMbox(Readable.from(pieces), (each) => ambiguous.push(each))) {
    const chunks: Buffer[] = []
    for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk))
    found.push(Buffer.concat(chunks).toString('latin1').replaceAll('\r\n', '\n'))
  }
  return { found, ambiguous: ambiguous.map(({ message, reason }) => `${message} ${reason}`) }
}

test('content 6: a line of a body that begins with "From " begins no message without a date or an empty line before it', async () => {
  const first = mail('one', 'Hello.\n\nFrom here on it is text.\nFrom bo@example.org Mon Mar  2 10:00:00 2026\nend')
  const second = mail('two', 'From the beginning')
  const { found, ambiguous } = await read(`${FROM}${first}\n${FROM}${second}\n`)
  expect(found).toEqual([first, second])
  expect(ambiguous).toEqual(['1 NO_DATE', '1 NO_EMPTY_LINE', '2 NO_DATE'])
})

test.each([
  ['is right', 0, 1],
  ['is not', 3, 2],
])('content 6: a Content-Length that %s', async (_, more, messages) => {
  const body = `as it came\n\n${FROM}Subject: quoted\n\nand its text\n>From here\n`
  const whole = `Subject: one\nContent-Length: ${body.length + more}\n\n${body}`
  const { found } = await read(`${FROM}${whole}\n${FROM}${mail('two', 'x')}`)
  expect(found).toHaveLength(messages + 1)
  if (more === 0) expect(found[0]).toBe(whole)
})

test.each([
  'From MAILER-DAEMON Fri Jul  8 12:08:34 2011',
  'From - Tue Mar 03 09:05:02 2026',
  'From "a b"@example.org Thu Jan  1 00:00:00 UTC 2026',
  'From ann@example.org  Thu Jan  1 00:00 +0100 2026 remote from host',
  'From ann@example.org Thu, 1 Jan 2026 00:00:00 +0000',
])('content 6: %s begins a message', async (line) => {
  const { found, ambiguous } = await read(`${FROM}${mail('one', 'a')}\n${line}\n${mail('two', 'b')}`)
  expect(found).toEqual([mail('one', 'a'), mail('two', 'b')])
  expect(ambiguous).toEqual([])
})

test('content 6: what is written as an mbox is read as it was, and nothing in it is ambiguous', async () => {
  const line = fc.constantFrom(
    'From x',
    FROM.trim(),
    '>From y',
    '>>From',
    '',
    '',
    'text',
    'Content-Length: 12',
    'A: b',
    '-- ',
  )
  const message = fc.array(line, { minLength: 1, maxLength: 12 }).map((lines) => `${lines.join('\n')}\n`)
  const property = fc.asyncProperty(
    fc.array(message, { maxLength: 4 }),
    fc.integer({ min: 1, max: 50 }),
    async (all, piece) => {
      const exported = all.map((text) => {
        const content = Readable.from([Buffer.from(text.replaceAll('\n', '\r\n'))])
        return { sender: 'ann@example.org', internalDate: new Date(0), content } as never
      })
      const mbox = await buffer(mboxOf(Readable.from(exported)))
      expect(await read(mbox, piece)).toEqual({ found: all, ambiguous: [] })
    },
  )
  await fc.assert(property, { numRuns: 500 })
})
