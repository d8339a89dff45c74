/**
 * When a DISCONNECTED account has a connection: from each moment of the one cron expression to the next of the other. Five
 * fields, as in crontab(5): minute, hour, day of month, month, day of week.
 */
export type ConnectionSchedule = {
  /** when a connection is made, "0 8 * * 1-5" */
  connectAt: string
  /** when it is ended, "0 18 * * *" */
  disconnectAt: string
  /** where the hours are meant, by the name of a time zone: "Europe/Vienna" */
  timeZone: string
}

/** Whether two schedules are the same. */
export function sameSchedule(one: ConnectionSchedule | null, other: ConnectionSchedule | null): boolean {
  if (one === null || other === null) return one === other
  return one.connectAt === other.connectAt && one.disconnectAt === other.disconnectAt && one.timeZone === other.timeZone
}
