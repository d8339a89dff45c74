import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Mutation, Query, Resolver } from '@nestjs/graphql'
import { ChangeModel, type ModelOutcome } from '../../mailbox/online-commands.js'
import type { ApiContext } from '../context.js'
import { readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { changeErrorOf } from '../schema/change-mail.type.js'
import { ChangeModelInput, ChangeModelPayload } from '../schema/model.type.js'

const INPUT = { description: 'The account, and the way.' }

@Resolver()
export class ModelResolver {
  constructor(
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @Query(() => ChangeModelPayload, {
    description: 'What it would do to work with an account in another way.',
    complexity: 100,
  })
  previewModelChange(
    @Args('input', INPUT) input: ChangeModelInput,
    @Context() context: ApiContext,
  ): Promise<ChangeModelPayload> {
    return this.change(input, false, context)
  }

  @Mutation(() => ChangeModelPayload, {
    description: 'Has an account worked with in another way. What would be lost by that has to be confirmed.',
  })
  changeModel(
    @Args('input', INPUT) input: ChangeModelInput,
    @Context() context: ApiContext,
  ): Promise<ChangeModelPayload> {
    return this.change(input, true, context)
  }

  private async change(
    { accountId: account, model, confirmed }: ChangeModelInput,
    isSet: boolean,
    context: ApiContext,
  ): Promise<ChangeModelPayload> {
    const accountId = readIdOf('Account', account)
    const command = new ChangeModel(accountId, model, isSet, confirmed)
    const outcome = await this.commands.execute<ChangeModel, ModelOutcome>(command)
    if ('failure' in outcome) return { account: null, preview: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), preview: outcome.preview, errors: [] }
  }
}
