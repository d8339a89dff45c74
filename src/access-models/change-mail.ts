import { Injectable } from '@nestjs/common'
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import type { AccessModel } from '../mailbox/access-model.js'
import { whyNoFlags, type ChangeFailure } from '../mailbox/local-work.js'
import {
  AppendMessage,
  ChangeFlags,
  CopyMessages,
  CreateMailbox,
  DeleteMailbox,
  DeleteMessages,
  EmptyTrash,
  MOST_MATCHED,
  MOST_NAMED,
  MoveMessages,
  RenameMailbox,
  SubscribeMailbox,
  type ChangeOutcome,
  type MessageSet,
} from '../mailbox/mail-commands.js'
import { BlobWent } from '../content/blobs/blob-removal.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts } from '../projections/account-views.js'
import { viewOwnerOfMessages } from '../projections/local-views.js'
import { viewMailboxOwner } from '../projections/mailbox-views.js'
import { viewMatchingIds } from '../projections/message-views.js'
import { Requests } from './disconnected/requests.js'
import type { MailWork, WantedMessages } from './mail-work.js'
import { LocalWork } from './offline/local-work.js'
import { OnlineRequests } from './online/online-requests.js'

const failed = (failure: ChangeFailure) => ({ failure })

/** Finds whose mail a change is about, and hands it to the account's access model. */
@Injectable()
export class ChangeMail {
  constructor(
    private readonly platform: Platform,
    private readonly local: LocalWork,
    private readonly requests: Requests,
    private readonly online: OnlineRequests,
  ) {}

  /** A change of messages. */
  async ofMessages(
    messages: MessageSet,
    change: (work: MailWork, accountId: string, wanted: WantedMessages) => Promise<ChangeOutcome>,
  ): Promise<ChangeOutcome> {
    if ('accountId' in messages) {
      const { accountId, mailboxId, filter } = messages
      const wanted: WantedMessages = (session) =>
        viewMatchingIds(session, accountId, mailboxId, filter, MOST_MATCHED + 1)
      return this.ofAccount(accountId, (work) => change(work, accountId, wanted))
    }
    const ids = [...new Set(messages.ids)]
    if (ids.length === 0 || ids.length > MOST_NAMED) {
      const reason = `must name 1 to ${MOST_NAMED} messages`
      return failed({ kind: 'InvalidSettings', field: 'messageIds', reason })
    }
    const owner = await viewOwnerOfMessages(this.platform.database.pool, ids)
    return owner
      ? change(this.workOf(owner.model), owner.accountId, async () => ids)
      : failed({ kind: 'MessageNotFound' })
  }

  /** A change of a mailbox. */
  async ofMailbox(
    mailboxId: string,
    change: (work: MailWork, accountId: string) => Promise<ChangeOutcome>,
  ): Promise<ChangeOutcome> {
    const accountId = await viewMailboxOwner(this.platform.database.pool, mailboxId)
    if (accountId === null) return failed({ kind: 'MailboxNotFound' })
    return this.ofAccount(accountId, (work) => change(work, accountId))
  }

  /** A change in an account. */
  async ofAccount(accountId: string, change: (work: MailWork) => Promise<ChangeOutcome>): Promise<ChangeOutcome> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return failed({ kind: 'AccountNotFound' })
    return change(this.workOf(account.model))
  }

  private workOf(model: AccessModel): MailWork {
    if (model === 'OFFLINE') return this.local
    return model === 'DISCONNECTED' ? this.requests : this.online
  }
}

@CommandHandler(ChangeFlags)
class ChangeFlagsHandler implements ICommandHandler<ChangeFlags, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  async execute({ messages, add, remove }: ChangeFlags): Promise<ChangeOutcome> {
    const why = { add: whyNoFlags(add), remove: whyNoFlags(remove) }
    if (why.add !== null) return failed({ kind: 'InvalidSettings', field: 'add', reason: why.add })
    if (why.remove !== null) return failed({ kind: 'InvalidSettings', field: 'remove', reason: why.remove })
    return this.mail.ofMessages(messages, (work, accountId, wanted) => work.changeFlags(accountId, wanted, add, remove))
  }
}

