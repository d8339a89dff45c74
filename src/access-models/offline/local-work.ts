import { Injectable } from '@nestjs/common'
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../../mailbox/events.js'
import type { LocalMailbox } from '../../mailbox/local-mailboxes.js'
import {
  decideDeletion,
  decideExpunge,
  decideFlagChange,
  decideMailboxCreated,
  decideMailboxDeleted,
  decideMailboxRenamed,
  decideMove,
  MOST_MESSAGES,
  trashOf,
  whyNoFlags,
  type ChangeFailure,
  type Decision,
  type LocalMessage,
} from '../../mailbox/local-work.js'
import {
  ChangeFlags,
  CreateMailbox,
  DeleteMailbox,
  DeleteMessages,
  EmptyTrash,
  MoveMessages,
  RenameMailbox,
  type ChangeOutcome,
} from '../../mailbox/offline-commands.js'
import { StreamNotFound, Streams } from '../../event-store/streams.js'
import type { Queryable } from '../../platform/database.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import {
  viewFirstMessages,
  viewLocalMailboxes,
  viewLocalMessages,
  viewOwnerOfMessages,
} from '../../projections/local-views.js'
import { viewMailboxOwner } from '../../projections/mailbox-views.js'

/*
 * Work on mail that is kept here: decided and recorded at once, and never sent to the server. What of it deletes there is the
 * deletion policy's to say.
 */

/** Messages of Trash that go in one append. */
const PIECE = 500

/** What a decision is made on. */
type LocalView = { messages: LocalMessage[]; mailboxes: LocalMailbox[] }

/** Loads, decides and records, for the handlers below. */
@Injectable()
abstract class LocalWork {
  constructor(
    protected readonly platform: Platform,
    protected readonly streams: Streams,
  ) {}

  /** Changes messages of one account, all or none of them. */
  protected async changeMessages(
    ids: readonly string[],
    decide: (view: LocalView) => Decision,
  ): Promise<ChangeOutcome> {
    const messageIds = [...new Set(ids)]
    if (messageIds.length === 0 || messageIds.length > MOST_MESSAGES)
      return invalid('messageIds', `must name 1 to ${MOST_MESSAGES} messages`)
    const accountId = await viewOwnerOfMessages(this.platform.database.pool, messageIds)
    if (accountId === null) return { failure: { kind: 'MessageNotFound' } }
    const outcome = await this.change(accountId, messageIds, (view) =>
      view.messages.length < messageIds.length ? { failure: { kind: 'MessageNotFound' } } : decide(view),
    )
    return 'failure' in outcome ? outcome : { accountId, ids: messageIds }
  }

  /** Decides and records in one transaction. @returns the events */
  protected async change(
    accountId: string,
    messageIds: readonly string[],
    decide: (view: LocalView) => Decision,
  ): Promise<{ events: readonly AccountEvent[] } | { failure: ChangeFailure }> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return { failure: { kind: 'AccountNotFound' } }
    if (account.model !== 'OFFLINE') return { failure: { kind: 'ModelNotPossible', reason: NOT_LOCAL } }
    let failure: ChangeFailure | null = null
    try {
      const { events } = await this.streams.decide(
        accountId,
        (session) => this.view(session, accountId, messageIds),
        (view) => {
          const decision = decide(view)
          failure = 'failure' in decision ? decision.failure : null
          return 'failure' in decision ? [] : decision.events
        },
      )
      return failure ? { failure } : { events }
    } catch (error) {
      if (error instanceof StreamNotFound) return { failure: { kind: 'AccountNotFound' } }
      throw error
    }
  }

  private async view(session: Queryable, accountId: string, ids: readonly string[]): Promise<LocalView> {
    const messages = ids.length === 0 ? [] : await viewLocalMessages(session, ids)
    return { messages, mailboxes: await viewLocalMailboxes(session, accountId) }
  }
}

const NOT_LOCAL =
  "This version changes mail only where it is kept here, in OFFLINE accounts; this account's is on its server."

const invalid = (field: string, reason: string): { failure: ChangeFailure } => {
  return { failure: { kind: 'InvalidSettings', field, reason } }
}

@CommandHandler(ChangeFlags)
export class ChangeFlagsHandler extends LocalWork implements ICommandHandler<ChangeFlags, ChangeOutcome> {
  async execute({ messageIds, add, remove }: ChangeFlags): Promise<ChangeOutcome> {
    const why = { add: whyNoFlags(add), remove: whyNoFlags(remove) }
    if (why.add !== null) return invalid('add', why.add)
    if (why.remove !== null) return invalid('remove', why.remove)
    return this.changeMessages(messageIds, ({ messages }) => ({ events: decideFlagChange(messages, add, remove) }))
  }
}

