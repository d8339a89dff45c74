import { v7 as newId } from 'uuid'
import {
  byContent,
  listedName,
  takeByContent,
  type ListedMessage,
  type SameMessage,
  type ServerCopy,
} from '../../mailbox/collection.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { isLoss, isRefusal, ServerFailed } from '../../mailbox/failures.js'
import { decideNewMessages, type NewMessage } from '../../mailbox/local-mailboxes.js'
import { BlobWent, holdBlobs } from '../../content/blobs/blob-removal.js'
import type { BlobName } from '../../content/blobs/blob-store.js'
import type { TakenIn } from '../../content/intake.js'
import { readMetadata } from '../../content/message-metadata.js'
import { releaseBuffers } from '../../platform/heap.js'
import { viewNewMessages } from '../../projections/local-views.js'
import { ConnectionEnders } from '../connection-enders.js'
import type { CollectTools } from './collect-tools.js'
import { removeForgotten } from './forgotten-again.js'
import type { Maildrop } from './maildrop.js'
import { bytesInMemory, takeIn, TooLong } from '../../content/received-content.js'
import { newMessageOf, placeOf, receive, type Given, type Received } from './received.js'
import { recordKept } from '../unreferred.js'

/** Messages, and bytes, that are written, decided on and appended together. */
const PIECE = 500
const PIECE_BYTES = 8 * 1024 * 1024

/** Where a message is in a server's list. */
export const placeInList = ({ mailbox, number }: ListedMessage) => `${number} ${mailbox}`

/** Refused messages of a run for which the server's words are kept, at most. */
const MOST_SAID = 100

/** What was told without being fetched, and what is still to be told by its content. */
export type Found = {
  same: SameMessage[]
  unknown: ListedMessage[]
  missing: ServerCopy[]
  /** messages that are known, and of which the content is to come */
  awaited: ReadonlyMap<ListedMessage, string>
}

/** Takes in what is unknown, piece by piece: one comes while the one before is put on disk, and that before it recorded. */
export class CollectionRun {
  /** the piece that is being taken into the blob store, and the one before it, which is being recorded */
  private takingIn: Promise<unknown> = Promise.resolve()
  private committing: Promise<void> = Promise.resolve()
  private readonly missing: Map<string, ServerCopy[]>
  /** messages that the server did not give: they are asked for again by the next run */
  refused = 0
  /** what it said of the first of them, by their places in its list */
  readonly said = new Map<string, string>()
  /** messages of which the content came */
  readonly fetched = new Set<string>()

  constructor(
    private readonly tools: CollectTools,
    private readonly maildrop: Maildrop,
    private readonly paths: ReadonlyMap<string, string>,
    /** grows as messages are told */
    private readonly there: Map<string, ListedMessage>,
    private readonly found: Found,
  ) {
    this.missing = byContent(found.missing)
  }

  /** @returns whether everything was taken in */
  async take(unknown: readonly ListedMessage[]): Promise<boolean> {
    const { maxMessageBytes, tooLong, enders } = this.tools
    const isLarge = (listed: ListedMessage) => listed.size > maxMessageBytes || tooLong.has(listedName(listed))
    await this.commit(this.found.same.map(foundAgain), this.found.same)
    await this.takeLarge(unknown.filter(isLarge))
    const wanted = unknown.filter((listed) => !isLarge(listed) && !enders.has(listedName(listed)))
    for (const listed of unknown) if (enders.has(listedName(listed))) this.wasRefused(listed, ConnectionEnders.told)
    const awaited = new Set(wanted)
    let piece: Received[] = []
    let bytes = 0
    try {
      for await (const coming of this.maildrop.contents(wanted, enders.together)) {
        const received = 'refused' in coming ? coming.refused : await this.receive(coming)
        awaited.delete(coming.listed)
        if (typeof received === 'string') {
          this.wasRefused(coming.listed, received)
          continue
        }
        piece.push(received)
        bytes += bytesInMemory(received.content)
        if (piece.length < PIECE && bytes < PIECE_BYTES && !this.tools.stopping()) continue
        await this.hand(piece)
        piece = []
        bytes = 0
        if (this.tools.stopping()) return false
      }
      enders.through()
      return true
    } catch (error) {
      const [first] = awaited
      const isAlone = this.maildrop.names !== 'UID' || enders.together === 1
      if (first && isLoss(error) && !this.tools.stopping()) enders.ended(listedName(first), isAlone)
      throw error
    } finally {
      // what has come whole is not asked for again, even when the connection was lost behind it
      const [said] = this.said.values()
      const { refused } = this
      if (refused > 0)
        this.tools.logger.warn({ accountId: this.tools.account.accountId, refused, said }, 'messages were refused')
      await this.hand(piece)
      await this.committing
    }
  }

  private wasRefused(listed: ListedMessage, said: string): void {
    if (this.refused++ < MOST_SAID) this.said.set(placeInList(listed), said)
  }

  /**
   * @returns the message, or why it does not come, which costs no other message its place
   * @throws ServerFailed when the connection is lost; over POP3 also where more comes than may be kept, since what comes next is behind the rest of it
   */
  private async receive(coming: Given): Promise<Received | string> {
    const { blobs, maxMessageBytes, tooLong, account } = this.tools
    try {
      const received = await receive(coming, blobs, maxMessageBytes)
      const isNothing = 'bytes' in received.content && received.content.bytes.length === 0
      return isNothing && coming.listed.size > 0 ? 'The server gives nothing of the message.' : received
    } catch (error) {
      if (isRefusal(error)) return error.failure.serverSaid
      if (!(error instanceof TooLong)) throw error
      tooLong.add(listedName(coming.listed))
      if (account.protocol === 'IMAP') return error.message
      const { host } = account
      throw new ServerFailed({ kind: 'ConnectionLost', host, reason: 'a message is longer than the server said' })
    }
  }

