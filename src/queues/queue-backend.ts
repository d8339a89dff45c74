import { setTimeout as sleep } from 'node:timers/promises'
import type { ContentPiece } from '../mailbox/content-piece.js'
import {
  Queue,
  Worker,
  withBackend,
  createPostgresBackend,
  runMigrations,
  type Job,
  type QueueOptions,
  type WorkerOptions,
} from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'
import { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { openQueuePool } from '../platform/database.js'
import { StartFailure } from '../platform/start-failure.js'

/**
 * What a job says: which account (none for a shard's sweep), and, for a content job, which message or messages. What is to be done is decided when it
 * runs.
 */
export type JobData = {
  accountId: string
  messageId?: string
  messageIds?: readonly string[]
  piece?: ContentPiece
  questionId?: string
  shard?: number
}

/** Does one job. */
export type Processor = (job: Job<JobData>) => Promise<void>

/** Everything about a worker but the store that its jobs are in. */
export type WorkerSettings = Omit<WorkerOptions, 'connection'>

/** One of the stores that queues can be in: Redis or Postgres. */
interface QueueStore {
  queue(name: string): Queue<JobData>
  worker(name: string, work: Processor, options: WorkerSettings): Worker<JobData>
  close(): Promise<void>
}

/**
 * Makes queues and workers on the store there is; nothing else knows which it is. Once it is being closed it makes nothing more, and the store
 * is closed after every worker: a worker without its store asks for jobs for ever.
 */
export class QueueBackend {
  private readonly workers = new Set<Worker<JobData>>()
  private closing = false

  constructor(private readonly store: QueueStore) {}

  /** A queue to add jobs to. @throws QueuesClosed */
  queue(name: string): Queue<JobData> {
    this.refuseWhenClosing()
    return this.store.queue(name)
  }

  /** A worker that takes a queue's jobs. @throws QueuesClosed */
  worker(name: string, work: Processor, options: WorkerSettings): Worker<JobData> {
    this.refuseWhenClosing()
    const worker = this.store.worker(name, work, options)
    this.workers.add(worker)
    worker.once('closed', () => this.workers.delete(worker))
    return worker
  }

  /** Whether a stop has begun: nothing is made any more. */
  get isClosing(): boolean {
    return this.closing
  }

  /** From now on nothing is made. */
  stopMaking(): void {
    this.closing = true
  }

  /**
   * Closes the workers that are left, then the store. A worker whose jobs do not end is not waited for.
   *
   * @param patience milliseconds to wait for the workers
   */
  async close(patience: number): Promise<void> {
    this.closing = true
    const closed = Promise.allSettled([...this.workers].map((worker) => worker.close(true)))
    await Promise.race([closed, sleep(patience, undefined, { ref: false })])
    await this.store.close()
  }

  private refuseWhenClosing(): void {
    if (this.closing) throw new QueuesClosed()
  }
}

/** The process stops: its queues take no more jobs, and no worker is made. */
export class QueuesClosed extends Error {
  constructor() {
    super('the queues are closed: the process stops')
  }
}

/**
 * Finished jobs say nothing that the log does not say: they are not kept. One that fails by what is not foreseen (the database is away, say) is tried
 * again, and kept for operators to see when that does not help; what a mail server does is no failure of a job (`Attempts`).
 */
const JOB_OPTIONS: Pick<QueueOptions, 'defaultJobOptions'> = {
  defaultJobOptions: {
    attempts: 3,
    backoff: { type: 'exponential', delay: 500, jitter: 0.5 },
    removeOnComplete: true,
    removeOnFail: 100,
  },
}

type Traced = Pick<QueueOptions, 'telemetry'>

/** Opens the queues' store: Redis where an address is given, else BullMQ's PostgreSQL backend on the service's database. */
export async function openQueueBackend(
  databaseUrl: string,
  redisUrl: string | undefined,
  hasTraces: boolean,
): Promise<QueueBackend> {
  const traced = hasTraces ? { telemetry: new BullMQOtel({ tracerName: 'mailfold' }) } : {}
  return new QueueBackend(
    await (redisUrl === undefined ? openOnPostgres(databaseUrl, traced) : openOnRedis(redisUrl, traced)),
  )
}

async function openOnPostgres(databaseUrl: string, traced: Traced): Promise<QueueStore> {
  const pool: Pool = openQueuePool(databaseUrl)
  // each queue and each worker listens for its errors
  pool.setMaxListeners(0)
  const session = await pool.connect()
  try {
    await runMigrations(session, 'bullmq')
  } finally {
    session.release()
  }
  const classes = withBackend(createPostgresBackend)
  const connection = pool as never
  return {
    queue: (name) => new classes.Queue(name, { connection, ...JOB_OPTIONS, ...traced }) as unknown as Queue<JobData>,
    worker: (name, work, options) => {
      const worker = new classes.Worker(name, work as never, {
        connection,
        ...traced,
        ...options,
      }) as unknown as Worker<JobData>
      // each listens on a session of its own
      pool.options.max++
      worker.once('closed', () => pool.options.max--)
      return worker
    },
    close: () => pool.end(),
  }
}

async function openOnRedis(url: string, traced: Traced): Promise<QueueStore> {
  const connection = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true })
  connection.on('error', () => undefined)
  await connection.connect().catch((error: Error) => {
    throw new StartFailure(`Redis cannot be reached: ${error.message}`)
  })
  return {
    queue: (name) => new Queue<JobData>(name, { connection, ...JOB_OPTIONS, ...traced }),
    worker: (name, work, options) => new Worker<JobData>(name, work, { connection, ...traced, ...options }),
    close: async () => void (await connection.quit()),
  }
}
