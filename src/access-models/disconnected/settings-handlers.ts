import { Injectable } from '@nestjs/common'
import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { WorkNeeded } from '../../mailbox/commands.js'
import { sameSchedule } from '../../mailbox/connection-schedule.js'
import type { AccountEvent } from '../../mailbox/events.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import {
  ConfirmDeletion,
  GoOffline,
  GoOnline,
  SetConflictPolicy,
  SetConnectionSchedule,
  type ChangeOutcome,
} from '../../mailbox/mail-commands.js'
import { StreamNotFound, Streams } from '../../event-store/streams.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { viewMailboxList } from '../../projections/mailbox-views.js'
import { decideNewSchedule, whyNoSchedule } from './connection-schedule.js'

const failed = (failure: ChangeFailure) => ({ failure })

/** Records what is set of a DISCONNECTED account, and has its worker look at it. */
@Injectable()
export class Setting {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  /** @param decide what is to be recorded, given the account; nothing where it is so already */
  async set(accountId: string, decide: (account: AccountView) => readonly AccountEvent[]): Promise<ChangeOutcome> {
    const failure = await this.whyNot(accountId)
    if (failure) return failed(failure)
    try {
      const view = async (session: Parameters<typeof viewAccounts>[0]) => viewAccounts(session, [accountId])
      await this.streams.decide(accountId, view, ([now]) => (now ? decide(now) : []))
    } catch (error) {
      if (error instanceof StreamNotFound) return failed({ kind: 'AccountNotFound' })
      throw error
    }
    this.bus.publish(new WorkNeeded(accountId, 'DISCONNECTED'))
    return { accountId, ids: [], operationId: null }
  }

  /** Why nothing of that kind can be set of an account; null where it can. */
  async whyNot(accountId: string): Promise<ChangeFailure | null> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return { kind: 'AccountNotFound' }
    if (account.model === 'DISCONNECTED') return null
    const reason = 'Only DISCONNECTED accounts are worked with while they have no connection.'
    return { kind: 'ModelNotPossible', reason }
  }
}

@CommandHandler(SetConflictPolicy)
class SetConflictPolicyHandler implements ICommandHandler<SetConflictPolicy, ChangeOutcome> {
  constructor(private readonly setting: Setting) {}

  execute({ accountId, policy }: SetConflictPolicy): Promise<ChangeOutcome> {
    return this.setting.set(accountId, ({ conflictPolicy }) =>
      conflictPolicy === policy ? [] : [{ type: 'ConflictPolicyChanged', data: { policy } }],
    )
  }
}

@CommandHandler(GoOffline)
class GoOfflineHandler implements ICommandHandler<GoOffline, ChangeOutcome> {
  constructor(private readonly setting: Setting) {}

  execute({ accountId, until }: GoOffline): Promise<ChangeOutcome> {
    if (until !== null && !(until.getTime() > Date.now()))
      return Promise.resolve(failed({ kind: 'InvalidSettings', field: 'until', reason: 'must be in the future' }))
    const data = { until: until?.toISOString() ?? null }
    return this.setting.set(accountId, () => [{ type: 'WentOffline', data }])
  }
}

@CommandHandler(GoOnline)
class GoOnlineHandler implements ICommandHandler<GoOnline, ChangeOutcome> {
  constructor(private readonly setting: Setting) {}

  execute({ accountId }: GoOnline): Promise<ChangeOutcome> {
    return this.setting.set(accountId, ({ state }) => (state === 'OFFLINE' ? [{ type: 'WentOnline', data: {} }] : []))
  }
}

@CommandHandler(SetConnectionSchedule)
class SetConnectionScheduleHandler implements ICommandHandler<SetConnectionSchedule, ChangeOutcome> {
  constructor(private readonly setting: Setting) {}

  execute({ accountId, schedule }: SetConnectionSchedule): Promise<ChangeOutcome> {
    const why = schedule && whyNoSchedule(schedule)
    if (why) return Promise.resolve(failed({ kind: 'InvalidSettings', ...why }))
    return this.setting.set(accountId, (account) =>
      sameSchedule(account.connectionSchedule, schedule) ? [] : decideNewSchedule(account, schedule, new Date()),
    )
  }
}

@CommandHandler(ConfirmDeletion)
class ConfirmDeletionHandler implements ICommandHandler<ConfirmDeletion, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly setting: Setting,
  ) {}

  async execute({ mailboxId }: ConfirmDeletion): Promise<ChangeOutcome> {
    const { pool } = this.platform.database
    const [mailbox] = await viewMailboxList(pool, { ids: [mailboxId] })
    if (!mailbox) return failed({ kind: 'MailboxNotFound' })
    const events: AccountEvent[] = mailbox.heldDeletion > 0 ? [{ type: 'DeletionConfirmed', data: { mailboxId } }] : []
    const outcome = await this.setting.set(mailbox.accountId, () => events)
    return 'failure' in outcome ? outcome : { ...outcome, ids: [mailboxId] }
  }
}

/** How a DISCONNECTED account is worked with. */
export const DISCONNECTED_SETTINGS = [
  Setting,
  SetConflictPolicyHandler,
  GoOfflineHandler,
  GoOnlineHandler,
  SetConnectionScheduleHandler,
  ConfirmDeletionHandler,
]
