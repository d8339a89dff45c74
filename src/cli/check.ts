import { checkAccount } from '../access-models/check-account.js'
import { nodeId } from '../api/ids.js'
import { dialPolicyOf } from '../access-models/dial-policy.js'
import { ServerFailed } from '../mailbox/failures.js'
import { describeDiscrepancy } from '../mailbox/server-check.js'
import { counted } from '../platform/exit-codes.js'
import type { Database } from '../platform/database.js'
import { makeLogger } from '../platform/logs.js'
import { openCredentials } from '../platform/master-key.js'
import { authoritiesOfService, trusting } from '../platform/platform.js'
import type { Settings } from '../platform/settings.js'
import { viewAccounts, type AccountView } from '../projections/account-views.js'
import { ImapConnection } from '../protocols/imap/imap-connection.js'
import { accountsOf } from './fold-again.js'
import { withDatabase } from './with-database.js'

/**
 * Compares what is recorded of one account, or of all that have their mail on a server, with the server.
 *
 * @returns the exit code: 1 when anything differs, or a server cannot be asked
 */
export async function check(account: string | undefined, { json }: { json?: boolean }): Promise<number> {
  return withDatabase(async (database, settings) => {
    const accounts = await viewAccounts(database.pool, await accountsOf(database, account))
    let code = 0
    if (accounts.length === 0 && !json) process.stdout.write('There is no account.\n')
    for (const each of accounts) code = Math.max(code, await checkOne(database, settings, each, json === true))
    return code
  })
}

async function checkOne(database: Database, settings: Settings, account: AccountView, json: boolean): Promise<number> {
  const id = nodeId('Account', account.accountId)
  const say = (told: object, text: string) => process.stdout.write((json ? JSON.stringify(told) : text) + '\n')
  if (account.model === 'OFFLINE') {
    say({ account: id, skipped: 'OFFLINE' }, `${id}: its mail is kept here, and not compared with a server`)
    return 0
  }
  try {
    const connection = await open(database, settings, account)
    const found = await checkAccount(database.pool, account.accountId, connection).finally(() => connection.close())
    for (const each of found) say({ account: id, ...each }, describeDiscrepancy(each))
    say(
      { account: id, differing: found.length },
      `${id}: ${found.length === 0 ? 'all is recorded as the server has it' : counted(found.length, 'difference')}`,
    )
    return found.length > 0 ? 1 : 0
  } catch (error) {
    if (!(error instanceof ServerFailed)) throw error
    say({ account: id, failed: error.message }, `${id}: ${error.message}`)
    return 1
  }
}

async function open(database: Database, settings: Settings, account: AccountView): Promise<ImapConnection> {
  const secret = await (await openCredentials(database, settings)).passwordOf(account.accountId)
  const secureContext = await trusting(await authoritiesOfService(settings))
  const policy = dialPolicyOf({ settings, secureContext })
  return ImapConnection.open(account, secret, policy, makeLogger(settings.MAILFOLD_LOG_LEVEL))
}
