import type { PoolClient } from 'pg'
import { EVENT_SHAPE_VERSION, type AccountEvent, type RecordedEvent } from '../mailbox/events.js'
import type { Database, Queryable } from '../platform/database.js'

/** Tables that are folded in the transaction of the append, so that a query shows exactly the events up to a version. */
export interface InlineProjection {
  /** Folds events, in their order, into the tables. A bounded number of statements, however many the events. */
  fold(session: Queryable, accountId: string, events: readonly RecordedEvent[]): Promise<void>
}

/** Another writer was first: decide again on what is there now. */
export class VersionConflict extends Error {
  constructor(
    readonly accountId: string,
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`stream ${accountId} is at version ${actual}, not ${expected}`)
  }
}

/** The writer no longer holds the account: another worker took it over. Nothing was written. */
export class FenceRefused extends Error {}

/** The account has no stream. */
export class StreamNotFound extends Error {}

/** A worker's right to append, from `takeFence`; the API's appends carry none. */
export type FenceToken = number

/** Tells others in this process that a stream has grown. Carries no event: what is lost costs a moment. */
export type StreamAdvanced = (accountId: string, version: number) => void

/** Events in one insert; larger appends are cut, inside their transaction. */
const STATEMENT_EVENTS = 1000

/** The streams of all accounts: appended to, and read, in order and without a gap. */
export class Streams {
  constructor(
    private readonly database: Database,
    private readonly projection: InlineProjection,
    private readonly advanced: StreamAdvanced,
  ) {}

  /**
   * Appends events if the stream is at the version that the writer saw; 0 for a stream that does not exist yet.
   *
   * @param beside more statements of the same transaction, which see the folded tables (credentials, say)
   * @returns the stream's version afterwards
   * @throws VersionConflict when another writer was first
   */
  async append(
    accountId: string,
    expectedVersion: number,
    events: readonly AccountEvent[],
    beside?: (session: Queryable) => Promise<void>,
  ): Promise<number> {
    const version = await this.database.transaction(async (session) => {
      await session.query('insert into streams (account_id) values ($1) on conflict do nothing', [accountId])
      const head = await this.takeHead(session, accountId)
      if (head.version !== expectedVersion) throw new VersionConflict(accountId, expectedVersion, head.version)
      const after = await this.write(session, accountId, head.version, events)
      await beside?.(session)
      return after
    })
    this.advanced(accountId, version)
    return version
  }

  /**
   * Decides and appends in one transaction: the stream's head is held while the view is read, so that what was decided
   * on cannot change before it is written. A decision that there is nothing to record writes nothing.
   *
   * @param fence the worker's token, when a worker writes what a server said
   * @throws FenceRefused when the token is not the newest; StreamNotFound
   */
  async decide<View>(
    accountId: string,
    loadView: (session: Queryable) => Promise<View>,
    decide: (view: View) => readonly AccountEvent[],
    fence?: FenceToken,
  ): Promise<{ version: number; events: readonly AccountEvent[] }> {
    const result = await this.database.transaction(async (session) => {
      const head = await this.takeHead(session, accountId)
      if (fence !== undefined && head.fence !== fence) throw new FenceRefused(`the token for ${accountId} is stale`)
      const events = decide(await loadView(session))
      return { version: await this.write(session, accountId, head.version, events), events }
    })
    if (result.events.length > 0) this.advanced(accountId, result.version)
    return result
  }

  /** Takes an account for a worker: every earlier token is stale from now on. @throws StreamNotFound */
  async takeFence(accountId: string): Promise<FenceToken> {
    const sql = 'update streams set fence = fence + 1 where account_id = $1 returning fence'
    const { rows } = await this.database.pool.query<{ fence: string }>(sql, [accountId])
    if (!rows[0]) throw new StreamNotFound(accountId)
    return Number(rows[0].fence)
  }

  /** A stream's version: how many events it has; 0 for one that does not exist. */
  async version(accountId: string): Promise<number> {
    const sql = {
      name: 'stream-version',
      text: 'select version from streams where account_id = $1',
      values: [accountId],
    }
    const { rows } = await this.database.pool.query<{ version: string }>(sql)
    return Number(rows[0]?.version ?? 0)
  }

  /** The events after a version, in order, at most `limit`. */
  async read(accountId: string, after: number, limit: number): Promise<RecordedEvent[]> {
    const { rows } = await this.database.pool.query<EventRow>({
      name: 'read-stream',
      text: `select version, type, recorded_at, data from events
             where account_id = $1 and version > $2 order by version limit $3`,
      values: [accountId, after, limit],
    })
    return rows.map((row) => recorded(accountId, row))
  }

  private async takeHead(session: PoolClient, accountId: string): Promise<{ version: number; fence: number }> {
    const { rows } = await session.query<{ version: string; fence: string }>({
      name: 'take-head',
      text: 'select version, fence from streams where account_id = $1 for update',
      values: [accountId],
    })
    if (!rows[0]) throw new StreamNotFound(accountId)
    return { version: Number(rows[0].version), fence: Number(rows[0].fence) }
  }

  private async write(
    session: PoolClient,
    accountId: string,
    head: number,
    events: readonly AccountEvent[],
  ): Promise<number> {
    if (events.length === 0) return head
    const recordedAt = new Date()
    const numbered = events.map((event, index) => ({ ...event, accountId, version: head + 1 + index, recordedAt }))
    for (let at = 0; at < numbered.length; at += STATEMENT_EVENTS) {
      const rows = numbered.slice(at, at + STATEMENT_EVENTS).map(({ version, type, data }) => ({ version, type, data }))
      await session.query({
        name: 'append-events',
        text: `insert into events (account_id, version, type, shape, recorded_at, data)
               select $1, version, type, $2, $3, data
               from json_to_recordset($4::json) as event (version bigint, type text, data json)`,
        values: [accountId, EVENT_SHAPE_VERSION, recordedAt, JSON.stringify(rows)],
      })
    }
    await this.projection.fold(session, accountId, numbered)
    const version = head + events.length
    await session.query({
      name: 'move-head',
      text: 'update streams set version = $2 where account_id = $1',
      values: [accountId, version],
    })
    return version
  }
}

type EventRow = { version: string; type: string; recorded_at: Date; data: unknown }

function recorded(accountId: string, row: EventRow): RecordedEvent {
  const { type, data } = row as Pick<RecordedEvent, 'type' | 'data'>
  return { type, data, accountId, version: Number(row.version), recordedAt: row.recorded_at } as RecordedEvent
}
