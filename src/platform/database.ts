import pg from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { DataSource, type MigrationInterface } from 'typeorm'
import { ClientSessions, insideSession } from './client-sessions.js'
import { EXIT } from './exit-codes.js'
import { StartFailure } from './start-failure.js'
import { together } from './together.js'

/** A database session inside a transaction, or the pool: whatever runs a statement. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** Sessions for statements: one for a single statement, or one to keep until it is released. */
export type Sessions = Queryable & { connect(): Promise<pg.PoolClient> }

/** Sessions for what clients ask, and how many of them one client may have at once. */
const CLIENT_SESSIONS = 12
const SESSIONS_PER_CLIENT = 8
/** Milliseconds that the database may take to show that it answers. */
const PROOF_TIMEOUT = 5_000

/** Milliseconds for which a transaction may do nothing (0: for ever), and that a statement of a client may take. */
type Patience = { longestPause?: number; longestStatement?: number }

/** The database: TypeORM's connection (which runs the migrations) and the pool that it holds, for set-based statements. */
export class Database {
  /** Sessions for any work. What is done for a client has those of clients. */
  readonly pool: Sessions
  /** Reads for clients: they end when the client is gone. */
  readonly reads: Queryable

  private constructor(
    private readonly url: string,
    private readonly source: DataSource,
    private readonly own: pg.Pool,
    private readonly clients: ClientSessions,
    /** of a single session, which no work can take */
    private readonly proof: pg.Pool,
  ) {
    const query = (statement: never, values: never) => clients.read(statement, values) ?? own.query(statement, values)
    this.reads = { query: query as never }
    this.pool = { query: this.query.bind(this) as never, connect: () => this.connect() }
  }

  /**
   * Connects and brings the schema up to date. Two processes that start at once wait for each other.
   *
   * @param patience milliseconds for which a transaction may do nothing; after that Postgres ends it, so that a process that stands still
   *   keeps no lock from the one that takes its work over (0: for ever). And milliseconds that a statement of a client may take.
   * @throws StartFailure when the database cannot be reached, is older than Postgres 15, or does not let its tables be made
   */
  static async open(
    url: string,
    migrations: (new () => MigrationInterface)[],
    { longestPause = 0, longestStatement = 0 }: Patience = {},
  ): Promise<Database> {
    const source = new DataSource({
      type: 'postgres',
      ...connectionOptions(url),
      extra: {
        max: 16,
        application_name: 'mailfold',
        idle_in_transaction_session_timeout: longestPause,
        pipeline: true,
      },
      migrations,
      migrationsTransactionMode: 'all',
      logging: false,
    })
    try {
      await source.initialize()
    } catch (error) {
      throw new StartFailure(`the database cannot be reached: ${(error as Error).message}`)
    }
    const pool = (source.driver as unknown as { master: pg.Pool }).master
    survive(pool)
    try {
      await migrateAlone(source, pool)
    } catch (error) {
      // sessions that are left would keep a command from ending
      await source.destroy()
      throw migrationFailure(error)
    }
    const forClients = openPool(url, {
      max: CLIENT_SESSIONS,
      application_name: 'mailfold-clients',
      idle_in_transaction_session_timeout: longestPause,
      statement_timeout: longestStatement,
      pipeline: true,
    })
    const cancel = (process: number) => pool.query('select pg_cancel_backend($1)', [process])
    const clients = new ClientSessions(forClients, SESSIONS_PER_CLIENT, cancel)
    const patience = { connectionTimeoutMillis: PROOF_TIMEOUT, query_timeout: PROOF_TIMEOUT }
    const proof = openPool(url, { max: 1, application_name: 'mailfold-health', ...patience })
    return new Database(url, source, pool, clients, proof)
  }

  /** Whether the database answers, by a session that nothing else can take. */
  async answers(): Promise<boolean> {
    return this.proof.query('select 1').then(
      () => true,
      () => false,
    )
  }

  /**
   * Runs work in one transaction: committed when it returns, rolled back when it throws. What it sends before something is answered is sent behind it, and
   * done in its order; it returns when all is answered.
   *
   * @param work gets a list for what it has sent and does not wait for: the commit is sent behind that, and fails with it
   */
  async transaction<T>(work: (session: pg.PoolClient, sent: Promise<unknown>[]) => Promise<T>): Promise<T> {
    const session = await this.pool.connect()
    let broken: Error | undefined
    // the pool listens only to sessions that are idle; a connection that breaks now is an error of its statement as well
    const onError = (error: Error) => (broken = error)
    session.on('error', onError)
    try {
      const sent: Promise<unknown>[] = []
      const [, result] = await together([session.query('begin'), insideSession(() => work(session, sent))])
      await areSent(sent)
      await together([...sent, session.query('commit')])
      return result
    } catch (error) {
      await session.query('rollback').catch((failure: Error) => (broken = failure))
      throw error
    } finally {
      session.off('error', onError)
      session.release(broken)
    }
  }

  /** Runs work on one session of the pool, for what belongs to a session (advisory locks). */
  async session<T>(work: (session: pg.PoolClient) => Promise<T>): Promise<T> {
    const session = await this.pool.connect()
    let broken: Error | undefined
    try {
      return await work(session)
    } catch (error) {
      broken = error as Error
      throw error
    } finally {
      session.release(broken)
    }
  }

