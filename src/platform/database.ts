import pg from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { DataSource, type MigrationInterface } from 'typeorm'
import { StartFailure } from './start-failure.js'
import { together } from './together.js'

/** A database session inside a transaction, or the pool: whatever runs a statement. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** The database: TypeORM's connection (which runs the migrations) and the pool that it holds, for set-based statements. */
export class Database {
  private constructor(
    private readonly url: string,
    private readonly source: DataSource,
    readonly pool: pg.Pool,
  ) {}

  /**
   * Connects and brings the schema up to date. Two processes that start at once wait for each other.
   *
   * @param longestPause milliseconds for which a transaction may do nothing; after that Postgres ends it, so that a process that stands still
   *   keeps no lock from the one that takes its work over. 0 for ever.
   * @throws StartFailure when the database cannot be reached or is older than Postgres 15
   */
  static async open(url: string, migrations: (new () => MigrationInterface)[], longestPause = 0): Promise<Database> {
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
    await migrateAlone(source, pool)
    return new Database(url, source, pool)
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
      const [, result] = await together([session.query('begin'), work(session, sent)])
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
    await this.source.destroy()
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

/** TypeORM parses URLs by its own rules, which know no Unix socket; the embedded database's address is taken apart here. */
function connectionOptions(url: string): { url: string } | { host: string; database: string; username: string } {
  return url.startsWith('socket:') ? socketAddress(url) : { url }
}

function socketAddress(url: string): { host: string; database: string; username: string } {
  const [path, query] = url.slice('socket:'.length).split('?')
  const given = new URLSearchParams(query)
  return { host: path ?? '', database: given.get('db') ?? '', username: given.get('user') ?? '' }
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

/** A session that breaks, in use or not, is an error of its statements and of nothing else. */
function survive(pool: pg.Pool): void {
  pool.on('error', () => undefined)
  pool.on('connect', (session) => session.on('error', () => undefined))
}

/** Where a database is, for a session beside the pool. */
export function poolAddress(url: string): pg.PoolConfig {
  if (!url.startsWith('socket:')) return { connectionString: url }
  const { host, database, username } = socketAddress(url)
  return { host, database, user: username }
}
