import { Injectable } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import { GraphQLError } from 'graphql'
import type { Readable } from 'node:stream'
import { FileBlobs } from '../content/blob-store.js'
import { PassingContent } from '../content/passing-content.js'
import { Feeds } from '../event-store/feeds.js'
import { Streams } from '../event-store/streams.js'
import { FetchContent } from '../mailbox/commands.js'
import { Platform } from '../platform/platform.js'
import { viewMessageOwner } from '../projections/message-views.js'

/** A raw message that is at hand: bytes, and a stream of them or of a part (both offsets included). */
export type RawMessage = { size: number; read(range?: { start: number; end: number }): Readable }

const gone = (reason: string) => new GraphQLError(reason, { extensions: { code: 'CONTENT_GONE' } })
const unavailable = (reason: string) => new GraphQLError(reason, { extensions: { code: 'CONTENT_UNAVAILABLE' } })

/** Raw messages for whoever asks, fetched first where they are not here. */
@Injectable()
export class MessageContents {
  constructor(
    private readonly platform: Platform,
    private readonly blobs: FileBlobs,
    private readonly passing: PassingContent,
    private readonly feeds: Feeds,
    private readonly streams: Streams,
    private readonly commands: CommandBus,
  ) {}

  /**
   * A message's raw content; waits for its fetch as long as MAILFOLD_CONTENT_TIMEOUT allows.
   *
   * @returns null when there is no such message
   * @throws GraphQLError CONTENT_UNAVAILABLE with the reason, CONTENT_TIMEOUT, CONTENT_GONE
   */
  async raw(messageId: string, signal: AbortSignal): Promise<RawMessage | null> {
    const message = await viewMessageOwner(this.platform.database.pool, messageId)
    if (!message) return null
    if (message.isForgotten) throw gone('The message was forgotten here.')
    const here = await this.atHand(messageId, message.contentSha256)
    if (here) return here
    if (!message.isThere) throw gone('The message is no longer on the server, and was not kept here.')
    const version = await this.streams.version(message.accountId)
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(this.platform.settings.MAILFOLD_CONTENT_TIMEOUT)])
    await this.commands.execute(new FetchContent(message.accountId, messageId))
    const outcome = await this.outcome(message.accountId, messageId, version, deadline)
    const fetched = await this.atHand(messageId, outcome.sha256)
    if (fetched) return fetched
    if (outcome.reason !== null) throw unavailable(outcome.reason)
    throw new GraphQLError('The message could not be fetched in time.', { extensions: { code: 'CONTENT_TIMEOUT' } })
  }

  private async atHand(messageId: string, sha256: string | null): Promise<RawMessage | null> {
    const blob = sha256 === null ? null : await this.blobs.has(sha256)
    if (blob) return { size: blob.size, read: (range) => this.blobs.read(blob.sha256, range) }
    const size = this.passing.sizeOf(messageId)
    return size === null ? null : { size, read: (range) => this.passing.read(messageId, range) as Readable }
  }

  /** Waits for the event that says what became of the fetch, or for the message to pass by. */
  private async outcome(accountId: string, messageId: string, after: number, deadline: AbortSignal) {
    const done = new AbortController()
    const signal = AbortSignal.any([deadline, done.signal])
    const passes = this.passing.arrival(messageId, signal).then(() => ({ sha256: null, reason: null }))
    try {
      return await Promise.race([passes, this.event(accountId, messageId, after, signal)])
    } finally {
      done.abort()
    }
  }

  private async event(accountId: string, messageId: string, after: number, signal: AbortSignal) {
    for await (const { type, data } of this.feeds.follow(accountId, after, signal)) {
      if (type === 'MessageContentStored' && data.messageId === messageId) return { sha256: data.sha256, reason: null }
      if (type === 'MessageContentUnavailable' && data.messageId === messageId)
        return { sha256: null, reason: data.reason }
      if (type === 'MessageExpunged' && data.messageId === messageId)
        return { sha256: null, reason: 'The message is no longer on the server.' }
    }
    return { sha256: null, reason: null }
  }
}
