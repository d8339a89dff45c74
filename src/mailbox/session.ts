/** A session in which an ONLINE account is worked with. Times in milliseconds since 1970. */
export type Session = {
  sessionId: string
  accountId: string
  openedAt: number
  /** seconds without use after which it ends by itself */
  idleSeconds: number
  expiresAt: number
}

/** Seconds that a session may be idle where its client does not say, and the bounds of what it may say. */
export const DEFAULT_IDLE = 600
const LEAST_IDLE = 10
const MOST_IDLE = 86_400

/** Why a session cannot be idle for so long; null where it can. */
export function whyNoIdle(seconds: number): string | null {
  const isFine = Number.isInteger(seconds) && seconds >= LEAST_IDLE && seconds <= MOST_IDLE
  return isFine ? null : `must be a whole number of seconds from ${LEAST_IDLE} to ${MOST_IDLE}`
}
