import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { BlobName } from './blob-store.js'

/** Milliseconds after which nothing is still coming. */
const LONGEST = 24 * 3_600_000

/** A folder of files for what is coming, until it has its name: that of its bytes, which are known at its end. */
export class Incoming {
  constructor(private readonly folder: string) {}

  /** Makes the folder, and removes what processes have left there that were killed. */
  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    for (const file of await readdir(this.folder)) {
      const path = join(this.folder, file)
      // another process may have been about to give it its name
      const since = (await stat(path).catch(() => null))?.mtimeMs ?? Infinity
      if (Date.now() - since > LONGEST) await rm(path, { force: true })
    }
  }

  /**
   * Receives a stream's bytes.
   *
   * @param flush whether they are on disk, durably, when this resolves
   * @returns the file, which is the caller's now; where the stream breaks off there is none
   */
  async receive(content: Readable, flush: boolean): Promise<{ path: string; name: BlobName }> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const path = join(this.folder, randomUUID())
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
      await pipeline(content, measure, createWriteStream(path, { mode: 0o600, flush }))
      return { path, name: { sha256: hash.digest('hex'), size } }
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  }
}
