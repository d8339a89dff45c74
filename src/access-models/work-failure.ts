import { keepingFailureOf } from '../content/blobs/keeping-failure.js'
import type { WorkFailure } from '../mailbox/failures.js'
import { CredentialsUnreadable } from '../platform/credentials.js'
import { databaseFailureOf } from '../platform/database-failure.js'

/** What failed, before it has an id. */
export type FoundFailure = Omit<WorkFailure, 'failureId'>

/**
 * What failed, where it was not the mail server. An error that nobody foresaw counts as a bug: its message may hold anything, so that only the log has it.
 */
export function workFailureOf(error: unknown): FoundFailure {
  if (error instanceof CredentialsUnreadable) return { kind: 'CREDENTIALS', reason: error.message }
  return keepingFailureOf(error) ?? databaseFailureOf(error) ?? { kind: 'BUG', reason: bugOf(error) }
}

function bugOf(error: unknown): string {
  const name = error instanceof Error ? error.name : typeof error
  return `Mailfold failed in a way that it does not foresee (${name}).`
}
