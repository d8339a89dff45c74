import { Worker } from 'node:worker_threads'
import { BlobsAway, type BlobName } from './blobs/blob-store.js'
import type { IntakeAnswer, IntakeRequest } from './intake-worker.js'
import type { RawMetadata } from './message-metadata.js'

/** A content that was taken in: durable, and read. */
export type TakenIn = { metadata: RawMetadata; blob: BlobName }

type Answered = Extract<IntakeAnswer, { blobs: unknown }>
type Waiting = { resolve: (answer: Answered) => void; reject: (error: Error) => void }

/**
 * Takes many small raw messages in at once: keeps them in the blob store, durably, and reads what they say of themselves. Both are
 * work for the processor and the disk, so that a thread of its own does them, and those who answer requests go on.
 */
export class Intake {
  private worker: Worker | null = null
  private readonly waiting = new Map<number, Waiting>()
  private requests = 0

  /** @param blobPlace that of the blob store */
  constructor(private readonly blobPlace: string) {}

  /** Takes contents in. When this resolves they are kept durably: only then may an event name them. */
  async take(contents: readonly Buffer[]): Promise<TakenIn[]> {
    const { blobs, metadata } = await this.ask(contents, true)
    return blobs.map((blob, index) => ({ blob, metadata: metadata[index] as RawMetadata }))
  }

  /** Keeps contents of which is known already what they say, as durably. @returns their names, in their order */
  async keep(contents: readonly Buffer[]): Promise<BlobName[]> {
    return (await this.ask(contents, false)).blobs
  }

  /** Ends the thread; what is under way is cut off, as by the end of the process. */
  async close(): Promise<void> {
    await this.worker?.terminate()
  }

  private ask(contents: readonly Buffer[], isRead: boolean): Promise<Pick<Answered, 'blobs' | 'metadata'>> {
    if (contents.length === 0) return Promise.resolve({ blobs: [], metadata: [] })
    const lengths = contents.map((content) => content.length)
    // one buffer of its own, which can be handed over without being copied again
    const all = Buffer.allocUnsafeSlow(lengths.reduce((sum, length) => sum + length, 0))
    let at = 0
    for (const content of contents) at += content.copy(all, at)
    const bytes = all.buffer as ArrayBuffer
    const id = ++this.requests
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      const request: IntakeRequest = { id, bytes, lengths, isRead }
      this.thread().postMessage(request, [bytes])
    })
  }

  private thread(): Worker {
    if (this.worker) return this.worker
    const worker = new Worker(new URL('./intake-worker.js', import.meta.url), { workerData: this.blobPlace })
    this.worker = worker
    worker.unref()
    worker.on('message', (answer: IntakeAnswer) => {
      const waiting = this.waiting.get(answer.id)
      this.waiting.delete(answer.id)
      if ('failed' in answer)
        waiting?.reject(answer.isAway ? new BlobsAway(answer.failed.message) : Object.assign(answer.failed, answer.of))
      else waiting?.resolve(answer)
    })
    worker.once('error', (error: Error) => this.lose(worker, error))
    worker.once('exit', () => this.lose(worker, new Error('the intake has ended')))
    return worker
  }

  /** Whoever waits learns that it is in vain; the next one gets another thread. */
  private lose(worker: Worker, error: Error): void {
    if (this.worker !== worker) return
    this.worker = null
    for (const { reject } of this.waiting.values()) reject(error)
    this.waiting.clear()
  }
}
