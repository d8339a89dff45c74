import { createHash } from 'node:crypto'
import { v7 as newId } from 'uuid'
import {
  byContent,
  matchByHeaders,
  matchByName,
  takeByContent,
  worthALook,
  type HeadedMessage,
  type ListedMessage,
  type NamedCopy,
  type SameMessage,
  type ServerCopy,
} from '../../mailbox/collection.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { groupsOf } from '../../mailbox/groups.js'
import { decideCompleted, decideNewMessages, decideOpened, type NewMessage } from '../../mailbox/local-mailboxes.js'
import { levelOf, type MaildropSize } from '../../mailbox/maildrop.js'
import { holdBlobs, markForRemoval, removeMarked } from '../../content/blob-removal.js'
import type { BlobName, BlobStore } from '../../content/blob-store.js'
import type { Intake, TakenIn } from '../../content/intake.js'
import { identityOfHeader, readMetadata } from '../../content/message-metadata.js'
import type { FenceToken, Streams } from '../../event-store/streams.js'
import type { Database } from '../../platform/database.js'
import { releaseBuffers } from '../../platform/heap.js'
import type { Logger } from '../../platform/logs.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { isReferredTo } from '../../projections/content-views.js'
import { viewGoneCopies, viewNamedCopies, viewServerCopies } from '../../projections/copy-views.js'
import { viewLocalMailboxes, viewNewMessages } from '../../projections/local-views.js'
import type { LookedAt, Maildrop } from './maildrop.js'
import { bytesInMemory, newMessageOf, placeOf, receive, takeIn, type Received } from './received.js'

/** Messages, and bytes, that are written, decided on and appended together. */
const PIECE = 500
const PIECE_BYTES = 8 * 1024 * 1024

/** What a run works with; bytes. */
export type CollectTools = {
  account: AccountView
  streams: Streams
  database: Database
  blobs: BlobStore
  intake: Intake
  fence: FenceToken
  maxMessageBytes: number
  logger: Logger
  /** whether the work is to be put down: what was taken in by then is kept */
  stopping: () => boolean
  /** what the last run has listed, if it left nothing to be done, as a hash; for as long as this process works for the account */
  lastListing: string | null
}

/** What a run has found: the messages that are on the server now, by the messages that they are here. */
export type Collected = {
  there: Map<string, ListedMessage>
  isComplete: boolean
  /** whether the deletion of any was asked for before, and is not certain */
  wereAsked: boolean
  /** what was listed, as a hash; null where the names in it do not hold, or not all of it could be had */
  listing: string | null
}

/**
 * Collects every message that is not here yet, once: see collection.ts for how each is told. Whatever ends it before its end,
 * the next run goes on from what was recorded.
 */
export async function collect(tools: CollectTools, maildrop: Maildrop): Promise<Collected> {
  const { account, database } = tools
  const lookedAt = await maildrop.list(account.collection.mailboxes)
  const listing = maildrop.namesHold ? hashOf(lookedAt) : null
  if (listing !== null && listing === tools.lastListing && account.deletionPolicy.kind === 'NEVER') {
    await measure(tools, maildrop, null)
    return { there: new Map(), isComplete: true, wereAsked: false, listing }
  }
  const paths = new Map(lookedAt.map(({ mailbox, localPath }) => [mailbox, localPath]))
  const known = (await viewNamedCopies(database.pool, account.accountId)).filter((copy) => paths.has(copy.mailbox))
  const byName = matchByName(
    known,
    lookedAt.flatMap(({ listed }) => listed),
  )
  await openMailboxes(tools, lookedAt)
  const unknown = await maildrop.withSizes(byName.unknown)
  await measure(tools, maildrop, [...byName.same.map(({ copy }) => copy), ...unknown])
  const found = await findAgain(tools, maildrop, unknown, byName.missing)
  const there = new Map(byName.same.map(({ listed, copy }) => [copy.messageId, listed]))
  const run = new Run(tools, maildrop, paths, there, found)
  const isComplete = await run.take(found.unknown)
  if (isComplete) await finish(tools, byName.missing, there)
  const wereAsked = known.some((copy) => copy.state === 'DELETION_ASKED')
  return { there, isComplete, wereAsked, listing: run.refused > 0 ? null : listing }
}

