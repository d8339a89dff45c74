import { Readable } from 'node:stream'
import type { CopyPlace, ListedMessage } from '../../mailbox/collection.js'
import { ServerFailed } from '../../mailbox/failures.js'
import type { Flags } from '../../mailbox/flags.js'
import type { NewMessage } from '../../mailbox/local-mailboxes.js'
import type { BlobName, BlobStore } from '../../content/blob-store.js'
import type { Intake, TakenIn } from '../../content/intake.js'
import { MetadataReader } from '../../content/message-metadata.js'
import { releaseBuffers } from '../../platform/heap.js'
import type { Coming } from './maildrop.js'

/** Bytes up to which a message is held in memory, to be written together with others. */
export const SMALL = 1024 * 1024

/** Bytes after which the buffers that a large message came in are let go. */
const RELEASED = 4 * 1024 * 1024

/** A content that has come whole: a small one in memory, to be taken in with others; any other in the blob store already. */
export type ReceivedContent = { bytes: Buffer } | TakenIn

/** A message that has come whole from a server. */
export type Received = {
  listed: ListedMessage
  flags: Flags
  /** INTERNALDATE in ISO 8601; null over POP3 */
  internalDate: string | null
  content: ReceivedContent
}

/** What comes, without what a server refuses. */
type Given = Extract<Coming, { content: unknown }>

/** More bytes came than a message may have. */
export class TooLong extends Error {}

/**
 * Takes a message in as it comes from a server.
 *
 * @throws ServerFailed when more comes than `maxBytes`, or the connection is lost
 */
export async function receive(coming: Given, blobs: BlobStore, maxBytes: number, host: string): Promise<Received> {
  const { listed, flags, internalDate } = coming
  try {
    return { listed, flags, internalDate, content: await receiveContent(coming.content, blobs, maxBytes) }
  } catch (error) {
    if (!(error instanceof TooLong)) throw error
    throw new ServerFailed({ kind: 'ConnectionLost', host, reason: 'a message is longer than the server said' })
  }
}

/** Takes a content in as it comes, held in memory no longer than it is small. @throws TooLong */
export async function receiveContent(
  coming: AsyncIterable<Buffer>,
  blobs: BlobStore,
  maxBytes: number,
): Promise<ReceivedContent> {
  const content = bounded(coming, maxBytes)[Symbol.asyncIterator]()
  const beginning: Buffer[] = []
  let length = 0
  let ended = false
  while (length <= SMALL && !ended) {
    const next = await content.next()
    if (next.done) ended = true
    else {
      beginning.push(next.value)
      length += next.value.length
    }
  }
  return ended ? { bytes: Buffer.concat(beginning) } : stream(beginning, content, blobs)
}

async function stream(beginning: readonly Buffer[], rest: AsyncIterator<Buffer>, blobs: BlobStore): Promise<TakenIn> {
  const reader = new MetadataReader()
  async function* passing() {
    for (const chunk of beginning) {
      await reader.take(chunk)
      yield chunk
    }
    let passed = 0
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      await reader.take(next.value)
      yield next.value
      passed += next.value.length
      if (passed < RELEASED) continue
      releaseBuffers()
      passed = 0
    }
  }
  const blob = await blobs.put(Readable.from(passing(), { objectMode: false, highWaterMark: 65_536 }))
  return { metadata: await reader.end(), blob }
}

/** Whoever sends may send more than was said, and not stop. */
async function* bounded(content: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let length = 0
  for await (const chunk of content) {
    length += chunk.length
    if (length > maxBytes) throw new TooLong(`a message is longer than ${maxBytes} bytes`)
    yield chunk
  }
}

/** Takes in what is still in memory, together. @returns what every content came to, in their order */
export async function takeIn(intake: Intake, contents: readonly ReceivedContent[]): Promise<TakenIn[]> {
  const taken = await intake.take(contents.flatMap((content) => ('bytes' in content ? [content.bytes] : [])))
  return contents.map((content) => ('bytes' in content ? (taken.shift() as TakenIn) : content))
}

/** Bytes of contents that are in memory. */
export function bytesInMemory(content: ReceivedContent): number {
  return 'bytes' in content ? content.bytes.length : 0
}

/** No message has come in the future, whatever a header says. */
function dateOf(told: string | null): string {
  const now = Date.now()
  return new Date(Math.min(told === null ? now : Date.parse(told), now)).toISOString()
}

/** The message that was received, for the log. @param serverCopy where it was collected from, null where it was not */
export function newMessageOf(
  { flags, internalDate }: Pick<Received, 'flags' | 'internalDate'>,
  { metadata, blob }: Pick<TakenIn, 'metadata'> & { blob: BlobName | null },
  path: string,
  serverCopy: CopyPlace | null,
): NewMessage {
  const { size, envelope, structure, references, fingerprint, defects } = metadata
  return {
    path,
    message: {
      ...{
        flags,
        internalDate: dateOf(internalDate ?? metadata.receivedAt),
        size,
        envelope,
        structure,
        references,
        fingerprint,
        defects,
      },
      ...{ emailId: null, threadId: null },
    },
    content: blob,
    serverCopy,
  }
}

/** Where a listed message is, for the log. */
export function placeOf(
  { mailbox, uidValidity, uid, uidl, size }: ListedMessage,
  headerHash: string | null,
): CopyPlace {
  return { mailbox, uidValidity, uid, uidl, size, headerHash }
}
