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
import { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { openQueuePool } from '../platform/database.js'
import { StartFailure } from '../platform/start-failure.js'

/** What a job says: which account, and, for a content job, which message. What is to be done is decided when it runs. */
export type JobData = { accountId: string; messageId?: string }

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

/** Finished jobs say nothing that the log does not say: they are not kept. */
const KEEP_NOTHING: Pick<QueueOptions, 'defaultJobOptions'> = {
  defaultJobOptions: { removeOnComplete: true, removeOnFail: 100 },
}

/** Opens the queues' store: Redis where an address is given, else BullMQ's PostgreSQL backend on the service's database. */
export async function openQueueBackend(databaseUrl: string, redisUrl: string | undefined): Promise<QueueBackend> {
  return redisUrl === undefined ? openOnPostgres(databaseUrl) : openOnRedis(redisUrl)
}

async function openOnPostgres(databaseUrl: string): Promise<QueueBackend> {
  const pool: Pool = openQueuePool(databaseUrl)
  const session = await pool.connect()
  try {
    await runMigrations(session, 'bullmq')
  } finally {
    session.release()
  }
  const classes = withBackend(createPostgresBackend)
  const connection = pool as never
  return {
    queue: (name) => new classes.Queue(name, { connection, ...KEEP_NOTHING }) as unknown as Queue<JobData>,
    worker: (name, work, options) =>
      new classes.Worker(name, work as never, { connection, ...options }) as unknown as Worker<JobData>,
    close: () => pool.end(),
  }
}

async function openOnRedis(url: string): Promise<QueueBackend> {
  const connection = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true })
  connection.on('error', () => undefined)
  await connection.connect().catch((error: Error) => {
    throw new StartFailure(`Redis cannot be reached: ${error.message}`)
  })
  return {
    queue: (name) => new Queue<JobData>(name, { connection, ...KEEP_NOTHING }),
    worker: (name, work, options) => new Worker<JobData>(name, work, { connection, ...options }),
    close: async () => void (await connection.quit()),
  }
}