@CommandHandler(MoveMessages)
class MoveMessagesHandler implements ICommandHandler<MoveMessages, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ messages, mailboxId }: MoveMessages): Promise<ChangeOutcome> {
    return this.mail.ofMessages(messages, (work, accountId, wanted) => work.move(accountId, wanted, mailboxId))
  }
}

@CommandHandler(CopyMessages)
class CopyMessagesHandler implements ICommandHandler<CopyMessages, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ messages, mailboxId }: CopyMessages): Promise<ChangeOutcome> {
    return this.mail.ofMessages(messages, (work, accountId, wanted) => work.copy(accountId, wanted, mailboxId))
  }
}

@CommandHandler(DeleteMessages)
class DeleteMessagesHandler implements ICommandHandler<DeleteMessages, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ messages, forGood, isConfirmed }: DeleteMessages): Promise<ChangeOutcome> {
    return this.mail.ofMessages(messages, (work, accountId, wanted) =>
      work.delete(accountId, wanted, forGood, isConfirmed),
    )
  }
}

@CommandHandler(AppendMessage)
class AppendMessageHandler implements ICommandHandler<AppendMessage, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  async execute({ mailboxId, message, replaces }: AppendMessage): Promise<ChangeOutcome> {
    const why = whyNoFlags(message.flags)
    if (why !== null) return failed({ kind: 'InvalidSettings', field: 'flags', reason: why })
    const append = () =>
      this.mail.ofMailbox(mailboxId, (work, accountId) => work.append(accountId, mailboxId, message, replaces))
    return append().catch((error: unknown) => {
      if (error instanceof BlobWent) return append()
      throw error
    })
  }
}

@CommandHandler(EmptyTrash)
class EmptyTrashHandler implements ICommandHandler<EmptyTrash, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ accountId }: EmptyTrash): Promise<ChangeOutcome> {
    return this.mail.ofAccount(accountId, (work) => work.emptyTrash(accountId))
  }
}

@CommandHandler(CreateMailbox)
class CreateMailboxHandler implements ICommandHandler<CreateMailbox, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ accountId, path }: CreateMailbox): Promise<ChangeOutcome> {
    return this.mail.ofAccount(accountId, (work) => work.createMailbox(accountId, path))
  }
}

@CommandHandler(RenameMailbox)
class RenameMailboxHandler implements ICommandHandler<RenameMailbox, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ mailboxId, path }: RenameMailbox): Promise<ChangeOutcome> {
    return this.mail.ofMailbox(mailboxId, (work, accountId) => work.renameMailbox(accountId, mailboxId, path))
  }
}

@CommandHandler(DeleteMailbox)
class DeleteMailboxHandler implements ICommandHandler<DeleteMailbox, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ mailboxId }: DeleteMailbox): Promise<ChangeOutcome> {
    return this.mail.ofMailbox(mailboxId, (work, accountId) => work.deleteMailbox(accountId, mailboxId))
  }
}

@CommandHandler(SubscribeMailbox)
class SubscribeMailboxHandler implements ICommandHandler<SubscribeMailbox, ChangeOutcome> {
  constructor(private readonly mail: ChangeMail) {}

  execute({ mailboxId, subscribed }: SubscribeMailbox): Promise<ChangeOutcome> {
    return this.mail.ofMailbox(mailboxId, (work, accountId) => work.subscribe(accountId, mailboxId, subscribed))
  }
}

/** All that is needed to change mail, whatever the access model. */
export const CHANGE_MAIL = [
  ChangeMail,
  LocalWork,
  Requests,
  OnlineRequests,
  ChangeFlagsHandler,
  MoveMessagesHandler,
  CopyMessagesHandler,
  DeleteMessagesHandler,
  AppendMessageHandler,
  EmptyTrashHandler,
  CreateMailboxHandler,
  RenameMailboxHandler,
  DeleteMailboxHandler,
  SubscribeMailboxHandler,
]
