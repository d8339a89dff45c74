import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import { WorkNeeded } from '../mailbox/commands.js'
import type { AccountEvent } from '../mailbox/events.js'
import { decideModelChange, type ModelChangePreview, type ModelView } from '../mailbox/model-change.js'
import { ChangeModel, type ModelOutcome } from '../mailbox/online-commands.js'
import { Streams } from '../event-store/streams.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts } from '../projections/account-views.js'
import { viewModel } from '../projections/model-views.js'
import { decideOrFail } from './decide-or-fail.js'
import { Sessions } from './online/sessions.js'
import { removeUnreferred } from './unreferred.js'

@CommandHandler(ChangeModel)
export class ChangeModelHandler implements ICommandHandler<ChangeModel, ModelOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly sessions: Sessions,
    private readonly bus: EventBus,
  ) {}

  async execute({ accountId, model, isSet, isConfirmed }: ChangeModel): Promise<ModelOutcome> {
    const { pool } = this.platform.database
    const [account] = await viewAccounts(pool, [accountId])
    if (!account) return { failure: { kind: 'AccountNotFound' } }
    const maker = { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1_000)) }
    if (!isSet) return decideModelChange(await viewModel(pool, account, model), model, true, maker)
    let preview: ModelChangePreview | null = null
    let view: ModelView | null = null
    const outcome = await decideOrFail(
      this.streams,
      accountId,
      async (session) => {
        const [now = account] = await viewAccounts(session, [accountId])
        view = await viewModel(session, now, model)
        const change = decideModelChange(view, model, isConfirmed, maker)
        const isChange = 'events' in change && change.events.length > 0
        // a run, or a sync, that is under way writes nothing more: it works by another model
        if (isChange && (now.model === 'OFFLINE') !== (model === 'OFFLINE'))
          await this.streams.retireFence(session, accountId)
        if ('preview' in change) preview = change.preview
        return change
      },
      (change) => change,
    )
    if ('failure' in outcome || preview === null) return outcome as Extract<ModelOutcome, { failure: unknown }>
    if (outcome.events.length > 0) {
      await this.removeDropped(view, outcome.events)
      if (model !== 'ONLINE') await this.sessions.closeAll(accountId)
      this.bus.publish(new WorkNeeded(accountId, model, true))
    }
    return { preview }
  }

  private async removeDropped(view: ModelView | null, events: readonly AccountEvent[]): Promise<void> {
    const dropped = new Set(
      events.flatMap(({ type, data }) => (type === 'MessageContentDropped' ? [data.messageId] : [])),
    )
    const messages = (view?.kept?.messages ?? []).filter(({ messageId }) => dropped.has(messageId))
    await removeUnreferred(
      this.platform,
      messages.flatMap(({ sha256 }) => sha256 ?? []),
    )
  }
}
