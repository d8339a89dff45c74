/** A job that has failed more often than it is tried again. What it was for is asked for again by the next sweep, all the same. */
export type FailedJob = {
  /** opaque, and of this job alone */
  jobId: string
  queue: string
  /** what was to be done */
  name: string
  /** for which account; null for what serves all */
  accountId: string | null
  failedAt: Date
  /** one line, for a person */
  reason: string
  attempts: number
}

/** List the jobs that have failed, the latest first. @returns FailedJob[] */
export class ListFailedJobs {
  constructor(readonly limit: number) {}
}

/** Let go of the jobs that have failed, or have them tried once more. @returns how many there were */
export class SettleFailedJobs {
  constructor(readonly how: 'retry' | 'discard') {}
}
