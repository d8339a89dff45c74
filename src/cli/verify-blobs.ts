import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { counted } from '../platform/exit-codes.js'
import { blobPlace, blobsAt } from '../content/blobs/open-blobs.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
import { unreferredBlobs } from '../forgetting/unreferred-blobs.js'
import { viewContentNames } from '../projections/content-views.js'
import { withDatabase } from './with-database.js'

type Found = { sha256: string; problem: 'NOT_REFERRED_TO' | 'MISSING' | 'DAMAGED'; bytes?: number }

const WORDS = {
  NOT_REFERRED_TO: 'nothing refers to it',
  MISSING: 'a message refers to it, and it is not there',
  DAMAGED: 'its bytes are not those that it is named by',
}

/** Compares the raw messages that are kept with what refers to them, and reads each. @returns the exit code: 1 when anything differs */
export async function verifyBlobs({ json }: { json?: boolean }): Promise<number> {
  return withDatabase(async (database, settings) => {
    const blobs = blobsAt(blobPlace(settings))
    await blobs.open()
    let differing = 0
    const tell = (found: Found) => {
      differing++
      process.stdout.write((json ? JSON.stringify(found) : `${found.sha256}: ${WORDS[found.problem]}`) + '\n')
    }
    // what is being put right now may be referred to in a moment
    for await (const found of unreferredBlobs(database, blobs, new Date()))
      for (const { sha256, size: bytes } of found) tell({ sha256, problem: 'NOT_REFERRED_TO', bytes })
    const names = await viewContentNames(database.pool)
    for (const sha256 of names) {
      if (!(await blobs.has(sha256))) tell({ sha256, problem: 'MISSING' })
      else if ((await hashOf(blobs, sha256)) !== sha256) tell({ sha256, problem: 'DAMAGED' })
    }
    const outcome = { blobs: names.length, differing }
    const text =
      differing === 0
        ? `all is as referred to: ${counted(names.length, 'raw message')}`
        : counted(differing, 'difference')
    process.stdout.write((json ? JSON.stringify(outcome) : text) + '\n')
    return differing > 0 ? 1 : 0
  })
}

async function hashOf(blobs: BlobStore, sha256: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(blobs.read(sha256), hash)
  return hash.digest('hex')
}
