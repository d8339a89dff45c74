import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { Splitter, type Headers, type MimeNode, type SplitterChunk } from '@zone-eu/mailsplit'
import libmime from 'libmime'
import addressparser from 'nodemailer/lib/addressparser'
import {
  bounded,
  boundedListId,
  boundedReferences,
  isoDate,
  listOf,
  MOST_ADDRESSES,
  MOST_PARTS,
} from '../mailbox/message-bounds.js'
import {
  fingerprintSource,
  type Address,
  type Defect,
  type Envelope,
  type MessageData,
  type Structure,
} from '../mailbox/message.js'

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
  /** SHA-256 of the header, without the line ends behind it, hexadecimal */
  headerHash: string
  /** whether the header has what no other message has: a Message-ID, or the trace of its delivery */
  isTelling: boolean
}

/** Bytes of a header that are looked at. */
const LARGEST_HEADER = 4 * 1024 ** 2
const MOST_NODES = 3_000

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
  for await (const chunk of content) await reader.take(chunk)
  return reader.end()
}

/** The same for whoever has the bytes pass by: give each chunk to `take`, then ask for the `end`. */
export class MetadataReader {
  private readonly header = new HeaderPart()
  private readonly splitter = new Splitter({
    ignoreEmbedded: true,
    maxHeadSize: LARGEST_HEADER,
    maxChildNodes: MOST_NODES,
  })
  private readonly sizes = new Map<MimeNode, number>()
  private readonly nodes: MimeNode[] = []
  private readonly defects = new Set<Defect>()
  private size = 0
  private broken = false
  private readonly ended: Promise<unknown>

  constructor() {
    this.splitter.on('data', (part: SplitterChunk) => {
      if (part.type === 'node') this.nodes.push(part)
      else if (part.type === 'body') this.sizes.set(part.node, (this.sizes.get(part.node) ?? 0) + part.value.length)
    })
    this.ended = finished(this.splitter).catch(() => {
      this.broken = true
    })
  }

  /** Takes the next bytes; resolves when it can take more. */
  async take(chunk: Buffer): Promise<void> {
    const before = this.size
    this.size += chunk.length
    const headerSize = this.header.take(chunk)
    // of a message that is one part, nothing behind the header is looked at
    const until = headerSize === null || this.header.mayBeMultipart ? chunk.length : Math.max(0, headerSize - before)
    const looked = chunk.subarray(0, until)
    if (this.broken || looked.length === 0 || this.splitter.write(looked)) return
    await Promise.race([once(this.splitter, 'drain').catch(() => undefined), this.ended])
  }

  /** What the message says, all of it having passed. */
  async end(): Promise<RawMetadata> {
    this.splitter.end()
    await this.ended
    const { size, defects } = this
    const [root] = this.nodes
    const headers = root?.headers || null
    if (this.broken) defects.add(headers ? 'STRUCTURE_TRUNCATED' : 'UNREADABLE')
    const envelope = envelopeOf(headers, defects)
    const structure = root
      ? this.structureOf(
          root,
          Map.groupBy(this.nodes, (node) => node.parentNode),
          { left: MOST_PARTS },
        )
      : null
    return {
      ...this.header.identity(),
      size,
      envelope,
      structure,
      references: headers ? boundedReferences(headers.getFirst('references'), defects) : [],
      ...listOf(headers ? boundedListId(headers.getFirst('list-id')) : null),
      fingerprint: createHash('sha256').update(fingerprintSource({ size, envelope })).digest('hex').slice(0, 32),
      receivedAt: receivedAt(headers) ?? envelope.date,
      defects: [...defects],
    }
  }

  /** Bytes behind the header. */
  private get bodySize(): number {
    return this.size - (this.header.size ?? this.size)
  }

