import { Module, type DynamicModule, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { CqrsModule, EventBus, EventsHandler, type IEventHandler } from '@nestjs/cqrs'
import type { RecordedEvent } from '../mailbox/events.js'
import { Forgotten } from '../mailbox/commands.js'
import { openBroadcast } from '../platform/broadcast.js'
import type { Metrics } from '../platform/metrics.js'
import { Platform } from '../platform/platform.js'
import { Consumers } from './consumers.js'
import { Feeds } from './feeds.js'
import { ShardDirectory } from './shards.js'
import { StoreFeed } from './store-feed.js'
import { Streams, type InlineProjection } from './streams.js'
import { WakeUps, type WakeUp } from './wake-ups.js'

/** Milliseconds for which what is known of the shards' holders may be old. */
const SHARDS_AGE = 2_000

/** A stream has grown; published on the event bus after the commit. */
export class StreamAdvanced {
  constructor(
    readonly accountId: string,
    readonly events: readonly RecordedEvent[],
  ) {}
}

@EventsHandler(StreamAdvanced)
class WakeFeeds implements IEventHandler<StreamAdvanced> {
  constructor(
    private readonly feeds: Feeds,
    private readonly storeFeed: StoreFeed,
    private readonly wakeUps: WakeUps,
  ) {}

  handle({ accountId, events }: StreamAdvanced): void {
    this.feeds.appended(accountId, events)
    this.storeFeed.advanced()
    this.wakeUps.tell({ kind: 'advanced', accountId, version: events.at(-1)?.version ?? 0 })
  }
}

@EventsHandler(Forgotten)
class TellForgotten implements IEventHandler<Forgotten> {
  constructor(private readonly wakeUps: WakeUps) {}

  handle({ accountId, messages, isHeard }: Forgotten): void {
    if (messages === 'all' && !isHeard) this.wakeUps.tell({ kind: 'forgotten', accountId })
  }
}

/** What another process has told, told in this one. */
function hearing(feeds: Feeds, storeFeed: StoreFeed, bus: EventBus): (wakeUp: WakeUp) => void {
  return (wakeUp) => {
    if (wakeUp.kind === 'forgotten') bus.publish(new Forgotten(wakeUp.accountId, 'all', true))
    else {
      feeds.advanced(wakeUp.accountId, wakeUp.version)
      storeFeed.advanced()
    }
  }
}

function count({ events: counter, operations }: Metrics, events: readonly RecordedEvent[]): void {
  for (const { type, data } of events) {
    counter.inc({ type })
    if (type === 'OperationSettled' && data.outcome !== null) operations.inc({ outcome: data.outcome })
  }
}

/** The streams, their live ends, and that of the whole store. */
@Module({})
export class EventStoreModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly platform: Platform,
    private readonly directory: ShardDirectory,
    private readonly wakeUps: WakeUps,
  ) {}

  async onModuleInit(): Promise<void> {
    const { settings, databaseUrl } = this.platform
    await this.directory.keepCurrent(SHARDS_AGE)
    if (!this.platform.isOnly)
      await this.wakeUps.begin((heard) => openBroadcast(databaseUrl, settings.REDIS_URL, heard))
  }

  async onApplicationShutdown(): Promise<void> {
    this.directory.stop()
    await this.wakeUps.close()
  }

  /** @param projection what is folded in each append's transaction */
  static with(projection: InlineProjection): DynamicModule {
    const streams = {
      provide: Streams,
      inject: [Platform, EventBus],
      useFactory: (platform: Platform, bus: EventBus) =>
        new Streams(platform.database, projection, (accountId, events) => {
          count(platform.metrics, events)
          bus.publish(new StreamAdvanced(accountId, events))
        }),
    }
    const feeds = {
      provide: Feeds,
      inject: [Streams, Platform],
      useFactory: (source: Streams, { metrics }: Platform) => {
        const made = new Feeds(source)
        const about = 'Subscriptions and others that follow the changes of an account.'
        metrics.gauge('mailfold_followers', about, [], () => [{ labels: {}, value: made.followers }])
        return made
      },
    }
    const storeFeed = {
      provide: StoreFeed,
      inject: [Platform],
      useFactory: ({ database }: Platform) => new StoreFeed(database.pool),
    }
    const consumers = {
      provide: Consumers,
      inject: [Platform, StoreFeed],
      useFactory: ({ database, logger }: Platform, feed: StoreFeed) => new Consumers(database, feed, logger),
    }
    const directory = {
      provide: ShardDirectory,
      inject: [Platform],
      useFactory: ({ database, processId }: Platform) => new ShardDirectory(database.pool, processId),
    }
    const wakeUps = {
      provide: WakeUps,
      inject: [Platform, Feeds, StoreFeed, EventBus],
      useFactory: ({ processId }: Platform, live: Feeds, whole: StoreFeed, bus: EventBus) =>
        new WakeUps(processId, hearing(live, whole, bus)),
    }
    return {
      module: EventStoreModule,
      global: true,
      imports: [CqrsModule],
      providers: [streams, feeds, storeFeed, consumers, directory, wakeUps, WakeFeeds, TellForgotten],
      exports: [Streams, Feeds, StoreFeed, Consumers, ShardDirectory],
    }
  }
}
