import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A blob's name and length: SHA-256 of its bytes, hexadecimal, and bytes. */
export type BlobName = { sha256: string; size: number }

/** The raw messages, by their SHA-256. */
export interface BlobStore {
  /** Keeps a stream's bytes. When this resolves they are on disk, durably: only then may an event name them. */
  put(content: Readable): Promise<BlobName>
  /** A blob's bytes, or a part of them: both offsets included, as in an HTTP range. */
  read(sha256: string, range?: { start: number; end: number }): Readable
  /** Whether a blob is there, with its length. */
  has(sha256: string): Promise<BlobName | null>
  /** Which of several blobs are there. */
  present(sha256s: readonly string[]): Promise<ReadonlySet<string>>
  /** Removes a blob for good; one that is not there is none to remove. */
  remove(sha256: string): Promise<void>
}

/** Blobs as files, in 256 folders by the first digits of their names. */
export class FileBlobs implements BlobStore {
  constructor(private readonly folder: string) {}

  async put(content: Readable): Promise<BlobName> {
    await mkdir(join(this.folder, 'incoming'), { recursive: true, mode: 0o700 })
    const incoming = join(this.folder, 'incoming', randomUUID())
    const hash = createHash('sha256')
    let size = 0
    const measure = new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk)
        size += chunk.length
        done(null, chunk)
      },
    })
    try {
      await pipeline(content, measure, createWriteStream(incoming, { mode: 0o600, flush: true }))
      const sha256 = hash.digest('hex')
      const path = blobPath(this.folder, sha256)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rename(incoming, path)
      // a name is durable only when its folder is on disk, and that above, which may be new
      for (const folder of [dirname(path), this.folder]) await syncFolder(folder)
      return { sha256, size }
    } catch (error) {
      await rm(incoming, { force: true })
      throw error
    }
  }

  read(sha256: string, range?: { start: number; end: number }): Readable {
    const path = blobPath(this.folder, sha256)
    return createReadStream(existsSync(path) ? path : earlierBlobPath(this.folder, sha256), range)
  }

  async has(sha256: string): Promise<BlobName | null> {
    const [path, earlier] = [blobPath(this.folder, sha256), earlierBlobPath(this.folder, sha256)]
    const found = (await stat(path).catch(() => null)) ?? (await stat(earlier).catch(() => null))
    return found && { sha256, size: found.size }
  }

  /** Asked for hundreds at a time, of which each answer takes microseconds: less than to have another thread ask. */
  async present(sha256s: readonly string[]): Promise<ReadonlySet<string>> {
    const isThere = (sha256: string) =>
      existsSync(blobPath(this.folder, sha256)) || existsSync(earlierBlobPath(this.folder, sha256))
    return new Set(sha256s.filter(isThere))
  }

  async remove(sha256: string): Promise<void> {
    const paths = [blobPath(this.folder, sha256), earlierBlobPath(this.folder, sha256)]
    for (const path of paths) await rm(path, { force: true })
  }
}

/** Where a blob is, in the folder of the store. */
export function blobPath(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256)
}

/** Where earlier versions put it: two levels of folders cost more to make than the files in them. */
function earlierBlobPath(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256.slice(2, 4), sha256)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
