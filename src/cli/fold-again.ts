import { nodeId, readIdOf } from '../api/ids.js'
import { counted } from '../platform/exit-codes.js'
import type { Database } from '../platform/database.js'
import { CoreProjection } from '../projections/core-projection.js'
import {
  LogDamaged,
  rebuildAccount,
  verifyAccount,
  type Difference,
  type FoldProgress,
} from '../projections/rebuild.js'
import { theAccount } from './api-client.js'
import { progressBar } from './progress-bar.js'
import { withDatabase } from './with-database.js'

/** Verifies or rebuilds one account, or all. @returns the exit code: 1 when a verified row differs, or a log is damaged */
export async function foldAgain(
  command: 'verify' | 'rebuild',
  account: string | undefined,
  { json }: { json?: boolean },
): Promise<number> {
  return withDatabase(async (database) => {
    const accounts = await accountsOf(database, account)
    let code = 0
    for (const accountId of accounts) code = Math.max(code, await foldOne(command, database, accountId, json === true))
    if (accounts.length === 0 && !json) process.stdout.write('There is no account.\n')
    return code
  })
}

/** The ids of all accounts, or of the one that is named. @throws ApiFailure when there is none by that name */
export async function accountsOf(database: Database, account: string | undefined): Promise<string[]> {
  const { rows } = await database.pool.query<{ account_id: string }>('select account_id from streams order by 1')
  const all = rows.map((row) => row.account_id)
  if (account === undefined) return all
  return [readIdOf('Account', theAccount(account, all))]
}

async function foldOne(command: 'verify' | 'rebuild', database: Database, accountId: string, json: boolean) {
  const work = { verify: verifyAccount, rebuild: rebuildAccount }[command]
  const account = nodeId('Account', accountId)
  const say = (told: object, text: string) => process.stdout.write((json ? JSON.stringify(told) : text) + '\n')
  const bar = progressBar('{bar} {value} of {total} events')
  if (!json) bar.start(0, 0)
  const progress = ({ done, total }: FoldProgress) => {
    bar.setTotal(total)
    bar.update(done)
  }
  const difference = (each: Difference) => {
    bar.stop()
    say({ account, ...each }, described(each))
  }
  try {
    const differing = await work(database, new CoreProjection(), accountId, { progress, difference })
    bar.stop()
    const outcome = { verify: 'not as in the log', rebuild: 'put right' }[command]
    say(
      { account, differing },
      `${account}: ${differing === 0 ? 'all rows follow from the log' : `${counted(differing, 'row')} ${outcome}`}`,
    )
    return command === 'verify' && differing > 0 ? 1 : 0
  } catch (error) {
    bar.stop()
    if (!(error instanceof LogDamaged)) throw error
    say({ account, damaged: error.message }, `${account}: the log is damaged: ${error.message}`)
    return 1
  }
}

function described({ table, key, kind, columns }: Difference): string {
  const which = Object.entries(key).map(([name, value]) => `${name} ${value}`)
  return `${table}: ${which.join(', ')}: ${kind}${columns.length > 0 ? ` (${columns.join(', ')})` : ''}`
}
