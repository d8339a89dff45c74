import { decideMeasured } from '../mailbox/maildrop-measure.js'
import type { FenceToken, Streams } from '../event-store/streams.js'
import { viewAccounts } from '../projections/account-views.js'
import { viewMessageCount } from '../projections/mailbox-views.js'
import { viewIndexBytes } from '../projections/message-views.js'

/**
 * Records how full the mail of an account is that stays on its server, and warns.
 *
 * @param quota that of INBOX (RFC 9208), in bytes; where the server tells none, the sizes in the index count, against the limit that the user has set
 */
export async function recordSize(
  streams: Streams,
  accountId: string,
  quota: { bytes: number; limit: number } | null,
  fence: FenceToken,
): Promise<void> {
  await streams.decide(
    accountId,
    async (session) => {
      const [account] = await viewAccounts(session, [accountId])
      const messages = await viewMessageCount(session, accountId)
      const bytes = quota?.bytes ?? (await viewIndexBytes(session, accountId))
      return { account, size: { messages, bytes, limit: quota?.limit ?? null } }
    },
    ({ account, size }) => (account ? decideMeasured(account, size) : []),
    fence,
  )
}
