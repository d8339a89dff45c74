import type { ServerCopy } from './collection.js'

/**
 * When an offline account deletes from its server what was collected. AT_ONCE: as soon as the message is durable here. AFTER_DAYS:
 * so many days after it was collected. WHEN_DELETED_HERE: when it is gone for good here, not merely in Trash. WHEN_QUOTA_PASSES:
 * when the maildrop is fuller than so many percent of its limit, the oldest first, until no more than `downTo` are used.
 */
export type DeletionPolicy =
  | { kind: 'NEVER' }
  | { kind: 'AT_ONCE' }
  | { kind: 'AFTER_DAYS'; days: number }
  | { kind: 'WHEN_DELETED_HERE' }
  | { kind: 'WHEN_QUOTA_PASSES'; percent: number; downTo: number }

/** What accounts have that never chose. */
export const DEFAULT_POLICY: DeletionPolicy = { kind: 'NEVER' }

/** A copy that is on the server, with what a policy asks of it. */
export type DeletableCopy = Pick<ServerCopy, 'messageId' | 'size' | 'internalDate' | 'collectedAt'> & {
  /** whether the message is gone for good here */
  isDeletedHere: boolean
}

/** How full a maildrop is: bytes, and its limit where that is known. */
export type Occupancy = { bytes: number; limit: number | null }

/** What is wrong with a policy, null when nothing is. */
export function whyNoPolicy(policy: DeletionPolicy): string | null {
  const isPercent = (value: number) => Number.isInteger(value) && value >= 0 && value <= 100
  if (policy.kind === 'AFTER_DAYS' && !(Number.isInteger(policy.days) && policy.days >= 1 && policy.days <= 36_500))
    return 'days must be a whole number from 1 to 36500'
  if (policy.kind !== 'WHEN_QUOTA_PASSES') return null
  if (!isPercent(policy.percent) || policy.percent === 0) return 'percent must be a whole number from 1 to 100'
  if (!isPercent(policy.downTo) || policy.downTo > policy.percent) return 'downTo must be from 0 to percent'
  return null
}

/** Whether two policies are the same. */
export function samePolicy(one: DeletionPolicy, other: DeletionPolicy): boolean {
  return JSON.stringify(one, Object.keys(one).sort()) === JSON.stringify(other, Object.keys(other).sort())
}

const DAY = 86_400_000

/** Which copies a policy has deleted now. @param now milliseconds */
export function selectForDeletion<Copy extends DeletableCopy>(
  policy: DeletionPolicy,
  copies: readonly Copy[],
  occupancy: Occupancy,
  now: number,
): Copy[] {
  switch (policy.kind) {
    case 'NEVER':
      return []
    case 'AT_ONCE':
      return [...copies]
    case 'AFTER_DAYS':
      return copies.filter((copy) => Date.parse(copy.collectedAt) + policy.days * DAY <= now)
    case 'WHEN_DELETED_HERE':
      return copies.filter((copy) => copy.isDeletedHere)
    case 'WHEN_QUOTA_PASSES':
      return oldestBeyond(policy, copies, occupancy)
  }
}

function oldestBeyond<Copy extends DeletableCopy>(
  { percent, downTo }: { percent: number; downTo: number },
  copies: readonly Copy[],
  { bytes, limit }: Occupancy,
): Copy[] {
  if (limit === null || bytes * 100 <= limit * percent) return []
  const chosen: Copy[] = []
  let left = bytes
  for (const copy of [...copies].sort(byAge)) {
    if (left * 100 <= limit * downTo) break
    chosen.push(copy)
    left -= copy.size
  }
  return chosen
}

function byAge(one: DeletableCopy, other: DeletableCopy): number {
  return (
    Date.parse(one.internalDate) - Date.parse(other.internalDate) ||
    (one.messageId < other.messageId ? -1 : Number(one.messageId > other.messageId))
  )
}
