import { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { ByteRange } from '../mailbox/content-piece.js'

/** How much of the mail of ONLINE accounts may be in memory at once, and for how long; never on disk. */
const MOST_BYTES = 128 * 1024 ** 2
const LONGEST_STAY = 60_000

/** All bytes of a content; null, and no more than that is read, when they are more than may be in memory. */
async function whole(content: Readable): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of content as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= MOST_BYTES) return null
  }
  return Buffer.concat(chunks)
}

/**
 * Raw messages that may not be kept (ONLINE accounts), and pieces of them, on their way from the server to whoever asked for them; by the
 * names that `pieceKey` gives.
 */
export class PassingContent {
  private readonly messages = new LRUCache<string, Buffer>({
    maxSize: MOST_BYTES,
    sizeCalculation: (content) => content.length + 1,
    ttl: LONGEST_STAY,
  })
  private readonly waiting = new Map<string, Set<() => void>>()

  /** Takes a message in and wakes those who wait for it. @returns false when it is too large to pass through memory */
  async put(key: string, content: Readable): Promise<boolean> {
    const bytes = await whole(content)
    if (bytes) this.messages.set(key, bytes)
    for (const wake of this.waiting.get(key) ?? []) wake()
    return this.messages.has(key)
  }

  /** What is passing through now under a name, which it leaves by that; null where there is nothing. */
  take(key: string): Buffer | null {
    const bytes = this.messages.get(key) ?? null
    this.messages.delete(key)
    return bytes
  }

  /** The message's bytes, or a part (both offsets included), if it is passing through now. */
  read(key: string, range?: ByteRange): Readable | null {
    const bytes = this.messages.get(key)
    return bytes ? Readable.from([range ? bytes.subarray(range.start, range.end + 1) : bytes]) : null
  }

  /** Bytes of a message that is passing through, null when it is not. */
  sizeOf(key: string): number | null {
    return this.messages.get(key)?.length ?? null
  }

  /** Lets go of messages, or of all. */
  drop(messages: 'all' | readonly string[]): void {
    if (messages === 'all') this.messages.clear()
    else
      for (const key of this.messages.keys())
        if (messages.some((messageId) => key.startsWith(messageId))) this.messages.delete(key)
  }

  /** Resolves when the message comes by, or the signal aborts. */
  arrival(key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiters = this.waiting.get(key) ?? new Set()
      this.waiting.set(key, waiters)
      const wake = () => {
        waiters.delete(wake)
        if (waiters.size === 0) this.waiting.delete(key)
        resolve()
      }
      waiters.add(wake)
      signal.addEventListener('abort', wake, { once: true })
      if (this.messages.has(key) || signal.aborted) wake()
    })
  }
}
