/** Something outside the program stops it from starting; the message is one line that says what to change. */
export class StartFailure extends Error {}
