import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../../mailbox/content-piece.js'

/** A blob's name and length: SHA-256 of its bytes, hexadecimal, and bytes. */
export type BlobName = { sha256: string; size: number }

/** The name of a content that is in memory. */
export function blobNameOf(content: Buffer): BlobName {
  return { sha256: createHash('sha256').update(content).digest('hex'), size: content.length }
}

/** The place of the blobs does not answer, or refuses: what it was asked for may be asked for again later. */
export class BlobsAway extends Error {
  /** what a client is told of it */
  static readonly told = 'Where raw messages are kept does not answer.'
}

/** The raw messages, by their SHA-256. Where they are kept is a setting (`blobPlace`). Each method but `open` may throw BlobsAway. */
export abstract class BlobStore {
  /** Sees that blobs can be kept. @throws StartFailure with one line for the person who starts the service */
  abstract open(): Promise<void>
  /** Keeps a stream's bytes. When this resolves they are kept durably: only then may an event name them. */
  abstract put(content: Readable): Promise<BlobName>
  /** Keeps many small contents at once, of which the processor's part is done before this returns. They are kept durably when `durable` resolves. */
  abstract putMany(contents: readonly Buffer[]): { names: BlobName[]; durable: Promise<void> }
  /** A blob's bytes, or a part of them: both offsets included, as in an HTTP range. */
  abstract read(sha256: string, range?: ByteRange): Readable
  /** Whether a blob is there, with its length. */
  abstract has(sha256: string): Promise<BlobName | null>
  /** Which of several blobs are there. */
  abstract present(sha256s: readonly string[]): Promise<ReadonlySet<string>>
  /** Removes a blob for good; one that is not there is none to remove. */
  abstract remove(sha256: string): Promise<void>
}
