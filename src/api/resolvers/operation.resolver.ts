import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Int, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import {
  AnswerOperation,
  GoOffline,
  GoOnline,
  SetConflictPolicy,
  SetConnectionSchedule,
  UndoOperation,
  type ChangeOutcome,
} from '../../mailbox/mail-commands.js'
import { expungesSingly } from '../../mailbox/upload-plan.js'
import { Platform } from '../../platform/platform.js'
import { viewEffects, viewOffers, viewOperationList } from '../../projections/operation-views.js'
import { viewUpload } from '../../projections/upload-views.js'
import type { ApiContext } from '../context.js'
import { nodeId, operationCursor, readIdOf, readOperationCursor } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account, ConnectionScheduleType } from '../schema/account.type.js'
import {
  AnswerOperationInput,
  changeErrorOf,
  OperationPayload,
  GoOfflineInput,
  SetConflictPolicyInput,
  SetConnectionScheduleInput,
  AccountSettingPayload,
  outcomeUnknown,
} from '../schema/change-mail.type.js'
import { ConflictPolicyEnum, OfferEnum, OperationStateEnum, type OutcomeReasonEnum } from '../schema/enums.js'
import { Mailbox } from '../schema/mailbox.type.js'
import { connectionCost } from '../schema/message.type.js'
import { LARGEST_PAGE, pageSize } from '../page-size.js'
import {
  Operation,
  OperationConnection,
  operationOf,
  OperationRejection,
  UploadStep,
  uploadStepOf,
} from '../schema/operation.type.js'

@Resolver(() => Operation)
export class OperationResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @Query(() => Operation, { nullable: true, description: 'One operation; null when there is none with that id.' })
  operation(
    @Args('id', { type: () => ID, description: 'The operation.' }) id: string,
    @Context() context: ApiContext,
  ): Promise<Operation | null> {
    return this.nodes.operation(readIdOf('Operation', id), context)
  }

  @ResolveField(() => Mailbox, {
    nullable: true,
    description:
      'The mailbox that it makes or changes, or that messages go into; null where there is none, or it is gone.',
  })
  mailbox(@Parent() { view }: Operation, @Context() context: ApiContext): Promise<Mailbox | null> {
    return view.mailboxId === null ? Promise.resolve(null) : this.nodes.mailbox(view.mailboxId, null, context)
  }

  @ResolveField(() => [OperationRejection], { description: 'The messages for which it was not done.', complexity: 10 })
  async rejections(@Parent() { view }: Operation): Promise<OperationRejection[]> {
    const effects = view.rejected === 0 ? [] : await viewEffects(this.platform.database.reads, view.operationId)
    return effects.flatMap(({ effect, reason }) =>
      reason === null
        ? []
        : [{ messageId: nodeId('Message', effect.messageId), reason: reason as unknown as OutcomeReasonEnum }],
    )
  }

  @ResolveField(() => [OfferEnum], {
    description: 'What can be done about it with `answerOperation`, where it was rejected.',
    complexity: 10,
  })
  async offers(@Parent() { view }: Operation): Promise<OfferEnum[]> {
    return [...(await viewOffers(this.platform.database.reads, view)).offers] as OfferEnum[]
  }

  @Mutation(() => OperationPayload, {
    description: 'Takes an operation back of which the server was not told; what it changed is shown as before.',
  })
  async undoOperation(
    @Args('operationId', { type: () => ID, description: 'The operation.' }) id: string,
    @Context() context: ApiContext,
  ): Promise<OperationPayload> {
    return this.payload(new UndoOperation(readIdOf('Operation', id)), context)
  }

  @Mutation(() => OperationPayload, { description: 'Does what is offered about a rejected operation; each once.' })
  async answerOperation(
    @Args('input', { description: 'What to do.' }) { operationId, answer }: AnswerOperationInput,
    @Context() context: ApiContext,
  ): Promise<OperationPayload> {
    return this.payload(new AnswerOperation(readIdOf('Operation', operationId), answer), context)
  }

  private async payload(command: UndoOperation | AnswerOperation, context: ApiContext): Promise<OperationPayload> {
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome) return { operation: null, errors: [changeErrorOf(outcome.failure)] }
    const errors = outcome.isUnknown ? [outcomeUnknown()] : []
    return { operation: await this.nodes.operation(outcome.operationId ?? '', context), errors }
  }
}

