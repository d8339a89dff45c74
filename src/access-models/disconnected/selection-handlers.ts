import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import type { AccountEvent } from '../../mailbox/events.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import {
  KeepOffline,
  MOST_MATCHED,
  SetSelection,
  type ChangeOutcome,
  type SelectionOutcome,
} from '../../mailbox/mail-commands.js'
import { sameSelection, whyNoSelection } from '../../mailbox/selection.js'
import { Platform } from '../../platform/platform.js'
import { viewMailboxList } from '../../projections/mailbox-views.js'
import { viewSelectionPreview } from '../../projections/selection-views.js'
import { ChangeMail } from '../change-mail.js'
import { Setting } from './settings-handlers.js'

const failed = (failure: ChangeFailure) => ({ failure })

@CommandHandler(SetSelection)
class SetSelectionHandler implements ICommandHandler<SetSelection, SelectionOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly setting: Setting,
  ) {}

  async execute({ accountId, mailboxId, selection, isSet }: SetSelection): Promise<SelectionOutcome> {
    const { pool } = this.platform.database
    const why = selection && whyNoSelection(selection)
    if (why) return failed({ kind: 'InvalidSettings', ...why })
    const failure = await this.setting.whyNot(accountId)
    if (failure) return failed(failure)
    const [mailbox] = mailboxId === null ? [] : await viewMailboxList(pool, { ids: [mailboxId] })
    if (mailboxId !== null && mailbox?.accountId !== accountId) return failed({ kind: 'MailboxNotFound' })
    if (!isSet) return { preview: await viewSelectionPreview(pool, accountId, { mailboxId, selection }) }
    const changed: AccountEvent[] = [{ type: 'SelectionChanged', data: { mailboxId, selection } }]
    const outcome = await this.setting.set(accountId, (account) =>
      sameSelection((mailbox ?? account).selection, selection) ? [] : changed,
    )
    return 'failure' in outcome ? outcome : { preview: null }
  }
}

@CommandHandler(KeepOffline)
class KeepOfflineHandler implements ICommandHandler<KeepOffline, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly mail: ChangeMail,
    private readonly setting: Setting,
  ) {}

  execute({ messages, kept }: KeepOffline): Promise<ChangeOutcome> {
    return this.mail.ofMessages(messages, async (_, accountId, wanted) => {
      const ids = await wanted(this.platform.database.pool)
      if (ids.length > MOST_MATCHED) return failed({ kind: 'TooManyMessages', most: MOST_MATCHED })
      const outcome = await this.setting.set(accountId, () =>
        ids.length > 0 ? [{ type: 'MessagesKept', data: { messageIds: ids, kept } }] : [],
      )
      return 'failure' in outcome ? outcome : { ...outcome, ids: [...ids] }
    })
  }
}

/** Of which messages a DISCONNECTED account has the raw messages here. */
export const SELECTION_HANDLERS = [SetSelectionHandler, KeepOfflineHandler]
