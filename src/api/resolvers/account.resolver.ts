import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, Float, ID, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import {
  defaultPort,
  defaultSecurity,
  readFingerprint,
  type Authentication,
  type Protocol,
} from '../../mailbox/access-model.js'
import { ChangeCredentials, ConnectAccount, SyncNow, type ConnectOutcome } from '../../mailbox/commands.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewSyncRate, type MailboxListView } from '../../projections/mailbox-views.js'
import type { ApiContext } from '../context.js'
import { readIdOf, readStateOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account, accountOf, SyncProgress } from '../schema/account.type.js'
import { AS_OF, type AsOf } from '../schema/as-of.type.js'
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
    private readonly nodes: Nodes,
    private readonly commands: CommandBus,
  ) {}

  @Query(() => [Account], {
    description: 'All accounts, in the order in which they were connected.',
    complexity: listCost,
  })
  accounts(@Args('asOf', AS_OF) asOf: AsOf | null, @Context() context: ApiContext): Promise<Account[]> {
    return this.nodes.accounts(asOf, context)
  }

  @Query(() => Account, { nullable: true, description: 'One account; null when there is none with that id.' })
  account(
    @Args('id', { type: () => ID, description: 'The account.' }) id: string,
    @Args('asOf', AS_OF) asOf: AsOf | null,
    @Context() context: ApiContext,
  ): Promise<Account | null> {
    const state = readStateOf('Account', id, asOf)
    return this.nodes.account(state.id, state.asOf, context)
  }

  @ResolveField(() => [Mailbox], { description: 'Its mailboxes, by path with INBOX first.', complexity: listCost })
  async mailboxes(@Parent() account: Account, @Context() context: ApiContext): Promise<Mailbox[]> {
    return (await mailboxesOf(account, context)).map((mailbox) => mailboxOf(mailbox, account.at))
  }

  @ResolveField(() => SyncProgress, { description: 'How far all its mailboxes have been read.' })
  async progress(@Parent() account: Account, @Context() context: ApiContext): Promise<SyncProgress> {
    return progressOf(await mailboxesOf(account, context))
  }

  @ResolveField(() => Mailbox, {
    nullable: true,
    description: 'The mailbox that is being read for the first time, if one is.',
  })
  async reading(@Parent() account: Account, @Context() context: ApiContext): Promise<Mailbox | null> {
    const mailboxes = await mailboxesOf(account, context)
    const reading = mailboxes.find((mailbox) => mailbox.selectable && !mailbox.complete && mailbox.serverMessages > 0)
    return reading ? mailboxOf(reading, account.at) : null
  }

  @ResolveField(() => Float, { description: 'Messages a second that came into the index in the last five seconds.' })
  messagesPerSecond(@Parent() account: Account): Promise<number> {
    return viewSyncRate(this.platform.database.reads, account.accountId, account.at)
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
    const port = input.port ?? defaultPort(protocol, security)
    const authentication: Authentication = input.authentication ?? 'PASSWORD'
    const certificateFingerprint = fingerprintOf(input.certificateFingerprint ?? null)
    const server = { protocol, host, port, security, username, authentication, certificateFingerprint }
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
    const { password, certificateFingerprint: given } = input
    const fingerprint = given === undefined ? undefined : fingerprintOf(given)
    const command = new ChangeCredentials(readIdOf('Account', input.accountId), password, fingerprint)
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
    const [view] = await viewAccounts(this.platform.database.reads, [accountId])
    return view ? accountOf(view) : null
  }
}

/** A fingerprint as settings have it; what is none is left as it is, and refused with the settings. */
function fingerprintOf(written: string | null): string | null {
  return written === null ? null : (readFingerprint(written) ?? written)
}

/** An account's mailboxes, as it is shown. */
async function mailboxesOf({ accountId, at }: Account, context: ApiContext): Promise<MailboxListView[]> {
  return at === null ? context.mailboxesOf.load(accountId) : (await context.past(accountId, at).account()).mailboxes
}

/** Lists of accounts and mailboxes have no pages; they count as ten. */
function listCost({ childComplexity }: { childComplexity: number }): number {
  return 1 + 10 * childComplexity
}
