import { EVENT_SHAPES } from '../mailbox/event-shapes.js'
import type { AccountEvent, Cause, RecordedEvent } from '../mailbox/events.js'
import { copyRows } from '../platform/copy-rows.js'
import type { Database, Queryable } from '../platform/database.js'
import { SentWrites, type Writes } from '../platform/statements.js'
import { together } from '../platform/together.js'
import type { Lease } from './leases.js'
import { readStream } from './stored-events.js'

/** Tables that are folded in the transaction of the append, so that a query shows exactly the events up to a version. */
export interface InlineProjection {
  /** Of its rows: streams that were folded under an earlier one are folded again at the start. */
  readonly version: number
  /** Folds events, in their order, into the tables. A bounded number of statements, however many the events. */
  fold(session: Writes, accountId: string, events: readonly RecordedEvent[]): Promise<void>
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

/** A newer Mailfold has folded the account's tables: what this one folds would leave out what is new in them. Nothing was written. */
export class NewerProjection extends Error {}

/** The account has no stream, or one that was closed for good. */
export class StreamNotFound extends Error {}

/** A worker's right to append, from `takeFence`: to the account, and to the shard that it belongs to. The API's appends carry none. */
export type FenceToken = { fence: number; lease: Lease }

/** Tells others in this process that a stream has grown, by events that are committed. What of it is lost costs a moment. */
export type StreamAdvanced = (accountId: string, events: readonly RecordedEvent[]) => void

const EVENT_COLUMNS = ['account_id', 'version', 'type', 'shape', 'recorded_at', 'cause', 'data']

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
   * @throws VersionConflict when another writer was first; NewerProjection
   */
  async append(
    accountId: string,
    expectedVersion: number,
    events: readonly AccountEvent[],
    beside?: (session: Queryable) => Promise<void>,
  ): Promise<number> {
    const recorded = await this.database.transaction(async (session, sent) => {
      const sql = 'insert into streams (account_id, projection) values ($1, $2) on conflict do nothing'
      if (expectedVersion === 0) await session.query(sql, [accountId, this.projection.version])
      const head = this.foldable(accountId, await takeHead(session, accountId))
      if (head.version !== expectedVersion) throw new VersionConflict(accountId, expectedVersion, head.version)
      const after = await this.write(new SentWrites(session, sent), accountId, head, events, 'CLIENT')
      await beside?.(session)
      return after
    })
    if (recorded.length > 0) this.advanced(accountId, recorded)
    return expectedVersion + recorded.length
  }

  /**
   * Decides and appends in one transaction: the stream's head is held while the view is read, so that what was decided
   * on cannot change before it is written. A decision that there is nothing to record writes nothing.
   *
   * @param fence the worker's token, when a worker writes what a server said
   * @param cause who made the events necessary; the server where a worker writes, else the client
   * @returns what was recorded, the version after it, and the view that was decided on
   * @throws FenceRefused when the token is not the newest; NewerProjection; StreamNotFound
   */
  async decide<View>(
    accountId: string,
    loadView: (session: Queryable) => Promise<View>,
    decide: (view: View) => readonly AccountEvent[],
    fence?: FenceToken,
    cause: Cause = fence === undefined ? 'CLIENT' : 'SERVER',
  ): Promise<{ version: number; events: readonly RecordedEvent[]; view: View }> {
    const result = await this.database.transaction(async (session, sent) => {
      const [taken, view] = await together([takeHead(session, accountId, fence?.lease), loadView(session)])
      const head = this.foldable(accountId, taken)
      if (fence && !(head.isLeased && head.fence === fence.fence))
        throw new FenceRefused(`the token for ${accountId} is stale`)
      const events = await this.write(new SentWrites(session, sent), accountId, head, decide(view), cause, fence)
      return { version: head.version + events.length, events, view }
    })
    if (result.events.length > 0) this.advanced(accountId, result.events)
    return result
  }

  /** Appends what needs no view to be decided. Otherwise as `decide`. */
  record(
    accountId: string,
    events: readonly AccountEvent[],
    cause: Cause,
    fence?: FenceToken,
  ): Promise<{ version: number; events: readonly RecordedEvent[] }> {
    return this.decide(
      accountId,
      async () => null,
      () => events,
      fence,
      cause,
    )
  }

  /**
   * Takes an account for a worker: every earlier token is stale from now on. The lease's row is held meanwhile, so that nobody takes the shard
   * in between.
   *
   * @throws FenceRefused where another worker has the shard; StreamNotFound
   */
  async takeFence(accountId: string, lease: Lease): Promise<FenceToken> {
    const { rows } = await this.database.pool.query<{ fence: string }>({
      name: 'take-fence',
      text: `with lease as (select from shards where shard = $2 and token = $3 for share)
             update streams set fence = fence + 1
             where account_id = $1 and not closed and exists (select from lease) returning fence`,
      values: [accountId, lease.shard, lease.token],
    })
    if (rows[0]) return { fence: Number(rows[0].fence), lease }
    const sql = 'select from streams where account_id = $1 and not closed'
    const { rowCount } = await this.database.pool.query(sql, [accountId])
    throw rowCount === 0 ? new StreamNotFound(accountId) : new FenceRefused(`shard ${lease.shard} is held by another`)
  }

