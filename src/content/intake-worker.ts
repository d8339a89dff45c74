import { parentPort, workerData } from 'node:worker_threads'
import { readMetadata, type RawMetadata } from './message-metadata.js'
import type { BlobName } from './blobs/blob-store.js'
import { blobsAt } from './blobs/open-blobs.js'

/** Contents one behind the other in one buffer, each with its length. */
export type IntakeRequest = { id: number; bytes: ArrayBuffer; lengths: number[] }

/** What became of them, in their order; or what failed. */
export type IntakeAnswer =
  { id: number; taken: { metadata: RawMetadata; blob: BlobName }[] } | { id: number; failed: Error }

const blobs = blobsAt(workerData as string)

async function take({ id, bytes, lengths }: IntakeRequest): Promise<IntakeAnswer> {
  try {
    let at = 0
    const contents = lengths.map((length) => Buffer.from(bytes, (at += length) - length, length))
    const { names, durable } = blobs.putMany(contents)
    // met below, also where reading fails before
    durable.catch(() => undefined)
    const taken: { metadata: RawMetadata; blob: BlobName }[] = []
    for (const [index, blob] of names.entries())
      taken.push({ blob, metadata: await readMetadata([contents[index] as Buffer]) })
    await durable
    return { id, taken }
  } catch (error) {
    return { id, failed: error as Error }
  }
}

parentPort?.on('message', (request: IntakeRequest) => {
  void take(request).then((answer) => parentPort?.postMessage(answer))
})
