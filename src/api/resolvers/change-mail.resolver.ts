import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Mutation, Parent, ResolveField, Resolver } from '@nestjs/graphql'
import { Readable } from 'node:stream'
import {
  AppendMessage,
  ChangeFlags,
  ConfirmDeletion,
  CopyMessages,
  CreateMailbox,
  DeleteMailbox,
  DeleteMessages,
  EmptyTrash,
  KeepOffline,
  MOST_NAMED,
  MoveMessages,
  RenameMailbox,
  SubscribeMailbox,
  type ChangeOutcome,
  type MessageSet,
} from '../../mailbox/mail-commands.js'
import type { ApiContext } from '../context.js'
import { badInput, nodeId, readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import {
  AppendMessageInput,
  ChangeFlagsInput,
  changeErrorOf,
  ChangeMailboxPayload,
  ChangeMessagesPayload,
  CopyMessagesInput,
  CreateMailboxInput,
  DeleteMailboxInput,
  DeleteMessagesInput,
  EmptyTrashPayload,
  MoveMessagesInput,
  outcomeUnknown,
  RenameMailboxInput,
  SubscribeMailboxInput,
  type MatchingInput,
} from '../schema/change-mail.type.js'
import type { UserError } from '../schema/connect.type.js'
import { KeepOfflineInput } from '../schema/selection-change.type.js'
import { Message } from '../schema/message.type.js'
import type { Operation } from '../schema/operation.type.js'

const INPUT = { description: 'What to change.' }

@Resolver()
export class ChangeMailResolver {
  constructor(
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @Mutation(() => ChangeMessagesPayload, {
    description: 'Marks messages read or unread, flagged, or with any keyword, or takes that away.',
  })
  changeFlags(@Args('input', INPUT) input: ChangeFlagsInput, @Context() context: ApiContext) {
    const { add, remove } = input
    return this.messages(new ChangeFlags(messagesOf(input), add ?? [], remove ?? []), context)
  }

  @Mutation(() => ChangeMessagesPayload, { description: 'Moves messages into another mailbox; they keep their ids.' })
  moveMessages(@Args('input', INPUT) input: MoveMessagesInput, @Context() context: ApiContext) {
    return this.messages(new MoveMessages(messagesOf(input), readIdOf('Mailbox', input.mailboxId)), context)
  }

  @Mutation(() => ChangeMessagesPayload, {
    description: 'Copies messages into a mailbox; the messages of the answer are the copies.',
  })
  copyMessages(@Args('input', INPUT) input: CopyMessagesInput, @Context() context: ApiContext) {
    return this.messages(new CopyMessages(messagesOf(input), readIdOf('Mailbox', input.mailboxId)), context)
  }

  @Mutation(() => ChangeMessagesPayload, { description: 'Deletes messages: into Trash, or for good.' })
  deleteMessages(@Args('input', INPUT) input: DeleteMessagesInput, @Context() context: ApiContext) {
    return this.messages(new DeleteMessages(messagesOf(input), input.forGood, input.confirmed), context)
  }

  @Mutation(() => ChangeMessagesPayload, {
    description:
      'Has the raw messages of messages of a DISCONNECTED account here, whatever its selection says, or no longer so.',
  })
  keepOffline(@Args('input', INPUT) input: KeepOfflineInput, @Context() context: ApiContext) {
    return this.messages(new KeepOffline(messagesOf(input), input.keep), context)
  }

  @Mutation(() => ChangeMessagesPayload, {
    description:
      'Puts a message into a mailbox: a draft, say, or one that was sent; or a later state of a draft in place of an earlier one.',
  })
  appendMessage(@Args('input', INPUT) input: AppendMessageInput, @Context() context: ApiContext) {
    const { mailboxId, raw, flags, internalDate, replaces } = input
    if (raw.length === 0 || !/^[A-Za-z0-9+/\s]*=*\s*$/.test(raw)) throw badInput('`raw` is no base64.')
    const bytes = Buffer.from(raw, 'base64')
    const content = () => Readable.from([bytes], { objectMode: false })
    const message = { content, flags: flags ?? [], internalDate: internalDate ?? null }
    const replaced = replaces ? readIdOf('Message', replaces) : null
    return this.messages(new AppendMessage(readIdOf('Mailbox', mailboxId), message, replaced), context)
  }

  @Mutation(() => EmptyTrashPayload, { description: "Deletes for good what is in an account's Trash." })
  async emptyTrash(
    @Args('accountId', { type: () => ID, description: 'The account.' }) account: string,
    @Context() context: ApiContext,
  ): Promise<EmptyTrashPayload> {
    const accountId = readIdOf('Account', account)
    const outcome = await this.commands.execute<EmptyTrash, ChangeOutcome>(new EmptyTrash(accountId))
    if ('failure' in outcome)
      return { operation: null, account: null, deleted: 0, errors: [changeErrorOf(outcome.failure)] }
    const operation = await this.operation(outcome, context)
    const found = await this.nodes.account(accountId, null, context)
    return { operation, account: found, deleted: outcome.ids.length, errors: unknown(outcome) }
  }

  @Mutation(() => ChangeMailboxPayload, { description: 'Makes a mailbox.' })
  createMailbox(@Args('input', INPUT) input: CreateMailboxInput, @Context() context: ApiContext) {
    return this.mailbox(new CreateMailbox(readIdOf('Account', input.accountId), input.path), context)
  }

  @Mutation(() => ChangeMailboxPayload, { description: 'Gives a mailbox another path; it keeps its id.' })
  renameMailbox(@Args('input', INPUT) input: RenameMailboxInput, @Context() context: ApiContext) {
    return this.mailbox(new RenameMailbox(readIdOf('Mailbox', input.mailboxId), input.path), context)
  }

  @Mutation(() => ChangeMailboxPayload, { description: 'Deletes a mailbox that is empty.' })
  deleteMailbox(@Args('input', INPUT) input: DeleteMailboxInput, @Context() context: ApiContext) {
    return this.mailbox(new DeleteMailbox(readIdOf('Mailbox', input.mailboxId)), context)
  }

  @Mutation(() => ChangeMailboxPayload, { description: 'Subscribes to a mailbox, or no longer.' })
  subscribeMailbox(@Args('input', INPUT) input: SubscribeMailboxInput, @Context() context: ApiContext) {
    return this.mailbox(new SubscribeMailbox(readIdOf('Mailbox', input.mailboxId), input.subscribed), context)
  }

  @Mutation(() => ChangeMailboxPayload, {
    description:
      'Says that the messages which are gone from a mailbox on the server, unusually many at once, are to be gone.',
  })
  confirmDeletion(
    @Args('mailboxId', { type: () => ID, description: 'The mailbox.' }) mailboxId: string,
    @Context() context: ApiContext,
  ) {
    return this.mailbox(new ConfirmDeletion(readIdOf('Mailbox', mailboxId)), context)
  }

  private async messages(
    command: ChangeFlags | MoveMessages | CopyMessages | DeleteMessages | AppendMessage | KeepOffline,
    context: ApiContext,
  ): Promise<ChangeMessagesPayload> {
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome) return { ids: [], operation: null, errors: [changeErrorOf(outcome.failure)] }
    const operation = await this.operation(outcome, context)
    return { ids: outcome.ids.slice(0, MOST_NAMED), operation, errors: unknown(outcome) }
  }

  private async mailbox(
    command: CreateMailbox | RenameMailbox | DeleteMailbox | SubscribeMailbox | ConfirmDeletion,
    context: ApiContext,
  ): Promise<ChangeMailboxPayload> {
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome)
      return { operation: null, mailbox: null, deletedId: null, errors: [changeErrorOf(outcome.failure)] }
    const id = outcome.ids[0] ?? ''
    const mailbox = await this.nodes.mailbox(id, null, context)
    const operation = await this.operation(outcome, context)
    return { operation, mailbox, deletedId: mailbox ? null : nodeId('Mailbox', id), errors: unknown(outcome) }
  }

  private async operation(
    { operationId }: Exclude<ChangeOutcome, { failure: unknown }>,
    context: ApiContext,
  ): Promise<Operation | null> {
    return operationId === null ? null : this.nodes.operation(operationId, context)
  }
}

