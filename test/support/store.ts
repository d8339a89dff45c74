import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { v7 as newId } from 'uuid'
import { Feeds } from '../../src/event-store/feeds.js'
import { Leases, type Lease } from '../../src/event-store/leases.js'
import { MIGRATIONS } from '../../src/event-store/migrations/index.js'
import { StoreFeed } from '../../src/event-store/store-feed.js'
import { Streams } from '../../src/event-store/streams.js'
import { Database } from '../../src/platform/database.js'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded-postgres.js'
import { CoreProjection } from '../../src/projections/core-projection.js'

/** An event store on a Postgres of its own. */
export class Store {
  readonly projection = new CoreProjection()
  readonly streams: Streams
  readonly feeds: Feeds
  readonly storeFeed: StoreFeed

  private constructor(
    private readonly folder: string,
    private readonly postgres: EmbeddedPostgres,
    readonly database: Database,
  ) {
    this.streams = new Streams(database, this.projection, (accountId, events) => {
      this.feeds.appended(accountId, events)
      this.storeFeed.advanced()
    })
    this.feeds = new Feeds(this.streams)
    this.storeFeed = new StoreFeed(database.pool)
  }

  static async open(): Promise<Store> {
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-store-'))
    await chmod(folder, 0o711)
    const postgres = await startEmbeddedPostgres(folder)
    return new Store(folder, postgres, await Database.open(postgres.url, MIGRATIONS))
  }

  /** A lease of the only shard. */
  async lease(): Promise<Lease> {
    const leases = new Leases(this.database, newId())
    await leases.prepare(1)
    const { leases: held } = await leases.renew('http://127.0.0.1', 60_000)
    if (!held[0]) throw new Error('the shard is held by another')
    return held[0]
  }

  get url(): string {
    return this.postgres.url
  }

  async close(): Promise<void> {
    await this.database.close()
    await this.postgres.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}
