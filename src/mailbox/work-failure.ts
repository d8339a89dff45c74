import type { AccountEvent } from './events.js'
import type { WorkFailure, WorkFailureKind } from './failures.js'

/** How an account stands, as far as failures of Mailfold's own work bear on it. */
export type WorkStanding = {
  state: string
  detail: string | null
  failure: { kind: WorkFailureKind | null; failureId: string | null } | null
}

/** States in which the work goes on, so that a part of it can be hindered. */
const GOING_ON: ReadonlySet<string> = new Set(['CONNECTED', 'NO_SESSION'])
/** States that a client or the server has decided on, and that a failure of ours does not change. */
const DECIDED: ReadonlySet<string> = new Set(['OFFLINE', 'LOGIN_REFUSED'])

/** The id of a failure that lasts; null where this one is another than the last that was recorded. */
export function lastingId(now: WorkStanding, { kind, reason }: Omit<WorkFailure, 'failureId'>): string | null {
  return now.failure?.kind === kind && now.detail === reason ? now.failure.failureId : null
}

/** Records that the work stopped; once for as long as the failure lasts. */
export function decideStopped(now: WorkStanding | undefined, failure: WorkFailure): AccountEvent[] {
  if (!now || DECIDED.has(now.state)) return []
  if (now.state === 'FAILED' && lastingId(now, failure) !== null) return []
  return [{ type: 'WorkStopped', data: failure }]
}

/** Records that a part of the work cannot be done; once for as long as the failure lasts. */
export function decideHindered(now: WorkStanding | undefined, failure: WorkFailure): AccountEvent[] {
  if (!now || !GOING_ON.has(now.state) || lastingId(now, failure) !== null) return []
  return [{ type: 'WorkHindered', data: failure }]
}

/** Whether a part of the work is hindered, while the rest of it goes on. */
export function isHindered(now: WorkStanding): boolean {
  return GOING_ON.has(now.state) && now.failure?.kind != null
}

/** Records that all of the work is done again. */
export function decideUnhindered(now: WorkStanding | undefined): AccountEvent[] {
  return now && isHindered(now) ? [{ type: 'WorkUnhindered', data: {} }] : []
}

/**
 * Whether a connection that was made does not show yet that the work can be done: a failure that was not the server's has to be over first. Otherwise
 * each attempt would record a connection and then the same failure.
 */
export function isToBeProved({ state }: WorkStanding): boolean {
  return state === 'FAILED'
}