  /** Makes every token stale, in the transaction of a decision that no worker is to write behind. */
  async retireFence(session: Queryable, accountId: string): Promise<void> {
    await session.query('update streams set fence = fence + 1 where account_id = $1', [accountId])
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

  /** The versions of those streams that exist. */
  async versions(accountIds: readonly string[]): Promise<Map<string, number>> {
    const { rows } = await this.database.pool.query<{ account_id: string; version: string }>({
      name: 'stream-versions',
      text: 'select account_id, version from streams where account_id = any($1::uuid[])',
      values: [accountIds],
    })
    return new Map(rows.map(({ account_id, version }) => [account_id, Number(version)]))
  }

  /** The version that a stream had at a time: that of the last append until then; 0 before the first. */
  async versionAt(accountId: string, time: Date): Promise<number> {
    const { rows } = await this.database.pool.query<{ version: string }>({
      name: 'stream-version-at',
      text: `select last_version as version from appends where account_id = $1 and recorded_at <= $2
             order by recorded_at desc, last_version desc limit 1`,
      values: [accountId, time],
    })
    return Number(rows[0]?.version ?? 0)
  }

  /** The events after a version, in order, at most `limit`. */
  read(accountId: string, after: number, limit: number): Promise<RecordedEvent[]> {
    return readStream(this.database.pool, accountId, after, limit)
  }

  private foldable(accountId: string, head: Head): Head {
    if (head.projection > this.projection.version)
      throw new NewerProjection(`account ${accountId} is worked on by a newer Mailfold: this process is to be replaced`)
    return head
  }

  private async write(
    writes: Writes,
    accountId: string,
    head: Head,
    events: readonly AccountEvent[],
    cause: Cause,
    fence?: FenceToken,
  ): Promise<RecordedEvent[]> {
    if (events.length === 0) return []
    const recordedAt = timeAfter(head.recordedAt, Date.now())
    const numbered = events.map((event, index): RecordedEvent => {
      return { ...event, accountId, version: head.version + 1 + index, recordedAt, cause }
    })
    const at = recordedAt.toISOString()
    const rows = numbered.map(({ version, type, data }) => {
      return [accountId, version, type, EVENT_SHAPES[type], at, cause, JSON.stringify(data)]
    })
    await copyRows(writes, 'events', EVENT_COLUMNS, rows)
    await this.projection.fold(writes, accountId, numbered)
    const version = head.version + events.length
    await writes.query({
      name: 'move-head',
      text: `with head as (
               update streams set version = $2, recorded_at = $4,
                 position = greatest(position, pg_current_xact_id()::text::bigint + (select position_offset from store))
               where account_id = $1 returning position
             )
             insert into appends (position, account_id, first_version, last_version, recorded_at, fence)
             select position, $1, $3, $2, $4, $5 from head`,
      values: [accountId, version, head.version + 1, recordedAt, fence?.fence ?? null],
    })
    return numbered
  }
}

/** Milliseconds by which the clocks of processes may differ, and by which a clock is set back to be right. */
const CLOCK_SLIP = 60_000

/**
 * The time of an append: never before the last one, unless the clock by which that was recorded was plainly ahead. Times are right again after that,
 * rather than in order.
 */
function timeAfter(last: number, now: number): Date {
  return new Date(last - now > CLOCK_SLIP ? now : Math.max(now, last))
}

/**
 * Where a stream ends; `recordedAt` in milliseconds, -Infinity before its first event; `projection`: by which version of it the tables were folded; whether the
 * lease that was named is good.
 */
type Head = { version: number; fence: number; recordedAt: number; projection: number; isLeased: boolean }

/** Holds a stream's head until the transaction ends: nobody else appends meanwhile. @throws StreamNotFound */
async function takeHead(session: Queryable, accountId: string, lease?: Lease): Promise<Head> {
  type Row = { version: string; fence: string; recorded_at: Date | number; projection: number; leased: boolean }
  const { rows } = await session.query<Row>({
    name: 'take-head',
    text: `select version, fence, recorded_at, projection,
             exists (select from shards where shard = $2 and token = $3) as leased
           from streams where account_id = $1 and not closed for update`,
    values: [accountId, lease?.shard ?? null, lease?.token ?? null],
  })
  const [head] = rows
  if (!head) throw new StreamNotFound(accountId)
  return {
    version: Number(head.version),
    fence: Number(head.fence),
    recordedAt: Number(head.recorded_at),
    projection: head.projection,
    isLeased: head.leased,
  }
}