  /** Gives a piece to be taken in, when the one before is, and to be recorded in its turn. */
  private async hand(piece: readonly Received[]): Promise<void> {
    if (piece.length === 0) return
    await this.takingIn
    releaseBuffers()
    const taken = takeIn(
      this.tools.intake,
      piece.map(({ content }) => content),
    )
    this.takingIn = taken
    const before = this.committing
    this.committing = taken.then(async (contents) => {
      await before
      await this.record(piece, contents)
    })
    // a failure is met by whoever awaits it next
    for (const each of [this.takingIn, this.committing]) each.catch(() => undefined)
  }

  /** Records a piece of which the contents are durable. */
  private async record(piece: readonly Received[], contents: readonly TakenIn[]): Promise<void> {
    const events: AccountEvent[] = []
    const same: SameMessage[] = []
    const added: Added[] = []
    const names: string[] = []
    for (const [index, received] of piece.entries()) {
      const content = contents[index] as TakenIn
      const awaited = this.found.awaited.get(received.listed)
      if (awaited !== undefined) {
        events.push(...contentOf(awaited, received.listed, content))
        this.fetched.add(awaited)
        names.push(content.blob.sha256)
        continue
      }
      const copy = takeByContent(this.missing, content.blob.sha256)
      if (copy) {
        same.push({ listed: received.listed, copy })
        this.fetched.add(copy.messageId)
        events.push(found(copy.messageId, received.listed, content.metadata.headerHash))
      } else added.push(this.added(received, content))
    }
    await this.commit(events, same, added, names)
  }

  /** Messages that are larger than may be kept are in the index, by their headers, and stay on the server. */
  private async takeLarge(large: readonly ListedMessage[]): Promise<void> {
    if (large.length === 0) return
    const added: Added[] = []
    for await (const { listed, header } of this.maildrop.headers(large)) {
      const metadata = { ...(await readMetadata([header])), structure: null, size: listed.size }
      added.push(this.added({ listed, flags: [], internalDate: null }, { metadata, blob: null }))
    }
    await this.commit([], [], added)
  }

  private added(
    received: Omit<Received, 'content'>,
    content: Pick<TakenIn, 'metadata'> & { blob: BlobName | null },
  ): Added {
    const { listed } = received
    const path = this.paths.get(listed.mailbox) ?? 'INBOX'
    const serverCopy = placeOf(listed, content.metadata.headerHash)
    return { listed, message: newMessageOf(received, content, path, serverCopy) }
  }

  private async commit(
    events: readonly AccountEvent[],
    same: readonly SameMessage[],
    added: readonly Added[] = [],
    stored: readonly string[] = [],
  ): Promise<void> {
    const { streams, account, blobs, database, fence, maxMessageBytes } = this.tools
    if (events.length + added.length === 0) return
    const names = [...stored, ...added.flatMap(({ message }) => message.content?.sha256 ?? [])]
    const messages = added.map(({ message }) => message)
    const decided = streams.decide(
      account.accountId,
      async (session) => {
        const there = await holdBlobs(session, blobs, names)
        if (names.some((name) => !there.has(name))) throw new BlobWent()
        const fingerprints = messages.map(({ message }) => message)
        return viewNewMessages(session, account.accountId, fingerprints)
      },
      (view) => [...events, ...withReasons(decideNewMessages(messages, view, null, newId), maxMessageBytes)],
      fence,
    )
    const { events: recorded } = await recordKept({ database }, names, decided)
    for (const { listed, copy } of same) this.there.set(copy.messageId, listed)
    const contents = recorded.flatMap((event) => (event.type === 'MessageAdded' ? [event.data] : []))
    for (const [index, { messageId, content }] of contents.entries()) {
      this.there.set(messageId, (added[index] as Added).listed)
      if (content) this.fetched.add(messageId)
    }
    await removeForgotten({ database }, messages, recorded)
    await this.tools.progressed()
  }
}

/** A listed message, and what becomes of it here. */
type Added = { listed: ListedMessage; message: NewMessage }

const foundAgain = ({ listed, copy }: SameMessage) => found(copy.messageId, listed, copy.headerHash)

function found(messageId: string, listed: ListedMessage, headerHash: string | null): AccountEvent {
  return { type: 'ServerCopyFound', data: { messageId, ...placeOf(listed, headerHash) } }
}

/** The content of a message that was known before. */
function contentOf(messageId: string, listed: ListedMessage, { blob, metadata }: TakenIn): AccountEvent[] {
  const { sha256, size } = blob
  return [
    { type: 'MessageContentStored', data: { messageId, sha256, size } },
    { type: 'ServerCopyFound', data: { messageId, ...placeOf(listed, metadata.headerHash), sha256 } },
  ]
}

/** Says of each message that was not kept why. */
function withReasons(events: readonly AccountEvent[], maxMessageBytes: number): AccountEvent[] {
  return events.flatMap((event): AccountEvent[] => {
    if (event.type !== 'MessageAdded' || event.data.content) return [event]
    const { messageId, size } = event.data
    const has = size > maxMessageBytes ? `${size} bytes` : 'more bytes than the server says'
    const reason = `The message has ${has}; at most ${maxMessageBytes} are fetched.`
    return [event, { type: 'MessageContentUnavailable', data: { messageId, reason } }]
  })
}
