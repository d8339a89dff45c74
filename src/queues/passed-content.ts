import { Injectable } from '@nestjs/common'
import { pieceKey, type ContentPiece } from '../mailbox/content-piece.js'
import { PassingContent } from '../content/passing-content.js'
import { ShardDirectory } from '../event-store/shards.js'
import { PeerFailed } from '../platform/peers.js'
import { Platform } from '../platform/platform.js'

/** Where a process that has an account's connection hands on what passes through it. */
const PASSING_PATH = 'peers/passing'

/** Raw messages of ONLINE accounts that pass through another process, which has the connection, handed on to this one: from memory to memory. */
@Injectable()
export class PassedContent {
  /** of each that is waited for, which process is asked */
  private readonly expected = new Map<string, string>()

  constructor(
    private readonly platform: Platform,
    private readonly directory: ShardDirectory,
    private readonly passing: PassingContent,
  ) {}

  /** Takes notice that a message, or a piece of it, will pass by; where that is in this process there is nothing to do. */
  expect(accountId: string, messageId: string, piece: ContentPiece | null): void {
    const key = pieceKey(messageId, piece)
    const address = this.directory.elsewhere(accountId)
    if (address === null || this.expected.get(key) === address) return
    this.expected.set(key, address)
    this.fetch(address, key)
      .catch((error: unknown) => {
        // who waits asks again, and is told in the end that it did not come
        if (!(error instanceof PeerFailed)) this.platform.logger.warn({ err: error }, 'a message was not handed on')
      })
      .finally(() => this.expected.get(key) === address && this.expected.delete(key))
  }

  private async fetch(address: string, key: string): Promise<void> {
    const deadline = AbortSignal.timeout(this.platform.settings.MAILFOLD_CONTENT_TIMEOUT)
    await this.passing.put(key, await this.platform.peers.bytes(address, PASSING_PATH, { key }, deadline))
  }
}
