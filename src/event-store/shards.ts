import type { Queryable } from '../platform/database.js'

/** A part of the accounts, of which one worker process at a time holds the connections. Numbered from 0. */
export type Shard = number

/** The end of an account's id (UUID version 7) that is random. */
const RANDOM_DIGITS = 8

/** The shard that an account belongs to. @param shards how many there are */
export function shardOf(accountId: string, shards: number): Shard {
  return Number.parseInt(accountId.slice(-RANDOM_DIGITS), 16) % shards
}

/** The same in SQL. @param accountId an expression; @param shards another one */
export function shardInSql(accountId: string, shards: string): string {
  return `('x' || right(${accountId}::text, ${RANDOM_DIGITS}))::bit(32)::bigint % ${shards}`
}

/** A shard's holder that is alive, where there is one: its process, and where that answers other processes. */
export type Holder = { workerId: string; address: string }

/** Where the accounts' homes are: for processes that are to ask one for something. What it says may be some seconds old. */
export class ShardDirectory {
  private holders: (Holder | null)[] = [null]
  private timer: NodeJS.Timeout | null = null

  constructor(
    private readonly session: Queryable,
    /** this process's own */
    private readonly workerId: string,
  ) {}

  /** How many shards there are. */
  get count(): number {
    return this.holders.length
  }

  /** The shard that an account belongs to. */
  of(accountId: string): Shard {
    return shardOf(accountId, this.count)
  }

  /** Where another process that holds the account answers; null where it is this one, or none. */
  elsewhere(accountId: string): string | null {
    const holder = this.holders[this.of(accountId)]
    return holder && holder.workerId !== this.workerId ? holder.address : null
  }

  /** Looks now, and from then on again and again. @param interval milliseconds */
  async keepCurrent(interval: number): Promise<void> {
    await this.look()
    this.timer = setInterval(() => void this.look().catch(() => undefined), interval).unref()
  }

  /** Looks no more. */
  stop(): void {
    if (this.timer) clearInterval(this.timer)
  }

  /** Sees who holds what now. */
  async look(): Promise<void> {
    const { rows } = await this.session.query<{ worker_id: string | null; address: string | null }>({
      name: 'shard-holders',
      text: `select worker_id, address from shards
             left join workers using (worker_id) order by shard`,
    })
    if (rows.length > 0)
      this.holders = rows.map(({ worker_id: workerId, address }) => {
        return workerId !== null && address !== null ? { workerId, address } : null
      })
  }
}
