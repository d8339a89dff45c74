import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { JobsOptions, Queue } from 'bullmq'
import { setTimeout as sleep } from 'node:timers/promises'
import { ACCESS_MODELS, type AccessModel } from '../mailbox/access-model.js'
import { pieceKey, type ContentPiece } from '../mailbox/content-piece.js'
import { groupsOf } from '../mailbox/groups.js'
import { ShardDirectory, type Shard } from '../event-store/shards.js'
import { Platform } from '../platform/platform.js'
import type { AccountModel } from '../projections/account-views.js'
import { openQueueBackend, type JobData, type QueueBackend } from './queue-backend.js'

/** The queue of what serves all accounts. */
export const HOUSEKEEPING = 'housekeeping'

/** Of jobs for which nobody waits. BullMQ takes those without a priority first, and then the lowest number. */
const BACKGROUND = { priority: 10 }
/** Milliseconds that closing the queues may take, and then closing what workers are left. */
const CLOSING = 250
/** Jobs that are added in one statement. */
const PIECE = 500

/** The queue of a shard's accounts with one access model. */
export function queueOf(model: AccessModel, shard: Shard): string {
  return `${model.toLowerCase()}.s${String(shard).padStart(2, '0')}`
}

/** The queues of some shards, and that of what serves all, by name. */
export function queuesOf(shards: readonly Shard[]): string[] {
  return [HOUSEKEEPING, ...shards.flatMap((shard) => ACCESS_MODELS.map((model) => queueOf(model, shard)))]
}

/**
 * Where jobs are asked for, by any process; a shard's worker process takes them (`ShardWorkers`). A job names an account; that it is lost, doubled or late
 * does no harm, since the sweep asks again for every account at each check interval, and who waits for something asks again.
 */
@Injectable()
export class JobQueues implements OnApplicationBootstrap, OnApplicationShutdown {
  private opened: QueueBackend | null = null
  private readonly queues = new Map<string, Queue<JobData>>()
  private closing = false

  constructor(
    private readonly platform: Platform,
    private readonly directory: ShardDirectory,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { databaseUrl, settings } = this.platform
    this.opened = await openQueueBackend(databaseUrl, settings.REDIS_URL, settings.MAILFOLD_TRACES)
  }

  /** From the beginning of a stop on, no queue and no worker is made. */
  stopMaking(): void {
    this.opened?.stopMaking()
  }

  /** After all work was put down. */
  async onApplicationShutdown(): Promise<void> {
    this.closing = true
    this.stopMaking()
    await Promise.race([
      Promise.allSettled([...this.queues.values()].map((queue) => queue.close())),
      sleep(CLOSING, undefined, { ref: false }),
    ])
    await Promise.race([this.opened?.close(CLOSING), sleep(2 * CLOSING, undefined, { ref: false })])
  }

  /** The store of the queues, from the start of the application on. */
  get backend(): QueueBackend {
    if (!this.opened) throw new Error('the queues are not open')
    return this.opened
  }

  /** Whether jobs can be asked for: tells readiness. */
  get isReady(): boolean {
    return this.opened !== null && !this.closing
  }

  /** A queue by its name, opened at the first call. */
  queue(name: string): Queue<JobData> {
    const known = this.queues.get(name)
    if (known) return known
    const queue = this.backend.queue(name)
    queue.on('error', (error) => this.warn(error, 'a queue failed'))
    this.queues.set(name, queue)
    // one that could not connect at first never does (BullMQ 6.7 on Postgres): the next call makes another
    queue.waitUntilReady().catch(() => {
      this.queues.delete(name)
      void queue.close().catch(() => undefined)
    })
    return queue
  }

  /** All queues that there are now. */
  all(): Queue<JobData>[] {
    const shards = Array.from({ length: this.directory.count }, (_, shard) => shard)
    return queuesOf(shards).map((name) => this.queue(name))
  }

  /**
   * Asks for an account to be brought up to date. While a job for it waits there is no second one; one that is asked for
   * while it runs comes right after, since it may have passed already what is new.
   */
  askSync({ accountId, model }: AccountModel): void {
    this.add(model, 'sync', { accountId }, { deduplication: once(accountId), ...BACKGROUND })
  }

  /** Asks for many accounts of a shard to be brought up to date. @param apart milliseconds between one and the next */
  async askSyncs(shard: Shard, accounts: readonly AccountModel[], apart: number): Promise<void> {
    const jobs = Map.groupBy(
      accounts.map(({ accountId, model }, index) => {
        const opts = { deduplication: once(accountId), ...BACKGROUND, delay: Math.round(index * apart) }
        return { model, job: { name: 'sync', data: { accountId }, opts } }
      }),
      ({ model }) => model,
    )
    for (const [model, of] of jobs)
      for (const piece of groupsOf(of, PIECE))
        await this.queue(queueOf(model, shard)).addBulk(piece.map(({ job }) => job))
  }

  /** Asks for an account to be brought up to date even if a pause after a failure is not over yet. */
  askSyncNow({ accountId, model }: AccountModel): void {
    this.add(model, 'sync now', { accountId }, { deduplication: once(`now:${accountId}`) })
  }

  /** Asks for the server to be told what clients of an ONLINE account wait for. One that is asked for while one runs comes right after. */
  askOperate(accountId: string): void {
    this.add('ONLINE', 'operate', { accountId }, { deduplication: once(`operate:${accountId}`) })
  }

  /** Asks for a server to be asked what a client of an ONLINE account waits to know. */
  askQuestion(accountId: string, questionId: string): void {
    this.add('ONLINE', 'question', { accountId, questionId }, {})
  }

  /** Asks for a message's content, before any work that nobody waits for. */
  askContent({ accountId, model }: AccountModel, messageId: string, piece: ContentPiece | null): void {
    const data = { accountId, messageId, ...(piece ? { piece } : {}) }
    this.add(model, 'content', data, { deduplication: { id: pieceKey(messageId, piece) } })
  }

  /** Asks for the contents of several messages, to be fetched together. */
  askContents({ accountId, model }: AccountModel, messageIds: readonly string[]): void {
    this.add(model, 'contents', { accountId, messageIds }, { deduplication: { id: `contents:${messageIds[0]}` } })
  }

  /** Asks again for what came to a process that has not the account. @param delay milliseconds */
  askElsewhere(model: AccessModel, name: string, data: JobData, delay: number): void {
    this.add(model, name, data, { ...BACKGROUND, delay, deduplication: { id: `elsewhere:${name}:${data.accountId}` } })
  }

  /** While everything is being closed, that a connection ends is no failure. */
  warn(error: Error, what: string): void {
    if (!this.closing) this.platform.logger.warn({ err: error }, what)
  }

  private add(model: AccessModel, name: string, data: JobData, options: JobsOptions): void {
    if (!this.isReady || this.backend.isClosing) return
    this.queue(queueOf(model, this.directory.of(data.accountId)))
      .add(name, data, options)
      .catch((error: unknown) => this.warn(error as Error, 'a job could not be added; it is asked for again'))
  }
}

/** Of jobs with one id one waits at a time; one that is asked for while one runs comes right after it. */
function once(id: string): { id: string; keepLastIfActive: true } {
  return { id, keepLastIfActive: true }
}