/** The messages of a change, for who asks for them. */
@Resolver(() => ChangeMessagesPayload)
export class ChangedMessagesResolver {
  constructor(private readonly nodes: Nodes) {}

  @ResolveField(() => [Message], {
    description: 'The messages that are still there, as they are now; of more than 1000 the first ones.',
  })
  async messages(@Parent() { ids }: ChangeMessagesPayload, @Context() context: ApiContext): Promise<Message[]> {
    const found = await this.found(ids, context)
    return found.filter((message) => message !== null)
  }

  @ResolveField(() => [ID], { description: 'The messages that were deleted for good.' })
  async deletedIds(@Parent() { ids }: ChangeMessagesPayload, @Context() context: ApiContext): Promise<string[]> {
    const found = await this.found(ids, context)
    return ids.filter((_, index) => found[index] === null).map((id) => nodeId('Message', id))
  }

  private found(ids: readonly string[], context: ApiContext): Promise<(Message | null)[]> {
    return Promise.all(ids.map((id) => this.nodes.message(id, null, context)))
  }
}

/** What is said of an operation of which the outcome did not come in time. */
function unknown({ isUnknown }: Exclude<ChangeOutcome, { failure: unknown }>): UserError[] {
  return isUnknown ? [outcomeUnknown()] : []
}

/** The messages that an input names, by their ids or by a filter. @throws GraphQLError BAD_USER_INPUT for both, or neither */
function messagesOf(input: { messageIds?: string[] | null; matching?: MatchingInput | null }): MessageSet {
  const { messageIds, matching } = input
  if (!messageIds === !matching) throw badInput('Give `messageIds` or `matching`: exactly one.')
  if (!matching) return { ids: (messageIds ?? []).map((id) => readIdOf('Message', id)) }
  const mailboxId = matching.mailboxId ? readIdOf('Mailbox', matching.mailboxId) : null
  return { accountId: readIdOf('Account', matching.accountId), mailboxId, filter: matching.filter ?? {} }
}
