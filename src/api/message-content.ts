import { Injectable } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import { GraphQLError } from 'graphql'
import { Readable } from 'node:stream'
import { BlobsAway, BlobStore } from '../content/blobs/blob-store.js'
import { inPieces, PIECE_BYTES, type FetchBytes } from '../content/in-pieces.js'
import { PassingContent } from '../content/passing-content.js'
import { openAlone, openMessage, type OpenMessage } from '../content/open-part.js'
import { Feeds } from '../event-store/feeds.js'
import { Streams } from '../event-store/streams.js'
import { FetchContent, FetchContents } from '../mailbox/commands.js'
import { pieceKey, type ByteRange, type ContentPiece } from '../mailbox/content-piece.js'
import { hasFilesInText, type Structure } from '../mailbox/message.js'
import { Platform } from '../platform/platform.js'
import { viewContentsOf } from '../projections/selection-views.js'
import { viewMessageOwner, viewOnlineMessage, type OnlineMessage } from '../projections/message-views.js'

/** A raw message that is at hand: bytes, and a stream of them or of a part. */
export type RawMessage = { size: number; read(range?: ByteRange): Readable }

/** Whether a message of an ONLINE account is too large to pass through memory as a whole. */
export function comesInPieces({ size }: OnlineMessage): boolean {
  return size > PIECE_BYTES
}

const isOnePart = ({ children }: Structure) => children.length === 0

/** Milliseconds after which a fetch is asked for again. */
const AGAIN = 5_000

/** Says that a message cannot be had any more. */
export const gone = (reason: string) => new GraphQLError(reason, { extensions: { code: 'CONTENT_GONE' } })
const unavailable = (reason: string) => new GraphQLError(reason, { extensions: { code: 'CONTENT_UNAVAILABLE' } })

function missed(reason: string | null): GraphQLError {
  if (reason !== null) return unavailable(reason)
  return new GraphQLError('The message could not be fetched in time.', { extensions: { code: 'CONTENT_TIMEOUT' } })
}

/** Raw messages for whoever asks, fetched first where they are not here. */
@Injectable()
export class MessageContents {
  constructor(
    private readonly platform: Platform,
    private readonly blobs: BlobStore,
    private readonly passing: PassingContent,
    private readonly feeds: Feeds,
    private readonly streams: Streams,
    private readonly commands: CommandBus,
  ) {}

  /**
   * A message's raw content; waits for its fetch as long as MAILFOLD_CONTENT_TIMEOUT allows.
   *
   * @returns null when there is no such message
   * @throws GraphQLError CONTENT_UNAVAILABLE with the reason, CONTENT_TIMEOUT, CONTENT_GONE, NO_SESSION
   */
  async raw(messageId: string, signal: AbortSignal): Promise<RawMessage | null> {
    const message = await viewMessageOwner(this.platform.database.reads, messageId)
    if (!message) return null
    if (message.isForgotten) throw gone('The message was forgotten here.')
    const here = await this.atHand(messageId, message.contentSha256)
    if (here) return here
    if (!message.isThere) throw gone('The message is no longer on the server, and was not kept here.')
    const outcome = await this.fetched(message.accountId, messageId, null, signal)
    const fetched = await this.atHand(messageId, outcome.sha256)
    if (fetched) return fetched
    throw missed(outcome.reason)
  }

