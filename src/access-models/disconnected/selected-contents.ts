import { isLoss, isRefusal } from '../../mailbox/failures.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { holdBlobs, markForRemoval } from '../../content/blobs/blob-removal.js'
import type { BlobName, BlobStore } from '../../content/blobs/blob-store.js'
import type { Intake } from '../../content/intake.js'
import {
  bytesInMemory,
  keepAll,
  receiveContent,
  TooLong,
  type ReceivedContent,
} from '../../content/received-content.js'
import type { FenceToken, Streams } from '../../event-store/streams.js'
import type { Database } from '../../platform/database.js'
import { releaseBuffers } from '../../platform/heap.js'
import type { Logger } from '../../platform/logs.js'
import {
  viewContentsOf,
  viewContentsToDrop,
  viewContentsToFetch,
  viewSelections,
  viewWithoutContent,
  type SelectedContent,
} from '../../projections/selection-views.js'
import { contentsOf, type RefusedMessage, type WholeMessage } from '../../protocols/imap/collecting.js'
import type { ImapConnection } from '../../protocols/imap/imap-connection.js'
import { ConnectionEnders } from '../connection-enders.js'
import { recordKept, removeUnreferred } from '../unreferred.js'

/** Messages that are chosen together, newest first, and then asked for mailbox by mailbox. */
const CHOSEN = 4_000

/** Messages of which the contents are recorded together, and bytes in memory until then. */
const PIECE = 500
const PIECE_BYTES = 16 * 1024 * 1024

/** Milliseconds after which it is looked again for what has fallen out of the selection, by its age, say, or was only read once. */
const DROP_INTERVAL = 24 * 3_600_000

/** What fetching the selected raw messages works with. */
export type SelectedTools = {
  accountId: string
  connection: ImapConnection
  streams: Streams
  database: Database
  blobs: BlobStore
  intake: Intake
  fence: FenceToken
  maxMessageBytes: number
  logger: Logger
  /** whether the work should be put down for now */
  interrupted: () => boolean
}

/** What dropping works with; an ONLINE account's is done without a connection, and then without a worker's token. */
export type DropTools = Pick<SelectedTools, 'streams' | 'database' | 'blobs' | 'accountId' | 'interrupted'> & {
  fence: FenceToken
}

type Came = { messageId: string; content: ReceivedContent }

/**
 * Copies the raw messages that an account's selection asks for: newest first, when nothing else is to be done. What is to be
 * copied follows from the log, so it can be cut anywhere; this object only remembers what the server would not give.
 */
export class SelectedContents {
  private readonly refused = new Set<string>()
  private readonly enders = new ConnectionEnders()
  /** what has come whole */
  private piece: Came[] = []
  private bytes = 0
  /** a piece that is being written down while the next one comes */
  private committing: Promise<void> = Promise.resolve()
  /** the selections for which what is outside of them was dropped, and when that was */
  private droppedFor: string | null = null
  private droppedAt = 0
  /** messages outside of the selections of which a client has asked for the raw one since they changed, and when */
  private readonly asked = new Map<string, number>()

  /** Takes notice of a new connection: what was refused is asked for again, and nothing is under way. */
  connected(): void {
    this.refused.clear()
    this.beginAgain()
  }

  /** What was under way is asked for again: it could not be kept. */
  beginAgain(): void {
    this.piece = []
    this.bytes = 0
    this.committing = Promise.resolve()
  }

  /** Takes notice that a client has asked for a raw message: it stays for a while. */
  wasAsked(messageId: string): void {
    this.asked.set(messageId, Date.now())
  }

  /** Copies what is selected, then drops what is not. @returns whether something is left */
  async copy(tools: SelectedTools): Promise<boolean> {
    return (await this.fetch(tools)) || (await this.drop(tools))
  }

  /** Copies messages for which a client waits, be they selected or not. @returns those that could not be had */
  async fetchAsked(tools: SelectedTools, messageIds: readonly string[]): Promise<string[]> {
    const { database, accountId, maxMessageBytes } = tools
    for (const messageId of messageIds) this.wasAsked(messageId)
    const view = () => viewContentsOf(database.pool, accountId, maxMessageBytes, messageIds)
    try {
      for (const group of Map.groupBy(await view(), ({ path }) => path).values())
        if (!tools.interrupted()) await this.fetchGroup(tools, group)
    } finally {
      await this.hand(tools)
      await this.committing
    }
    return (await view()).map(({ messageId }) => messageId)
  }

  /** Copies as far as time allows. @returns whether something is left */
  private async fetch(tools: SelectedTools): Promise<boolean> {
    const { database, accountId, maxMessageBytes } = tools
    try {
      while (!tools.interrupted()) {
        const except = [...this.refused]
        const wanted = await viewContentsToFetch(database.pool, accountId, maxMessageBytes, except, CHOSEN)
        if (wanted.length === 0) return false
        for (const group of Map.groupBy(wanted, ({ path }) => path).values()) {
          if (tools.interrupted()) return true
          await this.fetchGroup(tools, group)
        }
        // what was chosen is recorded by now, or was not to be had
        await this.hand(tools)
        await this.committing
      }
      return true
    } finally {
      // what has come whole is not asked for again, even when the connection was lost behind it
      await this.hand(tools)
      await this.committing
    }
  }

