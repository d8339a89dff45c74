import type pg from 'pg'
import { readStream } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import { StreamNotFound, type InlineProjection } from '../event-store/streams.js'
import type { Database, Queryable } from '../platform/database.js'
import { writesOf } from '../platform/statements.js'

/** A row that does not follow from the log: `columns` are those that differ, where the row is on both sides. */
export type Difference = {
  table: string
  key: Record<string, string>
  kind: 'missing' | 'extra' | 'changed'
  columns: string[]
}

/** The log itself is not whole: an event is missing, so that no state follows from it. A backup has to help. */
export class LogDamaged extends Error {}

/** How far a fold has come, in events. */
export type FoldProgress = { done: number; total: number }

/** What is told meanwhile. */
export type RebuildListener = {
  progress?: (progress: FoldProgress) => void
  /** each row that differs, one after the other */
  difference?: (difference: Difference) => void
}

/** The folded tables, each with its key. All have the column `account_id`. */
export const TABLES = {
  accounts: ['account_id'],
  mailboxes: ['mailbox_id'],
  messages: ['message_id'],
  expunged_messages: ['message_id'],
  forgotten_messages: ['fingerprint'],
  server_copies: ['message_id'],
  maildrop_measures: ['version'],
  server_places: ['message_id'],
  kept_messages: ['message_id'],
  list_messages: ['message_id'],
  operations: ['operation_id'],
  operation_messages: ['operation_id', 'message_id'],
  past_accounts: ['at_version'],
  past_mailboxes: ['mailbox_id', 'at_version'],
  past_messages: ['message_id', 'until_version'],
  past_message_states: ['message_id', 'until_version'],
} as const

type Table = keyof typeof TABLES
const NAMES = Object.keys(TABLES) as Table[]
/** Those of which each row is of one message. */
export const OF_MESSAGES: readonly Table[] = [
  'messages',
  'expunged_messages',
  'server_copies',
  'server_places',
  'kept_messages',
  'list_messages',
  'past_messages',
  'past_message_states',
]

/** Events that are read, then folded, at once. */
const PIECE = 1_000
const REPORTED_AT_ONCE = 1_000

const quoted = (name: string) => `"${name}"`

/**
 * Folds an account's log again, beside its live tables, and compares. Reads and appends go on; an append waits for as long as
 * the last few events take to fold.
 *
 * @returns how many rows differ
 * @throws StreamNotFound, LogDamaged
 */
export async function verifyAccount(
  database: Database,
  projection: InlineProjection,
  accountId: string,
  listener: RebuildListener = {},
): Promise<number> {
  return database.alone(async (session) => {
    const shadow = await Shadow.fold(database, session, projection, accountId, listener)
    return shadow.compare(listener)
  })
}

/**
 * Folds an account's log again and puts right what differs, in one transaction: who reads sees all rows of before or all
 * of after. Reads go on; an append waits for that transaction, which has as much to do as there are rows that differ.
 *
 * @returns how many rows differed
 * @throws StreamNotFound, LogDamaged
 */
export async function rebuildAccount(
  database: Database,
  projection: InlineProjection,
  accountId: string,
  listener: RebuildListener = {},
): Promise<number> {
  return database.alone(async (session) => {
    const shadow = await Shadow.fold(database, session, projection, accountId, listener)
    const differing = await shadow.compare(listener)
    await shadow.replace(differing > 0)
    return differing
  })
}

/** The accounts whose tables were folded by an earlier version of the projections. */
export async function viewOutdated(session: Queryable, projection: InlineProjection): Promise<string[]> {
  const sql = 'select account_id from streams where projection < $1 and not closed'
  const { rows } = await session.query<{ account_id: string }>(sql, [projection.version])
  return rows.map((row) => row.account_id)
}

