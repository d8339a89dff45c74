const FIRST_PAUSE = 1_000
const LONGEST_PAUSE = 300_000
const THROTTLED_PAUSE = 60_000

/**
 * Milliseconds to wait before the next attempt: doubled with each failure up to five minutes, and spread over the upper
 * half, so that many accounts that lost one server don't return to it at the same moment.
 *
 * @param failures how many attempts have failed in a row, from 1
 * @param random a number from 0 to 1
 */
export function reconnectPause(failures: number, random: number): number {
  const whole = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 20))
  return Math.round(whole / 2 + (whole / 2) * random)
}

/** Milliseconds to leave a server alone that throttles: as long as it says, or a minute, doubled while it goes on. */
export function throttledPause(asked: number | null, failures: number, random: number): number {
  if (asked !== null) return asked + Math.round(1_000 * random)
  return Math.min(15 * 60_000, THROTTLED_PAUSE * 2 ** Math.min(failures - 1, 10)) + Math.round(5_000 * random)
}

/** Milliseconds to wait for another session to leave a maildrop: short at first, since most sessions are. */
export function inUsePause(failures: number, random: number): number {
  return Math.round(Math.min(120_000, 2_000 * 2 ** Math.min(failures - 1, 10)) * (0.75 + random / 2))
}