@CommandHandler(MoveMessages)
export class MoveMessagesHandler extends LocalWork implements ICommandHandler<MoveMessages, ChangeOutcome> {
  async execute({ messageIds, mailboxId }: MoveMessages): Promise<ChangeOutcome> {
    return this.changeMessages(messageIds, ({ messages, mailboxes }) => {
      const target = mailboxes.find((mailbox) => mailbox.mailboxId === mailboxId)
      return target ? { events: decideMove(messages, target) } : { failure: { kind: 'MailboxNotFound' } }
    })
  }
}

@CommandHandler(DeleteMessages)
export class DeleteMessagesHandler extends LocalWork implements ICommandHandler<DeleteMessages, ChangeOutcome> {
  async execute({ messageIds, forGood }: DeleteMessages): Promise<ChangeOutcome> {
    return this.changeMessages(messageIds, ({ messages, mailboxes }) => decideDeletion(messages, mailboxes, forGood))
  }
}

@CommandHandler(EmptyTrash)
export class EmptyTrashHandler extends LocalWork implements ICommandHandler<EmptyTrash, ChangeOutcome> {
  /** In pieces, oldest first: of a cut, what was recorded stays. */
  async execute({ accountId }: EmptyTrash): Promise<ChangeOutcome> {
    const ids: string[] = []
    for (;;) {
      const trash = trashOf(await viewLocalMailboxes(this.platform.database.pool, accountId))
      const piece = trash ? await viewFirstMessages(this.platform.database.pool, trash.mailboxId, PIECE) : []
      const pieceIds = piece.map(({ messageId }) => messageId)
      const outcome = await this.change(accountId, pieceIds, ({ messages }) => ({
        // one that was taken out of Trash meanwhile is not deleted
        events: decideExpunge(messages.filter(({ mailboxId }) => mailboxId === trash?.mailboxId)),
      }))
      if ('failure' in outcome) return outcome
      if (piece.length === 0) return { accountId, ids }
      ids.push(...outcome.events.flatMap(({ type, data }) => (type === 'MessageExpunged' ? [data.messageId] : [])))
    }
  }
}

@CommandHandler(CreateMailbox)
export class CreateMailboxHandler extends LocalWork implements ICommandHandler<CreateMailbox, ChangeOutcome> {
  async execute({ accountId, path }: CreateMailbox): Promise<ChangeOutcome> {
    const maker = { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1000)) }
    const outcome = await this.change(accountId, [], ({ mailboxes }) => decideMailboxCreated(mailboxes, path, maker))
    if ('failure' in outcome) return outcome
    const ids = outcome.events.flatMap(({ type, data }) => (type === 'MailboxCreated' ? [data.mailboxId] : []))
    return { accountId, ids }
  }
}

@CommandHandler(RenameMailbox)
export class RenameMailboxHandler extends LocalWork implements ICommandHandler<RenameMailbox, ChangeOutcome> {
  async execute({ mailboxId, path }: RenameMailbox): Promise<ChangeOutcome> {
    const accountId = await viewMailboxOwner(this.platform.database.pool, mailboxId)
    if (accountId === null) return { failure: { kind: 'MailboxNotFound' } }
    const outcome = await this.change(accountId, [], (view) => decideMailboxRenamed(view.mailboxes, mailboxId, path))
    return 'failure' in outcome ? outcome : { accountId, ids: [mailboxId] }
  }
}

@CommandHandler(DeleteMailbox)
export class DeleteMailboxHandler extends LocalWork implements ICommandHandler<DeleteMailbox, ChangeOutcome> {
  async execute({ mailboxId }: DeleteMailbox): Promise<ChangeOutcome> {
    const accountId = await viewMailboxOwner(this.platform.database.pool, mailboxId)
    if (accountId === null) return { failure: { kind: 'MailboxNotFound' } }
    const outcome = await this.change(accountId, [], (view) => decideMailboxDeleted(view.mailboxes, mailboxId))
    return 'failure' in outcome ? outcome : { accountId, ids: [mailboxId] }
  }
}

/** All of them. */
export const LOCAL_WORK = [
  ChangeFlagsHandler,
  MoveMessagesHandler,
  DeleteMessagesHandler,
  EmptyTrashHandler,
  CreateMailboxHandler,
  RenameMailboxHandler,
  DeleteMailboxHandler,
]
