import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { blobPath } from './blob-path.js'
import { blobNameOf, type BlobName } from './blob-store.js'

/*
 * Keeps many small contents at once, durably, on the thread of whoever calls: that is the intake's, which nobody else waits for.
 * Files are written first and brought onto the disk all together, since one by one costs a disk's turn for each.
 */

/** Folders that are there. */
const made = new Set<string>()

/** Whether this machine has a `sync` that takes a file system (GNU coreutils, BusyBox); null before it was tried. */
let hasSync: boolean | null = null

/** Writes contents. They are on disk, durably, when `durable` resolves. @param folder that of the blob store */
export function storeMany(folder: string, contents: readonly Buffer[]): { names: BlobName[]; durable: Promise<void> } {
  const names = contents.map((content) => {
    const name = blobNameOf(content)
    write(folder, blobPath(folder, name.sha256), content)
    return name
  })
  return { names, durable: names.length > 0 ? makeDurable(folder, names) : Promise.resolve() }
}

/**
 * Under its own name at once: until an event names it, a file that a crash has left half written is none, and whoever comes with
 * the same content finds out.
 */
function write(folder: string, path: string, content: Buffer): void {
  makeFolder(dirname(path))
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // one that is whole may be the content of other messages already, and is left as it is
    if (!readFileSync(path).equals(content)) replace(folder, path, content)
  }
}

function replace(folder: string, path: string, content: Buffer): void {
  const incoming = join(folder, 'incoming')
  makeFolder(incoming)
  const partial = join(incoming, randomUUID())
  writeFileSync(partial, content, { mode: 0o600, flush: true })
  renameSync(partial, path)
}

function makeFolder(folder: string): void {
  if (made.has(folder)) return
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  made.add(folder)
}

async function makeDurable(folder: string, names: readonly BlobName[]): Promise<void> {
  if (await syncFileSystem(folder)) return
  const paths = names.map(({ sha256 }) => blobPath(folder, sha256))
  // a name is durable only when its folder is on disk, and those above, which may be new
  for (const path of new Set([...paths, ...paths.map(dirname), folder])) {
    const file = openSync(path, 'r')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }
}

/** By syncfs(2). @returns false where it cannot be asked for, or failed: then nothing is certain */
async function syncFileSystem(folder: string): Promise<boolean> {
  if (hasSync === false) return false
  const done = await new Promise<boolean>((resolve) => {
    const sync = spawn('sync', ['-f', folder], { stdio: 'ignore' })
    sync.once('error', () => resolve(false))
    sync.once('close', (code) => resolve(code === 0))
  })
  hasSync ??= done
  return done
}
