import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import { whyNoTerms, type CandidateSum } from '../../mailbox/candidates.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { MOST_MATCHED, type ChangeOutcome } from '../../mailbox/mail-commands.js'
import { DeleteCandidates } from '../../mailbox/online-commands.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewCandidateList } from '../../projections/candidate-views.js'
import { ChangeMail } from '../change-mail.js'

const failed = (failure: ChangeFailure) => ({ failure })

/** Ends the transaction in which a group was found to be other than what a client has seen of it. */
class OtherThanSeen extends Error {
  constructor(readonly now: CandidateSum) {
    super('the group is not what was seen of it')
  }
}

@CommandHandler(DeleteCandidates)
export class DeleteCandidatesHandler implements ICommandHandler<DeleteCandidates, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly mail: ChangeMail,
  ) {}

  async execute({ accountId, kind, terms, seen }: DeleteCandidates): Promise<ChangeOutcome> {
    const why = whyNoTerms(terms)
    if (why) return failed({ kind: 'InvalidSettings', ...why })
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (account?.model === 'OFFLINE') return failed({ kind: 'ModelNotPossible', reason: NOT_OFFLINE })
    if (seen.messages > MOST_MATCHED) return failed({ kind: 'TooManyMessages', most: MOST_MATCHED })
    try {
      return await this.mail.ofAccount(accountId, (work) =>
        work.delete(
          accountId,
          async (session) => {
            const found = await viewCandidateList(session, accountId, kind, terms, null, MOST_MATCHED + 1)
            const now = { messages: found.length, bytes: found.reduce((sum, { size }) => sum + size, 0) }
            if (now.messages !== seen.messages || now.bytes !== seen.bytes) throw new OtherThanSeen(now)
            return found.map(({ messageId }) => messageId)
          },
          true,
          true,
        ),
      )
    } catch (error) {
      if (error instanceof OtherThanSeen) return failed({ kind: 'CandidatesChanged', ...error.now })
      throw error
    }
  }
}

const NOT_OFFLINE = 'Mail of an OFFLINE account is deleted on its server by its deletion policy.'
