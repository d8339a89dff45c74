/** Classes of Postgres's error codes that say that the database cannot work, rather than that a statement is wrong. */
const OF_DATABASE = /^(08|25006|40|53|55|57|58|F0|XX00[12])/

/** What pg says of a connection that it lost, or could not make: such errors have no code. */
const OF_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool|Query read timeout)/

/** What failed where an error is the database's, with one sentence for a person; null for any other error. */
export function databaseFailureOf(error: unknown): { kind: 'DATABASE' | 'DISK_FULL'; reason: string } | null {
  const { code, message, syscall, severity } = (error ?? {}) as {
    code?: unknown
    message?: string
    syscall?: string
    severity?: string
  }
  if (typeof code === 'string' && severity !== undefined) {
    if (code === '53100') return { kind: 'DISK_FULL', reason: 'The disk of the database is full (53100).' }
    return OF_DATABASE.test(code) ? { kind: 'DATABASE', reason: `The database cannot work (${code}).` } : null
  }
  // mail servers and S3 have errors of their own: what is left that is connected to is the database
  const isUnreachable = syscall === 'connect' || (typeof code === 'string' && ['ECONNRESET', 'EPIPE'].includes(code))
  if (isUnreachable || OF_CONNECTION.test(message ?? ''))
    return { kind: 'DATABASE', reason: 'The database does not answer.' }
  return null
}
