import { createHash } from 'node:crypto'
import { isoDate, listOf } from '../mailbox/message-bounds.js'
import { fingerprintSource, type Defect, type MessageData } from '../mailbox/message.js'
import { readEnvelope } from '../mime/envelope.js'
import { readDate } from '../mime/header-date.js'
import { endOfHeader, firstOf, type HeaderField } from '../mime/header-fields.js'
import { LARGEST_HEADER, MimeTreeReader } from '../mime/mime-tree.js'
import { charsetIn, structureOf } from '../mime/structure.js'

/** What a raw message says of itself, and what tells it again. */
export type RawMetadata = Pick<
  MessageData,
  'size' | 'envelope' | 'structure' | 'references' | 'listId' | 'fingerprint' | 'defects'
> &
  HeaderIdentity & {
    /** when the last server took it in, by its topmost Received header, else its Date; ISO 8601, null where neither is a date */
    receivedAt: string | null
  }

/** What tells a message by its header. */
export type HeaderIdentity = {
  /** SHA-256 of the header, without the fields that mbox servers change, and without the line ends behind it, hexadecimal */
  headerHash: string
  /** whether the header has what no other message has: a Message-ID, or the trace of its delivery */
  isTelling: boolean
}

/** The identity of a header that came by itself (RFC 1939 §7, TOP), with or without the empty line behind it. */
export function identityOfHeader(bytes: Buffer): HeaderIdentity {
  const header = new HeaderPart()
  header.take(bytes)
  return header.identity()
}

/** A header as it comes by itself, as far as one is looked at. */
export async function headerOf(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of content) {
    if (length < LARGEST_HEADER) chunks.push(chunk)
    length += chunk.length
  }
  return Buffer.concat(chunks)
}

/** Reads what a raw message says of itself, holding none of its bodies. Never throws for what the message is like. */
export async function readMetadata(content: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<RawMetadata> {
  const reader = new MetadataReader()
  for await (const chunk of content) reader.take(chunk)
  return reader.end()
}

/** The same for whoever has the bytes pass by: give each chunk to `take`, then ask for the `end`. */
export class MetadataReader {
  private readonly header = new HeaderPart()
  private readonly tree = new MimeTreeReader()

  /** Takes the next bytes. */
  take(chunk: Buffer): void {
    this.header.take(chunk)
    this.tree.take(chunk)
  }

  /** What the message says, all of it having passed. */
  end(): RawMetadata {
    const defects = new Set<Defect>()
    const { root, size, isTruncated } = this.tree.end()
    if (isTruncated) defects.add('STRUCTURE_TRUNCATED')
    const structure = structureOf(root, defects)
    const { envelope, references, listId } = readEnvelope(root.fields, charsetIn(structure), defects)
    return {
      ...this.header.identity(),
      size,
      envelope,
      structure,
      references,
      ...listOf(listId),
      fingerprint: createHash('sha256').update(fingerprintSource({ size, envelope })).digest('hex').slice(0, 32),
      receivedAt: receivedAt(root.fields) ?? envelope.date,
      defects: [...defects],
    }
  }
}

/** The header of a message as its bytes come by. */
class HeaderPart {
  private bytes: Buffer = Buffer.alloc(0)
  private isWhole = false

  take(chunk: Buffer): void {
    if (this.isWhole) return
    const from = Math.max(0, this.bytes.length - 3)
    this.bytes = this.bytes.length > 0 ? Buffer.concat([this.bytes, chunk]) : chunk
    const end = endOfHeader(this.bytes, from)
    if (!end && this.bytes.length < LARGEST_HEADER) return
    this.isWhole = true
    this.bytes = this.bytes.subarray(0, end?.at ?? LARGEST_HEADER)
  }

  identity(): HeaderIdentity {
    const header = withoutLineEnds(withoutMboxFields(this.bytes))
    return {
      headerHash: createHash('sha256').update(header).digest('hex'),
      isTelling: /^(message-id|received)[ \t]*:/im.test(header.toString('latin1')),
    }
  }
}

/** Fields that mbox servers write into headers to remember what is known of a message, and change later. */
const MBOX_FIELD = /^(x-)?status[ \t]*:|^x-(uid|keywords|imap|imapbase|uidl)[ \t]*:|^content-length[ \t]*:/i

function withoutMboxFields(bytes: Buffer): Buffer {
  const header = bytes.toString('latin1')
  if (!new RegExp(MBOX_FIELD, 'im').test(header)) return bytes
  let isLeftOut = false
  const kept = header.split(/(?<=\n)/).filter((line) => {
    if (!/^[ \t]/.test(line)) isLeftOut = MBOX_FIELD.test(line)
    return !isLeftOut
  })
  return Buffer.from(kept.join(''), 'latin1')
}

function withoutLineEnds(bytes: Buffer): Buffer {
  let length = bytes.length
  while (length > 0 && (bytes[length - 1] === 10 || bytes[length - 1] === 13)) length--
  return bytes.subarray(0, length)
}

function receivedAt(fields: readonly HeaderField[]): string | null {
  const trace = firstOf(fields, 'received') ?? ''
  const at = trace.lastIndexOf(';')
  const moment = at < 0 ? null : readDate(trace.slice(at + 1))
  return moment === null ? null : isoDate(new Date(moment))
}
