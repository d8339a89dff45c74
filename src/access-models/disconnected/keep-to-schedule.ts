import type { FenceToken, Streams } from '../../event-store/streams.js'
import type { Database, Queryable } from '../../platform/database.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { decideSchedule } from './connection-schedule.js'

type Tools = { streams: Streams; database: Database; accountId: string; fence: () => Promise<FenceToken> }

/** Has an account's connection ended when its schedule says so. @returns the account, as it is then; undefined where there is none */
export async function keepToSchedule(tools: Tools): Promise<AccountView | undefined> {
  const { streams, database, accountId } = tools
  const view = (session: Queryable) => viewAccounts(session, [accountId])
  const [account] = await view(database.pool)
  if (!account || decideSchedule(account, new Date()).length === 0) return account
  const decide = ([now]: AccountView[]) => (now ? decideSchedule(now, new Date()) : [])
  await streams.decide(accountId, view, decide, await tools.fence(), 'POLICY')
  return (await view(database.pool))[0]
}
