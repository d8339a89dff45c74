import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { SearchServer, type SearchOutcome } from '../../mailbox/online-commands.js'
import { isBeyondAscii, joinFound, whyNoSearch } from '../../mailbox/server-search.js'
import { uidCount } from '../../mailbox/uid-set.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewFound, viewMatching } from '../../projections/search-views.js'
import { viewMailboxes } from '../../projections/sync-views.js'
import { ServerQuestions } from './server-questions.js'
import { Sessions } from './sessions.js'

const failed = (failure: ChangeFailure) => ({ failure })

@CommandHandler(SearchServer)
export class SearchServerHandler implements ICommandHandler<SearchServer, SearchOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly sessions: Sessions,
    private readonly questions: ServerQuestions,
  ) {}

  async execute({ accountId, mailboxId, search, order, limit }: SearchServer): Promise<SearchOutcome> {
    const why = whyNoSearch(search)
    if (why) return failed({ kind: 'InvalidSettings', ...why })
    const { database } = this.platform
    const [account] = await viewAccounts(database.pool, [accountId])
    if (!account) return failed({ kind: 'AccountNotFound' })
    if (account.model !== 'ONLINE')
      return failed({ kind: 'ModelNotPossible', reason: 'Only the server of an ONLINE account is searched.' })
    if ((await this.sessions.used(database.pool, accountId)).length === 0) return failed({ kind: 'NoSession' })
    const mailboxes = (await viewMailboxes(database.pool, accountId)).filter((each) => {
      return each.selectable && (mailboxId === null || each.mailboxId === mailboxId)
    })
    if (mailboxId !== null && mailboxes.length === 0) return failed({ kind: 'MailboxNotFound' })
    const answer = await this.questions.ask(accountId, {
      mailboxes: mailboxes.map(({ mailboxId: id, path }) => ({ mailboxId: id, path })),
      search,
    })
    if ('refused' in answer) return failed({ kind: 'InvalidSettings', field: 'search', reason: answer.refused })
    if ('unanswered' in answer) return failed({ kind: 'NoConnection', reason: answer.unanswered })
    // a server may not search in the charset that it is asked in (RFC 9051 §6.4.4): what the index has is found as well
    const own = isBeyondAscii(search) ? await viewMatching(database.pool, accountId, mailboxId, search) : []
    const found = joinFound([...answer.found, ...own])
    const total = found.reduce((sum, { uids }) => sum + uidCount(uids), 0)
    return { messageIds: await viewFound(database.pool, found, order, limit), total }
  }
}
