import { createReadStream, existsSync, type Dirent } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { syncFolder } from '../../platform/sync-folder.js'
import type { ByteRange } from '../../mailbox/content-piece.js'
import { blobPath, earlierBlobPath } from './blob-path.js'
import { BlobStore, type BlobName, type Removed, type StoredBlob } from './blob-store.js'
import { Incoming } from './incoming.js'
import { storeMany } from './store-many.js'

/** Blobs as files, in 256 folders by the first digits of their names. */
export class FileBlobs extends BlobStore {
  private readonly incoming: Incoming

  constructor(private readonly folder: string) {
    super()
    this.incoming = new Incoming(join(folder, 'incoming'))
  }

  async open(): Promise<void> {
    await this.incoming.open()
  }

  async put(content: Readable): Promise<BlobName> {
    const { path: incoming, name } = await this.incoming.receive(content, true)
    const path = blobPath(this.folder, name.sha256)
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rename(incoming, path)
    } catch (error) {
      await rm(incoming, { force: true })
      throw error
    }
    // a name is durable only when its folder is on disk, and that above, which may be new
    for (const folder of [dirname(path), this.folder]) await syncFolder(folder)
    return name
  }

  putMany(contents: readonly Buffer[]): { names: BlobName[]; durable: Promise<void> } {
    return storeMany(this.folder, contents)
  }

  read(sha256: string, range?: ByteRange): Readable {
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

  async remove(sha256s: readonly string[]): Promise<Removed> {
    const gone: string[] = []
    let error: Error | null = null
    const folders = new Set<string>()
    for (const sha256 of sha256s)
      try {
        for (const path of [blobPath(this.folder, sha256), earlierBlobPath(this.folder, sha256)]) {
          if (!existsSync(path)) continue
          await rm(path, { force: true })
          folders.add(dirname(path))
        }
        gone.push(sha256)
      } catch (failure) {
        error = failure as Error
      }
    // a name is gone for good only when its folder is on disk: it would be back after a power failure
    for (const folder of folders) await syncFolder(folder)
    return { gone, error }
  }

  async *list(): AsyncGenerator<StoredBlob[]> {
    for (const folder of await foldersIn(this.folder)) {
      yield await blobsIn(folder)
      for (const below of await foldersIn(folder)) yield await blobsIn(below)
    }
  }
}

/** Folders below one that are named by two digits of their blobs. */
async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory() && /^[0-9a-f]{2}$/.test(entry.name)).map(pathOf)
}

async function blobsIn(folder: string): Promise<StoredBlob[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const found: StoredBlob[] = []
  for (const entry of entries.filter(({ name }) => /^[0-9a-f]{64}$/.test(name))) {
    const { size, mtime: since } = (await stat(pathOf(entry)).catch(() => null)) ?? {}
    if (size !== undefined && since) found.push({ sha256: entry.name, size, since })
  }
  return found
}

const pathOf = ({ parentPath, name }: Dirent) => join(parentPath, name)
