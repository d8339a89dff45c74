import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Float, ID, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import { defaultPort, defaultSecurity, type Protocol } from '../../mailbox/access-model.js'
import { ChangeCredentials, ConnectAccount, SyncNow, type ConnectOutcome } from '../../mailbox/commands.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewSyncRate } from '../../projections/mailbox-views.js'
import type { ApiContext } from '../context.js'
import { readIdOf } from '../ids.js'
import { Account, accountOf, SyncProgress } from '../schema/account.type.js'
import {
  ChangeCredentialsInput,
  ConnectAccountInput,
  ConnectAccountPayload,
  SyncNowPayload,
  userErrorOf,
} from '../schema/connect.type.js'
import { Mailbox, mailboxOf, progressOf } from '../schema/mailbox.type.js'

@Resolver(() => Account)
export class AccountResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
  ) {}

  @Query(() => [Account], {
    description: 'All accounts, in the order in which they were connected.',
    complexity: listCost,
  })
  async accounts(): Promise<Account[]> {
    return (await viewAccounts(this.platform.database.pool)).map(accountOf)
  }

  @Query(() => Account, { nullable: true, description: 'One account; null when there is none with that id.' })
  async account(@Args('id', { type: () => ID, description: 'The account.' }) id: string): Promise<Account | null> {
    return this.find(readIdOf('Account', id))
  }

  @ResolveField(() => [Mailbox], { description: 'Its mailboxes, by path with INBOX first.', complexity: listCost })
  async mailboxes(@Parent() account: Account, @Context() context: ApiContext): Promise<Mailbox[]> {
    return (await context.mailboxesOf.load(account.accountId)).map(mailboxOf)
  }

  @ResolveField(() => SyncProgress, { description: 'How far all its mailboxes have been read.' })
  async progress(@Parent() account: Account, @Context() context: ApiContext): Promise<SyncProgress> {
    return progressOf(await context.mailboxesOf.load(account.accountId))
  }

  @ResolveField(() => Mailbox, {
    nullable: true,
    description: 'The mailbox that is being read for the first time, if one is.',
  })
  async reading(@Parent() account: Account, @Context() context: ApiContext): Promise<Mailbox | null> {
    const mailboxes = await context.mailboxesOf.load(account.accountId)
    const reading = mailboxes.find((mailbox) => mailbox.selectable && !mailbox.complete && mailbox.serverMessages > 0)
    return reading ? mailboxOf(reading) : null
  }

  @ResolveField(() => Float, { description: 'Messages a second that came into the index in the last five seconds.' })
  messagesPerSecond(@Parent() account: Account): Promise<number> {
    return viewSyncRate(this.platform.database.pool, account.accountId)
  }

  @Mutation(() => ConnectAccountPayload, {
    description: 'Connects an account: tries the settings, saves them if they work, and begins to read its mail.',
  })
  async connectAccount(
    @Args('input', { description: 'The settings.' }) input: ConnectAccountInput,
  ): Promise<ConnectAccountPayload> {
    const security = input.security ?? defaultSecurity(input.port ?? undefined)
    const { host, username, model, password } = input
    const protocol: Protocol = input.protocol ?? 'IMAP'
    const server = { protocol, host, username, security, port: input.port ?? defaultPort(protocol, security) }
    return this.payload(
      await this.commands.execute<ConnectAccount, ConnectOutcome>(new ConnectAccount(server, model, password)),
    )
  }

  @Mutation(() => ConnectAccountPayload, {
    description: 'Gives an account new credentials. This also ends the pause after a refused login.',
  })
  async changeCredentials(
    @Args('input', { description: 'Account and password.' }) input: ChangeCredentialsInput,
  ): Promise<ConnectAccountPayload> {
    const command = new ChangeCredentials(readIdOf('Account', input.accountId), input.password)
    return this.payload(await this.commands.execute<ChangeCredentials, ConnectOutcome>(command))
  }

  @Mutation(() => SyncNowPayload, { description: 'Brings an account up to date now, rather than at its next check.' })
  async syncNow(
    @Args('accountId', { type: () => ID, description: 'The account.' }) accountId: string,
  ): Promise<SyncNowPayload> {
    const id = readIdOf('Account', accountId)
    const found = await this.commands.execute<SyncNow, boolean>(new SyncNow(id))
    return found
      ? { account: await this.find(id), errors: [] }
      : { account: null, errors: [userErrorOf({ kind: 'AccountNotFound' })] }
  }

  private async payload(outcome: ConnectOutcome): Promise<ConnectAccountPayload> {
    if ('failure' in outcome) return { account: null, errors: [userErrorOf(outcome.failure)] }
    return { account: await this.find(outcome.accountId), errors: [] }
  }

  private async find(accountId: string): Promise<Account | null> {
    const [view] = await viewAccounts(this.platform.database.pool, [accountId])
    return view ? accountOf(view) : null
  }
}

/** Lists of accounts and mailboxes have no pages; they count as ten. */
function listCost({ childComplexity }: { childComplexity: number }): number {
  return 1 + 10 * childComplexity
}
