import { Field, ID, Int, ObjectType } from '@nestjs/graphql'
import type { FailedJob } from '../../mailbox/job-commands.js'

@ObjectType('FailedJob', {
  description:
    'A job that has failed more often than it is tried again. What it was for is asked for again by the next regular check, all the same.',
})
export class FailedJobType {
  @Field(() => ID, { description: 'Opaque, and of this job alone.' })
  id!: string

  @Field({ description: 'The queue: of which access model and shard.' })
  queue!: string

  @Field({ description: 'What was to be done.' })
  name!: string

  @Field(() => ID, { nullable: true, description: 'For which account; null for what serves all.' })
  accountId!: string | null

  @Field(() => Date, { description: 'When it failed for the last time.' })
  failedAt!: Date

  @Field({ description: 'Why, for a person.' })
  reason!: string

  @Field(() => Int, { description: 'How often it was tried.' })
  attempts!: number
}

/** The form in which a failed job is shown. @param accountId its node id */
export function failedJobOf({ jobId, ...job }: FailedJob, accountId: string | null): FailedJobType {
  return { ...job, id: jobId, accountId }
}

@ObjectType({ description: 'What became of the jobs that had failed.' })
export class SettleFailedJobsPayload {
  @Field(() => Int, { description: 'How many there were.' })
  count!: number
}