/** Holds a stream's end, one that was closed as well; nobody appends until the transaction ends. */
async function holdHead(session: Queryable, accountId: string): Promise<number> {
  const sql = 'select version from streams where account_id = $1 for update'
  const { rows } = await session.query<{ version: string }>(sql, [accountId])
  return Number(rows[0]?.version ?? 0)
}

/** Folds again every account that an earlier version of the projections has folded. @param folded told of each afterwards */
export async function rebuildOutdated(
  database: Database,
  projection: InlineProjection,
  folded: (accountId: string) => void,
): Promise<void> {
  for (const accountId of await viewOutdated(database.pool, projection)) {
    await rebuildAccount(database, projection, accountId)
    folded(accountId)
  }
}

/** An account's tables, folded again into temporary ones of the same names, which stand before the live ones. */
class Shadow {
  private version = 0

  private constructor(
    private readonly database: Database,
    private readonly session: pg.Client,
    private readonly projection: InlineProjection,
    private readonly accountId: string,
    /** the schema of the live tables */
    private readonly live: string,
  ) {}

  static async fold(
    database: Database,
    session: pg.Client,
    projection: InlineProjection,
    accountId: string,
    listener: RebuildListener,
  ): Promise<Shadow> {
    const { rows } = await session.query<{ schema: string; version: string }>(
      `select quote_ident(nspname) as schema, version from streams, pg_class
       join pg_namespace on pg_namespace.oid = relnamespace
       where account_id = $1 and pg_class.oid = 'streams'::regclass`,
      [accountId],
    )
    if (!rows[0]) throw new StreamNotFound(accountId)
    const shadow = new Shadow(database, session, projection, accountId, rows[0].schema)
    await shadow.makeTables()
    await shadow.foldOn(Number(rows[0].version), listener)
    return shadow
  }

  private async makeTables(): Promise<void> {
    // nothing here is to survive, so nothing waits for the disk
    await this.session.query(`set synchronous_commit = off; set work_mem = '64MB'; set temp_buffers = '32MB'`)
    for (const table of NAMES) {
      await this.session.query(`create temporary table ${table} (like ${this.live}.${table} including defaults)`)
      await this.session.query(`alter table pg_temp.${table} add primary key (${TABLES[table].join()})`)
    }
    await this.session.query(`
      create index on pg_temp.messages (mailbox_id);
      create temporary table differences (
        number serial primary key, name text not null, key json not null, kind text not null, columns text[] not null
      )`)
  }

  /** Folds up to a version; the next piece is read while one is folded. */
  private async foldOn(total: number, listener: RebuildListener): Promise<void> {
    const { pool } = this.database
    let reading = readStream(pool, this.accountId, this.version, PIECE)
    for (;;) {
      const events = await reading
      const last = events.at(-1)
      this.checkGapless(events, total)
      if (!last) return
      const isLast = last.version >= total
      reading = isLast ? Promise.resolve([]) : readStream(pool, this.accountId, last.version, PIECE)
      reading.catch(() => undefined)
      await this.session.query('begin')
      await this.projection.fold(writesOf(this.session), this.accountId, events)
      await this.session.query('commit')
      this.version = last.version
      listener.progress?.({ done: this.version, total: Math.max(total, this.version) })
    }
  }

  private checkGapless(events: readonly RecordedEvent[], total: number): void {
    const gap = events.findIndex((event, index) => event.version !== this.version + 1 + index)
    const missing = this.version + 1 + (gap < 0 ? events.length : gap)
    if (gap >= 0 || (events.length === 0 && missing <= total))
      throw new LogDamaged(`event ${missing} of account ${this.accountId} is missing`)
  }

