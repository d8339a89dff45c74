import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { WorkNeeded } from '../../mailbox/commands.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { CloseSession, KeepSession, OpenSession, type SessionOutcome } from '../../mailbox/online-commands.js'
import { whyNoIdle } from '../../mailbox/session.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { Sessions } from './sessions.js'

const failed = (failure: ChangeFailure) => ({ failure })

@CommandHandler(OpenSession)
class OpenSessionHandler implements ICommandHandler<OpenSession, SessionOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly sessions: Sessions,
    private readonly bus: EventBus,
  ) {}

  async execute({ accountId, idleSeconds }: OpenSession): Promise<SessionOutcome> {
    const reason = whyNoIdle(idleSeconds)
    if (reason !== null) return failed({ kind: 'InvalidSettings', field: 'idleSeconds', reason })
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return failed({ kind: 'AccountNotFound' })
    if (account.model !== 'ONLINE')
      return failed({ kind: 'ModelNotPossible', reason: 'Only an ONLINE account is worked with in sessions.' })
    const session = await this.sessions.open(accountId, idleSeconds)
    this.bus.publish(new WorkNeeded(accountId, 'ONLINE', true))
    return { accountId, session }
  }
}

@CommandHandler(KeepSession)
class KeepSessionHandler implements ICommandHandler<KeepSession, SessionOutcome> {
  constructor(private readonly sessions: Sessions) {}

  async execute({ sessionId }: KeepSession): Promise<SessionOutcome> {
    const session = await this.sessions.keep(sessionId)
    return session ? { accountId: session.accountId, session } : failed({ kind: 'SessionNotFound' })
  }
}

@CommandHandler(CloseSession)
class CloseSessionHandler implements ICommandHandler<CloseSession, SessionOutcome> {
  constructor(
    private readonly sessions: Sessions,
    private readonly bus: EventBus,
  ) {}

  async execute({ sessionId }: CloseSession): Promise<SessionOutcome> {
    const accountId = await this.sessions.close(sessionId)
    if (accountId === null) return failed({ kind: 'SessionNotFound' })
    this.bus.publish(new WorkNeeded(accountId, 'ONLINE'))
    return { accountId, session: null }
  }
}

/** Sessions in which ONLINE accounts are worked with. */
export const SESSION_HANDLERS = [Sessions, OpenSessionHandler, KeepSessionHandler, CloseSessionHandler]
