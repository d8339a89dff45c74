import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { Queryable } from './database.js'
import { together } from './together.js'

/** Takes statements of which nobody reads the result: they may be sent one behind the other. */
export type Writes = {
  query(statement: pg.QueryConfig): Promise<unknown>
  /** COPY … FROM STDIN, of rows in its text format. */
  copy(statement: string, lines: Iterable<string>): Promise<void>
}

/** Writes of a session, each of which is done when its promise resolves. */
export function writesOf(session: Queryable): Writes {
  return {
    query: (statement) => session.query(statement),
    copy: (statement, lines) => withoutPipelining(session, () => copied(session, statement, lines)),
  }
}

/**
 * Sends writes without waiting for the results of those before, which on a session of this process's own takes a fifth of the time. They are done in their
 * order; where one fails, so do all behind it, since they are of one transaction.
 */
export class SentWrites implements Writes {
  /** @param sent the results that are still waited for, by the transaction (`Database.transaction`) */
  constructor(
    private readonly session: Queryable,
    private readonly sent: Promise<unknown>[],
  ) {}

  query(statement: pg.QueryConfig): Promise<void> {
    const result = this.session.query(statement)
    // told by the transaction
    result.catch(() => undefined)
    this.sent.push(result)
    return Promise.resolve()
  }

  async copy(statement: string, lines: Iterable<string>): Promise<void> {
    await together(this.sent.splice(0))
    await writesOf(this.session).copy(statement, lines)
  }
}

async function copied(session: Queryable, statement: string, lines: Iterable<string>): Promise<void> {
  // in parts, so that Postgres takes some in while others are being written
  await pipeline(Readable.from(lines), session.query(copyFrom(statement)))
}

/** A session of pg's that sends statements behind each other refuses a COPY; nothing else may be under way on it. */
async function withoutPipelining(session: Queryable, work: () => Promise<void>): Promise<void> {
  const client = session as { pipeline?: boolean }
  const { pipeline: before = false } = client
  client.pipeline = false
  try {
    await work()
  } finally {
    client.pipeline = before
  }
}
