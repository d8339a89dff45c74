import { Injectable, type OnModuleDestroy } from '@nestjs/common'
import type { Job, Worker } from 'bullmq'
import { setTimeout as sleep } from 'node:timers/promises'
import { ACCESS_MODELS, type AccessModel } from '../mailbox/access-model.js'
import { AccountHomes } from '../access-models/account-homes.js'
import type { LetGo } from '../access-models/account-home.js'
import { FairLimit } from '../access-models/fair-limit.js'
import { dialPolicyOf } from '../access-models/dial-policy.js'
import { ServerQuestions } from '../access-models/online/server-questions.js'
import { HostLimits } from '../access-models/host-limits.js'
import { BlobStore } from '../content/blobs/blob-store.js'
import { Intake } from '../content/intake.js'
import { PassingContent } from '../content/passing-content.js'
import { Leases, type Holding, type Lease } from '../event-store/leases.js'
import { ShardDirectory, shardOf, type Shard } from '../event-store/shards.js'
import { FenceRefused, Streams } from '../event-store/streams.js'
import { Platform } from '../platform/platform.js'
import { inSpan } from '../platform/traces.js'
import { viewAccountModels } from '../projections/account-views.js'
import { Alarms } from './alarms.js'
import { HOUSEKEEPING, JobQueues, queueOf } from './job-queues.js'
import type { JobData } from './queue-backend.js'
import { measureWork } from './queue-metrics.js'

const SWEEP = 'sweep'
/** Accounts of one model and shard that are worked on at once; held connections that wait count for nothing here. */
const CONCURRENCY = 25
/** Accounts that one process brings up to date at once, of all shards; half of them may be of one host. */
const SYNCS = 50
/** Connections that one process makes at once, in all and to one host. */
const CONNECTING = 500
const CONNECTING_TO_HOST = 20
/** Milliseconds between the logins of two accounts of a shard that was just taken. */
const APART = 5
/** Of the time that a stop may take, what is left for all but the jobs, in milliseconds. */
const AFTER_JOBS = 2_000
/** A worker that has not renewed its job's lock for this long is taken for dead. */
const LOCK = 10_000
/** Milliseconds after which a store of the queues that was away is asked for jobs again. */
const RETRY = 500
/** Looks at the leases within the time that one of them is good. */
const BEATS = 4
/** Milliseconds within which workers that are started together come. */
const TOGETHER = 1_000
/** Milliseconds after which a job that came to the wrong process is there again. */
const ELSEWHERE = 1_000

/** A shard that this process works for. */
type OpenShard = { lease: Lease; workers: Worker<JobData>[] }

/**
 * The worker role: takes shards, and does the jobs of their accounts, in the one process that has their connections. A process that was stopped for a
 * while finds its leases gone; whatever it still wants to record is refused by the event store.
 */
@Injectable()
export class ShardWorkers implements OnModuleDestroy {
  private readonly homes: AccountHomes
  private readonly leases: Leases
  private readonly open = new Map<Shard, OpenShard>()
  private readonly alarms: Alarms
  private housekeeping: Worker<JobData> | null = null
  private isWorking = false
  private shards = 1
  /** until when the leases are good, by this process's own clock */
  private goodUntil = -Infinity
  private looking: Promise<void> = Promise.resolve()
  /** what was agreed on when the leases were renewed, the taking up and putting down of that, and what is still to be put down */
  private agreed: Holding = { leases: [], release: [], shards: 1 }
  private following: Promise<void> | null = null
  private followedAt = 0
  private tending: Promise<void> | null = null
  private readonly lost: OpenShard[] = []
  private readonly end = new AbortController()

