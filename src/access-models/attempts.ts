import type { Streams } from '../event-store/streams.js'
import { FenceRefused, StreamNotFound } from '../event-store/streams.js'
import type { AccountEvent } from '../mailbox/events.js'
import { remedyForPerson, remedyOf, ServerFailed, type ServerFailure, type WorkFailure } from '../mailbox/failures.js'
import { inUsePause, reconnectPause, throttledPause } from '../mailbox/reconnect.js'
import {
  decideHindered,
  decideStopped,
  decideUnhindered,
  isHindered,
  lastingId,
  type WorkStanding,
} from '../mailbox/work-failure.js'
import type { Database, Queryable } from '../platform/database.js'
import { newFailureId, type Logger } from '../platform/logs.js'
import { viewAccounts, type AccountModel, type AccountView } from '../projections/account-views.js'
import { noteComplete } from '../projections/completeness-views.js'
import { viewMessageCount } from '../projections/mailbox-views.js'
import type { Fence } from './fence.js'
import type { HostLimits } from './host-limits.js'
import { workFailureOf, type FoundFailure } from './work-failure.js'

/** Milliseconds for which it is not noted again that all of an account's mail is here: each time is a write. */
const NOTED_FOR = 60_000

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
  /** the failure of Mailfold's own work that was told last; null once the work was done again */
  private last: WorkFailure | null = null
  /** until when it is not noted again that all is here */
  private notedUntil = 0

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

  /** Whether the last attempt failed, and brought nothing. */
  get isFailing(): boolean {
    return this.failures > 0
  }

  /** Called when the server has done what it was asked, over a connection that lasts. */
  succeeded(): void {
    this.failures = 0
  }

  /** Records a failure and asks for the next attempt, as the failure's remedy says. */
  async failed(account: AccountView, error: unknown): Promise<void> {
    this.notedUntil = 0
    if (error instanceof StreamNotFound) return
    if (error instanceof FenceRefused) return this.fence.lost()
    await this.forgetFailuresAfterProgress()
    if (!(error instanceof ServerFailed)) {
      await this.stopped(account, error)
      this.pauseFor(account, reconnectPause(++this.failures, Math.random()))
      return
    }
    const { failure } = error
    this.failures++
    if (failure.kind === 'Throttled') this.tools.hostLimits.refused(account.host, Date.now())
    this.tools.logger.info({ accountId: this.accountId, failure }, 'a mail server failed')
    const pause = this.pauseAfter(failure)
    await this.asFarAsPossible(() => this.recordFailure(account, failure, pause))
    if (pause !== null) this.pauseFor(account, pause)
  }

  /** Records that the work for the account stopped by what is no answer of its server, and logs what it was. */
  async stopped(account: WorkStanding | null, error: unknown): Promise<void> {
    if (error instanceof StreamNotFound) return
    if (error instanceof FenceRefused) return this.fence.lost()
    const failure = this.told(account, workFailureOf(error), error, 'a sync failed')
    await this.asFarAsPossible(() => this.decide((now) => decideStopped(now, failure)))
  }

  /** Records that a part of the work cannot be done, and logs what it was. The rest of the work goes on. */
  async hindered(account: WorkStanding, found: FoundFailure, error: unknown): Promise<WorkFailure> {
    const failure = this.told(account, found, error, 'raw messages cannot be kept')
    await this.asFarAsPossible(() => this.decide((now) => decideHindered(now, failure)))
    return failure
  }

  /** Records that all of the work is done again, where a part of it was hindered. */
  async unhindered(account: WorkStanding): Promise<void> {
    this.last = null
    if (isHindered(account)) await this.decide(decideUnhindered)
  }

  /** Called when all of the account's mail was found to be here; that is noted now and then. */
  async complete(): Promise<void> {
    if (Date.now() < this.notedUntil) return
    this.notedUntil = Date.now() + NOTED_FOR
    await noteComplete(this.tools.database.pool, this.accountId)
  }

  /** Called when the work for the account was proved to go on. */
  proved(): void {
    this.last = null
  }

  /** A failure with its id, which a failure that lasts keeps: the log has the same. */
  private told(account: WorkStanding | null, found: FoundFailure, error: unknown, what: string): WorkFailure {
    const isSame = this.last?.kind === found.kind && this.last.reason === found.reason
    const known = (isSame ? this.last?.failureId : null) ?? (account && lastingId(account, found))
    this.last = { ...found, failureId: known ?? newFailureId() }
    const { accountId, last } = this
    this.tools.logger.error({ accountId, failureId: last.failureId, failure: found, err: error }, what)
    return last
  }

  private async decide(decide: (now: AccountView | undefined) => AccountEvent[]): Promise<void> {
    const { streams } = this.tools
    const view = (session: Queryable) => viewAccounts(session, [this.accountId])
    await streams.decide(this.accountId, view, ([now]) => decide(now), await this.fence.token(), 'POLICY')
  }

  /** Records something about a failure. While the database is away nothing can be recorded: the API and readiness tell. */
  private async asFarAsPossible(record: () => Promise<void>): Promise<void> {
    try {
      await record()
    } catch (unrecorded) {
      // the account was forgotten meanwhile, or is another process's
      if (unrecorded instanceof StreamNotFound) return
      if (unrecorded instanceof FenceRefused) return this.fence.lost()
      this.tools.logger.error({ accountId: this.accountId, err: unrecorded }, 'a failure could not be recorded')
    }
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
      const remedy = remedyForPerson(failure)
      if (now?.state === 'OFFLINE') return
      // another remedy is another failure, and its reason is told
      if (now?.state !== 'DISCONNECTED' || (now.failure?.remedy ?? remedy) !== remedy)
        await this.record([{ type: 'ConnectionLost', data: { reason: message, remedy } }])
    }
  }
}
