import { Args, Context, ID, Resolver, Subscription } from '@nestjs/graphql'
import { Feeds } from '../../event-store/feeds.js'
import { StoreFeed } from '../../event-store/store-feed.js'
import type { StorePlace } from '../../event-store/stored-events.js'
import { Streams } from '../../event-store/streams.js'
import type { RecordedEvent } from '../../mailbox/events.js'
import type { ApiContext } from '../context.js'
import { badInput, readIdOf, readStoreCursor, readStreamCursor } from '../ids.js'
import { AccountChange, changeOf, MaildropChange, MessageAddedChange } from '../schema/change.type.js'
import { StoreChange, storeChangeOf } from '../schema/store-change.type.js'

const ACCOUNT = { type: () => ID, description: 'The account.' }
const AFTER = {
  type: () => String,
  nullable: true,
  description:
    'Begin right after this cursor, with what happened meanwhile; with what happens from now on where it is not given.',
}

@Resolver()
export class ChangeResolver {
  constructor(
    private readonly streams: Streams,
    private readonly feeds: Feeds,
    private readonly storeFeed: StoreFeed,
  ) {}

  @Subscription(() => AccountChange, {
    description: 'Every change of an account, each once and in order, without a gap across reconnects.',
    resolve: (change: unknown) => change,
  })
  changes(
    @Args('accountId', ACCOUNT) account: string,
    @Args('after', AFTER) after: string | null,
    @Context() context: ApiContext,
  ) {
    return this.follow(account, after, context, () => true)
  }

  @Subscription(() => MessageAddedChange, {
    description: 'New mail: each message once, and neither old nor moved nor copied ones.',
    resolve: (change: unknown) => change,
  })
  messageArrived(
    @Args('accountId', ACCOUNT) account: string,
    @Args('after', AFTER) after: string | null,
    @Context() context: ApiContext,
  ) {
    return this.follow(
      account,
      after,
      context,
      (event) => event.type === 'MessageAdded' && event.data.origin === 'ARRIVED',
    )
  }

  @Subscription(() => MaildropChange, {
    description: 'Each level of use that the mail of an account passes on its server, once.',
    resolve: (change: unknown) => change,
  })
  maildropWarning(
    @Args('accountId', ACCOUNT) account: string,
    @Args('after', AFTER) after: string | null,
    @Context() context: ApiContext,
  ) {
    return this.follow(account, after, context, (event) => event.type === 'MaildropLevelPassed')
  }

  @Subscription(() => StoreChange, {
    description:
      'Every change of every account, each once, in one order that is the same for all who follow, without a gap across reconnects.',
    resolve: (change: unknown) => change,
  })
  async storeChanges(@Args('after', AFTER) after: string | null, @Context() { signal }: ApiContext) {
    const place = after ? readStoreCursor(after) : await this.storeFeed.end()
    return this.storeChangesFrom(place, signal)
  }

  private async *storeChangesFrom(from: StorePlace, signal: AbortSignal) {
    for await (const events of this.storeFeed.follow(from, signal)) yield* events.map(storeChangeOf)
  }

  private async follow(
    account: string,
    after: string | null | undefined,
    { signal }: ApiContext,
    wanted: (event: RecordedEvent) => boolean,
  ) {
    const accountId = readIdOf('Account', account)
    const head = await this.streams.version(accountId)
    if (head === 0) throw badInput('There is no such account.')
    const from = after ? readStreamCursor(after, accountId) : head
    if (from > head) throw badInput('`after` is a cursor that this account has not come to.')
    return this.changesFrom(accountId, from, signal, wanted)
  }

  private async *changesFrom(
    accountId: string,
    from: number,
    signal: AbortSignal,
    wanted: (event: RecordedEvent) => boolean,
  ) {
    for await (const event of this.feeds.follow(accountId, from, signal)) if (wanted(event)) yield changeOf(event)
  }
}
