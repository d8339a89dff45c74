import type { Streams } from '../event-store/streams.js'
import { FenceRefused, StreamNotFound } from '../event-store/streams.js'
import type { AccountEvent } from '../mailbox/events.js'
import { remedyOf, ServerFailed, type ServerFailure } from '../mailbox/failures.js'
import { inUsePause, reconnectPause, throttledPause } from '../mailbox/reconnect.js'
import type { Database } from '../platform/database.js'
import type { Logger } from '../platform/logs.js'
import { viewAccounts, type AccountModel, type AccountView } from '../projections/account-views.js'
import { viewMessageCount } from '../projections/mailbox-views.js'
import type { Fence } from './fence.js'
import type { HostLimits } from './host-limits.js'

/** What attempts to work on a server need. */
export type AttemptTools = {
  streams: Streams
  database: Database
  logger: Logger
  hostLimits: HostLimits
  /** asks for a job for an account, after a pause or at once */
  ask: (account: AccountModel, pause?: number) => void
}

/** An account's attempts to work on its server: what became of them, and when the next may be. */
export class Attempts {
  private failures = 0
  private retryAt = 0
  /** messages in the index when the server failed last */
  private messages: number | null = null

  constructor(
    private readonly accountId: string,
    private readonly tools: AttemptTools,
    private readonly fence: Fence,
  ) {}

  /** Whether the server may be asked now: not after a refused login, and not before a pause is over. */
  mayBegin({ state, throttledUntil, offlineUntil }: AccountView): boolean {
    if (state === 'LOGIN_REFUSED') return false
    if (state === 'OFFLINE') return offlineUntil !== null && offlineUntil.getTime() <= Date.now()
    // new credentials end every pause
    if (state === 'CONNECTING') this.retryAt = 0
    return Math.max(this.retryAt, throttledUntil?.getTime() ?? 0) <= Date.now()
  }

  /** Asks for the next attempt again: the job that came too early has taken the place of the one that was asked for. */
  askAgain(account: AccountView): void {
    const pause = Math.max(this.retryAt, account.throttledUntil?.getTime() ?? 0) - Date.now()
    if (account.state !== 'LOGIN_REFUSED' && account.state !== 'OFFLINE' && pause > 0) this.tools.ask(account, pause)
  }

  /** Ends a pause that is only Mailfold's own: somebody asks for it now. */
  hurry(): void {
    this.retryAt = 0
  }

  /** Called when the server has done what it was asked, over a connection that lasts. */
  succeeded(): void {
    this.failures = 0
  }

  /** Records a failure and asks for the next attempt, as the failure's remedy says. */
  async failed(account: AccountView, error: unknown): Promise<void> {
    if (error instanceof StreamNotFound) return
    if (error instanceof FenceRefused) return this.fence.lost()
    await this.forgetFailuresAfterProgress()
    if (!(error instanceof ServerFailed)) {
      this.tools.logger.error({ accountId: this.accountId, err: error }, 'a sync failed')
      this.pauseFor(account, reconnectPause(++this.failures, Math.random()))
      return
    }
    const { failure } = error
    this.failures++
    if (failure.kind === 'Throttled') this.tools.hostLimits.refused(account.host, Date.now())
    this.tools.logger.info({ accountId: this.accountId, failure }, 'a mail server failed')
    const pause = this.pauseAfter(failure)
    try {
      await this.recordFailure(account, failure, pause)
    } catch (unrecorded) {
      // the account was forgotten meanwhile, or is another process's
      if (unrecorded instanceof StreamNotFound) return
      if (unrecorded instanceof FenceRefused) return this.fence.lost()
      throw unrecorded
    }
    if (pause !== null) this.pauseFor(account, pause)
  }

  /** Records what the connection came to. */
  async record(events: AccountEvent[]): Promise<void> {
    await this.tools.streams.record(this.accountId, events, 'SERVER', await this.fence.token())
  }

  private pauseAfter(failure: ServerFailure): number | null {
    switch (remedyOf(failure)) {
      case 'reauthenticate':
        return null
      case 'wait':
        if (failure.kind === 'MaildropInUse') return inUsePause(this.failures, Math.random())
        return throttledPause(failure.kind === 'Throttled' ? failure.pause : null, this.failures, Math.random())
      default:
        return reconnectPause(this.failures, Math.random())
    }
  }

  /** A connection that brought messages before it broke has achieved something: the pauses begin again at the shortest. */
  private async forgetFailuresAfterProgress(): Promise<void> {
    const messages = await viewMessageCount(this.tools.database.pool, this.accountId).catch(() => null)
    if (messages !== null && this.messages !== null && messages > this.messages) this.failures = 0
    this.messages = messages ?? this.messages
  }

  private pauseFor(account: AccountView, pause: number): void {
    this.retryAt = Date.now() + pause
    this.tools.ask(account, pause)
  }

  /** A state that lasts is recorded once, not at each attempt. */
  private async recordFailure(account: AccountView, failure: ServerFailure, pause: number | null): Promise<void> {
    const { message } = new ServerFailed(failure)
    if (failure.kind === 'LoginRefused') {
      await this.record([{ type: 'LoginWasRefused', data: { serverSaid: failure.serverSaid } }])
    } else if (failure.kind === 'Throttled' || failure.kind === 'MaildropInUse') {
      const until = new Date(Date.now() + (pause ?? 0)).toISOString()
      await this.record([{ type: 'ServerThrottled', data: { serverSaid: failure.serverSaid, until } }])
    } else {
      const [now] = await viewAccounts(this.tools.database.pool, [account.accountId])
      if (now?.state !== 'DISCONNECTED' && now?.state !== 'OFFLINE')
        await this.record([{ type: 'ConnectionLost', data: { reason: message } }])
    }
  }
}
