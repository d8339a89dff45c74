import { randomBytes } from 'node:crypto'
import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/**
 * Makes the process's logger: structured lines on standard error, so that what the program prints for people stays apart.
 * Fields that could hold a credential are removed wherever they stand.
 */
export function makeLogger(level: string): Logger {
  return pino(
    {
      level,
      base: undefined,
      redact: {
        paths: ['password', '*.password', 'token', '*.token', 'auth', '*.auth', 'headers.authorization'],
        remove: true,
      },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** A short id of a failure: it stands in the log, and in what a person is told, so that the one is found by the other. */
export function newFailureId(): string {
  return randomBytes(4).toString('hex')
}
