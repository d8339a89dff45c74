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
 * What a job says: which account (none for a shard's sweep), and, for a content job, which message. What is to be done is decided when it
 * runs.
 */
export type JobData = {
  accountId: string
  messageId?: string
  piece?: ContentPiece
  questionId?: string
  shard?: number
}

/** Makes queues and workers on whichever store there is; nothing else knows which it is. */
export interface QueueBackend {
  queue(name: string): Queue<JobData>
  worker(
    name: string,
    work: (job: Job<JobData>) => Promise<void>,
    options: Omit<WorkerOptions, 'connection'>,
  ): Worker<JobData>
  close(): Promise<void>
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
  return redisUrl === undefined ? openOnPostgres(databaseUrl, traced) : openOnRedis(redisUrl, traced)
}

async function openOnPostgres(databaseUrl: string, traced: Traced): Promise<QueueBackend> {
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

async function openOnRedis(url: string, traced: Traced): Promise<QueueBackend> {
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
