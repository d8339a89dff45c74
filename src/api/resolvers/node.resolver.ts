import { Args, Context, ID, Query, Resolver } from '@nestjs/graphql'
import type { ApiContext } from '../context.js'
import { badInput, readNodeId } from '../ids.js'
import { Nodes } from '../nodes.js'
import { LARGEST_PAGE } from '../page-size.js'
import { Node } from '../schema/node.type.js'

@Resolver(() => Node)
export class NodeResolver {
  constructor(private readonly known: Nodes) {}

  @Query(() => Node, {
    nullable: true,
    description: 'Anything by its id, also a past state by its own; null when it is not, or no longer, there.',
  })
  node(
    @Args('id', { type: () => ID, description: 'The id.' }) id: string,
    @Context() context: ApiContext,
  ): Promise<Node | null> {
    return this.known.node(readNodeId(id), context)
  }

  @Query(() => [Node], {
    nullable: 'items',
    description:
      'Several things by their ids, in the order of the ids; null for each that is not, or no longer, there.',
    complexity: ({ args, childComplexity }) => 1 + [args['ids']].flat().length * childComplexity,
  })
  nodes(
    @Args('ids', { type: () => [ID], description: `The ids, ${LARGEST_PAGE} at most.` }) ids: string[],
    @Context() context: ApiContext,
  ): Promise<(Node | null)[]> {
    if (ids.length > LARGEST_PAGE) throw badInput(`\`ids\` may have ${LARGEST_PAGE} ids at most.`)
    return Promise.all(ids.map(readNodeId).map((ref) => this.known.node(ref, context)))
  }
}
