import type { Queue } from 'bullmq'
import type { AccountHomes } from '../access-models/account-homes.js'
import type { Shard } from '../event-store/shards.js'
import type { Metrics, Reading } from '../platform/metrics.js'
import type { Platform } from '../platform/platform.js'
import { viewAccountStates } from '../projections/account-views.js'
import { queuesOf, type JobQueues } from './job-queues.js'

const STATES = ['waiting', 'prioritized', 'active', 'delayed', 'failed'] as const

/** What has waited for a worker: the oldest job tells how long. */
async function ageOf(queue: Queue): Promise<number> {
  const [oldest] = await queue.getJobs(['waiting', 'prioritized'], 0, 0, true)
  return oldest ? Math.max(0, Date.now() - oldest.timestamp) / 1_000 : 0
}

/** Tells of the queues of the shards that this process holds, and of its connections, by queue and access model. */
export function measureWork(platform: Platform, queues: JobQueues, shards: () => Shard[], homes: AccountHomes): void {
  const { metrics, database } = platform
  const ofEach = (read: (queue: Queue) => Promise<Reading[]>) => async () =>
    (await Promise.all(queuesOf(shards()).map((name) => read(queues.queue(name))))).flat()
  metrics.gauge(
    'mailfold_queue_jobs',
    'Jobs in a queue, by their state.',
    ['queue', 'state'],
    ofEach(async (queue) => {
      const counts = await queue.getJobCounts(...STATES)
      return STATES.map((state) => ({ labels: { queue: queue.name, state }, value: counts[state] ?? 0 }))
    }),
  )
  metrics.gauge(
    'mailfold_queue_age_seconds',
    'How long the oldest job that waits has done so.',
    ['queue'],
    ofEach(async (queue) => [{ labels: { queue: queue.name }, value: await ageOf(queue) }]),
  )
  metrics.gauge(
    'mailfold_accounts',
    'Accounts, by access model and how their connections stand.',
    ['model', 'state'],
    async () =>
      (await viewAccountStates(database.pool)).map(({ model, state, accounts }) => ({
        labels: { model, state },
        value: accounts,
      })),
  )
  measureHomes(metrics, homes)
}

function measureHomes(metrics: Metrics, homes: AccountHomes): void {
  metrics.gauge('mailfold_connections', 'Connections to mail servers that this process holds.', ['model'], () =>
    [...homes.held()].map(([model, { connections }]) => ({ labels: { model }, value: connections })),
  )
  metrics.gauge(
    'mailfold_sync_lag_seconds',
    'The longest time since the mailboxes of an account with a connection were looked at.',
    ['model'],
    () => [...homes.held()].map(([model, { lag }]) => ({ labels: { model }, value: lag / 1_000 })),
  )
}
