import type { BlobStore } from '../content/blobs/blob-store.js'
import { keepingFailureOf } from '../content/blobs/keeping-failure.js'
import { isHindered } from '../mailbox/work-failure.js'
import type { AccountModel, AccountView } from '../projections/account-views.js'
import type { Attempts } from './attempts.js'
import { proveKeeping } from './prove-keeping.js'

/** Milliseconds before raw messages are kept again after the blob store was away, or full. */
const AWAY_PAUSE = 10_000

/** What keeping an account's raw messages works with. */
type KeepingTools = {
  blobs: BlobStore
  ask: (account: AccountModel, pause?: number) => void
}

/** The part of an account's work for which raw messages are kept, read or removed: where the blob store is away, that waits, and nothing else does. */
export class Keeping {
  private awayUntil = 0

  /** @param beginAgain takes notice that what was kept so far is to be looked at again */
  constructor(
    private readonly tools: KeepingTools,
    private readonly attempts: Attempts,
    private readonly beginAgain: () => void,
  ) {}

  /** Does such work, unless the blob store was away a moment ago. @returns null where it is away */
  async later<T>(account: AccountView, work: () => Promise<T>): Promise<T | null> {
    return Date.now() < this.awayUntil ? null : this.now(account, work)
  }

  /** Does such work now. @returns null where the blob store is away, or full: the account says so */
  async now<T>(account: AccountView, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      const found = keepingFailureOf(error)
      if (!found) throw error
      await this.attempts.hindered(account, found, error)
      this.beginAgain()
      this.awayUntil = Date.now() + AWAY_PAUSE
      this.tools.ask(account, AWAY_PAUSE)
      return null
    }
  }

  /** Where raw messages could not be kept, finds out whether they can be now. */
  async endHindrance(account: AccountView): Promise<void> {
    if (!isHindered(account) || Date.now() < this.awayUntil) return
    const isOver = await this.later(account, async () => {
      await proveKeeping(this.tools.blobs)
      return true
    })
    if (isOver) await this.attempts.unhindered(account)
  }
}
