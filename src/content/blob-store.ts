import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A blob's name and length: SHA-256 of its bytes, hexadecimal, and bytes. */
export type BlobName = { sha256: string; size: number }

/** The raw messages, by their SHA-256. */
export interface BlobStore {
  /** Keeps a stream's bytes. When this resolves they are on disk, durably: only then may an event name them. */
  put(content: Readable): Promise<BlobName>
  /** Keeps several contents, small enough to be in memory, together: at much less cost than one by one. */
  putAll(contents: readonly Buffer[]): Promise<BlobName[]>
  /** A blob's bytes, or a part of them: both offsets included, as in an HTTP range. */
  read(sha256: string, range?: { start: number; end: number }): Readable
  /** Whether a blob is there, with its length. */
  has(sha256: string): Promise<BlobName | null>
  /** Removes a blob for good; one that is not there is none to remove. */
  remove(sha256: string): Promise<void>
}

/** Blobs as files, two levels deep by the first digits of their names. */
export class FileBlobs implements BlobStore {
  private made: Promise<unknown> | null = null

  constructor(private readonly folder: string) {}

  async put(content: Readable): Promise<BlobName> {
    const incoming = await this.incoming()
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
      await this.keep([{ incoming, sha256 }])
      return { sha256, size }
    } catch (error) {
      await rm(incoming, { force: true })
      throw error
    }
  }

  async putAll(contents: readonly Buffer[]): Promise<BlobName[]> {
    const written = await eachOf(contents, AT_ONCE, async (content) => {
      const incoming = await this.incoming()
      // durable before it gets its name
      await writeFile(incoming, content, { mode: 0o600, flush: true })
      return { incoming, sha256: createHash('sha256').update(content).digest('hex'), size: content.length }
    })
    await this.keep(written)
    return written.map(({ sha256, size }) => ({ sha256, size }))
  }

  read(sha256: string, range?: { start: number; end: number }): Readable {
    return createReadStream(this.pathOf(sha256), range)
  }

  async has(sha256: string): Promise<BlobName | null> {
    const found = await stat(this.pathOf(sha256)).catch(() => null)
    return found && { sha256, size: found.size }
  }

  async remove(sha256: string): Promise<void> {
    await rm(this.pathOf(sha256), { force: true })
  }

  private async incoming(): Promise<string> {
    this.made ??= mkdir(join(this.folder, 'incoming'), { recursive: true, mode: 0o700 })
    await this.made
    return join(this.folder, 'incoming', randomUUID())
  }

  /** Gives files that are on disk their names. That is durable only when their folders, and those above, are on disk too. */
  private async keep(files: readonly { incoming: string; sha256: string }[]): Promise<void> {
    const changed = new Set<string>()
    await eachOf(files, AT_ONCE, async ({ incoming, sha256 }) => {
      const folder = dirname(this.pathOf(sha256))
      const made = await mkdir(folder, { recursive: true, mode: 0o700 })
      await rename(incoming, this.pathOf(sha256))
      for (let each = folder; each !== this.folder; each = dirname(each)) {
        changed.add(each)
        if (made === undefined) break
      }
      if (made !== undefined) changed.add(this.folder)
    })
    await eachOf([...changed], AT_ONCE, syncFolder)
  }

  private pathOf(sha256: string): string {
    return join(this.folder, sha256.slice(0, 2), sha256.slice(2, 4), sha256)
  }
}

/** Files that are worked on at once: the disk takes in many together for little more than one. */
const AT_ONCE = 32

/** Does something for each item, so many at once. */
async function eachOf<T, Result>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  return results
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
