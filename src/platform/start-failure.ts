import { EXIT, type ExitCode } from './exit-codes.js'

/** Something outside the program stops it from starting; the message is one line that says what to change. */
export class StartFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode = EXIT.UNAVAILABLE,
  ) {
    super(message)
  }
}
