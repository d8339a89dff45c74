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
  const since = lastOf(schedule.disconnectAt, schedule, now)
  const opened = lastOf(schedule.connectAt, schedule, now)
  if (opened >= since) return null
  return { since, until: nextOf(schedule.connectAt, schedule, now) }
}

const HOUR = 3_600_000

/** The first moment of an expression after another. */
function nextOf(expression: string, schedule: ConnectionSchedule, after: Date): Date {
  return tried(after, 1, (from) => parse(expression, schedule, from).next().toDate())
}

/**
 * The last moment of an expression up to another: the last of those that `nextOf` gives, one after the other. cron-parser's own `prev` passes over a time that
 * the clocks have skipped, and finds one that came twice twice.
 */
function lastOf(expression: string, schedule: ConnectionSchedule, now: Date): Date {
  let last = tried(new Date(now.getTime() - 3 * HOUR), -1, (from) => {
    const backwards = parse(expression, schedule, from)
    backwards.prev()
    return backwards.prev().toDate()
  })
  for (;;) {
    const next = nextOf(expression, schedule, last)
    if (next > now) return last
    last = next
  }
}

/** Looks from a moment on, or from a day or two further: cron-parser 5 finds nothing over a change of the clocks by half an hour. */
function tried(from: Date, direction: 1 | -1, look: (from: Date) => Date): Date {
  for (let days = 0; ; days++)
    try {
      return look(new Date(from.getTime() + direction * days * 24 * HOUR))
    } catch (error) {
      if (days === 2) throw error
    }
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
