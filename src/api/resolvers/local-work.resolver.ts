import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Mutation, Resolver } from '@nestjs/graphql'
import {
  ChangeFlags,
  CreateMailbox,
  DeleteMailbox,
  DeleteMessages,
  EmptyTrash,
  MoveMessages,
  RenameMailbox,
  type ChangeOutcome,
} from '../../mailbox/offline-commands.js'
import type { ApiContext } from '../context.js'
import { nodeId, readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import {
  ChangeFlagsInput,
  changeErrorOf,
  ChangeMailboxPayload,
  ChangeMessagesPayload,
  CreateMailboxInput,
  DeleteMailboxInput,
  DeleteMessagesInput,
  EmptyTrashPayload,
  MoveMessagesInput,
  RenameMailboxInput,
} from '../schema/change-mail.type.js'
import type { Message } from '../schema/message.type.js'

const INPUT = { description: 'What to change.' }

@Resolver()
export class LocalWorkResolver {
  constructor(
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @Mutation(() => ChangeMessagesPayload, {
    description: 'Marks messages read or unread, flagged, or with any keyword, or takes that away.',
  })
  changeFlags(@Args('input', INPUT) input: ChangeFlagsInput, @Context() context: ApiContext) {
    const { messageIds, add, remove } = input
    return this.messages(new ChangeFlags(messageIds.map(messageId), add ?? [], remove ?? []), context)
  }

  @Mutation(() => ChangeMessagesPayload, { description: 'Moves messages into another mailbox; they keep their ids.' })
  moveMessages(@Args('input', INPUT) input: MoveMessagesInput, @Context() context: ApiContext) {
    const target = readIdOf('Mailbox', input.mailboxId)
    return this.messages(new MoveMessages(input.messageIds.map(messageId), target), context)
  }

  @Mutation(() => ChangeMessagesPayload, { description: 'Deletes messages: into Trash, or for good.' })
  deleteMessages(@Args('input', INPUT) input: DeleteMessagesInput, @Context() context: ApiContext) {
    return this.messages(new DeleteMessages(input.messageIds.map(messageId), input.forGood), context)
  }

  @Mutation(() => EmptyTrashPayload, { description: "Deletes for good what is in an account's Trash." })
  async emptyTrash(
    @Args('accountId', { type: () => ID, description: 'The account.' }) account: string,
    @Context() context: ApiContext,
  ): Promise<EmptyTrashPayload> {
    const accountId = readIdOf('Account', account)
    const outcome = await this.commands.execute<EmptyTrash, ChangeOutcome>(new EmptyTrash(accountId))
    if ('failure' in outcome) return { account: null, deleted: 0, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), deleted: outcome.ids.length, errors: [] }
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

  private async messages(
    command: ChangeFlags | MoveMessages | DeleteMessages,
    context: ApiContext,
  ): Promise<ChangeMessagesPayload> {
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome) return { messages: [], deletedIds: [], errors: [changeErrorOf(outcome.failure)] }
    const found = await Promise.all(outcome.ids.map((id) => this.nodes.message(id, null, context)))
    return {
      messages: found.filter((message): message is Message => message !== null),
      deletedIds: outcome.ids.filter((_, index) => found[index] === null).map((id) => nodeId('Message', id)),
      errors: [],
    }
  }

  private async mailbox(
    command: CreateMailbox | RenameMailbox | DeleteMailbox,
    context: ApiContext,
  ): Promise<ChangeMailboxPayload> {
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome) return { mailbox: null, deletedId: null, errors: [changeErrorOf(outcome.failure)] }
    const id = outcome.ids[0] ?? ''
    const mailbox = await this.nodes.mailbox(id, null, context)
    return { mailbox, deletedId: mailbox ? null : nodeId('Mailbox', id), errors: [] }
  }
}

const messageId = (id: string) => readIdOf('Message', id)
