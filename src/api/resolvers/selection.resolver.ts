import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import { SetSelection, type SelectionOutcome } from '../../mailbox/mail-commands.js'
import type { Selection } from '../../mailbox/selection.js'
import { Platform } from '../../platform/platform.js'
import { viewSelectionProgress } from '../../projections/selection-views.js'
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
    return view.model === 'DISCONNECTED' ? viewSelectionProgress(this.platform.database.reads, view.accountId) : null
  }

  @Query(() => SelectionPreviewPayload, {
    description: 'What a selection would have fetched, and what is here and would be dropped.',
    complexity: 100,
  })
  async previewSelection(
    @Args('input', { description: 'The selection.' }) input: SetSelectionInput,
  ): Promise<SelectionPreviewPayload> {
    const outcome = await this.select(read(input), false)
    if ('failure' in outcome) return { preview: null, errors: [changeErrorOf(outcome.failure)] }
    return { preview: outcome.preview, errors: [] }
  }

  @Mutation(() => AccountSettingPayload, {
    description:
      'Sets of which messages a DISCONNECTED account, or one of its mailboxes, has the raw messages here. They are copied in the background, newest first, and what is left out is dropped.',
  })
  async setSelection(
    @Args('input', { description: 'The selection.' }) input: SetSelectionInput,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    const wanted = read(input)
    const outcome = await this.select(wanted, true)
    if ('failure' in outcome) return { account: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(wanted.accountId, null, context), errors: [] }
  }

  private select({ accountId, mailboxId, selection }: ReturnType<typeof read>, isSet: boolean) {
    const command = new SetSelection(accountId, mailboxId, selection, isSet)
    return this.commands.execute<SetSelection, SelectionOutcome>(command)
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
