import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../../mailbox/content-piece.js'

/** A blob's name and length: SHA-256 of its bytes, hexadecimal, and bytes. */
export type BlobName = { sha256: string; size: number }

/** A blob as it lies there, and when it was put. */
export type StoredBlob = BlobName & { since: Date }

/** What became of blobs that were to be removed: the names of those that are gone for good, and why others are not. */
export type Removed = { gone: string[]; error: Error | null }

/** The name of a content that is in memory. */
export function blobNameOf(content: Buffer): BlobName {
  return { sha256: createHash('sha256').update(content).digest('hex'), size: content.length }
}

/** The place of the blobs does not answer, or refuses: what it was asked for may be asked for again later. */
export class BlobsAway extends Error {
  /** what a client is told of it */
  static readonly told = 'The blob store is unavailable.'
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
  /** Removes blobs for good, durably; one that is not there is gone. One that cannot be removed keeps none of the others. */
  abstract remove(sha256s: readonly string[]): Promise<Removed>
  /** All blobs, in pieces. */
  abstract list(): AsyncGenerator<StoredBlob[]>
}