/** What a list comes to, when all names in it hold: the same list has nothing that was not there. */
function hashOf(lookedAt: readonly LookedAt[]): string {
  const hash = createHash('sha256')
  for (const { mailbox, listed } of lookedAt) {
    let text = `${mailbox}\n`
    for (const { uidValidity, uid, uidl, size } of listed) text += `${uidValidity} ${uid} ${uidl} ${size}\n`
    hash.update(text)
  }
  return hash.digest('hex')
}

/** Makes the mailboxes here that the collected mail goes to. */
async function openMailboxes({ account, streams, fence }: CollectTools, lookedAt: readonly LookedAt[]): Promise<void> {
  const expected = new Map(lookedAt.map(({ localPath, listed }) => [localPath, listed.length]))
  const maker = { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1000)) }
  await streams.decide(
    account.accountId,
    (session) => viewLocalMailboxes(session, account.accountId),
    (mailboxes) => decideOpened(mailboxes, expected, maker),
    fence,
  )
}

/**
 * Records how full the maildrop is, where that is other than before, and warns.
 *
 * @param listed the messages in it; null for the same as when it was measured last
 */
async function measure(
  tools: CollectTools,
  maildrop: Maildrop,
  listed: readonly { size: number }[] | null,
): Promise<void> {
  const { account, streams, fence } = tools
  const told = await maildrop.occupancy()
  const count = (all: readonly { size: number }[]) => ({
    messages: all.length,
    bytes: all.reduce((sum, { size }) => sum + size, 0),
  })
  await streams.decide(
    account.accountId,
    async (session) => (await viewAccounts(session, [account.accountId]))[0],
    (now): AccountEvent[] => {
      if (!now) return []
      const counted = listed ? count(listed) : (now.maildrop ?? count([]))
      const limit = now.collection.limit ?? told?.limit ?? null
      const size: MaildropSize = { messages: counted.messages, bytes: told?.bytes ?? counted.bytes, limit }
      const { level, passed } = levelOf(size, now.collection.warnAt, now.maildrop?.level ?? 0)
      const before = now.maildrop
      const isSame =
        before?.messages === size.messages &&
        before.bytes === size.bytes &&
        before.limit === limit &&
        before.level === level
      if (isSame) return []
      const warnings = passed.map((each): AccountEvent => {
        return { type: 'MaildropLevelPassed', data: { ...size, level: each } }
      })
      return [{ type: 'MaildropMeasured', data: { ...size, level } }, ...warnings]
    },
    fence,
  )
}

/** What was told without being fetched, and what is still to be told by its content. */
type Found = { same: SameMessage[]; unknown: ListedMessage[]; missing: ServerCopy[] }

/** Tells messages that are not known under the names that the server gives them, by names of before and by headers. */
async function findAgain(
  { account, database }: CollectTools,
  maildrop: Maildrop,
  unknown: readonly ListedMessage[],
  named: readonly NamedCopy[],
): Promise<Found> {
  if (unknown.length === 0) return { same: [], unknown: [], missing: [] }
  const missing = await viewServerCopies(
    database.pool,
    named.map(({ messageId }) => messageId),
  )
  const gone = await viewGoneCopies(database.pool, account.accountId, unknown)
  const back = matchByName(gone, unknown)
  const candidates = [...missing, ...back.missing]
  const headed: HeadedMessage[] = []
  for await (const { listed, header } of maildrop.headers(worthALook(back.unknown, candidates)))
    headed.push({ listed, ...identityOfHeader(header) })
  const byHeaders = matchByHeaders(headed, candidates)
  const told = new Set(byHeaders.map(({ listed }) => listed))
  const used = new Set(byHeaders.map(({ copy }) => copy))
  return {
    same: [...back.same, ...byHeaders],
    unknown: back.unknown.filter((listed) => !told.has(listed)),
    missing: candidates.filter((copy) => !used.has(copy)),
  }
}

