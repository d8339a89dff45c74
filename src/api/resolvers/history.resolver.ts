import { Args, ArgsType, Context, Field, ID, Int, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import { Platform } from '../../platform/platform.js'
import { viewDifference, type DifferenceKind } from '../../projections/difference.js'
import { viewMessageHistory } from '../../projections/message-history.js'
import { viewMessageOwner } from '../../projections/message-views.js'
import type { ApiContext } from '../context.js'
import { badInput, differenceCursor, nodeId, readDifferenceCursor, readStateOf, readStreamCursor } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import { AS_OF, AsOf } from '../schema/as-of.type.js'
import { changeOf } from '../schema/change.type.js'
import { DifferenceKindEnum } from '../schema/enums.js'
import { ChangeConnection, MessageDifferenceConnection } from '../schema/history.type.js'
import { LARGEST_PAGE, pageSize } from '../page-size.js'
import { connectionCost, Message, messageOf } from '../schema/message.type.js'

@ArgsType()
export class ForwardPageArgs {
  @Field(() => Int, { nullable: true, description: `How many; 50 where it is not given, ${LARGEST_PAGE} at most.` })
  first?: number | null

  @Field(() => String, { nullable: true, description: 'Only what is behind this cursor.' })
  after?: string | null
}

@ArgsType()
export class DifferenceArgs extends ForwardPageArgs {
  @Field(() => AsOf, { description: 'The earlier moment.' })
  from!: AsOf

  @Field(() => AsOf, { nullable: true, description: 'The later moment; now where it is not given.' })
  to?: AsOf | null

  @Field(() => [DifferenceKindEnum], { nullable: true, description: 'Only these kinds.' })
  kinds?: DifferenceKindEnum[] | null
}

const HISTORY = {
  complexity: connectionCost,
  description: 'Every event that has touched it, its coming and going included, oldest first.',
}

@Resolver(() => Message)
export class HistoryResolver {
  constructor(
    private readonly platform: Platform,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => ChangeConnection, HISTORY)
  history(@Parent() { view }: Message, @Args() page: ForwardPageArgs): Promise<ChangeConnection> {
    return this.historyOf(view.accountId, view.messageId, view.at, page)
  }

  @Query(() => ChangeConnection, {
    nullable: true,
    complexity: connectionCost,
    description:
      'Every event that has touched a message, which may be gone, oldest first; null for one that never was.',
  })
  async messageHistory(
    @Args('id', { type: () => ID, description: 'The message.' }) id: string,
    @Args('asOf', AS_OF) asOf: AsOf | null,
    @Args() page: ForwardPageArgs,
  ): Promise<ChangeConnection | null> {
    const { id: messageId, asOf: moment } = readStateOf('Message', id, asOf)
    const owner = await viewMessageOwner(this.platform.database.reads, messageId)
    if (!owner) return null
    const until = await this.nodes.versionOf(owner.accountId, moment)
    return this.historyOf(owner.accountId, messageId, until, page)
  }

  private async historyOf(accountId: string, messageId: string, until: number | null, page: ForwardPageArgs) {
    const after = page.after ? readStreamCursor(page.after, accountId) : 0
    const { reads } = this.platform.database
    const { events, hasMore } = await viewMessageHistory(
      reads,
      accountId,
      messageId,
      { after, until },
      pageSize(page.first),
    )
    const edges = events.map(changeOf).map((node) => ({ cursor: node.cursor, node }))
    const end = hasMore ? (edges.at(-1)?.cursor ?? null) : null
    return connection(edges, end, page) as unknown as ChangeConnection
  }
}

@Resolver(() => Account)
export class DifferenceResolver {
  constructor(
    private readonly platform: Platform,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => MessageDifferenceConnection, {
    complexity: connectionCost,
    description:
      'The messages that were added, removed, moved, or given other flags between two moments. A page may come out short, or empty, with more behind it: pageInfo says so.',
  })
  async difference(
    @Parent() account: Account,
    @Args() args: DifferenceArgs,
    @Context() context: ApiContext,
  ): Promise<MessageDifferenceConnection> {
    const { accountId } = account
    const from = (await this.nodes.versionOf(accountId, args.from)) ?? 0
    const to = (await this.nodes.versionOf(accountId, args.to)) ?? account.at ?? account.version
    if (from > to) throw badInput('`from` is later than `to`.')
    const kinds = new Set<DifferenceKind>(args.kinds ?? Object.values(DifferenceKindEnum))
    const after = args.after ? readDifferenceCursor(args.after) : null
    const { reads } = this.platform.database
    const size = pageSize(args.first)
    const { differences, end } = await viewDifference(reads, accountId, { from, to }, kinds, after, size)
    const isUntilNow = !args.to && account.at === null
    const edges = await Promise.all(
      differences.map(async (each) => {
        const later = each.after && isUntilNow ? await context.messages.load(each.messageId) : each.after
        const node = {
          messageId: nodeId('Message', each.messageId),
          kinds: each.kinds as DifferenceKindEnum[],
          before: each.before && messageOf(each.before),
          after: later && messageOf(later),
        }
        return { cursor: differenceCursor(each), node }
      }),
    )
    return connection(edges, end ? differenceCursor(end) : null, args)
  }
}

/** A page that is read forward (Relay). @param end where there may be more, the cursor to go on from */
function connection<Node>(edges: { cursor: string; node: Node }[], end: string | null, { after }: ForwardPageArgs) {
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: end !== null,
      hasPreviousPage: Boolean(after),
      startCursor: edges[0]?.cursor ?? null,
      endCursor: end ?? edges.at(-1)?.cursor ?? null,
    },
  }
}