  /** Compares at one moment: the head is held until the shadow has caught up and the moment is fixed, and no longer. */
  async compare(listener: RebuildListener): Promise<number> {
    for (const table of NAMES) await this.session.query(`analyze pg_temp.${table}`)
    await this.database.transaction(async (holder) => {
      const head = await holdHead(holder, this.accountId)
      if (head > this.version) await this.foldOn(head, {})
      await this.session.query('begin isolation level repeatable read')
      // the first statement fixes what the transaction sees
      await this.session.query('select')
    })
    for (const table of NAMES) await this.session.query(await this.comparison(table), [this.accountId])
    const { rows } = await this.session.query<{ count: string }>('select count(*) from differences')
    await this.session.query('commit')
    await this.report(listener)
    return Number(rows[0]?.count)
  }

  /** Puts the live rows right that differed, and those that may have come out of them since. */
  async replace(differs: boolean): Promise<void> {
    const { session, accountId, live } = this
    await session.query('begin')
    const head = await holdHead(session, accountId)
    while (this.version < head) {
      const events = await readStream(session, accountId, this.version, PIECE)
      await this.projection.fold(writesOf(session), accountId, events)
      this.version = events.at(-1)?.version ?? head
    }
    if (differs) {
      await session.query(`
        create temporary table touched on commit drop as
        select distinct (key->>'message_id')::uuid as message_id from differences where key->>'message_id' is not null`)
      for (const table of OF_MESSAGES) {
        const ofAccount = table === 'past_message_states' ? 'account_id = $1 and' : '$1::uuid is not null and'
        await session.query(
          `delete from ${live}.${table} where ${ofAccount} message_id in (select message_id from touched)`,
          [accountId],
        )
        await session.query(
          `insert into ${live}.${table} select * from pg_temp.${table}
           where message_id in (select message_id from touched)`,
        )
      }
      // a row that was given to another account by hand is taken back by its own key
      await session.query(
        `delete from ${live}.mailboxes where mailbox_id in (select mailbox_id from pg_temp.mailboxes)`,
      )
      for (const table of NAMES.filter((name) => !OF_MESSAGES.includes(name))) {
        await session.query(`delete from ${live}.${table} where account_id = $1`, [accountId])
        await session.query(`insert into ${live}.${table} select * from pg_temp.${table}`)
      }
    }
    const sql = `update ${live}.streams set projection = $2 where account_id = $1`
    await session.query(sql, [accountId, this.projection.version])
    await session.query('commit')
  }

  private async comparison(table: Table): Promise<string> {
    const { rows } = await this.session.query<{ name: string; is_json: boolean }>(
      `select attname as name, atttypid = 'json'::regtype as is_json from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
      [`${this.live}.${table}`],
    )
    const differs = rows.map(({ name, is_json }) => {
      // json has no equality of its own
      const [one, other] = ['live', 'shadow'].map((side) => `${side}.${quoted(name)}${is_json ? '::text' : ''}`)
      return { name, condition: `${one} is distinct from ${other}` }
    })
    const columns = differs.map(({ name, condition }) => `case when ${condition} then '${name}' end`)
    const keys = TABLES[table]
    const key = keys.map((name) => `'${name}', ${name}`)
    return `insert into differences (name, key, kind, columns)
      select '${table}', json_build_object(${key.join()}),
        case when live.account_id is null then 'missing' when shadow.account_id is null then 'extra' else 'changed' end,
        case when live.account_id is null or shadow.account_id is null then '{}'
          else array_remove(array[${columns.join()}], null) end
      from (select * from ${this.live}.${table} where account_id = $1) as live
      full join pg_temp.${table} as shadow using (${keys.join()})
      where ${differs.map(({ condition }) => condition).join(' or ')}`
  }

  private async report({ difference }: RebuildListener): Promise<void> {
    for (let after = 0; difference;) {
      const { rows } = await this.session.query<Difference & { number: number }>(
        'select number, name as table, key, kind, columns from differences where number > $1 order by number limit $2',
        [after, REPORTED_AT_ONCE],
      )
      for (const { number, table, key, kind, columns } of rows) {
        difference({ table, key, kind, columns })
        after = number
      }
      if (rows.length < REPORTED_AT_ONCE) return
    }
  }
}
