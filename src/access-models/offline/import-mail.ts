import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import { decideMade, decideNewMessages } from '../../mailbox/local-mailboxes.js'
import { whyNoFlags, whyNoPath, type ChangeFailure } from '../../mailbox/local-work.js'
import { normaliseFlags } from '../../mailbox/flags.js'
import {
  ImportMessages,
  type ImportedMessage,
  type ImportOutcome,
  type ImportProgress,
} from '../../mailbox/offline-commands.js'
import { BlobWent, holdBlobs } from '../../content/blobs/blob-removal.js'
import { BlobStore } from '../../content/blobs/blob-store.js'
import { Intake, type TakenIn } from '../../content/intake.js'
import { Streams } from '../../event-store/streams.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewContentsHere, viewNewMessages } from '../../projections/local-views.js'
import { removeForgotten } from './forgotten-again.js'
import { bytesInMemory, receiveContent, takeIn, TooLong, type ReceivedContent } from '../../content/received-content.js'
import { recordKept } from '../unreferred.js'
import { newMessageOf } from './received.js'

/** Messages, and bytes, that are written, decided on and appended together. */
const PIECE = 500
const PIECE_BYTES = 8 * 1024 * 1024

/** A message that was taken in, and where it belongs. */
type Taken = { path: string; flags: readonly string[]; internalDate: string | null; content: ReceivedContent }

/** Puts messages from files into an account: each durable, and in the log, before the next piece is read. */
@CommandHandler(ImportMessages)
export class ImportMessagesHandler implements ICommandHandler<ImportMessages, ImportOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly blobs: BlobStore,
    private readonly intake: Intake,
  ) {}

  async execute({ accountId, path, messages, progress }: ImportMessages): Promise<ImportOutcome> {
    const told: ImportProgress = { imported: 0, skipped: 0 }
    const failure = await this.whyNot(accountId, path)
    if (failure) return { ...told, failure }
    let piece: Taken[] = []
    let bytes = 0
    const keep = async () => {
      const added = await this.keep(accountId, piece)
      told.imported += added
      told.skipped += piece.length - added
      piece = []
      bytes = 0
      progress({ ...told })
    }
    try {
      for await (const message of messages) {
        const taken = await this.take(message, path)
        if ('kind' in taken) return { ...told, failure: taken }
        piece.push(taken)
        bytes += bytesInMemory(taken.content)
        if (piece.length >= PIECE || bytes >= PIECE_BYTES) await keep()
      }
    } catch (error) {
      if (!(error instanceof TooLong)) throw error
      return { ...told, failure: { kind: 'InvalidSettings', field: 'messages', reason: error.message } }
    } finally {
      // what came whole before something failed is not lost
      if (piece.length > 0) await keep()
    }
    return { ...told, failure: null }
  }

  private async whyNot(accountId: string, path: string): Promise<ChangeFailure | null> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return { kind: 'AccountNotFound' }
    if (account.model !== 'OFFLINE')
      return { kind: 'ModelNotPossible', reason: 'Mail can be imported where it is kept here: into OFFLINE accounts.' }
    return path === 'INBOX' ? null : whyNoPath(path)
  }

  private async take(message: ImportedMessage, path: string): Promise<Taken | ChangeFailure> {
    const into = message.path ?? path
    const failure = into === 'INBOX' ? null : whyNoPath(into)
    if (failure) return failure
    const maxBytes = this.platform.settings.MAILFOLD_MAX_MESSAGE_BYTES
    const content = await receiveContent(message.content as AsyncIterable<Buffer>, this.blobs, maxBytes)
    const internalDate = message.internalDate?.toISOString() ?? null
    const flags = normaliseFlags(message.flags.filter((flag) => whyNoFlags([flag]) === null))
    return { content, path: into, flags, internalDate }
  }

  /** @returns how many were added; the others are here already */
  private async keep(accountId: string, piece: readonly Taken[], isAgain = false): Promise<number> {
    if (piece.length === 0) return 0
    return this.keepOnce(accountId, piece).catch((error: unknown) => {
      if (error instanceof BlobWent && !isAgain) return this.keep(accountId, piece, true)
      throw error
    })
  }

  private async keepOnce(accountId: string, piece: readonly Taken[]): Promise<number> {
    const { blobs } = this
    const contents = await takeIn(
      this.intake,
      piece.map(({ content }) => content),
    )
    const messages = piece.map((taken, index) => newMessageOf(taken, contents[index] as TakenIn, taken.path, null))
    const hashes = messages.flatMap(({ content }) => content?.sha256 ?? [])
    const decided = this.streams.decide(
      accountId,
      async (session) => {
        const there = await holdBlobs(session, blobs, hashes)
        if (hashes.some((hash) => !there.has(hash))) throw new BlobWent()
        const view = await viewNewMessages(
          session,
          accountId,
          messages.map(({ message }) => message),
        )
        return { ...view, here: await viewContentsHere(session, accountId, hashes) }
      },
      ({ mailboxes, forgotten, here }) => {
        const fresh = messages.filter(({ path, content }) => {
          const key = `${content?.sha256}/${path}`
          return !here.has(key) && here.add(key)
        })
        const paths = fresh.map((message) => message.path)
        const made = decideMade(mailboxes, paths, { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1000)) })
        const view = { mailboxes: [...mailboxes, ...made.mailboxes], forgotten }
        return [...made.events, ...decideNewMessages(fresh, view, 'IMPORTED', newId)]
      },
    )
    const { events } = await recordKept(this.platform, hashes, decided)
    await removeForgotten(this.platform, messages, events)
    return events.filter(({ type }) => type === 'MessageAdded').length
  }
}
