import { Module, type DynamicModule, type Type } from '@nestjs/common'
import { CommandHandler, CqrsModule, EventsHandler, type ICommandHandler, type IEventHandler } from '@nestjs/cqrs'
import { FetchContent, FetchContents, Forgotten, SyncNow, WorkNeeded } from '../mailbox/commands.js'
import { OperationWaits, QuestionWaits } from '../mailbox/online-commands.js'
import { AccessModelsModule } from '../access-models/access-models.module.js'
import { Sessions } from '../access-models/online/sessions.js'
import { makeDue } from '../access-models/offline/schedule.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts } from '../projections/account-views.js'
import { FAILED_JOBS } from './failed-jobs.js'
import { JobQueues } from './job-queues.js'
import { PassedContent } from './passed-content.js'
import { ShardWorkers } from './shard-workers.js'

@EventsHandler(WorkNeeded)
class AskForWork implements IEventHandler<WorkNeeded> {
  constructor(private readonly queues: JobQueues) {}

  handle(needed: WorkNeeded): void {
    if (needed.isUrgent) this.queues.askSyncNow(needed)
    else this.queues.askSync(needed)
  }
}

@EventsHandler(OperationWaits)
class AskForOperation implements IEventHandler<OperationWaits> {
  constructor(private readonly queues: JobQueues) {}

  handle({ accountId }: OperationWaits): void {
    this.queues.askOperate(accountId)
  }
}

@EventsHandler(QuestionWaits)
class AskForAnswer implements IEventHandler<QuestionWaits> {
  constructor(private readonly queues: JobQueues) {}

  handle({ accountId, questionId }: QuestionWaits): void {
    this.queues.askQuestion(accountId, questionId)
  }
}

@EventsHandler(Forgotten)
class DropHome implements IEventHandler<Forgotten> {
  constructor(
    private readonly platform: Platform,
    private readonly workers: ShardWorkers,
  ) {}

  handle({ accountId, messages }: Forgotten): void {
    if (messages !== 'all') return
    this.workers
      .drop(accountId)
      .catch((error: unknown) => this.platform.logger.warn({ accountId, err: error }, 'a connection did not end'))
  }
}

@CommandHandler(SyncNow)
class SyncNowHandler implements ICommandHandler<SyncNow, boolean> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: JobQueues,
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
class FetchContentHandler implements ICommandHandler<FetchContent, boolean> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: JobQueues,
    private readonly sessions: Sessions,
    private readonly passed: PassedContent,
  ) {}

  /** @returns false where the account is ONLINE and no session is open */
  async execute({ accountId, messageId, piece }: FetchContent): Promise<boolean> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (account?.model === 'ONLINE' && (await this.sessions.used(this.platform.database.pool, accountId)).length === 0)
      return false
    if (!account) return true
    this.queues.askContent(account, messageId, piece)
    if (account.model === 'ONLINE') this.passed.expect(accountId, messageId, piece)
    return true
  }
}

@CommandHandler(FetchContents)
class FetchContentsHandler implements ICommandHandler<FetchContents, boolean> {
  constructor(
    private readonly platform: Platform,
    private readonly queues: JobQueues,
  ) {}

  async execute({ accountId, messageIds }: FetchContents): Promise<boolean> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (account?.model !== 'DISCONNECTED') return false
    this.queues.askContents(account, messageIds)
    return true
  }
}

const ASKING = [
  JobQueues,
  AskForWork,
  AskForOperation,
  AskForAnswer,
  SyncNowHandler,
  FetchContentHandler,
  FetchContentsHandler,
  PassedContent,
  ...FAILED_JOBS,
]
const WORKING = [ShardWorkers, DropHome]

/** When and where an account's work is done: asked for by every process, and done by those that have the worker role. */
@Module({})
export class QueuesModule {
  /** @param isWorker whether this process does the work as well */
  static with(isWorker: boolean): DynamicModule {
    const exported: Type[] = isWorker ? [JobQueues, ShardWorkers] : [JobQueues]
    return {
      module: QueuesModule,
      imports: [CqrsModule, AccessModelsModule],
      providers: [...ASKING, ...(isWorker ? WORKING : [])],
      exports: exported,
    }
  }
}