  /**
   * Drops the raw messages that are here and not selected: when a selection has changed, and from time to time, so that what
   * was read once stays a while. Only with a connection, since until there is one it can be had from nowhere else.
   *
   * @param isForAll whether it is to be looked now in any case, and what was asked for a moment ago goes as well
   * @returns whether something is left
   */
  async drop({ streams, database, accountId, fence, interrupted }: DropTools, isForAll = false): Promise<boolean> {
    const selections = await viewSelections(database.pool, accountId)
    const isLate = selections !== this.droppedFor || Date.now() - this.droppedAt >= DROP_INTERVAL
    if (!isForAll && !isLate) return false
    const stay = isForAll ? [] : this.askedOf(selections)
    while (!interrupted()) {
      const { view } = await streams.decide(
        accountId,
        async (session) => {
          const outside = await viewContentsToDrop(session, accountId, stay, PIECE)
          await markForRemoval(
            session,
            outside.map(({ sha256 }) => sha256),
          )
          return outside
        },
        (outside) => outside.map(({ messageId }) => ({ type: 'MessageContentDropped', data: { messageId } })),
        fence,
        'POLICY',
      )
      if (view.length === PIECE) continue
      this.droppedFor = selections
      this.droppedAt = Date.now()
      return false
    }
    return true
  }

  /** What was asked for not long ago, while the selections were what they are. */
  private askedOf(selections: string): string[] {
    const hasChanged = this.droppedFor !== null && selections !== this.droppedFor
    for (const [id, at] of this.asked) if (hasChanged || Date.now() - at >= DROP_INTERVAL) this.asked.delete(id)
    return [...this.asked.keys()]
  }

  /** @param group messages of one mailbox */
  private async fetchGroup(tools: SelectedTools, group: readonly SelectedContent[]): Promise<void> {
    const { connection, maxMessageBytes } = tools
    const [{ path, uidValidity } = { path: '', uidValidity: '' }] = group
    if (connection.selected !== path || connection.selectedUidValidity !== uidValidity) {
      const selected = await connection.select(path)
      // numbered anew: its messages are found again first
      if (selected.uidValidity !== uidValidity) return this.passOver(group.map(({ messageId }) => messageId))
    }
    const wanted = group.filter(({ messageId }) => !this.enders.has(messageId))
    const byUid = new Map(wanted.map((message) => [message.uid, message.messageId]))
    try {
      for await (const coming of contentsOf(connection, wanted, maxMessageBytes, this.enders.together)) {
        await this.take(tools, byUid, coming)
        if (tools.interrupted()) return
      }
    } catch (error) {
      const [first] = byUid.values()
      if (first !== undefined && isLoss(error)) this.enders.ended(first)
      throw error
    }
    this.enders.through()
    // gone meanwhile, or the server does not give them
    this.passOver(byUid.values())
    this.passOver(group.map(({ messageId }) => messageId).filter((messageId) => this.enders.has(messageId)))
  }

  /** Takes what has come of a message, if it was asked for. @param byUid the messages that are awaited */
  private async take(
    tools: SelectedTools,
    byUid: Map<number, string>,
    coming: WholeMessage | RefusedMessage,
  ): Promise<void> {
    const messageId = byUid.get(coming.uid)
    if (messageId === undefined) return
    const { blobs, maxMessageBytes, accountId } = tools
    const content = 'refused' in coming ? coming.refused : await this.receive(coming.content, blobs, maxMessageBytes)
    byUid.delete(coming.uid)
    if (typeof content === 'string') {
      tools.logger.warn({ accountId, messageId, why: content }, 'a raw message was refused')
      return this.passOver([messageId])
    }
    this.piece.push({ messageId, content })
    this.bytes += bytesInMemory(content)
    if (this.piece.length >= PIECE || this.bytes >= PIECE_BYTES) await this.hand(tools)
  }

  /** @returns the content, or why it cannot be had, which costs no other message its turn */
  private async receive(
    content: AsyncIterable<Buffer>,
    blobs: BlobStore,
    maxBytes: number,
  ): Promise<ReceivedContent | string> {
    try {
      return await receiveContent(content, blobs, maxBytes)
    } catch (error) {
      if (!isRefusal(error) && !(error instanceof TooLong)) throw error
      return error.message
    }
  }

  private passOver(ids: Iterable<string>): void {
    for (const id of ids) this.refused.add(id)
  }

  /** Has what came made durable and recorded, when what came before is. */
  private async hand(tools: SelectedTools): Promise<void> {
    const { piece } = this
    if (piece.length === 0) return
    this.piece = []
    this.bytes = 0
    await this.committing
    releaseBuffers()
    this.committing = this.commit(tools, piece)
    // a failure is met by whoever awaits it next
    this.committing.catch(() => undefined)
  }

  private async commit(tools: SelectedTools, piece: readonly Came[]): Promise<void> {
    const { streams, accountId, fence, intake } = tools
    const blobs = await keepAll(
      intake,
      piece.map(({ content }) => content),
    )
    const names = blobs.map(({ sha256 }) => sha256)
    const ids = piece.map(({ messageId }) => messageId)
    const decided = streams.decide(
      accountId,
      // meanwhile a message may have gone or been forgotten, and a blob, as another message's, been removed
      async (session) => ({
        wanted: await viewWithoutContent(session, ids),
        present: await holdBlobs(session, tools.blobs, names),
      }),
      ({ wanted, present }) => storedOf(piece, blobs, wanted, present),
      fence,
      'POLICY',
    )
    const { events } = await recordKept(tools, names, decided)
    if (events.length === piece.length) return
    await removeUnreferred(tools, names)
  }
}

function storedOf(
  piece: readonly Came[],
  blobs: readonly BlobName[],
  wanted: ReadonlySet<string>,
  present: ReadonlySet<string>,
): AccountEvent[] {
  return piece.flatMap(({ messageId }, index): AccountEvent[] => {
    const { sha256, size } = blobs[index] as BlobName
    if (!wanted.has(messageId) || !present.has(sha256)) return []
    return [{ type: 'MessageContentStored', data: { messageId, sha256, size } }]
  })
}