  /**
   * Has the contents of several messages fetched together that are not here, and waits until they are, or one of them cannot be had. It is for
   * speed alone: `raw` has each of them fetched that is missing still, and says why it cannot be had.
   */
  async together(accountId: string, messageIds: readonly string[], signal: AbortSignal): Promise<void> {
    const { database, settings } = this.platform
    const found = await viewContentsOf(database.reads, accountId, settings.MAILFOLD_MAX_MESSAGE_BYTES, messageIds)
    const waiting = new Set(found.map(({ messageId }) => messageId))
    if (waiting.size < 2) return
    const version = await this.streams.version(accountId)
    const ask = () => this.commands.execute<FetchContents, boolean>(new FetchContents(accountId, [...waiting]))
    if (!(await ask())) return
    const again = setInterval(() => void ask().catch(() => undefined), AGAIN)
    try {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(settings.MAILFOLD_CONTENT_TIMEOUT)])
      for await (const { type, data } of this.feeds.follow(accountId, version, deadline)) {
        if (type === 'MessageContentUnavailable' && waiting.has(data.messageId)) return
        if (type === 'MessageContentStored' || type === 'MessageExpunged') waiting.delete(data.messageId)
        if (waiting.size === 0) return
      }
    } finally {
      clearInterval(again)
    }
  }

  /**
   * A message's raw content as it comes: a large one of an ONLINE account piece by piece from its server, so that it is never in memory as a whole.
   *
   * @param online what `online` says of it
   * @returns null when there is no such message
   * @throws GraphQLError as `raw`
   */
  async stream(messageId: string, online: OnlineMessage | null, signal: AbortSignal): Promise<Readable | null> {
    if (online && comesInPieces(online))
      return (await inPieces(this.bytesOf(messageId, online.accountId, signal))).content
    return (await this.raw(messageId, signal))?.read() ?? null
  }

  /**
   * A message whose parts can be opened: one of an ONLINE account by its server's structure, each part coming from there by itself.
   *
   * @returns null when there is no such message
   * @throws GraphQLError as `raw`
   */
  async open(messageId: string, signal: AbortSignal): Promise<OpenMessage | null> {
    const online = await this.online(messageId)
    if (
      online?.structure &&
      !hasFilesInText(online.structure) &&
      (comesInPieces(online) || !isOnePart(online.structure))
    ) {
      const { structure, accountId } = online
      const isWhole = isOnePart(structure)
      const contentOf = (part: Structure) =>
        isWhole ? this.stream(messageId, online, signal) : this.part(messageId, accountId, part, signal)
      return {
        structure,
        open: async (part) => {
          const content = await contentOf(part)
          return content && openAlone(content)
        },
      }
    }
    const raw = await this.raw(messageId, signal)
    return raw && openMessage((range) => raw.read(range))
  }

  /** A message of an ONLINE account of which pieces can be had from the server; null for others, and where all of it is at hand. */
  async online(messageId: string): Promise<OnlineMessage | null> {
    if (this.passing.sizeOf(messageId) !== null) return null
    return viewOnlineMessage(this.platform.database.reads, messageId)
  }

  /**
   * Bytes of such a message, as they come from its server.
   *
   * @returns the stream, and the range that it has: a server may have stated more bytes than there are
   * @throws GraphQLError as `raw`
   */
  async range(messageId: string, accountId: string, { start, end }: ByteRange, signal: AbortSignal) {
    const { content, first, isAll } = await inPieces(this.bytesOf(messageId, accountId, signal), { start, end })
    return { content, range: { start, end: isAll ? start + first - 1 : end } }
  }

  /** One part of such a message with its own header, as a message of one part. @throws GraphQLError as `raw` */
  async part(messageId: string, accountId: string, { part, size }: Structure, signal: AbortSignal): Promise<Readable> {
    if ((size ?? 0) <= PIECE_BYTES) return Readable.from([await this.piece(messageId, accountId, { part }, signal)])
    const header = await this.piece(messageId, accountId, { header: part }, signal)
    return (await inPieces(this.bytesOf(messageId, accountId, signal, part), { before: header })).content
  }

  private bytesOf(messageId: string, accountId: string, signal: AbortSignal, part?: string): FetchBytes {
    return (start, end) =>
      this.piece(messageId, accountId, { start, end, ...(part === undefined ? {} : { part }) }, signal)
  }

  private async piece(messageId: string, accountId: string, piece: ContentPiece, signal: AbortSignal): Promise<Buffer> {
    const key = pieceKey(messageId, piece)
    for (;;) {
      const here = this.passing.take(key)
      if (here) return here
      const { hasPassed, reason } = await this.fetched(accountId, messageId, piece, signal)
      const fetched = this.passing.take(key)
      if (fetched) return fetched
      // where another reader was quicker, it comes again
      if (!hasPassed) throw missed(reason)
    }
  }

  private passingBy(key: string): RawMessage | null {
    const size = this.passing.sizeOf(key)
    return size === null ? null : { size, read: (range) => this.passing.read(key, range) as Readable }
  }

  /** Has something fetched, and waits until it is, or cannot be had. */
  private async fetched(accountId: string, messageId: string, piece: ContentPiece | null, signal: AbortSignal) {
    const version = await this.streams.version(accountId)
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(this.platform.settings.MAILFOLD_CONTENT_TIMEOUT)])
    const ask = () => this.commands.execute<FetchContent, boolean>(new FetchContent(accountId, messageId, piece))
    if (!(await ask()))
      throw new GraphQLError('No session is open for this account: open one (openSession).', {
        extensions: { code: 'NO_SESSION' },
      })
    // a job is lost with the store of the queues, or with the process that had it
    const again = setInterval(() => void ask().catch(() => undefined), AGAIN)
    try {
      return await this.outcome(accountId, messageId, pieceKey(messageId, piece), version, deadline)
    } finally {
      clearInterval(again)
    }
  }

  private async atHand(messageId: string, sha256: string | null): Promise<RawMessage | null> {
    const blob = sha256 === null ? null : await this.blobs.has(sha256).catch((error: Error) => this.unreachable(error))
    if (blob) return { size: blob.size, read: (range) => this.blobs.read(blob.sha256, range) }
    return this.passingBy(messageId)
  }

  /** @throws GraphQLError CONTENT_UNAVAILABLE */
  private unreachable(error: Error): never {
    this.platform.logger.error({ err: error }, 'raw messages cannot be read')
    throw unavailable(BlobsAway.told)
  }

  /** Waits for the event that says what became of the fetch, or for the message to pass by. */
  private async outcome(accountId: string, messageId: string, key: string, after: number, deadline: AbortSignal) {
    const done = new AbortController()
    const signal = AbortSignal.any([deadline, done.signal])
    const passes = this.passing.arrival(key, signal).then(() => {
      return { hasPassed: !signal.aborted, sha256: null, reason: null }
    })
    try {
      const told = this.event(accountId, messageId, after, signal)
      return await Promise.race([passes, told.then((event) => ({ hasPassed: false, ...event }))])
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
