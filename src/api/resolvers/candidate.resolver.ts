import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Float, Int, Mutation, Parent, ResolveField, Resolver } from '@nestjs/graphql'
import { CANDIDATE_KINDS, CANDIDATE_TERMS, whyNoTerms, type CandidateKind } from '../../mailbox/candidates.js'
import type { ChangeOutcome } from '../../mailbox/mail-commands.js'
import { DeleteCandidates } from '../../mailbox/online-commands.js'
import { Platform } from '../../platform/platform.js'
import { viewCandidateList, viewCandidateSums } from '../../projections/candidate-views.js'
import type { ApiContext } from '../context.js'
import { badInput, readIdOf, readSizeCursor, sizeCursor } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import {
  CandidateConnection,
  CandidateGroup,
  DeleteCandidatesInput,
  DeleteCandidatesPayload,
} from '../schema/candidate.type.js'
import { changeErrorOf, outcomeUnknown } from '../schema/change-mail.type.js'
import type { CandidateKindEnum } from '../schema/enums.js'
import { LARGEST_PAGE, pageSize } from '../page-size.js'
import { connectionCost } from '../schema/message.type.js'

@Resolver(() => Account)
export class CandidatesResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => [CandidateGroup], {
    description:
      'Groups of messages that are worth deleting where its mailbox fills up; empty ones as well. Always as of now.',
    complexity: ({ childComplexity }) => 100 + CANDIDATE_KINDS.length * childComplexity,
  })
  async deletionCandidates(
    @Parent() { accountId }: Account,
    @Args('minBytes', {
      type: () => Float,
      defaultValue: CANDIDATE_TERMS.minBytes,
      description: 'Bytes that count as large.',
    })
    minBytes: number,
    @Args('olderThanDays', {
      type: () => Int,
      defaultValue: CANDIDATE_TERMS.olderThanDays,
      description: 'Days that count as old.',
    })
    olderThanDays: number,
  ): Promise<CandidateGroup[]> {
    const terms = { minBytes, olderThanDays }
    const why = whyNoTerms(terms)
    if (why) throw badInput(`\`${why.field}\` ${why.reason}.`)
    const sums = await viewCandidateSums(this.platform.database.reads, accountId, terms)
    return [...sums].map(([kind, { messages: messageCount, bytes }]) =>
      Object.assign(new CandidateGroup(), {
        kind: kind as CandidateKindEnum,
        messageCount,
        bytes,
        accountId,
        terms,
      }),
    )
  }

  @Mutation(() => DeleteCandidatesPayload, {
    description: 'Deletes a group of messages for good, if it still is what was seen of it.',
  })
  async deleteCandidates(
    @Args('input', { description: 'The group.' }) input: DeleteCandidatesInput,
    @Context() context: ApiContext,
  ): Promise<DeleteCandidatesPayload> {
    const { kind, minBytes, olderThanDays, messageCount: messages, bytes } = input
    const accountId = readIdOf('Account', input.accountId)
    const seen = { messages, bytes }
    const command = new DeleteCandidates(accountId, kind as CandidateKind, { minBytes, olderThanDays }, seen)
    const outcome = await this.commands.execute<DeleteCandidates, ChangeOutcome>(command)
    if ('failure' in outcome) return { operation: null, account: null, errors: [changeErrorOf(outcome.failure)] }
    return {
      operation: await this.nodes.operation(outcome.operationId ?? '', context),
      account: await this.nodes.account(accountId, null, context),
      errors: outcome.isUnknown ? [outcomeUnknown()] : [],
    }
  }
}

@Resolver(() => CandidateGroup)
export class CandidateGroupResolver {
  constructor(
    private readonly platform: Platform,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => CandidateConnection, {
    description: 'Its messages, the largest first. Always as of now.',
    complexity: connectionCost,
  })
  async messages(
    @Parent() { accountId, kind, terms }: CandidateGroup,
    @Args('first', { type: () => Int, defaultValue: 50, description: `How many; ${LARGEST_PAGE} at most.` })
    first: number,
    @Args('after', { type: () => String, nullable: true, description: 'Only what is behind this cursor.' })
    after: string | null,
    @Context() context: ApiContext,
  ): Promise<CandidateConnection> {
    const size = pageSize(first)
    const place = after ? readSizeCursor(after) : null
    const { reads } = this.platform.database
    const found = await viewCandidateList(reads, accountId, kind as CandidateKind, terms, place, size + 1)
    const page = await Promise.all(
      found.slice(0, size).map(async (candidate) => {
        const node = await this.nodes.message(candidate.messageId, null, context)
        return node ? [{ cursor: sizeCursor(candidate), bytes: candidate.size, node }] : []
      }),
    )
    const edges = page.flat()
    const pageInfo = {
      hasNextPage: found.length > size,
      hasPreviousPage: place !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    }
    return { edges, nodes: edges.map(({ node }) => node), pageInfo }
  }
}
