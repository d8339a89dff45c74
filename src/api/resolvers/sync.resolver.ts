import { Context, Parent, ResolveField, Resolver } from '@nestjs/graphql'
import { Platform } from '../../platform/platform.js'
import { viewCompleteAt, viewUnreadableCount } from '../../projections/completeness-views.js'
import type { ApiContext } from '../context.js'
import { Account } from '../schema/account.type.js'
import { mailboxOf, progressOf } from '../schema/mailbox.type.js'
import { AccountSync, SyncComparisonEnum } from '../schema/sync.type.js'

@Resolver(() => Account)
export class SyncResolver {
  constructor(private readonly platform: Platform) {}

  @ResolveField(() => AccountSync, {
    description: 'Whether the index has all of the mail that its server has, and what keeps it from that.',
    complexity: ({ childComplexity }: { childComplexity: number }) => 10 + childComplexity,
  })
  async sync(@Parent() { accountId, at, view }: Account, @Context() context: ApiContext): Promise<AccountSync> {
    const { reads } = this.platform.database
    const [mailboxes, completeAt, unreadableMessages] = await Promise.all([
      at === null
        ? context.mailboxesOf.load(accountId)
        : context
            .past(accountId, at)
            .account()
            .then((past) => past.mailboxes),
      viewCompleteAt(reads, accountId),
      viewUnreadableCount(reads, accountId),
    ])
    const withProblems = mailboxes.filter(({ problem }) => problem !== null)
    const { done, total, isComplete } = progressOf(mailboxes)
    return {
      isComplete: isComplete && withProblems.length === 0,
      comparedWith: SyncComparisonEnum[view.protocol === 'POP3' ? 'STAT_AND_UIDL' : 'EXISTS_AND_SEARCH'],
      completeAt,
      messages: done,
      serverMessages: total,
      mailboxesWithProblems: withProblems.map((mailbox) => mailboxOf(mailbox, at)),
      unreadableMessages,
    }
  }
}