  /** A session of its own, beside the pool, for work with temporary tables; ended when the work is. */
  async alone<T>(work: (session: pg.Client) => Promise<T>): Promise<T> {
    const session = new pg.Client({ ...poolAddress(this.url), application_name: 'mailfold-alone' })
    session.on('error', () => undefined)
    await session.connect()
    try {
      return await work(session)
    } finally {
      await session.end().catch(() => undefined)
    }
  }

  /** Ends all connections; statements still running are waited for. */
  async close(): Promise<void> {
    await Promise.all([this.source.destroy(), this.clients.close(), this.proof.end()])
  }

  private connect(): Promise<pg.PoolClient> {
    return this.clients.connect() ?? this.own.connect()
  }

  private async query(statement: never, values: never): Promise<pg.QueryResult> {
    const connecting = this.clients.connect()
    if (!connecting) return this.own.query(statement, values)
    const session = await connecting
    let isBroken = true
    try {
      const result = await session.query(statement, values)
      isBroken = false
      return result as pg.QueryResult
    } finally {
      session.release(isBroken)
    }
  }
}

/** Of a statement that pg cannot send Postgres knows nothing, and would commit the others: pg says so before the next tick. @throws what it says */
async function areSent(statements: readonly Promise<unknown>[]): Promise<void> {
  await Promise.race([Promise.all(statements), new Promise<void>((resolve) => process.nextTick(resolve))])
}

const MIGRATION_LOCK = 4_701_143

async function migrateAlone(source: DataSource, pool: pg.Pool): Promise<void> {
  const guard = await pool.connect()
  try {
    const { rows } = await guard.query<{ number: string }>("select current_setting('server_version_num') as number")
    if (Number(rows[0]?.number) < 150_000) throw new StartFailure('the database is older than Postgres 15')
    await guard.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await source.runMigrations()
    await guard.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK])
  } finally {
    guard.release()
  }
}

/** Postgres's code for what a role may not do. */
const INSUFFICIENT_PRIVILEGE = '42501'

/** Since Postgres 15 only the owner of a database may make tables in its schema public. */
function migrationFailure(error: unknown): unknown {
  const { code, message } = error as Error & { code?: string }
  if (code !== INSUFFICIENT_PRIVILEGE) return error
  return new StartFailure(
    `the tables cannot be made or changed: ${message}: name the owner of the database in DATABASE_URL, or grant its role the schema public`,
    EXIT.NOT_PERMITTED,
  )
}

/** TypeORM parses URLs by its own rules, which know no Unix socket; the embedded database's address is taken apart here. */
function connectionOptions(url: string): { url: string } | { host: string; database: string; username: string } {
  return url.startsWith('socket:') ? socketAddress(url) : { url }
}

function socketAddress(url: string): { host: string; database: string; username: string } {
  // the folder may have any character in its name
  const end = url.lastIndexOf('?')
  const given = new URLSearchParams(url.slice(end + 1))
  return { host: url.slice('socket:'.length, end), database: given.get('db') ?? '', username: given.get('user') ?? '' }
}

/**
 * A pool of its own for the queues, whose tables live in the schema `bullmq`. Their transactions do not wait for the disk: what jobs there are follows from
 * the log.
 */
export function openQueuePool(url: string): pg.Pool {
  const settings = '-c search_path=bullmq -c synchronous_commit=off'
  const options = { max: 10, application_name: 'mailfold-queues', options: settings }
  const pool = new PatientPool({ ...poolAddress(url), ...options })
  survive(pool)
  return pool
}

/** Milliseconds before a session that cannot be had is reported as such. */
const REFUSAL_PAUSE = 250

/**
 * A pool whose refusals take time. A caller that asks again in a loop would otherwise never let the event loop turn: a pool that was ended, for example,
 * refuses in the same tick, and BullMQ's worker asks again in the next microtask (BullMQ 6.7 on Postgres).
 */
class PatientPool extends pg.Pool {
  override connect(): Promise<pg.PoolClient>
  override connect(done: (error: Error | undefined, session: pg.PoolClient, release: () => void) => void): void
  override connect(
    done?: (error: Error | undefined, session: pg.PoolClient, release: () => void) => void,
  ): Promise<pg.PoolClient> | void {
    if (done)
      return super.connect((error, session, release) => {
        if (error) setTimeout(() => done(error, session as never, release), REFUSAL_PAUSE)
        else done(error, session as pg.PoolClient, release)
      })
    return super.connect().catch(async (error: unknown) => {
      await sleep(REFUSAL_PAUSE)
      throw error
    })
  }
}

function openPool(url: string, options: pg.PoolConfig & { pipeline?: boolean }): pg.Pool {
  const pool = new pg.Pool({ ...poolAddress(url), ...options } as pg.PoolConfig)
  survive(pool)
  return pool
}

const ignore = () => undefined

/** A session that breaks, in use or not, is an error of its statements and of nothing else. */
function survive(pool: pg.Pool): void {
  pool.on('error', () => undefined)
  // a session may be older than this: TypeORM has opened some by then
  pool.on('acquire', (session) => {
    if (!session.listeners('error').includes(ignore)) session.on('error', ignore)
  })
}

/** Where a database is, for a session beside the pool. */
export function poolAddress(url: string): pg.PoolConfig {
  if (!url.startsWith('socket:')) return { connectionString: url }
  const { host, database, username } = socketAddress(url)
  return { host, database, user: username }
}
