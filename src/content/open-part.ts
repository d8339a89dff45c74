import { Readable } from 'node:stream'
import type { ByteRange } from '../mailbox/content-piece.js'
import type { Defect, Structure } from '../mailbox/message.js'
import { decodeText } from '../mime/charset.js'
import { endOfHeader, firstOf, parameterised } from '../mime/header-fields.js'
import { LARGEST_HEADER, MimeTreeReader, headOf, type MimePart, type PartHead } from '../mime/mime-tree.js'
import { structureOf } from '../mime/structure.js'
import { decodedContent } from '../mime/transfer-encoding.js'
import type { PartText } from './read-bodies.js'

/** A part of a message with its own header, whose body is a stream that was not begun. */
export type OpenPart = PartHead & { body: Readable }

/** A message whose parts can be opened by their numbers (RFC 9051 §6.4.5). */
export type OpenMessage = { structure: Structure; open: (part: Structure) => Promise<OpenPart | null> }

/**
 * Opens a raw message that can be read from anywhere.
 *
 * @param read gives a stream of its bytes, or of some of them
 */
export async function openMessage(read: (range?: ByteRange) => Readable): Promise<OpenMessage> {
  const reader = new MimeTreeReader()
  for await (const chunk of read()) reader.take(chunk as Buffer)
  const { root } = reader.end()
  const structure = structureOf(root, new Set<Defect>())
  return {
    structure,
    open: async ({ part: number }) => {
      const part = find(root, number)
      if (!part) return null
      const body = part.end > part.start ? read({ start: part.start, end: part.end - 1 }) : Readable.from([])
      return { header: part.header, fields: part.fields, type: part.type, encoding: part.encoding, body }
    },
  }
}

/** Opens a part that came by itself, its own header before it. */
export async function openAlone(content: AsyncIterable<Buffer>): Promise<OpenPart> {
  const chunks = content[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  let end = endOfHeader(head)
  while (!end && head.length < LARGEST_HEADER) {
    const next = await chunks.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
    end = endOfHeader(head)
  }
  const start = end?.behind ?? head.length
  async function* body(): AsyncGenerator<Buffer> {
    try {
      if (start < head.length) yield head.subarray(start)
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
    } finally {
      // a reader that has gone wants no more of it
      await chunks.return?.()
    }
  }
  return { ...headOf(head.subarray(0, start), false), body: Readable.from(body(), { objectMode: false }) }
}

/** What a part is called, and its content. */
export type FileContent = { content: Readable; type: string; filename: string | null }

/** A part as a file of its own, its transfer encoding undone. */
export function asFile({ fields, type, encoding, body }: OpenPart): FileContent {
  const { params } = parameterised(firstOf(fields, 'content-disposition'))
  const filename = params['filename'] ?? type.params['name']
  return { content: decodedContent(body, encoding), type: type.value, filename: filename || null }
}

/** Bytes of one text that are read; what is longer is shown in part. */
const LARGEST_TEXT = 16 * 1024 ** 2

/** A part as a text. */
export async function asText({ type, encoding, body }: OpenPart): Promise<PartText> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of decodedContent(body, encoding)) {
    chunks.push(chunk as Buffer)
    length += (chunk as Buffer).length
    if (length > LARGEST_TEXT) break
  }
  const bytes = Buffer.concat(chunks).subarray(0, LARGEST_TEXT)
  const charset = type.params['charset'] ?? (type.value === 'text/html' ? charsetInHtml(bytes) : null)
  return { text: decodeText(bytes, charset), params: type.params, isCut: length > LARGEST_TEXT }
}

/** The charset that a page names for itself, as a browser looks for it (WHATWG HTML §13.2.3.2). */
function charsetInHtml(bytes: Buffer): string | null {
  return /<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})/i.exec(bytes.toString('latin1', 0, 4_096))?.[1] ?? null
}

/** The part of a number. An embedded message and its body have one number, where that is a multipart. */
function find(root: MimePart, number: string): MimePart | null {
  for (const part of allOf(root)) if (part.number === number && !part.type.value.startsWith('multipart/')) return part
  return null
}

function* allOf(part: MimePart): Generator<MimePart> {
  yield part
  for (const child of part.children) yield* allOf(child)
}
