import { Injectable } from '@nestjs/common'
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import type { Job } from 'bullmq'
import { ListFailedJobs, SettleFailedJobs, type FailedJob } from '../mailbox/job-commands.js'
import { JobQueues } from './job-queues.js'
import type { JobData } from './queue-backend.js'

/** Most that a queue keeps (`queue-backend.ts`). */
const ALL = 1_000

const failedJob = (job: Job<JobData>): FailedJob => ({
  jobId: `${job.queueName}:${job.id ?? ''}`,
  queue: job.queueName,
  name: job.name,
  accountId: job.data.accountId || null,
  failedAt: new Date(job.finishedOn ?? job.timestamp),
  reason: (job.failedReason ?? '').split('\n', 1)[0] ?? '',
  attempts: job.attemptsMade,
})

/** The jobs that have failed, in all queues. */
@Injectable()
class FailedJobs {
  constructor(private readonly queues: JobQueues) {}

  /** @param limit of each queue */
  async all(limit: number): Promise<Job<JobData>[]> {
    return (await Promise.all(this.queues.all().map((queue) => queue.getFailed(0, limit - 1)))).flat()
  }
}

@CommandHandler(ListFailedJobs)
class ListFailedJobsHandler implements ICommandHandler<ListFailedJobs, FailedJob[]> {
  constructor(private readonly failed: FailedJobs) {}

  async execute({ limit }: ListFailedJobs): Promise<FailedJob[]> {
    const jobs = (await this.failed.all(limit)).map(failedJob)
    return jobs.sort((one, other) => other.failedAt.getTime() - one.failedAt.getTime()).slice(0, limit)
  }
}

@CommandHandler(SettleFailedJobs)
class SettleFailedJobsHandler implements ICommandHandler<SettleFailedJobs, number> {
  constructor(private readonly failed: FailedJobs) {}

  async execute({ how }: SettleFailedJobs): Promise<number> {
    const jobs = await this.failed.all(ALL)
    const settled = await Promise.allSettled(jobs.map((job) => (how === 'retry' ? job.retry() : job.remove())))
    // one that is no longer there was settled by somebody else
    return settled.filter(({ status }) => status === 'fulfilled').length
  }
}

/** What shows the jobs that have failed, and settles them. */
export const FAILED_JOBS = [FailedJobs, ListFailedJobsHandler, SettleFailedJobsHandler]
