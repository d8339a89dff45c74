import { Injectable } from '@nestjs/common'
import { EventBus } from '@nestjs/cqrs'
import type { ChangeFailure, Decision } from '../../mailbox/local-work.js'
import type { OperationKind } from '../../mailbox/operation.js'
import { OperationWaits } from '../../mailbox/online-commands.js'
import type { Request } from '../../mailbox/requests.js'
import { Feeds } from '../../event-store/feeds.js'
import { Streams } from '../../event-store/streams.js'
import type { Queryable } from '../../platform/database.js'
import { Platform } from '../../platform/platform.js'
import { together } from '../../platform/together.js'
import { viewAccounts } from '../../projections/account-views.js'
import { AppendedContents } from '../appended-contents.js'
import { Requests, type RecordedRequest, type RequestView } from '../disconnected/requests.js'
import type { WantedMessages } from '../mail-work.js'
import { Sessions } from './sessions.js'

/** States in which there is no connection, and none is about to be made. */
const WITHOUT: ReadonlySet<string> = new Set(['DISCONNECTED', 'THROTTLED', 'LOGIN_REFUSED', 'FAILED', 'OFFLINE'])

/**
 * Work on mail while a session is open (ONLINE accounts): as for a DISCONNECTED one, only that the client waits for the server, and
 * that nothing waits for a connection.
 */
@Injectable()
export class OnlineRequests extends Requests {
  constructor(
    streams: Streams,
    contents: AppendedContents,
    bus: EventBus,
    private readonly platform: Platform,
    private readonly feeds: Feeds,
    private readonly sessions: Sessions,
  ) {
    super(streams, contents, bus)
  }

  override async recorded(
    accountId: string,
    wanted: WantedMessages,
    kind: OperationKind,
    decide: (view: RequestView, request: Request) => Decision,
    retryOf: string | null = null,
  ): Promise<RecordedRequest> {
    const ended = new AbortController()
    this.feeds.prepare(accountId, ended.signal)
    try {
      const recorded = await super.recorded(accountId, wanted, kind, decide, retryOf)
      if ('failure' in recorded) return recorded
      const outcome = await this.outcome(recorded)
      if (outcome === 'unknown') return { ...recorded, isUnknown: true }
      return outcome === 'no connection' ? { failure: { kind: 'NoConnection', reason: null } } : recorded
    } finally {
      ended.abort()
    }
  }

  protected override async whyRefused(session: Queryable, accountId: string): Promise<ChangeFailure | null> {
    const [sessions, [account]] = await together([
      this.sessions.used(session, accountId),
      viewAccounts(session, [accountId]),
    ])
    if (sessions.length === 0) return { kind: 'NoSession' }
    if (!account) return { kind: 'AccountNotFound' }
    return WITHOUT.has(account.state) ? { kind: 'NoConnection', reason: account.detail } : null
  }

  protected override announce(accountId: string): void {
    this.bus.publish(new OperationWaits(accountId))
  }

  /** Waits for what becomes of an operation, as long as MAILFOLD_OPERATION_TIMEOUT says. */
  private async outcome({
    accountId,
    operationId,
    events,
  }: Exclude<RecordedRequest, { failure: unknown }>): Promise<'known' | 'no connection' | 'unknown'> {
    const deadline = AbortSignal.timeout(this.platform.settings.MAILFOLD_OPERATION_TIMEOUT)
    // what has nothing to wait for is settled where it is asked for
    const before = (events[0]?.version ?? 1) - 1
    for await (const { type, data } of this.feeds.follow(accountId, before, deadline)) {
      if (type !== 'OperationSettled' || data.operationId !== operationId || data.outcome === null) continue
      return data.outcome === 'REJECTED' && data.reason === 'NO_CONNECTION' ? 'no connection' : 'known'
    }
    return 'unknown'
  }
}
