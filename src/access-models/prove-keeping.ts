import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { BlobStore } from '../content/blobs/blob-store.js'

/** Bytes that are kept and removed again: more than what a disk that is full may have left. */
const PROOF = 64 * 1024

/** Proves that raw messages can be kept: keeps one that is nobody's, and removes it. @throws what keeps them from being kept */
export async function proveKeeping(blobs: BlobStore): Promise<void> {
  const { sha256 } = await blobs.put(Readable.from([randomBytes(PROOF)], { objectMode: false }))
  const { error } = await blobs.remove([sha256])
  if (error) throw error
}
