import type { AccountModel } from '../projections/account-views.js'

/** The longest pause of a timer, in milliseconds; whoever is asked for earlier than it wanted asks again. */
const LONGEST = 2 ** 31 - 1

/**
 * What is asked for after a pause. The pauses are timers of the process that has the account: a delayed job of the same name would be dropped by the queue
 * while another one runs, and with it the retry. A pause that is lost with its process costs one check interval: the sweep asks for every account.
 */
export class Alarms {
  private readonly waiting = new Map<string, { at: number; timer: NodeJS.Timeout }>()
  private isStopped = false

  /** @param ask asks for an account to be brought up to date */
  constructor(private readonly ask: (account: AccountModel) => void) {}

  /** Asks for an account after a pause, or at once. An earlier moment takes the place of a later one. @param pause milliseconds */
  later(account: AccountModel, pause = 0): void {
    if (this.isStopped) return
    if (pause <= 0) return this.ask(account)
    const { accountId } = account
    const at = performance.now() + pause
    const known = this.waiting.get(accountId)
    if (known && known.at <= at) return
    clearTimeout(known?.timer)
    const timer = setTimeout(
      () => {
        this.waiting.delete(accountId)
        this.ask(account)
      },
      Math.min(pause, LONGEST),
    ).unref()
    this.waiting.set(accountId, { at, timer })
  }

  /** Asks for nothing any more. */
  stop(): void {
    this.isStopped = true
    for (const { timer } of this.waiting.values()) clearTimeout(timer)
    this.waiting.clear()
  }
}