  constructor(
    private readonly platform: Platform,
    private readonly queues: JobQueues,
    private readonly directory: ShardDirectory,
    streams: Streams,
    blobs: BlobStore,
    intake: Intake,
    passing: PassingContent,
    questions: ServerQuestions,
  ) {
    const { settings, database, credentials, logger } = platform
    this.leases = new Leases(database, platform.processId)
    this.alarms = new Alarms((account) => queues.askSync(account))
    this.homes = new AccountHomes({
      streams,
      database,
      blobs,
      intake,
      passing,
      questions,
      policy: dialPolicyOf(platform),
      passwordOf: (accountId) => credentials.passwordOf(accountId),
      checkInterval: settings.MAILFOLD_CHECK_INTERVAL,
      onlineInterval: settings.MAILFOLD_ONLINE_INTERVAL * 1_000,
      maxMessageBytes: settings.MAILFOLD_MAX_MESSAGE_BYTES,
      hostLimits: new HostLimits({
        connections: settings.MAILFOLD_HOST_CONNECTIONS,
        loginsPerMinute: settings.MAILFOLD_HOST_LOGINS,
      }),
      logger,
      ask: (account, pause) => this.alarms.later(account, pause),
      connecting: new FairLimit(CONNECTING, CONNECTING_TO_HOST),
      working: new FairLimit(SYNCS, SYNCS / 2),
      takeFence: (accountId) => streams.takeFence(accountId, this.leaseOf(accountId)),
      isHeld: (accountId) => this.isHeld(shardOf(accountId, this.shards)),
    })
  }

  /** Takes the shards that this process is to have, and from then on keeps to what is agreed. @param address where other processes find it */
  async begin(address: string): Promise<void> {
    const { MAILFOLD_LEASE: duration, MAILFOLD_SHARDS: shards } = this.platform.settings
    await this.leases.prepare(shards)
    if (this.platform.isOnly) await this.leases.endAll()
    else await this.waitForOthers(address, duration)
    this.housekeeping = this.work(HOUSEKEEPING, (job) => this.sweep(job.data.shard ?? 0), 1)
    await run(this.housekeeping)
    this.isWorking = true
    measureWork(this.platform, this.queues, () => [...this.open.keys()], this.homes)
    await this.look(address, duration)
    await this.follow()
    await this.tend()
    this.looking = this.keepLooking(address, duration)
  }

  /** Of those that start at the same time the first must not take all that there is, only to give it back. */
  private async waitForOthers(address: string, duration: number): Promise<void> {
    await this.leases.announce(address, duration)
    await sleep(TOGETHER, undefined, { signal: this.end.signal }).catch(() => undefined)
  }

  async onModuleDestroy(): Promise<void> {
    this.end.abort()
    this.queues.stopMaking()
    this.alarms.stop()
    const patience = new AbortController()
    await Promise.race([
      this.putDown(),
      sleep(Math.max(500, this.platform.settings.MAILFOLD_STOP_TIMEOUT - AFTER_JOBS), undefined, {
        signal: patience.signal,
      }).catch(() => undefined),
    ])
    patience.abort()
    await Promise.race([this.leases.leave(), sleep(500, undefined, { ref: false })]).catch(() => undefined)
  }

  /** Whether the process has shards, or could have: tells readiness. */
  get isReady(): boolean {
    return this.isWorking && !this.closing && performance.now() < this.goodUntil
  }

  private get closing(): boolean {
    return this.end.signal.aborted
  }

  /** Ends the work for an account that was forgotten. */
  drop(accountId: string): Promise<void> {
    return this.homes.drop(accountId)
  }

  private async putDown(): Promise<void> {
    // before anything is waited for: one that goes on asking a store that is closed would keep the process busy for ever
    const closed = this.closeWorkers()
    await this.homes.stop(() => true)
    await Promise.all([this.looking, this.following])
    await Promise.all([closed, this.closeWorkers()])
  }

  private async closeWorkers(): Promise<void> {
    const workers = [...this.open.values()].flatMap((each) => each.workers)
    await Promise.all([...workers, ...(this.housekeeping ? [this.housekeeping] : [])].map((worker) => worker.close()))
  }

