import { decideMeasured } from '../mailbox/maildrop-measure.js'
import type { FenceToken, Streams } from '../event-store/streams.js'
import { viewAccounts } from '../projections/account-views.js'
import { viewMessageCount } from '../projections/mailbox-views.js'
import { viewIndexBytes } from '../projections/message-views.js'
import { quotaOf } from '../protocols/imap/collecting.js'
import type { ImapConnection } from '../protocols/imap/imap-connection.js'

/**
 * Looks at how full the mail of an account is that stays on its server, and warns: by the quota of INBOX (RFC 9208), or, where the server
 * tells none, by the sizes in the index, against the limit that the user has set.
 */
export async function watchQuota(
  streams: Streams,
  accountId: string,
  connection: ImapConnection,
  fence: FenceToken,
): Promise<void> {
  const quota = await quotaOf(connection)
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
