import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../platform/database.js'
import { readStore, storeEnd, type StoreEvent, type StorePlace } from './stored-events.js'

/** Events that are read, and handed on, at once. */
const READ_SIZE = 500
/** Milliseconds after a wake-up within which what it was for is looked for often: it waits for older transactions. */
const SOON = 2_000
/** A lost wake-up costs at most this long, in milliseconds. */
const LOOK_INTERVAL = 2_000
const SHORTEST_LOOK = 5

/** Everything that happens in the store, over all accounts, in one order that no late commit slips behind. */
export class StoreFeed {
  private readonly sleepers = new Set<AbortController>()
  private advancedAt = -Infinity

  constructor(private readonly session: Queryable) {}

  /** Takes notice that some stream has grown. */
  advanced(): void {
    this.advancedAt = performance.now()
    for (const sleeper of this.sleepers) sleeper.abort()
  }

  /** The place behind everything up to now. */
  end(): Promise<StorePlace> {
    return storeEnd(this.session)
  }

  /** All events behind a place, those to come included, in pieces, until the signal aborts. */
  async *follow(after: StorePlace, signal: AbortSignal): AsyncGenerator<StoreEvent[]> {
    let place = after
    for (let pause = SHORTEST_LOOK; !signal.aborted;) {
      const events = await readStore(this.session, place, READ_SIZE)
      const last = events.at(-1)
      if (last) {
        yield events
        place = last.place
        pause = SHORTEST_LOOK
        continue
      }
      const woken = await this.rest(performance.now() - this.advancedAt < SOON ? pause : LOOK_INTERVAL, signal)
      pause = woken ? SHORTEST_LOOK : Math.min(2 * pause, LOOK_INTERVAL)
    }
  }

  /** @returns whether something has advanced meanwhile */
  private async rest(pause: number, signal: AbortSignal): Promise<boolean> {
    const sleeper = new AbortController()
    this.sleepers.add(sleeper)
    try {
      await sleep(pause, undefined, { signal: AbortSignal.any([sleeper.signal, signal]) }).catch(() => undefined)
      return sleeper.signal.aborted
    } finally {
      this.sleepers.delete(sleeper)
    }
  }
}
