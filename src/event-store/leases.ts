import type { Database, Queryable } from '../platform/database.js'
import { planLeases } from './lease-plan.js'
import type { Shard } from './shards.js'

/** A worker process's right to a shard. Each that takes the shard gets a token of its own, and earlier ones are worth nothing. */
export type Lease = { shard: Shard; token: number }

/** What a worker holds, and what of it is to be given back; and how many shards there are. */
export type Holding = { leases: Lease[]; release: Shard[]; shards: number }

/** Workers look at who holds what one after the other. */
const LEASES_LOCK = 4_701_144

type ShardRow = { shard: number; token: string; worker_id: string | null; expired: boolean }

/** The leases of shards, by the clock of the database. */
export class Leases {
  constructor(
    private readonly database: Database,
    private readonly workerId: string,
  ) {}

  /** Makes the shards where there are none yet. */
  async prepare(shards: number): Promise<void> {
    await alone(this.database, async (session) => {
      await session.query(
        'insert into shards (shard) select generate_series(0, $1 - 1) where not exists (select from shards)',
        [shards],
      )
    })
  }

  /** Ends all leases at once: for a process that knows itself to be the only one, after one that was killed. */
  async endAll(): Promise<void> {
    await alone(this.database, async (session) => {
      await session.query('update shards set worker_id = null, expires_at = null')
      await session.query('delete from workers')
    })
  }

  /** Says that this process is alive, and takes nothing yet. @param duration milliseconds for which that is good */
  async announce(address: string, duration: number): Promise<void> {
    await this.database.transaction((session) => this.sayAlive(session, address, duration))
  }

  /** Says that this process is alive, and takes what it is to have. @param duration milliseconds for which that is good */
  async renew(address: string, duration: number): Promise<Holding> {
    return this.database.transaction(async (session) => {
      // who stands still while it looks holds up nobody for longer than this
      await session.query(`set local idle_in_transaction_session_timeout = ${Math.ceil(duration / 4)}`)
      await session.query('select pg_advisory_xact_lock($1)', [LEASES_LOCK])
      const workers = await this.sayAlive(session, address, duration)
      const { rows } = await session.query<ShardRow>(
        `select shard, token, worker_id, coalesce(expires_at < now(), true) as expired from shards order by shard`,
      )
      const states = rows.map(({ shard, worker_id, expired }) => {
        return { shard, workerId: expired && worker_id !== this.workerId ? null : worker_id }
      })
      const plan = planLeases(this.workerId, workers, states)
      const held = await session.query<{ shard: number; token: string }>(
        `update shards set worker_id = $1, expires_at = now() + $2 * interval '1 ms',
           token = case when worker_id = $1 then token else nextval('shard_tokens') end
         where worker_id = $1 or shard = any($3::int[]) returning shard, token`,
        [this.workerId, duration, plan.take],
      )
      const leases = held.rows.map(({ shard, token }) => ({ shard, token: Number(token) }))
      return { leases, release: plan.release, shards: rows.length }
    })
  }

  /** Gives shards back, of which nothing is being done any more. */
  async release(shards: readonly Shard[]): Promise<void> {
    await this.database.pool.query(
      'update shards set worker_id = null, expires_at = null where shard = any($1::int[]) and worker_id = $2',
      [shards, this.workerId],
    )
  }

  /** Gives everything back: this process ends. */
  async leave(): Promise<void> {
    await this.database.pool.query('update shards set worker_id = null, expires_at = null where worker_id = $1', [
      this.workerId,
    ])
    await this.database.pool.query('delete from workers where worker_id = $1', [this.workerId])
  }

  private async sayAlive(session: Queryable, address: string, duration: number): Promise<string[]> {
    await session.query('delete from workers where expires_at < now()')
    await session.query(
      `insert into workers (worker_id, address, expires_at) values ($1, $2, now() + $3 * interval '1 ms')
       on conflict (worker_id) do update set address = excluded.address, expires_at = excluded.expires_at`,
      [this.workerId, address, duration],
    )
    const { rows } = await session.query<{ worker_id: string }>('select worker_id from workers')
    return rows.map(({ worker_id }) => worker_id)
  }
}

/**
 * Changes how many shards there are. Whoever holds one loses it, with its token: with another number an account belongs to another shard.
 */
export async function setShardCount(database: Database, shards: number): Promise<void> {
  await alone(database, async (session) => {
    await session.query('delete from shards where shard >= $1', [shards])
    await session.query('update shards set worker_id = null, expires_at = null, token = 0')
    await session.query('insert into shards (shard) select generate_series(0, $1 - 1) on conflict do nothing', [shards])
  })
}

/** Changes leases while nobody else does. */
async function alone(database: Database, change: (session: Queryable) => Promise<void>): Promise<void> {
  await database.transaction(async (session) => {
    await session.query('select pg_advisory_xact_lock($1)', [LEASES_LOCK])
    await change(session)
  })
}
