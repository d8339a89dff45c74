const MINUTE = 60_000

/**
 * When a collection is due next: after so many minutes, give or take a tenth, so that accounts that began together do not stay
 * together; and not before the server lets the user log in again (RFC 2449 §6.5, LOGIN-DELAY, in seconds).
 *
 * @param began when the last run began, in milliseconds
 * @param random a number from 0 to 1
 */
export function nextRun(began: number, everyMinutes: number, capabilities: readonly string[], random: number): number {
  const delay = capabilities.map((each) => /^LOGIN-DELAY (\d{1,7})/i.exec(each)?.[1]).find((each) => each !== undefined)
  const pause = everyMinutes * MINUTE * (0.9 + random * 0.2)
  return Math.round(began + Math.max(pause, Number(delay ?? 0) * 1_000))
}

/** Days for which the server keeps mail before it deletes it by itself (RFC 2449 §6.7, EXPIRE); null where it keeps it, or does not say. */
export function serverKeepsDays(capabilities: readonly string[]): number | null {
  const days = capabilities.map((each) => /^EXPIRE (\d{1,6})/i.exec(each)?.[1]).find((each) => each !== undefined)
  return days === undefined ? null : Number(days)
}
