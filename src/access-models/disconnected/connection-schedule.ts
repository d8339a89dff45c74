import { CronExpressionParser } from 'cron-parser'
import type { ConnectionSchedule } from '../../mailbox/connection-schedule.js'
import type { AccountEvent } from '../../mailbox/events.js'
import type { AccountView } from '../../projections/account-views.js'

/** A period without a connection. */
export type ClosedPeriod = { since: Date; until: Date }

/** Why a schedule cannot be: the field, and one clause for a person. Null where it can. */
export function whyNoSchedule(schedule: ConnectionSchedule): { field: string; reason: string } | null {
  try {
    new Intl.DateTimeFormat('en', { timeZone: schedule.timeZone })
  } catch {
    return { field: 'timeZone', reason: 'must be the name of a time zone' }
  }
  for (const field of ['connectAt', 'disconnectAt'] as const) {
    // expressions of six fields, with seconds, would connect more often than a schedule is looked at
    if (schedule[field].trim().split(/\s+/).length !== 5) return { field, reason: 'must have five fields' }
    try {
      parse(schedule[field], schedule, new Date()).next()
    } catch (error) {
      return { field, reason: `is no cron expression: ${(error as Error).message}` }
    }
  }
  return null
}

/** The period without a connection that a moment is in; null where there is to be one. Both at once: there is to be one. */
export function closedPeriodAt(schedule: ConnectionSchedule | null, now: Date): ClosedPeriod | null {
  if (schedule === null) return null
  // a millisecond later, since `prev` leaves out the moment itself
  const behind = new Date(now.getTime() + 1)
  const since = parse(schedule.disconnectAt, schedule, behind).prev().toDate()
  const opened = parse(schedule.connectAt, schedule, behind).prev().toDate()
  if (opened >= since) return null
  return { since, until: parse(schedule.connectAt, schedule, now).next().toDate() }
}

/**
 * What the schedule asks for now: the account's connection is ended where it is from before the period without one. What a
 * client has asked for since, `goOnline` above all, stands until the next such period.
 */
export function decideSchedule(account: AccountView, now: Date): AccountEvent[] {
  if (account.state === 'OFFLINE' || account.state === 'LOGIN_REFUSED') return []
  const period = closedPeriodAt(account.connectionSchedule, now)
  if (period === null || account.since >= period.since) return []
  return [{ type: 'WentOffline', data: { until: period.until.toISOString() } }]
}

/** What another schedule changes at once: the account goes offline or online as it says, unless a client said so by hand. */
export function decideNewSchedule(
  account: AccountView,
  schedule: ConnectionSchedule | null,
  now: Date,
): AccountEvent[] {
  const changed: AccountEvent = { type: 'ConnectionScheduleChanged', data: { schedule } }
  const before = closedPeriodAt(account.connectionSchedule, now)
  const bySchedule = before !== null && account.offlineUntil?.getTime() === before.until.getTime()
  const period = closedPeriodAt(schedule, now)
  if (account.state === 'OFFLINE' && !bySchedule) return [changed]
  if (period !== null) return [changed, { type: 'WentOffline', data: { until: period.until.toISOString() } }]
  return account.state === 'OFFLINE' ? [changed, { type: 'WentOnline', data: {} }] : [changed]
}

function parse(expression: string, { timeZone }: ConnectionSchedule, currentDate: Date) {
  return CronExpressionParser.parse(expression, { tz: timeZone, currentDate })
}
