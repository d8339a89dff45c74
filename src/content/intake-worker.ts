import { parentPort, workerData } from 'node:worker_threads'
import { readMetadata, type RawMetadata } from './message-metadata.js'
import { BlobsAway, type BlobName } from './blobs/blob-store.js'
import { blobsAt } from './blobs/open-blobs.js'

/** Contents one behind the other in one buffer, each with its length; and whether they are to be read as well. */
export type IntakeRequest = { id: number; bytes: ArrayBuffer; lengths: number[]; isRead: boolean }

/** What became of them, in their order, and what they say of themselves where they were to be read; or what failed. */
export type IntakeAnswer =
  | { id: number; blobs: BlobName[]; metadata: RawMetadata[] }
  | { id: number; failed: Error; isAway: boolean; of: Pick<NodeJS.ErrnoException, 'code' | 'syscall'> }

const blobs = blobsAt(workerData as string)

async function take({ id, bytes, lengths, isRead }: IntakeRequest): Promise<IntakeAnswer> {
  try {
    let at = 0
    const contents = lengths.map((length) => Buffer.from(bytes, (at += length) - length, length))
    const { names, durable } = blobs.putMany(contents)
    // met below, also where reading fails before
    durable.catch(() => undefined)
    const metadata: RawMetadata[] = []
    if (isRead) for (const content of contents) metadata.push(await readMetadata([content]))
    await durable
    return { id, blobs: names, metadata }
  } catch (error) {
    // of an error's class, and of fields of its own, nothing passes to the other thread
    const { code, syscall } = error as NodeJS.ErrnoException
    return { id, failed: error as Error, isAway: error instanceof BlobsAway, of: { code, syscall } }
  }
}

parentPort?.on('message', (request: IntakeRequest) => {
  void take(request).then((answer) => parentPort?.postMessage(answer))
})