@Resolver(() => Account)
export class AccountOperationsResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => OperationConnection, {
    description: 'The operations that clients asked for, the latest first. Always as of now.',
    complexity: connectionCost,
  })
  async operations(
    @Parent() { accountId }: Account,
    @Args('first', { type: () => Int, defaultValue: 50, description: `How many, ${LARGEST_PAGE} at most.` })
    first: number,
    @Args('after', {
      type: () => String,
      nullable: true,
      description: 'Only what is behind this cursor: earlier ones.',
    })
    after: string | null,
    @Args('states', {
      type: () => [OperationStateEnum],
      nullable: true,
      description: 'Only those in these states: PENDING and SENT for what waits.',
    })
    states: OperationStateEnum[] | null,
  ): Promise<OperationConnection> {
    const size = pageSize(first)
    const before = after ? readOperationCursor(after) : null
    const { reads } = this.platform.database
    const found = await viewOperationList(reads, accountId, states ?? null, before, size + 1)
    const edges = found.slice(0, size).map((view) => ({
      cursor: operationCursor(view.version),
      node: Object.assign(new Operation(), operationOf(view)),
    }))
    return {
      edges,
      nodes: edges.map(({ node }) => node),
      pageInfo: {
        hasNextPage: found.length > size,
        hasPreviousPage: before !== null,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
    }
  }

  @ResolveField(() => [UploadStep], {
    description:
      'What the next connection will tell the server, in its order: of mailboxes alone, where anything of them waits, and else of the first 1000 messages. Always as of now.',
    complexity: 100,
  })
  async nextUpload(@Parent() { view }: Account): Promise<UploadStep[]> {
    const offered = new Set(view.capabilities.map((name) => name.toUpperCase()))
    const canExpunge = expungesSingly((capability) => offered.has(capability))
    const scope = { accountId: view.accountId, missing: new Set<string>(), canExpunge, after: null, limit: 1_000 }
    const { plan } = await viewUpload(this.platform.database.reads, scope)
    return plan.steps.map(uploadStepOf)
  }

  @ResolveField(() => ConflictPolicyEnum, {
    description: 'Whose change stands where an operation and a change on the server contradict each other.',
  })
  conflictPolicy(@Parent() { view }: Account): ConflictPolicyEnum {
    return view.conflictPolicy as ConflictPolicyEnum
  }

  @Mutation(() => AccountSettingPayload, { description: 'Sets the conflict policy of a DISCONNECTED account.' })
  async setConflictPolicy(
    @Args('input', { description: 'The policy.' }) input: SetConflictPolicyInput,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    return this.set(new SetConflictPolicy(readIdOf('Account', input.accountId), input.policy), context)
  }

  @Mutation(() => AccountSettingPayload, {
    description: 'Has no connection made for a DISCONNECTED account; what is asked for meanwhile waits.',
  })
  async goOffline(
    @Args('input', { description: 'The account.' }) input: GoOfflineInput,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    return this.set(new GoOffline(readIdOf('Account', input.accountId), input.until ?? null), context)
  }

  @Mutation(() => AccountSettingPayload, {
    description: 'Has the connection of a DISCONNECTED account made again, and what waits uploaded.',
  })
  async goOnline(
    @Args('accountId', { type: () => ID, description: 'The account.' }) account: string,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    return this.set(new GoOnline(readIdOf('Account', account)), context)
  }

  @ResolveField(() => ConnectionScheduleType, {
    nullable: true,
    description: 'When it has a connection; null for always.',
  })
  connectionSchedule(@Parent() { view }: Account): ConnectionScheduleType | null {
    return view.connectionSchedule
  }

  @Mutation(() => AccountSettingPayload, {
    description:
      'Sets when a DISCONNECTED account has a connection. It goes offline or online at once where the schedule says so, unless a client has said otherwise by hand.',
  })
  async setConnectionSchedule(
    @Args('input', { description: 'The schedule.' }) input: SetConnectionScheduleInput,
    @Context() context: ApiContext,
  ): Promise<AccountSettingPayload> {
    const schedule = input.schedule ? { ...input.schedule } : null
    return this.set(new SetConnectionSchedule(readIdOf('Account', input.accountId), schedule), context)
  }

  private async set(
    command: SetConflictPolicy | GoOffline | GoOnline | SetConnectionSchedule,
    context: ApiContext,
  ): Promise<AccountSettingPayload> {
    const { accountId } = command
    const outcome = await this.commands.execute<typeof command, ChangeOutcome>(command)
    if ('failure' in outcome) return { account: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), errors: [] }
  }
}
