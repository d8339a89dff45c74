import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Query, Resolver } from '@nestjs/graphql'
import { SearchServer, type SearchOutcome } from '../../mailbox/online-commands.js'
import { Platform } from '../../platform/platform.js'
import { viewMessageOwner } from '../../projections/message-views.js'
import { viewThread } from '../../projections/thread-views.js'
import type { ApiContext } from '../context.js'
import { readIdOf, readStateOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { AS_OF, type AsOf } from '../schema/as-of.type.js'
import { changeErrorOf } from '../schema/change-mail.type.js'
import { pageSize } from '../page-size.js'
import { connectionCost, Message } from '../schema/message.type.js'
import { SearchServerInput, SearchServerPayload, searchOrderOf, serverSearchOf } from '../schema/search.type.js'

@Resolver()
export class SearchResolver {
  constructor(
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
    private readonly platform: Platform,
  ) {}

  @Query(() => SearchServerPayload, {
    description: 'Searches the server of an ONLINE account, with a session open.',
    complexity: ({ args, childComplexity }) =>
      100 + connectionCost({ args: args['input'] as SearchServerInput & Record<string, unknown>, childComplexity }),
  })
  async searchServer(
    @Args('input', { description: 'The search.' }) input: SearchServerInput,
    @Context() context: ApiContext,
  ): Promise<SearchServerPayload> {
    const { accountId, mailboxId, search, orderBy } = input
    const first = pageSize(input.first)
    const mailbox = mailboxId ? readIdOf('Mailbox', mailboxId) : null
    const id = readIdOf('Account', accountId)
    const command = new SearchServer(id, mailbox, serverSearchOf(search), searchOrderOf(orderBy), first)
    const outcome = await this.commands.execute<SearchServer, SearchOutcome>(command)
    if ('failure' in outcome) return { messages: [], total: 0, errors: [changeErrorOf(outcome.failure)] }
    return { messages: await this.messages(outcome.messageIds, null, context), total: outcome.total, errors: [] }
  }

  @Query(() => [Message], {
    description:
      'The conversation that a message is of, oldest first, itself included, from all mailboxes of its account; at most 500 messages.',
    // most conversations are short
    complexity: ({ childComplexity }) => 100 + 50 * childComplexity,
  })
  async thread(
    @Args('messageId', { type: () => ID, description: 'The message.' }) messageId: string,
    @Args('asOf', AS_OF) asOf: AsOf | null,
    @Context() context: ApiContext,
  ): Promise<Message[]> {
    const { id, asOf: moment } = readStateOf('Message', messageId, asOf)
    const { reads } = this.platform.database
    const owner = moment && (await viewMessageOwner(reads, id))
    if (moment && !owner) return []
    const version = owner && (await this.nodes.versionOf(owner.accountId, moment))
    const ids = await viewThread(reads, id, version)
    return this.messages(ids, version === null ? null : { version }, context)
  }

  private async messages(ids: readonly string[], asOf: AsOf | null, context: ApiContext): Promise<Message[]> {
    const found = await Promise.all(ids.map((id) => this.nodes.message(id, asOf, context)))
    return found.filter((message) => message !== null)
  }
}
