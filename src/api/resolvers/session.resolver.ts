import { CommandBus } from '@nestjs/cqrs'
import { Args, Context, ID, Mutation, Parent, ResolveField, Resolver } from '@nestjs/graphql'
import { CloseSession, KeepSession, OpenSession, type SessionOutcome } from '../../mailbox/online-commands.js'
import { Platform } from '../../platform/platform.js'
import { viewSessions } from '../../projections/session-views.js'
import type { ApiContext } from '../context.js'
import { readIdOf } from '../ids.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import { changeErrorOf } from '../schema/change-mail.type.js'
import { OpenSessionInput, sessionOf, SessionPayload, SessionType } from '../schema/session.type.js'

const SESSION = { type: () => ID, description: 'The session.' }

@Resolver(() => Account)
export class SessionResolver {
  constructor(
    private readonly platform: Platform,
    private readonly commands: CommandBus,
    private readonly nodes: Nodes,
  ) {}

  @ResolveField(() => Date, {
    nullable: true,
    description:
      'When what is shown of an ONLINE account was last known to be as the server has it: now, while a session is open and everything was looked at. Null before that, and where it is not ONLINE.',
  })
  currentAsOf(@Parent() { view, at }: Account): Date | null {
    if (view.model !== 'ONLINE') return null
    const { state, since, currentAsOf } = view
    const isCurrent = at === null && state === 'CONNECTED' && currentAsOf !== null && currentAsOf >= since
    return isCurrent ? new Date() : currentAsOf
  }

  @ResolveField(() => [SessionType], {
    description: 'The sessions that are open, oldest first. Always as of now.',
    complexity: 10,
  })
  async sessions(@Parent() { view }: Account): Promise<SessionType[]> {
    return (await viewSessions(this.platform.database.reads, view.accountId)).map(sessionOf)
  }

  @Mutation(() => SessionPayload, {
    description:
      'Opens a session of an ONLINE account. What is known of the account can be read at once; it is brought up to date meanwhile (CurrentChange).',
  })
  openSession(
    @Args('input', { description: 'The session.' }) { accountId, idleSeconds }: OpenSessionInput,
    @Context() context: ApiContext,
  ): Promise<SessionPayload> {
    return this.payload(new OpenSession(readIdOf('Account', accountId), idleSeconds), context)
  }

  @Mutation(() => SessionPayload, { description: 'Says that a session is in use: it begins to be idle anew.' })
  keepSession(@Args('sessionId', SESSION) sessionId: string, @Context() context: ApiContext): Promise<SessionPayload> {
    return this.payload(new KeepSession(readIdOf('Session', sessionId)), context)
  }

  @Mutation(() => SessionPayload, {
    description: 'Ends a session. With the last one, the connection to the server is ended.',
  })
  closeSession(@Args('sessionId', SESSION) sessionId: string, @Context() context: ApiContext): Promise<SessionPayload> {
    return this.payload(new CloseSession(readIdOf('Session', sessionId)), context)
  }

  private async payload(
    command: OpenSession | KeepSession | CloseSession,
    context: ApiContext,
  ): Promise<SessionPayload> {
    const outcome = await this.commands.execute<typeof command, SessionOutcome>(command)
    if ('failure' in outcome) return { session: null, account: null, errors: [changeErrorOf(outcome.failure)] }
    const account = await this.nodes.account(outcome.accountId, null, context)
    return { session: outcome.session && sessionOf(outcome.session), account, errors: [] }
  }
}
