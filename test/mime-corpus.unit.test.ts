/*
 * Thousands of generated messages, read as what they were made of, and compared with a second parser.
 */
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import PostalMime from 'postal-mime'
import { asFile, openMessage } from '../src/content/open-part.ts'
import { readMetadata } from '../src/content/message-metadata.ts'
import { attachmentsOf, partsOf, type Structure } from '../src/mailbox/message.ts'
import { corpus, type MadeMessage } from './support/mime-corpus.ts'

const SEED = Number(process.env['MAILFOLD_SEED'] ?? 20_261_130)
const MADE = corpus(Number(process.env['MAILFOLD_CASES'] ?? 2_000), SEED)

const isOfLines = (type: string) => /^(text|message)[/]/.test(type)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** What is read of a message. */
async function read({ raw }: MadeMessage) {
  const { envelope, structure, defects } = await readMetadata([raw])
  const message = await openMessage((range) => Readable.from([range ? raw.subarray(range.start, range.end + 1) : raw]))
  const told = async ({ part }: { part: Structure }) => {
    const opened = await message.open(part)
    const content = opened && (await buffer(asFile(opened).content))
    return { type: part.type, filename: part.filename, sha256: content && sha256(content) }
  }
  const parts = await Promise.all(partsOf(structure).map(told))
  // the lines of texts and messages are changed by the other parser
  const files = attachmentsOf(structure).filter(({ part }) => !isOfLines(part.type))
  const withEncoding = async (placed: { part: Structure }) => ({
    ...(await told(placed)),
    encoding: placed.part.encoding,
  })
  return { envelope, defects, parts, files: await Promise.all(files.map(withEncoding)) }
}

test('content: each generated message is read as what it was made of', async () => {
  for (const [number, made] of MADE.entries()) {
    const { envelope, parts, defects } = await read(made)
    const told = { number, subject: envelope.subject, from: envelope.from, to: envelope.to, parts, defects }
    const { subject, from, to } = made
    expect(told).toEqual({
      number,
      subject,
      from: [{ name: from, address: 'ann@example.org' }],
      to: [{ name: to, address: 'bo@example.org' }],
      parts: made.parts,
      defects: [],
    })
  }
})

test('content: a second parser reads the same of each generated message', async () => {
  for (const [number, made] of MADE.entries()) {
    const { envelope, files } = await read(made)
    const other = await PostalMime.parse(made.raw, { forceRfc822Attachments: true })
    expect([number, other.subject, other.from?.name, other.date]).toEqual([
      number,
      envelope.subject,
      envelope.from[0]?.name,
      envelope.date,
    ])
    // in quoted-printable it keeps no bytes but text
    const isSame = (sum: string, index: number) => files[index]?.encoding !== 'base64' || files[index].sha256 === sum
    const theirs = other.attachments.filter(({ mimeType }) => !isOfLines(mimeType))
    const told = theirs.map(({ mimeType, filename, content }, index) => {
      return [mimeType, filename, isSame(sha256(new Uint8Array(content as ArrayBuffer)), index)]
    })
    expect([number, told]).toEqual([number, files.map(({ type, filename }) => [type, filename, true])])
  }
})
