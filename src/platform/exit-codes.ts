/** Exit codes of the command line, those of sysexits.h; 1 is for commands that compare, when something differs. */
export const EXIT = {
  /** compared, and something differs */
  DIFFERS: 1,
  /** wrong command, option or argument */
  USAGE: 64,
  /** a file that was given does not hold what it should */
  DATA: 65,
  /** what was named is not there: a file, an account, a mailbox */
  NO_INPUT: 66,
  /** the service, the database or a mail server cannot be used now */
  UNAVAILABLE: 69,
  /** a fault of Mailfold itself */
  SOFTWARE: 70,
  /** what should be written cannot be made, or is there already */
  CANNOT_CREATE: 73,
  /** no leave: a login, a token, a right on this machine */
  NOT_PERMITTED: 77,
  /** a setting that cannot be used */
  CONFIG: 78,
} as const

/** One of the exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const OF_SYSTEM: Record<string, [ExitCode, string]> = {
  ENOENT: [EXIT.NO_INPUT, 'there is no such file or folder'],
  EACCES: [EXIT.NOT_PERMITTED, 'this user may not use it'],
  EPERM: [EXIT.NOT_PERMITTED, 'this user may not use it'],
  EEXIST: [EXIT.CANNOT_CREATE, 'it is there already'],
  ENOTDIR: [EXIT.CANNOT_CREATE, 'a part of the path is no folder'],
  EISDIR: [EXIT.CANNOT_CREATE, 'it is a folder'],
  EROFS: [EXIT.CANNOT_CREATE, 'its file system cannot be written'],
  ENOSPC: [EXIT.CANNOT_CREATE, 'the disk is full'],
  EDQUOT: [EXIT.CANNOT_CREATE, 'the disk quota is used up'],
  ENAMETOOLONG: [EXIT.CANNOT_CREATE, 'the name is too long'],
}

/** What an error of the system is in words, and the exit code; null for a code that is not known. */
export function systemFailure(code: string): { reason: string; exitCode: ExitCode } | null {
  const known = OF_SYSTEM[code]
  return known ? { exitCode: known[0], reason: known[1] } : null
}

/** Of a write that fails, Node does not say into which file. */
const WITHOUT_PATH = ['ENOSPC', 'EDQUOT']

/** What to say of an error of the file system, and the exit code; null for any other error. */
export function fileFailure(error: unknown): { message: string; exitCode: ExitCode } | null {
  const { code = '', path } = error as NodeJS.ErrnoException
  const known = systemFailure(code)
  if (!known || (path === undefined && !WITHOUT_PATH.includes(code))) return null
  return { message: path === undefined ? known.reason : `${path}: ${known.reason}`, exitCode: known.exitCode }
}

/** A number with its noun: "1 shard", "2 shards". */
export const counted = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`
