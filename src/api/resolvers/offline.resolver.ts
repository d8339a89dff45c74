import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import type { ChangeOutcome } from '../../mailbox/mail-commands.js'
import { SetCollection, SetDeletionPolicy, type PolicyOutcome } from '../../mailbox/offline-commands.js'
import { forecastFull } from '../../mailbox/quota-forecast.js'
import { serverKeepsDays } from '../../mailbox/run-times.js'
import { Platform } from '../../platform/platform.js'
import { viewMeasures } from '../../projections/copy-views.js'
import type { ApiContext } from '../context.js'
import { readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import { changeErrorOf } from '../schema/change-mail.type.js'
import {
  CollectionSettingsType,
  DeletionPolicyInput,
  DeletionPolicyPayload,
  DeletionPolicyType,
  Maildrop,
  MaildropForecast,
  policyOf,
  policyTypeOf,
  SetCollectionInput,
  SetCollectionPayload,
  SetDeletionPolicyInput,
} from '../schema/offline.type.js'

/** Measures that a forecast looks at. */
const MEASURES = 2_000

@Resolver(() => Account)
export class OfflineResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => CollectionSettingsType, {
    nullable: true,
    description: 'How its mail is collected; null where it is not OFFLINE.',
  })
  collection(@Parent() { view }: Account) {
    return view.model === 'OFFLINE' ? view.collection : null
  }

  @ResolveField(() => DeletionPolicyType, {
    nullable: true,
    description: 'When it deletes from its server; null where it is not OFFLINE.',
  })
  deletionPolicy(@Parent() { view }: Account) {
    return view.model === 'OFFLINE' ? policyTypeOf(view.deletionPolicy) : null
  }

  @ResolveField(() => Maildrop, {
    nullable: true,
    description: 'How full its mail is on the server; null where it was not looked at yet.',
  })
  maildrop(@Parent() { view }: Account): Maildrop | null {
    const { maildrop, capabilities, collection } = view
    return (
      maildrop && {
        ...maildrop,
        warnAt: collection.warnAt,
        since: maildrop.at,
        serverKeepsDays: serverKeepsDays(capabilities),
      }
    )
  }

  @ResolveField(() => MaildropForecast, {
    nullable: true,
    description:
      'When its mail will have filled its place on the server; null where it does not grow, or its limit is not known. Always as of now.',
    complexity: 20,
  })
  async maildropForecast(@Parent() { view }: Account): Promise<MaildropForecast | null> {
    const limit = view.collection.limit ?? view.maildrop?.limit ?? null
    if (limit === null) return null
    const forecast = forecastFull(await viewMeasures(this.platform.database.reads, view.accountId, MEASURES), limit)
    if (!forecast) return null
    const { fullAt, earliest, latest } = forecast
    return { fullAt: new Date(fullAt), earliest: new Date(earliest), latest: latest === null ? null : new Date(latest) }
  }

  @Query(() => DeletionPolicyPayload, {
    description: 'What a deletion policy would delete at the next connection, of what is known to be on the server.',
    complexity: 100,
  })
  previewDeletionPolicy(
    @Args('accountId', { type: () => ID, description: 'The account.' }) account: string,
    @Args('policy', { description: 'The policy.' }) policy: DeletionPolicyInput,
    @Context() context: ApiContext,
  ): Promise<DeletionPolicyPayload> {
    return this.policy(account, policy, false, context)
  }

  @Mutation(() => DeletionPolicyPayload, {
    description:
      'Sets when an OFFLINE account deletes from its server. It holds from the next connection on, and for one that is open.',
  })
  setDeletionPolicy(
    @Args('input', { description: 'Account and policy.' }) input: SetDeletionPolicyInput,
    @Context() context: ApiContext,
  ): Promise<DeletionPolicyPayload> {
    return this.policy(input.accountId, input.policy, true, context)
  }

  @Mutation(() => SetCollectionPayload, {
    description:
      "Sets how mail is collected from an OFFLINE account's server. Of another account `limit` and `warnAt` can be set: how full its mail may be there.",
  })
  async setCollection(
    @Args('input', { description: 'Account and settings.' }) input: SetCollectionInput,
    @Context() context: ApiContext,
  ): Promise<SetCollectionPayload> {
    const { accountId: account, ...given } = input
    const accountId = readIdOf('Account', account)
    // null means something for the limit alone
    const settings = Object.fromEntries(
      Object.entries(given).filter(([name, value]) => value !== undefined && (value !== null || name === 'limit')),
    )
    const outcome = await this.commands.execute<SetCollection, ChangeOutcome>(new SetCollection(accountId, settings))
    if ('failure' in outcome) return { account: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), errors: [] }
  }

  private async policy(
    account: string,
    input: DeletionPolicyInput,
    isSet: boolean,
    context: ApiContext,
  ): Promise<DeletionPolicyPayload> {
    const accountId = readIdOf('Account', account)
    const command = new SetDeletionPolicy(accountId, policyOf(input), isSet)
    const outcome = await this.commands.execute<SetDeletionPolicy, PolicyOutcome>(command)
    if ('failure' in outcome) return { account: null, preview: null, errors: [changeErrorOf(outcome.failure)] }
    return { account: await this.nodes.account(accountId, null, context), preview: outcome.preview, errors: [] }
  }
}
