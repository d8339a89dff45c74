import fc from 'fast-check'
import { Readable } from 'node:stream'
import type { Structure } from '../mailbox/message.js'
import { readMetadata } from './message-metadata.js'
import { readBodies, type Bodies } from './read-message.js'
import { textsAlone, textsOf } from './texts-alone.js'

/** A part: its header and body, or the parts in it. */
type Part = { header: string; body: string } | { kind: string; children: Part[] }

const words = fc
  .array(fc.constantFrom('wörter', 'of a text', '<b>bold</b>', '', '--a', '.', 'x'.repeat(90)), { maxLength: 5 })
  // where chunks of a stream end, mailparser sees an empty part as an empty line, or as nothing
  .map((lines) => ['some', ...lines].join('\r\n'))
const header = fc.constantFrom(
  'Content-Type: text/plain; charset=utf-8',
  'Content-Type: text/html; charset=utf-8',
  'Content-Type: text/plain; charset=utf-8; format=flowed',
  'Content-Type: text/plain; charset=utf-8; name="named.txt"',
  'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename="attached.txt"',
  'Content-Type: text/calendar; charset=utf-8',
  'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="a.bin"',
  'Content-Type: image/png\r\nContent-Id: <picture>',
)
const { tree } = fc.letrec<{ tree: Part; leaf: Part }>((tie) => ({
  leaf: fc.record({ header, body: words }),
  tree: fc.record({
    kind: fc.constantFrom('mixed', 'alternative', 'related'),
    children: fc.array(fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('tree')), { minLength: 1, maxLength: 4 }),
  }),
}))

function written(part: Part, boundary: string): string {
  if ('body' in part) return `${part.header}\r\n\r\n${part.body}`
  const children = part.children.map((child, index) => `--${boundary}\r\n${written(child, `${boundary}.${index}`)}\r\n`)
  return `Content-Type: multipart/${part.kind}; boundary="${boundary}"\r\n\r\n${children.join('')}--${boundary}--`
}

/** Parts by their numbers (RFC 9051 §6.4.5). */
function numbered(part: Part, number: string, found = new Map<string, string>()): Map<string, string> {
  if ('body' in part) found.set(number, written(part, ''))
  else part.children.forEach((child, index) => numbered(child, [number, index + 1].filter(Boolean).join('.'), found))
  return found
}

/** Words: where chunks of a stream end bears on line ends. */
const seen = ({ text, html }: Bodies) => [text, html].map((body) => body?.split(/\s+/).filter(Boolean).join(' ') ?? '')

test('the bodies of a message are the same when they are read from its texts alone', async () => {
  const property = fc.asyncProperty(tree, async (message) => {
    const raw = Buffer.from(`Subject: s\r\nMIME-Version: 1.0\r\n${written(message, 'outer')}\r\n`)
    const { structure } = await readMetadata([raw])
    const texts = structure && textsOf(structure)
    if (!structure || !texts) throw new Error('this is a multipart')
    const parts = numbered(message, '')
    const asked: string[] = []
    const partOf = ({ part }: Structure) => {
      asked.push(part)
      return Promise.resolve(Readable.from([Buffer.from(parts.get(part) ?? '')]))
    }
    const alone = await readBodies(Readable.from(textsAlone(structure, texts, partOf)))
    expect(seen(alone)).toEqual(seen(await readBodies(Readable.from([raw]))))
    for (const part of asked) expect(parts.get(part)).toMatch(/^Content-Type: text\/(plain|html)/)
    for (const part of asked) expect(parts.get(part)).not.toContain('attached.txt')
  })
  await fc.assert(property, { numRuns: 500 })
})

test('a message of one part, and one that shows another message, are read as a whole', () => {
  const part: Structure = {
    ...{ part: '1', type: 'text/plain', size: 1, encoding: null, charset: null },
    ...{ disposition: null, filename: null, contentId: null, children: [] },
  }
  expect(textsOf(part)).toBeNull()
  const forwarded = { ...part, part: '2', type: 'message/rfc822' }
  expect(textsOf({ ...part, type: 'multipart/mixed', children: [part, forwarded] })).toBeNull()
  expect(
    textsOf({ ...part, type: 'multipart/mixed', children: [part, { ...forwarded, disposition: 'attachment' }] }),
  ).toEqual([part])
})
