import { counted } from '../platform/exit-codes.js'
import { ApiClient } from './api-client.js'

type Listed = {
  id: string
  model: string
  server: { host: string; username: string }
  connection: {
    state: string
    since: string
    reason: string | null
    remedy: string | null
    failingSince: string | null
    failureId: string | null
  }
  progress: { done: number; total: number; isComplete: boolean }
}

const QUERY = `{ accounts { id model server { host username } connection { state since reason remedy failingSince failureId } progress { done total isComplete } } }`

/** Prints the accounts: one a line, or one JSON value a line. */
export async function listAccounts({ json }: { json?: boolean }): Promise<void> {
  const client = await ApiClient.find(process.env)
  const { accounts } = await client.ask<{ accounts: Listed[] }>(QUERY)
  for (const account of accounts) {
    const { id, model, server, connection, progress } = account
    const told = [
      id,
      `${server.username}@${server.host}`,
      model,
      connection.state,
      `${progress.done} of ${counted(progress.total, 'message')}`,
      ...failureOf(connection),
    ]
    process.stdout.write((json ? JSON.stringify(account) : told.join('  ')) + '\n')
  }
  if (accounts.length === 0 && !json)
    process.stdout.write('No account yet: npx mailfold connect imaps://you@mail.example.org --model disconnected\n')
}

/** What keeps an account from being worked on: why, since when, and what a person can do about it. */
function failureOf({ reason, remedy, failingSince, failureId }: Listed['connection']): string[] {
  if (remedy === null) return reason === null ? [] : [reason]
  return [reason ?? '', `(since ${failingSince}; ${remedy}${failureId === null ? '' : `; failure ${failureId}`})`]
}