/** Takes in what is unknown, piece by piece: one comes while the one before is put on disk, and that before it recorded. */
class Run {
  /** the piece that is being taken into the blob store, and the one before it, which is being recorded */
  private takingIn: Promise<unknown> = Promise.resolve()
  private committing: Promise<void> = Promise.resolve()
  private readonly missing: Map<string, ServerCopy[]>
  /** messages that the server did not give: they are asked for again by the next run */
  refused = 0

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
    const { maxMessageBytes, blobs, account } = this.tools
    await this.commit(this.found.same.map(foundAgain), this.found.same)
    const large = unknown.filter((listed) => listed.size > maxMessageBytes)
    await this.takeLarge(large)
    const wanted = unknown.filter((listed) => listed.size <= maxMessageBytes)
    let piece: Received[] = []
    let bytes = 0
    try {
      for await (const coming of this.maildrop.contents(wanted)) {
        if ('refused' in coming) {
          this.refused++
          this.tools.logger.warn({ accountId: account.accountId, said: coming.refused }, 'a message was refused')
          continue
        }
        const received = await receive(coming, blobs, maxMessageBytes, account.host)
        piece.push(received)
        bytes += bytesInMemory(received.content)
        if (piece.length < PIECE && bytes < PIECE_BYTES && !this.tools.stopping()) continue
        await this.hand(piece)
        piece = []
        bytes = 0
        if (this.tools.stopping()) return false
      }
      return true
    } finally {
      // what has come whole is not asked for again, even when the connection was lost behind it
      await this.hand(piece)
      await this.committing
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
    for (const [index, received] of piece.entries()) {
      const content = contents[index] as TakenIn
      const copy = takeByContent(this.missing, content.blob.sha256)
      if (copy) {
        same.push({ listed: received.listed, copy })
        events.push(found(copy.messageId, received.listed, content.metadata.headerHash))
      } else added.push(this.added(received, content))
    }
    await this.commit(events, same, added)
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
  ): Promise<void> {
    const { streams, account, blobs, database, fence, maxMessageBytes } = this.tools
    if (events.length + added.length === 0) return
    const names = added.flatMap(({ message }) => message.content?.sha256 ?? [])
    const messages = added.map(({ message }) => message)
    const { events: recorded } = await streams.decide(
      account.accountId,
      async (session) => {
        const there = await holdBlobs(session, blobs, names)
        if (names.some((name) => !there.has(name))) throw new Error('a blob went while it was being recorded')
        const fingerprints = messages.map(({ message }) => message)
        return viewNewMessages(session, account.accountId, fingerprints)
      },
      (view) => [...events, ...withReasons(decideNewMessages(messages, view, null, newId), maxMessageBytes)],
      fence,
    )
    for (const { listed, copy } of same) this.there.set(copy.messageId, listed)
    const contents = recorded.flatMap((event) => (event.type === 'MessageAdded' ? [event.data] : []))
    for (const [index, { messageId }] of contents.entries()) this.there.set(messageId, (added[index] as Added).listed)
    const isForgotten = (index: number) => contents[index]?.content?.sha256 === null
    const forgotten = messages.flatMap(({ content }, index) => (isForgotten(index) ? (content?.sha256 ?? []) : []))
    if (forgotten.length === 0) return
    await markForRemoval(database.pool, forgotten)
    await removeMarked(database, blobs, isReferredTo)
  }
}

/** A listed message, and what becomes of it here. */
type Added = { listed: ListedMessage; message: NewMessage }

const foundAgain = ({ listed, copy }: SameMessage) => found(copy.messageId, listed, copy.headerHash)

function found(messageId: string, listed: ListedMessage, headerHash: string | null): AccountEvent {
  return { type: 'ServerCopyFound', data: { messageId, ...placeOf(listed, headerHash) } }
}

/** Says of each message that was not kept why. */
function withReasons(events: readonly AccountEvent[], maxMessageBytes: number): AccountEvent[] {
  return events.flatMap((event): AccountEvent[] => {
    if (event.type !== 'MessageAdded' || event.data.content) return [event]
    const { messageId, size } = event.data
    const reason = `The message has ${size} bytes; at most ${maxMessageBytes} are fetched.`
    return [event, { type: 'MessageContentUnavailable', data: { messageId, reason } }]
  })
}

/** Records what the server no longer has, and that the first run is through. */
async function finish(
  { account, streams, fence }: CollectTools,
  missing: readonly NamedCopy[],
  there: ReadonlyMap<string, ListedMessage>,
): Promise<void> {
  const gone = missing.map(({ messageId }) => messageId).filter((messageId) => !there.has(messageId))
  const events = groupsOf(gone, PIECE).map((messageIds): AccountEvent => {
    return { type: 'ServerCopiesGone', data: { messageIds, why: 'ABSENT' } }
  })
  await streams.decide(
    account.accountId,
    (session) => viewLocalMailboxes(session, account.accountId),
    (mailboxes) => [...events, ...decideCompleted(mailboxes)],
    fence,
  )
}
