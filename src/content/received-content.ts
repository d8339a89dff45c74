import { Readable } from 'node:stream'
import { releaseBuffers } from '../platform/heap.js'
import type { BlobName, BlobStore } from './blobs/blob-store.js'
import type { Intake, TakenIn } from './intake.js'
import { MetadataReader } from './message-metadata.js'

/** Bytes up to which a message is held in memory, to be written together with others. */
export const SMALL = 1024 * 1024

/** Bytes after which the buffers that a large message came in are let go. */
const RELEASED = 4 * 1024 * 1024

/** A content that has come whole: a small one in memory, to be taken in with others; any other in the blob store already. */
export type ReceivedContent = { bytes: Buffer } | TakenIn

/** More bytes came than a message may have. */
export class TooLong extends Error {}

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
      reader.take(chunk)
      yield chunk
    }
    let passed = 0
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      reader.take(next.value)
      yield next.value
      passed += next.value.length
      if (passed < RELEASED) continue
      releaseBuffers()
      passed = 0
    }
  }
  const blob = await blobs.put(Readable.from(passing(), { objectMode: false, highWaterMark: 65_536 }))
  return { metadata: reader.end(), blob }
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

/** Keeps what is still in memory, of messages of which is known what they say. @returns the names of all, in their order */
export async function keepAll(intake: Intake, contents: readonly ReceivedContent[]): Promise<BlobName[]> {
  const kept = await intake.keep(contents.flatMap((content) => ('bytes' in content ? [content.bytes] : [])))
  return contents.map((content) => ('bytes' in content ? (kept.shift() as BlobName) : content.blob))
}

/** Bytes of contents that are in memory. */
export function bytesInMemory(content: ReceivedContent): number {
  return 'bytes' in content ? content.bytes.length : 0
}
