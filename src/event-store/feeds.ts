import type { RecordedEvent } from '../mailbox/events.js'
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

  /** All events after a version, those to come included, until the signal aborts. */
  async *follow(accountId: string, after: number, signal: AbortSignal): AsyncGenerator<RecordedEvent> {
    const feed = this.feeds.get(accountId) ?? new Feed(accountId, this.streams)
    this.feeds.set(accountId, feed)
    feed.followers++
    this.timer ??= setInterval(() => void this.look(), LOOK_INTERVAL).unref()
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
      if (--feed.followers === 0) {
        if (this.feeds.get(accountId) === feed) this.feeds.delete(accountId)
        if (this.feeds.size === 0) this.lookNoMore()
      }
    }
  }

  private lookNoMore(): void {
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
  private beginning: Promise<void> | null = null
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly accountId: string,
    private readonly streams: Streams,
  ) {}

  begin(): Promise<void> {
    return (this.beginning ??= this.streams.version(this.accountId).then((version) => {
      this.head = version
      this.advance(version)
    }))
  }

  advance(version: number): void {
    this.target = Math.max(this.target, version)
    if (this.beginning) this.reading ??= this.readOn().then((complete) => this.rest(complete))
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
      const events = await this.streams.read(this.accountId, this.head, READ_SIZE).catch(() => [])
      if (events.length === 0) return false
      // what was forgotten is forgotten here as well
      const forgetting = events.findLastIndex((event) => FORGETTING.has(event.type))
      this.kept = (forgetting < 0 ? [...this.kept, ...events] : events.slice(forgetting)).slice(-KEPT)
      this.head = events.at(-1)?.version ?? this.head
      for (const wake of [...this.waiting]) wake()
    }
    return true
  }
}
