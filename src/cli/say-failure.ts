import { EXIT, fileFailure, type ExitCode } from '../platform/exit-codes.js'
import { databaseFailureOf } from '../platform/database-failure.js'
import { BadSetting } from '../platform/settings.js'
import { StartFailure } from '../platform/start-failure.js'
import { ApiFailure } from './api-client.js'

/** Says on standard error why a command has failed: one line, or a stack where the fault is Mailfold's own. @returns the exit code */
export function sayFailure(error: unknown): ExitCode {
  const isExpected = error instanceof StartFailure || error instanceof BadSetting || error instanceof ApiFailure
  const failure = isExpected ? error : (fileFailure(error) ?? ofDatabase(error))
  process.stderr.write(`mailfold: ${failure ? failure.message : ((error as Error).stack ?? String(error))}\n`)
  return failure?.exitCode ?? EXIT.SOFTWARE
}

function ofDatabase(error: unknown): { message: string; exitCode: ExitCode } | null {
  const failure = databaseFailureOf(error)
  return failure && { message: failure.reason, exitCode: EXIT.UNAVAILABLE }
}