  private isHeld(shard: Shard): boolean {
    return this.open.has(shard) && performance.now() < this.goodUntil
  }

  private leaseOf(accountId: string): Lease {
    const shard = shardOf(accountId, this.shards)
    const open = this.open.get(shard)
    if (!open || !this.isHeld(shard)) throw new FenceRefused(`shard ${shard} is not held here`)
    return open.lease
  }

  private async keepLooking(address: string, duration: number): Promise<void> {
    const warn = (error: unknown) => this.queues.warn(error as Error, 'the shards could not be looked at')
    while (!this.closing) {
      await sleep(duration / BEATS, undefined, { signal: this.end.signal }).catch(() => undefined)
      if (this.closing) return
      // what cannot be taken up, or put down, in that time is another process's: the leases run out
      if (this.following && performance.now() - this.followedAt > duration) continue
      await this.look(address, duration).catch(warn)
      if (!this.following) this.followedAt = performance.now()
      this.following ??= this.follow()
        .catch(warn)
        .finally(() => (this.following = null))
      this.tending ??= this.tend()
        .catch(warn)
        .finally(() => (this.tending = null))
    }
  }

  /** Renews the leases. What was lost is no longer held from then on. */
  private async look(address: string, duration: number): Promise<void> {
    const began = performance.now()
    this.agreed = await this.leases.renew(address, duration)
    const { leases, shards } = this.agreed
    const tokens = new Map(leases.map(({ shard, token }) => [shard, token]))
    for (const [shard, open] of this.open) {
      if (shards === this.shards && tokens.get(shard) === open.lease.token) continue
      this.open.delete(shard)
      this.lost.push(open)
    }
    this.shards = shards
    this.goodUntil = began + duration
  }

  /** Takes up and puts down what was agreed. The looks do not wait for it: a store of the queues that is away must not cost a lease. */
  private async follow(): Promise<void> {
    await this.directory.look()
    await this.close(this.lost.splice(0))
    if (this.closing) return
    const { leases, release } = this.agreed
    const taken = leases.filter(({ shard }) => !this.open.has(shard) && !release.includes(shard))
    await Promise.all(taken.map((lease) => this.openShard(lease)))
    await this.giveBack(release)
  }

  /** Sees to it that accounts are asked for, and that none is worked on that is forgotten. */
  private async tend(): Promise<void> {
    await this.homes.dropForgotten()
    await Promise.all([...this.open.keys()].map((shard) => this.schedule(shard)))
  }

  private async giveBack(shards: readonly Shard[]): Promise<void> {
    if (shards.length === 0) return
    await Promise.all(shards.map((shard) => this.closeShard(shard)))
    await this.leases.release(shards)
  }

  /**
   * Begins to do a shard's jobs. What an earlier process has left in its queues goes: a job that was running when that was killed would keep its
   * account's place until its lock runs out, and what is to be done is in the log anyway.
   */
  private async openShard(lease: Lease): Promise<void> {
    const { shard } = lease
    const workers: Worker<JobData>[] = []
    this.open.set(shard, { lease, workers })
    try {
      for (const model of ACCESS_MODELS) {
        const name = queueOf(model, shard)
        await this.queues.queue(name).obliterate({ force: true })
        workers.push(this.work(name, (job) => this.run(job, model, shard), CONCURRENCY))
      }
      await Promise.all(workers.map(run))
      await this.askAll(shard, APART)
    } catch (error) {
      // the next look tries again
      await this.closeShard(shard)
      throw error
    }
  }

  private async closeShard(shard: Shard): Promise<void> {
    const open = this.open.get(shard)
    this.open.delete(shard)
    await this.close(open ? [open] : [])
  }

  /** Puts jobs and connections of shards down that are not held any more. */
  private async close(shards: readonly OpenShard[]): Promise<void> {
    await this.homes.stop((accountId) => !this.open.has(shardOf(accountId, this.shards)))
    await Promise.all(shards.flatMap(({ workers }) => workers).map((worker) => worker.close()))
  }

