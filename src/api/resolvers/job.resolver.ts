import { CommandBus } from '@nestjs/cqrs'
import { Args, Int, Mutation, Query, Resolver } from '@nestjs/graphql'
import { ListFailedJobs, SettleFailedJobs, type FailedJob } from '../../mailbox/job-commands.js'
import { nodeId } from '../ids.js'
import { pageSize } from '../page-size.js'
import { failedJobOf, FailedJobType, SettleFailedJobsPayload } from '../schema/job.type.js'

const FIRST = { type: () => Int, nullable: true, description: 'At most so many: 1 to 500, 50 by default.' }

@Resolver()
export class JobResolver {
  constructor(private readonly commands: CommandBus) {}

  @Query(() => [FailedJobType], {
    description: 'Jobs that have failed more often than they are tried again, the latest first: for operators.',
    complexity: 100,
  })
  async failedJobs(@Args('first', FIRST) first: number | null): Promise<FailedJobType[]> {
    const jobs = await this.commands.execute<ListFailedJobs, FailedJob[]>(new ListFailedJobs(pageSize(first)))
    return jobs.map((job) => failedJobOf(job, job.accountId && nodeId('Account', job.accountId)))
  }

  @Mutation(() => SettleFailedJobsPayload, { description: 'Has all jobs that have failed tried once more.' })
  retryFailedJobs(): Promise<SettleFailedJobsPayload> {
    return this.settle('retry')
  }

  @Mutation(() => SettleFailedJobsPayload, { description: 'Lets go of all jobs that have failed.' })
  discardFailedJobs(): Promise<SettleFailedJobsPayload> {
    return this.settle('discard')
  }

  private async settle(how: 'retry' | 'discard'): Promise<SettleFailedJobsPayload> {
    return { count: await this.commands.execute<SettleFailedJobs, number>(new SettleFailedJobs(how)) }
  }
}
