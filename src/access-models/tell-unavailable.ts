import type { FenceToken, Streams } from '../event-store/streams.js'
import type { Database } from '../platform/database.js'
import { viewAccounts } from '../projections/account-views.js'

type Tools = { streams: Streams; database: Database; accountId: string }

const NO_CONNECTION = 'There is no connection to the server.'

/** Tells whoever waits for a message's content why it cannot be had. @param why in one sentence; an account whose work has failed says that instead */
export async function tellUnavailable(
  { streams, database, accountId }: Tools,
  messageId: string,
  fence: FenceToken,
  why = NO_CONNECTION,
): Promise<void> {
  const [account] = await viewAccounts(database.pool, [accountId])
  const reason = (account?.state === 'FAILED' && account.detail) || why
  await streams.record(accountId, [{ type: 'MessageContentUnavailable', data: { messageId, reason } }], 'CLIENT', fence)
}