  /** Has a shard's accounts asked for at each check interval: again where the store of the queues has lost what it held. */
  private async schedule(shard: Shard): Promise<void> {
    const queue = this.queues.queue(HOUSEKEEPING)
    const name = `${SWEEP} ${shard}`
    if (this.closing || (await queue.getJobScheduler(name))) return
    const every = this.platform.settings.MAILFOLD_CHECK_INTERVAL
    await queue.upsertJobScheduler(name, { every }, { name: SWEEP, data: { accountId: '', shard } })
  }

  private async sweep(shard: Shard): Promise<void> {
    if (shard < this.shards) await this.askAll(shard, 0)
    else await this.queues.queue(HOUSEKEEPING).removeJobScheduler(`${SWEEP} ${shard}`)
  }

  private async askAll(shard: Shard, apart: number): Promise<void> {
    await this.queues.askSyncs(shard, await viewAccountModels(this.platform.database.pool, shard, this.shards), apart)
  }

  private async run({ name, data }: Job<JobData>, model: AccessModel, shard: Shard): Promise<void> {
    const { accountId } = data
    if (shardOf(accountId, this.shards) !== shard || !this.isHeld(shard)) {
      this.queues.askElsewhere(model, name, data, ELSEWHERE)
      return
    }
    const home = this.homes.of(accountId, model)
    await this.inPlace(data, (letGo) => {
      if (name === 'content' && data.messageId) return home.fetch(data.messageId, data.piece ?? null, letGo)
      if (name === 'contents' && data.messageIds) return home.fetchTogether(data.messageIds, letGo)
      if (name === 'operate') return home.operate(letGo)
      if (name === 'question' && data.questionId) return home.answer(data.questionId, letGo)
      if (name === 'sync now') home.hurry()
      return home.sync(letGo)
    })
  }

  /** Does a job in its place, until the job is done or lets go of the place; then the rest of it goes on by itself. */
  private inPlace({ accountId }: JobData, work: (letGo: LetGo) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      let isInPlace = true
      const letGo = () => {
        isInPlace = false
        resolve()
      }
      work(letGo).then(resolve, (error: unknown) => {
        if (isInPlace) reject(error as Error)
        else if (!this.closing) this.platform.logger.error({ accountId, err: error }, 'work for an account failed')
      })
    })
  }

  private async timed(queue: string, job: Job<JobData>, work: (job: Job<JobData>) => Promise<void>): Promise<void> {
    const end = this.platform.metrics.jobs.startTimer({ queue, job: job.name })
    try {
      await inSpan(`job ${job.name}`, { 'mailfold.account': job.data.accountId }, () => work(job))
      end({ result: 'done' })
    } catch (error) {
      end({ result: 'failed' })
      throw error
    }
  }

  private work(name: string, work: (job: Job<JobData>) => Promise<void>, concurrency: number): Worker<JobData> {
    const worker = this.queues.backend.worker(name, (job) => this.timed(name, job, work), {
      concurrency,
      autorun: false,
      runRetryDelay: RETRY,
      lockDuration: LOCK,
      stalledInterval: LOCK / 2,
    })
    worker.on('error', (error) => this.queues.warn(error, 'a worker failed'))
    worker.on('failed', (job, error) =>
      this.platform.logger.error({ job: job?.name, accountId: job?.data.accountId, err: error }, 'a job failed'),
    )
    return worker
  }
}

/**
 * Has a worker begin once it is connected. One that runs before that, and cannot connect, asks for jobs without a pause from then on, and lets nothing else in
 * the process have its turn (BullMQ 6.7 on Postgres).
 */
async function run(worker: Worker<JobData>): Promise<void> {
  await worker.waitUntilReady()
  if (worker.closing) return
  worker.run().catch((error: unknown) => worker.emit('error', error as Error))
}
