import { Readable } from 'node:stream'
import type { CopyPlace, ListedMessage } from '../../mailbox/collection.js'
import { ServerFailed } from '../../mailbox/failures.js'
import type { Flags } from '../../mailbox/flags.js'
import type { NewMessage } from '../../mailbox/local-mailboxes.js'
import type { BlobName, BlobStore } from '../../content/blob-store.js'
import { MetadataReader, readMetadata, type RawMetadata } from '../../content/message-metadata.js'
import type { Coming } from './maildrop.js'

/** Bytes up to which a message is held in memory, to be written together with others. */
export const SMALL = 256 * 1024

/** A message's content that has come whole: small ones in memory, others in the blob store already. */
export type ReceivedContent = { metadata: RawMetadata; stored: { bytes: Buffer } | { blob: BlobName } }

/** A message that has come whole from a server. */
export type Received = ReceivedContent & {
  listed: ListedMessage
  flags: Flags
  /** INTERNALDATE, or what comes nearest to it over POP3 */
  internalDate: string
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
  const { listed, flags } = coming
  try {
    const received = await receiveContent(coming.content, blobs, maxBytes)
    return { listed, flags, internalDate: dateOf(coming.internalDate ?? received.metadata.receivedAt), ...received }
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
  return ended
    ? { metadata: await readMetadata(beginning), stored: { bytes: Buffer.concat(beginning) } }
    : stream(beginning, content, blobs)
}

async function stream(
  beginning: readonly Buffer[],
  rest: AsyncIterator<Buffer>,
  blobs: BlobStore,
): Promise<ReceivedContent> {
  const reader = new MetadataReader()
  async function* passing() {
    for (const chunk of beginning) {
      await reader.take(chunk)
      yield chunk
    }
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      await reader.take(next.value)
      yield next.value
    }
  }
  const blob = await blobs.put(Readable.from(passing(), { objectMode: false, highWaterMark: 65_536 }))
  return { metadata: await reader.end(), stored: { blob } }
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

/** No message has come in the future, whatever a header says. */
export function dateOf(told: string | null): string {
  const now = Date.now()
  return new Date(Math.min(told === null ? now : Date.parse(told), now)).toISOString()
}

/** The message that was received, for the log. @param serverCopy where it was collected from, null where it was not */
export function newMessageOf(
  { flags, internalDate, metadata }: Pick<Received, 'flags' | 'internalDate' | 'metadata'>,
  path: string,
  content: BlobName | null,
  serverCopy: CopyPlace | null,
): NewMessage {
  const { size, envelope, structure, references, fingerprint, defects } = metadata
  return {
    path,
    message: {
      ...{ flags, internalDate, size, envelope, structure, references, fingerprint, defects },
      ...{ emailId: null, threadId: null },
    },
    content,
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
