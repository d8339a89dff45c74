import { Module } from '@nestjs/common'
import { CommandHandler, CqrsModule, EventsHandler, type ICommandHandler, type IEventHandler } from '@nestjs/cqrs'
import { FetchContent, Forgotten, SyncNow, WorkNeeded } from '../mailbox/commands.js'
import { AccessModelsModule } from '../access-models/access-models.module.js'
import { makeDue } from '../access-models/offline/schedule.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts } from '../projections/account-views.js'
import { AccountQueues } from './account-queues.js'

@EventsHandler(WorkNeeded)
class AskForWork implements IEventHandler<WorkNeeded> {
  constructor(private readonly queues: AccountQueues) {}

  handle(needed: WorkNeeded): void {
    this.queues.askSync(needed)
  }
}

@EventsHandler(Forgotten)
class DropHome implements IEventHandler<Forgotten> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: AccountQueues,
  ) {}

  handle({ accountId, messages }: Forgotten): void {
    if (messages !== 'all') return
    this.queues
      .drop(accountId)
      .catch((error: unknown) => this.platform.logger.warn({ accountId, err: error }, 'a connection did not end'))
  }
}

@CommandHandler(SyncNow)
class SyncNowHandler implements ICommandHandler<SyncNow, boolean> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: AccountQueues,
  ) {}

  /** @returns whether there is such an account */
  async execute({ accountId }: SyncNow): Promise<boolean> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (account) {
      await makeDue(this.platform.database.pool, accountId)
      this.queues.askSyncNow(account)
    }
    return account !== undefined
  }
}

@CommandHandler(FetchContent)
class FetchContentHandler implements ICommandHandler<FetchContent, void> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: AccountQueues,
  ) {}

  async execute({ accountId, messageId }: FetchContent): Promise<void> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (account) this.queues.askContent(account, messageId)
  }
}

/** When and where an account's work is done. */
@Module({
  imports: [CqrsModule, AccessModelsModule],
  providers: [AccountQueues, AskForWork, DropHome, SyncNowHandler, FetchContentHandler],
  exports: [AccountQueues],
})
export class QueuesModule {}
