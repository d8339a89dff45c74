import { Injectable } from '@nestjs/common'
import { v7 as newId } from 'uuid'
import type { AccountEvent, StoredContent } from '../../mailbox/events.js'
import { decideNewMessages, type LocalMailbox } from '../../mailbox/local-mailboxes.js'
import {
  decideCopies,
  decideDeletion,
  decideExpunge,
  decideFlagChange,
  decideMailboxCreated,
  decideMailboxDeleted,
  decideMailboxRenamed,
  decideMailboxSubscribed,
  decideMove,
  trashOf,
  type ChangeFailure,
  type Decision,
  type LocalMessage,
} from '../../mailbox/local-work.js'
import { BlobWent } from '../../content/blobs/blob-removal.js'
import { MOST_MATCHED, type AppendedMessage, type ChangeOutcome } from '../../mailbox/mail-commands.js'
import { Streams } from '../../event-store/streams.js'
import type { Queryable } from '../../platform/database.js'
import { Platform } from '../../platform/platform.js'
import { viewFirstMessages, viewLocalMailboxes, viewLocalMessages } from '../../projections/local-views.js'
import { viewContents } from '../../projections/operation-views.js'
import { AppendedContents } from '../appended-contents.js'
import { addedBy, decideOrFail } from '../decide-or-fail.js'
import type { MailWork, WantedMessages } from '../mail-work.js'

/** Messages of Trash that go in one append. */
const PIECE = 500

/** What a decision is made on. */
type LocalView = { messages: LocalMessage[]; mailboxes: LocalMailbox[] }

const none: WantedMessages = async () => []

/**
 * Work on mail that is kept here (OFFLINE accounts): decided and recorded at once, and never sent to the server. What of it
 * deletes there is the deletion policy's to say.
 */
