import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Queryable } from '../platform/database.js'
import type { Logger } from '../platform/logs.js'
import type { StoreFeed } from './store-feed.js'
import { STORE_START, type StoreEvent, type StorePlace } from './stored-events.js'

/** What a consumer does with events: in the store's order, each at least once. */
export interface Consumer {
  /** Its checkpoint's key: the same after a restart. */
  readonly name: string
  /** Where it begins when it has no checkpoint yet. */
  readonly from: 'start' | 'now'
  /**
   * Takes events in. When it resolves, the checkpoint moves behind them, in the transaction of `session`: what it
   * writes with that happens exactly once. When it rejects, or the process ends, the same events come again.
   */
  handle(events: readonly StoreEvent[], session: Queryable): Promise<void>
}

const FIRST_PAUSE = 100
const LONGEST_PAUSE = 60_000
const LOCKS = 4_701_144

/** Runs what follows the whole store inside of this service: webhooks, exports. */
export class Consumers {
  constructor(
    private readonly database: Database,
    private readonly feed: StoreFeed,
    private readonly logger: Logger,
  ) {}

  /**
   * Runs a consumer until the signal aborts. Of all processes that run one of that name, one does the work and the
   * others wait to take over. What fails is tried again, after pauses that grow to a minute: no event is passed over.
   */
  async run(consumer: Consumer, signal: AbortSignal): Promise<void> {
    for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        await this.database.alone((session) => this.work(consumer, session, signal, () => (pause = FIRST_PAUSE)))
      } catch (error) {
        this.logger.warn({ consumer: consumer.name, err: error }, 'a consumer failed; its events come again')
      }
      if (!signal.aborted) await sleep(pause, undefined, { signal }).catch(() => undefined)
    }
  }

  private async work(consumer: Consumer, session: Queryable, signal: AbortSignal, moved: () => void): Promise<void> {
    // asked for again and again, since a session that waits for a lock cannot be ended from here
    while (!(await lock(session, consumer.name))) {
      if (signal.aborted) return
      await sleep(FIRST_PAUSE, undefined, { signal }).catch(() => undefined)
    }
    const place = (await checkpoint(session, consumer.name)) ?? (await this.begin(consumer, session))
    for await (const events of this.feed.follow(place, signal)) {
      await session.query('begin')
      await consumer.handle(events, session)
      await keep(session, consumer.name, (events.at(-1) as StoreEvent).place)
      await session.query('commit')
      moved()
    }
  }

  private async begin(consumer: Consumer, session: Queryable): Promise<StorePlace> {
    const place = consumer.from === 'start' ? STORE_START : await this.feed.end()
    await keep(session, consumer.name, place)
    return place
  }
}

/** The lock lasts as long as the session. */
async function lock(session: Queryable, name: string): Promise<boolean> {
  const sql = 'select pg_try_advisory_lock($1, hashtext($2)) as taken'
  const { rows } = await session.query<{ taken: boolean }>(sql, [LOCKS, name])
  return rows[0]?.taken === true
}

async function checkpoint(session: Queryable, name: string): Promise<StorePlace | null> {
  const sql = 'select position, account_id, version from consumers where name = $1'
  const { rows } = await session.query<{ position: string; account_id: string; version: string }>(sql, [name])
  const [row] = rows
  return row ? { position: Number(row.position), accountId: row.account_id, version: Number(row.version) } : null
}

async function keep(session: Queryable, name: string, { position, accountId, version }: StorePlace): Promise<void> {
  await session.query(
    `insert into consumers (name, position, account_id, version) values ($1, $2, $3, $4)
     on conflict (name) do update set position = $2, account_id = $3, version = $4, changed_at = now()`,
    [name, position, accountId, version],
  )
}
