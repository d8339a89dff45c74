import { Module, type DynamicModule } from '@nestjs/common'
import { CqrsModule, EventBus, EventsHandler, type IEventHandler } from '@nestjs/cqrs'
import { Platform } from '../platform/platform.js'
import { Feeds } from './feeds.js'
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
  constructor(private readonly feeds: Feeds) {}

  handle({ accountId, version }: StreamAdvanced): void {
    this.feeds.advanced(accountId, version)
  }
}

/** The streams and their live ends. */
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
    return {
      module: EventStoreModule,
      global: true,
      imports: [CqrsModule],
      providers: [streams, feeds, WakeFeeds],
      exports: [Streams, Feeds],
    }
  }
}