@Injectable()
export class LocalWork implements MailWork {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly contents: AppendedContents,
  ) {}

  changeFlags(accountId: string, messages: WantedMessages, add: readonly string[], remove: readonly string[]) {
    return this.change(accountId, messages, (view) => ({ events: decideFlagChange(view.messages, add, remove) }))
  }

  move(accountId: string, messages: WantedMessages, mailboxId: string) {
    return this.change(accountId, messages, (view) => {
      const target = view.mailboxes.find((mailbox) => mailbox.mailboxId === mailboxId)
      return target ? { events: decideMove(view.messages, target) } : NO_MAILBOX
    })
  }

  async copy(accountId: string, messages: WantedMessages, mailboxId: string): Promise<ChangeOutcome> {
    const outcome = await this.changed(accountId, messages, (view, contents) => {
      const target = view.mailboxes.find((mailbox) => mailbox.mailboxId === mailboxId)
      const copied = view.messages.map((message) => ({ ...message, content: contents.get(message.messageId) ?? null }))
      return target ? { events: decideCopies(copied, target, newId) } : NO_MAILBOX
    })
    return 'failure' in outcome ? outcome : { accountId, ids: addedBy(outcome.events), operationId: null }
  }

  delete(accountId: string, messages: WantedMessages, forGood: boolean) {
    return this.change(accountId, messages, (view) => decideDeletion(view.messages, view.mailboxes, forGood))
  }

  async append(
    accountId: string,
    mailboxId: string,
    message: AppendedMessage,
    replaces: string | null,
  ): Promise<ChangeOutcome> {
    const taken = await this.contents.take(message)
    if ('failure' in taken) return taken
    const replaced: WantedMessages = async () => (replaces === null ? [] : [replaces])
    const record = () =>
      this.changed(
        accountId,
        replaced,
        (view, _, isHeld) => {
          const path = view.mailboxes.find((mailbox) => mailbox.mailboxId === mailboxId)?.path
          if (path === undefined) return NO_MAILBOX
          if (!isHeld) throw new BlobWent()
          const added = decideNewMessages([{ ...taken, path }], { ...view, forgotten: new Set() }, 'APPENDED', newId)
          return { events: [...added, ...decideExpunge(view.messages)] }
        },
        taken.content?.sha256 ?? null,
      )
    const outcome = await this.contents.recorded(taken, record)
    return 'failure' in outcome ? outcome : { accountId, ids: addedBy(outcome.events), operationId: null }
  }

  /** In pieces, oldest first: of a cut, what was recorded stays. */
  async emptyTrash(accountId: string): Promise<ChangeOutcome> {
    const ids: string[] = []
    for (;;) {
      const trash = trashOf(await viewLocalMailboxes(this.platform.database.pool, accountId))
      const piece = trash ? await viewFirstMessages(this.platform.database.pool, trash.mailboxId, PIECE) : []
      const outcome = await this.changed(
        accountId,
        async () => piece.map(({ messageId }) => messageId),
        (view) => ({
          // one that was taken out of Trash meanwhile is not deleted
          events: decideExpunge(view.messages.filter(({ mailboxId }) => mailboxId === trash?.mailboxId)),
        }),
      )
      if ('failure' in outcome) return outcome
      if (piece.length === 0) return { accountId, ids, operationId: null }
      ids.push(...outcome.events.flatMap(({ type, data }) => (type === 'MessageExpunged' ? [data.messageId] : [])))
    }
  }

  async createMailbox(accountId: string, path: string): Promise<ChangeOutcome> {
    const maker = { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1000)) }
    const outcome = await this.changed(accountId, none, (view) => decideMailboxCreated(view.mailboxes, path, maker))
    if ('failure' in outcome) return outcome
    const ids = outcome.events.flatMap(({ type, data }) => (type === 'MailboxCreated' ? [data.mailboxId] : []))
    return { accountId, ids, operationId: null }
  }

  renameMailbox(accountId: string, mailboxId: string, path: string) {
    return this.ofMailbox(accountId, mailboxId, (mailboxes) => decideMailboxRenamed(mailboxes, mailboxId, path))
  }

  deleteMailbox(accountId: string, mailboxId: string) {
    return this.ofMailbox(accountId, mailboxId, (mailboxes) => decideMailboxDeleted(mailboxes, mailboxId))
  }

  subscribe(accountId: string, mailboxId: string, subscribed: boolean) {
    return this.ofMailbox(accountId, mailboxId, (mailboxes) =>
      decideMailboxSubscribed(mailboxes, mailboxId, subscribed),
    )
  }

  private async ofMailbox(
    accountId: string,
    mailboxId: string,
    decide: (mailboxes: readonly LocalMailbox[]) => Decision,
  ): Promise<ChangeOutcome> {
    const outcome = await this.changed(accountId, none, (view) => decide(view.mailboxes))
    return 'failure' in outcome ? outcome : { accountId, ids: [mailboxId], operationId: null }
  }

  /** Changes messages, all or none of them. */
  private async change(
    accountId: string,
    messages: WantedMessages,
    decide: (view: LocalView) => Decision,
  ): Promise<ChangeOutcome> {
    let ids: readonly string[] = []
    const outcome = await this.changed(
      accountId,
      async (session) => (ids = await messages(session)),
      (view) => decide(view),
    )
    return 'failure' in outcome ? outcome : { accountId, ids: [...ids], operationId: null }
  }

  /** Decides and records in one transaction. @param sha256 a blob that is to be there then */
  private async changed(
    accountId: string,
    messages: WantedMessages,
    decide: (view: LocalView, contents: Awaited<ReturnType<typeof viewContents>>, isHeld: boolean) => Decision,
    sha256: string | null = null,
  ): Promise<{ events: readonly AccountEvent[] } | { failure: ChangeFailure }> {
    return decideOrFail(
      this.streams,
      accountId,
      async (session) => this.view(session, accountId, await messages(session), sha256),
      ({ ids, view, contents, isHeld }) => whyNot(ids, view) ?? decide(view, contents, isHeld),
    )
  }

  private async view(session: Queryable, accountId: string, ids: readonly string[], sha256: string | null) {
    const isTooMany = ids.length > MOST_MATCHED
    const messages = ids.length === 0 || isTooMany ? [] : await viewLocalMessages(session, ids)
    const contents = messages.length > 0 ? await viewContents(session, ids) : new Map<string, StoredContent>()
    const isHeld = sha256 === null || (await this.contents.hold(session, sha256))
    return { ids, view: { messages, mailboxes: await viewLocalMailboxes(session, accountId) }, contents, isHeld }
  }
}

const NO_MAILBOX = { failure: { kind: 'MailboxNotFound' } } as const

function whyNot(ids: readonly string[], { messages }: LocalView): { failure: ChangeFailure } | null {
  if (ids.length > MOST_MATCHED) return { failure: { kind: 'TooManyMessages', most: MOST_MATCHED } }
  return messages.length < ids.length ? { failure: { kind: 'MessageNotFound' } } : null
}
