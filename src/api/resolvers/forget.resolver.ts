import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Mutation, Resolver } from '@nestjs/graphql'
import { ForgetAccount, ForgetMessage, type ForgetOutcome } from '../../mailbox/commands.js'
import type { ApiContext } from '../context.js'
import { nodeId, readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { userErrorOf, type UserError } from '../schema/connect.type.js'
import {
  ForgetAccountInput,
  ForgetAccountPayload,
  ForgetMessageInput,
  ForgetMessagePayload,
  MessageNotFound,
} from '../schema/forget.type.js'
import type { Message } from '../schema/message.type.js'

@Resolver()
export class ForgetResolver {
  constructor(
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @Mutation(() => ForgetMessagePayload, {
    description:
      'Forgets what is known of a message and of all copies of it in the account: addresses, subject and content, in every event, table and file, now and in the past. On the mail server nothing changes.',
  })
  async forgetMessage(
    @Args('input', { description: 'Which message, and who asks.' }) input: ForgetMessageInput,
    @Context() context: ApiContext,
  ): Promise<ForgetMessagePayload> {
    const messageId = readIdOf('Message', input.messageId)
    const invalid = whyInvalid(input.requestedBy)
    if (invalid) return { messages: [], forgottenIds: [], errors: [invalid] }
    const outcome = await this.commands.execute<ForgetMessage, ForgetOutcome>(
      new ForgetMessage(messageId, input.requestedBy),
    )
    if (!outcome) return { messages: [], forgottenIds: [], errors: [messageNotFound()] }
    const messages = await Promise.all(outcome.messageIds.map((id) => this.nodes.message(id, null, context)))
    return {
      messages: messages.filter((message): message is Message => message !== null),
      forgottenIds: outcome.messageIds.map((id) => nodeId('Message', id)),
      errors: [],
    }
  }

  @Mutation(() => ForgetAccountPayload, {
    description:
      'Ends the connection and forgets all that is known of an account: events, state of now and of the past, content, credentials. That there was one, and how many events it had, stays. On the mail server nothing changes.',
  })
  async forgetAccount(
    @Args('input', { description: 'Which account, and who asks.' }) input: ForgetAccountInput,
  ): Promise<ForgetAccountPayload> {
    const accountId = readIdOf('Account', input.id)
    const invalid = whyInvalid(input.requestedBy)
    if (invalid) return { forgottenId: null, errors: [invalid] }
    const outcome = await this.commands.execute<ForgetAccount, ForgetOutcome>(
      new ForgetAccount(accountId, input.requestedBy),
    )
    return outcome
      ? { forgottenId: input.id, errors: [] }
      : { forgottenId: null, errors: [userErrorOf({ kind: 'AccountNotFound' })] }
  }
}

/** @returns null when it names somebody */
function whyInvalid(requestedBy: string): UserError | null {
  if (/\S/.test(requestedBy) && requestedBy.length <= 200) return null
  return userErrorOf({
    kind: 'InvalidSettings',
    field: 'requestedBy',
    reason: 'must name somebody, in 1 to 200 characters',
  })
}

const messageNotFound = () =>
  Object.assign(new MessageNotFound(), { message: 'There is no such message, and never was.' })