  private structureOf(
    node: MimeNode,
    children: ReadonlyMap<MimeNode | false, MimeNode[]>,
    budget: { left: number },
  ): Structure {
    budget.left--
    const { defects } = this
    const below: Structure[] = []
    for (const child of children.get(node) ?? []) {
      if (budget.left <= 0) {
        defects.add('STRUCTURE_TRUNCATED')
        break
      }
      below.push(this.structureOf(child, children, budget))
    }
    const numbers = (node.partNr || []).filter((number) => Number.isInteger(number))
    return {
      part: numbers.join('.') || '1',
      type: bounded(node.contentType || 'text/plain', defects),
      size: node.multipart ? null : this.header.mayBeMultipart ? (this.sizes.get(node) ?? 0) : this.bodySize,
      encoding: bounded(node.encoding || undefined, defects) || null,
      charset: bounded(node.charset || undefined, defects) || null,
      disposition: bounded(node.disposition || undefined, defects) || null,
      filename: node.filename ? bounded(node.filename, defects) : null,
      contentId: (node.headers && bounded(node.headers.getFirst('content-id'), defects)) || null,
      children: below,
    }
  }
}

/** The header of a message as its bytes come by. */
class HeaderPart {
  private bytes: Buffer = Buffer.alloc(0)
  /** bytes of the header with the empty line behind it; null until that has come */
  size: number | null = null
  /** whether it says, or may say, that the body has parts; known when the header is */
  mayBeMultipart = false

  /** @returns `size` */
  take(chunk: Buffer): number | null {
    if (this.size !== null) return this.size
    const from = Math.max(0, this.bytes.length - 3)
    this.bytes = this.bytes.length > 0 ? Buffer.concat([this.bytes, chunk]) : chunk
    const end = endOfHeader(this.bytes, from)
    if (!end && this.bytes.length < LARGEST_HEADER) return null
    this.size = end?.behind ?? this.bytes.length
    this.bytes = this.bytes.subarray(0, end?.at ?? LARGEST_HEADER)
    this.mayBeMultipart = /multipart\//i.test(this.bytes.toString('latin1'))
    return this.size
  }

  identity(): HeaderIdentity {
    const header = withoutLineEnds(this.bytes)
    return {
      headerHash: createHash('sha256').update(header).digest('hex'),
      isTelling: /^(message-id|received)[ \t]*:/im.test(header.toString('latin1')),
    }
  }
}

/** Where the header ends, and where the body begins; looked for from a place on, null where the header goes on. */
function endOfHeader(bytes: Buffer, from: number): { at: number; behind: number } | null {
  if (bytes[0] === 10) return { at: 0, behind: 1 }
  if (bytes[0] === 13 && bytes[1] === 10) return { at: 0, behind: 2 }
  const [crlf, lf] = [bytes.indexOf('\r\n\r\n', from), bytes.indexOf('\n\n', from)]
  if (crlf >= 0 && (lf < 0 || crlf < lf)) return { at: crlf, behind: crlf + 4 }
  return lf < 0 ? null : { at: lf, behind: lf + 2 }
}

function withoutLineEnds(bytes: Buffer): Buffer {
  let length = bytes.length
  while (length > 0 && (bytes[length - 1] === 10 || bytes[length - 1] === 13)) length--
  return bytes.subarray(0, length)
}

function envelopeOf(headers: Headers | null, defects: Set<Defect>): Envelope {
  const first = (name: string) => headers?.getFirst(name) ?? ''
  const people = (name: string): Address[] => {
    const found = addressparser(first(name), { flatten: true })
    if (found.length > MOST_ADDRESSES) defects.add('ADDRESSES_TRUNCATED')
    return found.slice(0, MOST_ADDRESSES).map((each) => ({
      name: bounded(decoded(each.name), defects),
      address: bounded(each.address, defects),
    }))
  }
  const from = people('from')
  const otherwise = (list: Address[]) => (list.length > 0 ? list : from)
  return {
    date: isoDate(first('date') || undefined),
    subject: bounded(decoded(first('subject')), defects),
    from,
    // who is not named is the one of From (RFC 9051 §7.5.2)
    sender: otherwise(people('sender')),
    replyTo: otherwise(people('reply-to')),
    to: people('to'),
    cc: people('cc'),
    bcc: people('bcc'),
    inReplyTo: bounded(first('in-reply-to'), defects) || null,
    messageId: bounded(first('message-id'), defects) || null,
  }
}

/** Encoded words (RFC 2047) decoded; what cannot be is kept as it came. */
function decoded(text: string): string {
  try {
    return libmime.decodeWords(text)
  } catch {
    return text
  }
}

function receivedAt(headers: Headers | null): string | null {
  const trace = headers?.getFirst('received') ?? ''
  const at = trace.lastIndexOf(';')
  return at < 0 ? null : isoDate(trace.slice(at + 1).trim())
}
