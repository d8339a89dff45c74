import type { RecordedEvent } from '../mailbox/events.js'
import { forNobody } from '../platform/client-sessions.js'
import type { Streams } from './streams.js'

/** Events that a feed keeps for those who follow closely; who is further behind reads the store. */
const KEPT = 2000
const READ_SIZE = 500
const FORGETTING: ReadonlySet<string> = new Set(['MessageForgotten', 'AccountForgotten'])
/** A lost wake-up costs at most this long, in milliseconds. */
const LOOK_INTERVAL = 2000

/**
 * The live ends of streams. An account's new events are read once, however many follow it; everybody goes at their own
 * pace, from any version on, without a gap and without a repeat.
 */
export class Feeds {
  private readonly feeds = new Map<string, Feed>()
  private timer: NodeJS.Timeout | null = null

  constructor(private readonly streams: Streams) {}

  /** How many follow a stream. */
  get followers(): number {
    return [...this.feeds.values()].reduce((sum, { followers }) => sum + followers, 0)
  }

  /** Takes notice that a stream has grown. */
  advanced(accountId: string, version: number): void {
    this.feeds.get(accountId)?.advance(version)
  }

  /** Takes what was appended to a stream in this process, and is committed. */
  appended(accountId: string, events: readonly RecordedEvent[]): void {
    const feed = this.feeds.get(accountId)
    if (!feed?.take(events)) feed?.advance(events.at(-1)?.version ?? 0)
  }

  /** Has a stream's new events at hand until the end of the signal: for who is about to follow it, and is in a hurry then. */
  prepare(accountId: string, signal: AbortSignal): void {
    const feed = this.join(accountId)
    feed.begin().catch(() => undefined)
    signal.addEventListener('abort', () => this.leave(accountId, feed), { once: true })
  }

  /** All events after a version, those to come included, until the signal aborts. */
  async *follow(accountId: string, after: number, signal: AbortSignal): AsyncGenerator<RecordedEvent> {
    const feed = this.join(accountId)
    try {
      await feed.begin()
      for (let position = after; !signal.aborted;) {
        const events = feed.since(position) ?? (await this.streams.read(accountId, position, READ_SIZE))
        for (const event of events) {
          yield event
          if (signal.aborted) return
          position = event.version
        }
        if (events.length === 0) await feed.growth(position, signal)
      }
    } finally {
      this.leave(accountId, feed)
    }
  }

  private join(accountId: string): Feed {
    const feed = this.feeds.get(accountId) ?? new Feed(accountId, this.streams)
    this.feeds.set(accountId, feed)
    feed.followers++
    this.timer ??= setInterval(() => void this.look(), LOOK_INTERVAL).unref()
    return feed
  }

  private leave(accountId: string, feed: Feed): void {
    if (--feed.followers > 0) return
    if (this.feeds.get(accountId) === feed) this.feeds.delete(accountId)
    if (this.feeds.size > 0) return
    if (this.timer) clearInterval(this.timer)
    this.timer = null
  }

  /** Looks at all streams that are followed: a wake-up may have been lost. */
  private async look(): Promise<void> {
    const versions = await this.streams.versions([...this.feeds.keys()]).catch(() => new Map<string, number>())
    for (const [accountId, version] of versions) this.advanced(accountId, version)
  }
}

class Feed {
  followers = 0
  private kept: RecordedEvent[] = []
  private head = 0
  private target = 0
  private reading: Promise<void> | null = null
  private hasBegun = false
  private beginning: Promise<void> | null = null
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly accountId: string,
    private readonly streams: Streams,
  ) {}

  /** Reads where the stream ends now. One that failed is forgotten: whoever follows next tries again. */
  begin(): Promise<void> {
    return (this.beginning ??= forNobody(() => this.streams.version(this.accountId)).then(
      (version) => {
        this.head = version
        this.hasBegun = true
        this.advance(version)
      },
      (error: unknown) => {
        this.beginning = null
        throw error
      },
    ))
  }

  /** Takes events as they were appended, if they are the next ones. @returns whether they were taken */
  take(events: readonly RecordedEvent[]): boolean {
    if (!this.hasBegun || this.reading || events[0]?.version !== this.head + 1) return false
    // as they are read: what was appended holds more than JSON does
    this.keep(events.map((event) => ({ ...event, data: JSON.parse(JSON.stringify(event.data)) as never })))
    return true
  }

  advance(version: number): void {
    this.target = Math.max(this.target, version)
    if (this.beginning)
      this.reading ??= this.readOn()
        .catch(() => false)
        .then((complete) => this.rest(complete))
  }

  /** Kept events after a position; null when some of those are no longer kept, or none were ever. */
  since(position: number): RecordedEvent[] | null {
    const first = this.kept[0]
    if (position >= this.head) return []
    return first && position >= first.version - 1 ? this.kept.slice(position - first.version + 1) : null
  }

  /** Resolves when the feed has something after a position, or the signal aborts. */
  growth(position: number, signal: AbortSignal): Promise<void> {
    if (this.head > position || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  private rest(complete: boolean): void {
    this.reading = null
    // a wake-up that came while the last read ended; after a read that failed, the next look tries again
    if (complete) this.advanceIfBehind()
  }

  private advanceIfBehind(): void {
    if (this.head < this.target) this.advance(this.target)
  }

  /** @returns whether everything was read */
  private async readOn(): Promise<boolean> {
    await this.beginning
    while (this.head < this.target) {
      const events = await forNobody(() => this.streams.read(this.accountId, this.head, READ_SIZE)).catch(() => [])
      if (events.length === 0) return false
      this.keep(events)
    }
    return true
  }

  private keep(events: readonly RecordedEvent[]): void {
    // what was forgotten is forgotten here as well
    const forgetting = events.findLastIndex((event) => FORGETTING.has(event.type))
    this.kept = (forgetting < 0 ? [...this.kept, ...events] : events.slice(forgetting)).slice(-KEPT)
    this.head = events.at(-1)?.version ?? this.head
    for (const wake of [...this.waiting]) wake()
  }
}
