import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import type { Job, Queue, Worker } from 'bullmq'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccessModel } from '../mailbox/access-model.js'
import { AccountHomes } from '../access-models/account-homes.js'
import { dialPolicyOf } from '../access-models/dial-policy.js'
import { HostLimits } from '../access-models/offline/host-limits.js'
import { FileBlobs } from '../content/blob-store.js'
import { Intake } from '../content/intake.js'
import { PassingContent } from '../content/passing-content.js'
import { Streams } from '../event-store/streams.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts, type AccountView } from '../projections/account-views.js'
import { openQueueBackend, type JobData, type QueueBackend } from './queue-backend.js'

const MODELS: readonly AccessModel[] = ['OFFLINE', 'ONLINE', 'DISCONNECTED']
/** One shard for now; a name with its number leaves room for more. */
const SHARD = 's00'
const HOUSEKEEPING = 'housekeeping'
/** Accounts of one model that are worked on at once; held connections that wait count for nothing here. */
const CONCURRENCY = 25
const LONGEST_DRAIN = 2_500
/** A worker that has not renewed its job's lock for this long is taken for dead. */
const LOCK = 10_000

/** Whom a job is for. */
type JobFor = Pick<AccountView, 'accountId' | 'model'>

/**
 * The queues, one for each access model, and their workers. A job names an account; that it is lost, doubled or late
 * does no harm, since the sweep asks again for every account at each check interval.
 */
@Injectable()
export class AccountQueues implements OnApplicationBootstrap, OnModuleDestroy {
  private backend: QueueBackend | null = null
  private readonly queues = new Map<AccessModel | typeof HOUSEKEEPING, Queue<JobData>>()
  private workers: Worker<JobData>[] = []
  private readonly homes: AccountHomes
  private closing = false

  constructor(
    private readonly platform: Platform,
    streams: Streams,
    blobs: FileBlobs,
    intake: Intake,
    passing: PassingContent,
  ) {
    const { settings, database, credentials, logger } = platform
    this.homes = new AccountHomes({
      streams,
      database,
      blobs,
      intake,
      passing,
      policy: dialPolicyOf(platform),
      passwordOf: (accountId) => credentials.passwordOf(accountId),
      checkInterval: settings.MAILFOLD_CHECK_INTERVAL,
      maxMessageBytes: settings.MAILFOLD_MAX_MESSAGE_BYTES,
      hostLimits: new HostLimits({
        connections: settings.MAILFOLD_HOST_CONNECTIONS,
        loginsPerMinute: settings.MAILFOLD_HOST_LOGINS,
      }),
      logger,
      ask: (account, pause) => this.askSync(account, pause),
    })
  }

  async onApplicationBootstrap(): Promise<void> {
    this.backend = await openQueueBackend(this.platform.databaseUrl, this.platform.settings.REDIS_URL)
    const housekeeping = await this.openEmpty(HOUSEKEEPING)
    this.queues.set(HOUSEKEEPING, housekeeping)
    for (const model of MODELS) {
      const name = `${model.toLowerCase()}.${SHARD}`
      this.queues.set(model, await this.openEmpty(name))
      this.workers.push(this.work(name, (job) => this.run(job, model), CONCURRENCY))
    }
    this.workers.push(this.work(HOUSEKEEPING, () => this.sweep(), 1))
    await Promise.all(this.workers.map((worker) => worker.waitUntilReady()))
    await housekeeping.upsertJobScheduler(
      'sweep',
      { every: this.platform.settings.MAILFOLD_CHECK_INTERVAL },
      { name: 'sweep' },
    )
    await this.sweep()
  }

  async onModuleDestroy(): Promise<void> {
    this.closing = true
    const patience = new AbortController()
    await this.homes.stop()
    await Promise.race([
      Promise.all(this.workers.map((worker) => worker.close())),
      sleep(LONGEST_DRAIN, undefined, { signal: patience.signal }).catch(() => undefined),
    ])
    patience.abort()
    await Promise.race([
      Promise.all([...this.queues.values()].map((queue) => queue.close())),
      sleep(500, undefined, { ref: false }),
    ])
    await Promise.race([this.backend?.close(), sleep(500, undefined, { ref: false })])
  }

  /** Whether jobs can be taken: tells readiness. */
  get isReady(): boolean {
    return this.workers.length > 0 && !this.closing
  }

  /**
   * Asks for an account to be brought up to date. While a job for it waits there is no second one; one that is asked for
   * while it runs comes right after, since it may have passed already what is new.
   */
  askSync({ accountId, model }: JobFor, pause = 0): void {
    const deduplication = pause > 0 ? { id: `retry:${accountId}` } : { id: accountId, keepLastIfActive: true }
    this.add(model, 'sync', { accountId }, { deduplication, ...(pause > 0 ? { delay: pause } : {}) })
  }

  /** Asks for an account to be brought up to date even if a pause after a failure is not over yet. */
  askSyncNow({ accountId, model }: JobFor): void {
    this.homes.of(accountId, model).hurry()
    this.askSync({ accountId, model })
  }

  /** Ends the work for an account that was forgotten. */
  drop(accountId: string): Promise<void> {
    return this.homes.drop(accountId)
  }

  /** Asks for a message's content, before any work that nobody waits for. */
  askContent({ accountId, model }: JobFor, messageId: string): void {
    this.add(model, 'content', { accountId, messageId }, { priority: 1, deduplication: { id: messageId } })
  }

  private add(model: AccessModel, name: string, data: JobData, options: Parameters<Queue['add']>[2]): void {
    if (this.closing) return
    this.queues
      .get(model)
      ?.add(name, data, options)
      .catch((error: unknown) =>
        this.platform.logger.warn({ err: error }, 'a job could not be added; the sweep asks again'),
      )
  }

  private async run({ name, data }: Job<JobData>, model: AccessModel): Promise<void> {
    const home = this.homes.of(data.accountId, model)
    if (name === 'content' && data.messageId) await home.fetch(data.messageId)
    else await home.sync()
  }

  private async sweep(): Promise<void> {
    for (const account of await viewAccounts(this.platform.database.pool)) this.askSync(account)
  }

  /**
   * A queue without what an earlier process has left in it: a job that was running when that was killed would keep its
   * account's place until its lock runs out, and what is to be done is in the log anyway.
   */
  private async openEmpty(name: string): Promise<Queue<JobData>> {
    const queue = (this.backend as QueueBackend).queue(name)
    await queue.obliterate({ force: true })
    queue.on('error', (error) => this.warn(error, 'a queue failed'))
    return queue
  }

  /** While everything is being closed, that a connection ends is no failure. */
  private warn(error: Error, what: string): void {
    if (!this.closing) this.platform.logger.warn({ err: error }, what)
  }

  private work(name: string, work: (job: Job<JobData>) => Promise<void>, concurrency: number): Worker<JobData> {
    const worker = (this.backend as QueueBackend).worker(name, work, {
      concurrency,
      lockDuration: LOCK,
      stalledInterval: LOCK / 2,
    })
    worker.on('error', (error) => this.warn(error, 'a worker failed'))
    worker.on('failed', (job, error) =>
      this.platform.logger.error({ job: job?.name, accountId: job?.data.accountId, err: error }, 'a job failed'),
    )
    return worker
  }
}
