import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import { SetSelection, type ChangeOutcome } from '../../mailbox/mail-commands.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { whyNoSelection, type Selection } from '../../mailbox/selection.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewMailboxList } from '../../projections/mailbox-views.js'
import { viewSelectionPreview, viewSelectionProgress } from '../../projections/selection-views.js'
import type { ApiContext } from '../context.js'
import { badInput, readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import { AccountSettingPayload, changeErrorOf } from '../schema/change-mail.type.js'
import { SelectionPreviewPayload } from '../schema/selection-change.type.js'
import {
  SelectedContentsProgress,
  selectionOf,
  SelectionType,
  selectionTypeOf,
  SetSelectionInput,
} from '../schema/selection.type.js'

@Resolver(() => Account)
export class SelectionResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => SelectionType, {
    nullable: true,
    description: 'Of which messages the raw messages are here; null where it is not DISCONNECTED.',
  })
  selection(@Parent() { view }: Account): SelectionType | null {
    return view.model === 'DISCONNECTED' ? selectionTypeOf(view.selection) : null
  }

  @ResolveField(() => SelectedContentsProgress, {
    nullable: true,
    description:
      'How far the raw messages that are selected have been copied; null where it is not DISCONNECTED. Always as of now.',
    complexity: 20,
  })
  async selectedContents(@Parent() { view }: Account): Promise<SelectedContentsProgress | null> {
    return view.model === 'DISCONNECTED' ? viewSelectionProgress(this.platform.database.pool, view.accountId) : null
  }

  @Query(() => SelectionPreviewPayload, {
    description: 'What a selection would have fetched, and what is here that it does not ask for.',
    complexity: 100,
  })
  async previewSelection(
    @Args('input', { description: 'The selection.' }) input: SetSelectionInput,
  ): Promise<SelectionPreviewPayload> {
    const { accountId, mailboxId, selection } = read(input)
    const failed = (failure: ChangeFailure) => ({ preview: null, errors: [changeErrorOf(failure)] })
    const why = selection && whyNoSelection(selection)
    if (why) return failed({ kind: 'InvalidSettings', ...why })
    const { pool } = this.platform.database
    const [account] = await viewAccounts(pool, [accountId])
    if (!account) return failed({ kind: 'AccountNotFound' })
    if (mailboxId !== null) {
      const [mailbox] = await viewMailboxList(pool, { ids: [mailboxId] })
      if (mailbox?.accountId !== accountId) return failed({ kind: 'MailboxNotFound' })
    }
    return { preview: await viewSelectionPreview(pool, accountId, { mailboxId, selection }), errors: [] }
  }

  @Mutation(() => AccountSettingPayload, {
    description:
      'Sets of which messages a DISCONNECTED account, or one of its mailboxes, has the raw messages here. They are copied in the background, newest first.',
  })
  async setSelection(
    @Args('input', { description: 'The selection.' }) input: SetSelectionInput,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    const { accountId, mailboxId, selection } = read(input)
    const command = new SetSelection(accountId, mailboxId, selection)
    const outcome = await this.commands.execute<SetSelection, ChangeOutcome>(command)
    if ('failure' in outcome) return { account: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), errors: [] }
  }
}

function read({ accountId, mailboxId, selection }: SetSelectionInput): {
  accountId: string
  mailboxId: string | null
  selection: Selection | null
} {
  if (!selection && !mailboxId) throw badInput('An account has to have a `selection`.')
  return {
    accountId: readIdOf('Account', accountId),
    mailboxId: mailboxId ? readIdOf('Mailbox', mailboxId) : null,
    selection: selection ? selectionOf(selection) : null,
  }
}
