import { newFailureId, type Logger } from './logs.js'

/**
 * Catches what nothing else has caught. A promise that nobody awaits fails alone: the function it belongs to has ended, and everything else goes on, so the
 * process logs it and lives. An exception that nobody catches may have left anything half done, so the process says why and stops.
 *
 * @param logger where the failure goes, with an id that can be told to whoever asks
 * @param stop puts the process down in order; called at most once
 */
export function catchTheRest(logger: Logger, stop: (reason: string) => void): void {
  process.on('unhandledRejection', (reason) => {
    logger.error(
      { err: reason, failureId: newFailureId() },
      'a promise failed that nobody awaits: a bug; the process goes on',
    )
  })
  process.once('uncaughtException', (error) => {
    const failureId = newFailureId()
    logger.fatal({ err: error, failureId }, 'an exception was not caught: a bug; the process stops')
    process.on('uncaughtException', (later) => logger.fatal({ err: later }, 'an exception while the process stops'))
    stop(`an unexpected error, ${failureId} in the log: ${error.message}`)
  })
}
