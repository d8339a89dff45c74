import { Module, type DynamicModule } from '@nestjs/common'
import { CqrsModule, EventBus, EventsHandler, type IEventHandler } from '@nestjs/cqrs'
import { Platform } from '../platform/platform.js'
import { Consumers } from './consumers.js'
import { Feeds } from './feeds.js'
import { StoreFeed } from './store-feed.js'
import { Streams, type InlineProjection } from './streams.js'

/** A stream has grown; published on the event bus after the commit. */
export class StreamAdvanced {
  constructor(
    readonly accountId: string,
    readonly version: number,
  ) {}
}

@EventsHandler(StreamAdvanced)
class WakeFeeds implements IEventHandler<StreamAdvanced> {
  constructor(
    private readonly feeds: Feeds,
    private readonly storeFeed: StoreFeed,
  ) {}

  handle({ accountId, version }: StreamAdvanced): void {
    this.feeds.advanced(accountId, version)
    this.storeFeed.advanced()
  }
}

/** The streams, their live ends, and that of the whole store. */
@Module({})
export class EventStoreModule {
  /** @param projection what is folded in each append's transaction */
  static with(projection: InlineProjection): DynamicModule {
    const streams = {
      provide: Streams,
      inject: [Platform, EventBus],
      useFactory: (platform: Platform, bus: EventBus) =>
        new Streams(
          platform.database,
          projection,
          (accountId, version) => void bus.publish(new StreamAdvanced(accountId, version)),
        ),
    }
    const feeds = { provide: Feeds, inject: [Streams], useFactory: (source: Streams) => new Feeds(source) }
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
    return {
      module: EventStoreModule,
      global: true,
      imports: [CqrsModule],
      providers: [streams, feeds, storeFeed, consumers, WakeFeeds],
      exports: [Streams, Feeds, StoreFeed, Consumers],
    }
  }
}
