import { EXIT } from '../platform/exit-codes.js'
import { ApiClient, ApiFailure } from './api-client.js'

const CHANGE = `
  __typename
  ... on Change { cursor version recordedAt type cause }
  ... on ConnectionChange { connectionState reason }
  ... on MailboxChange { mailboxId path }
  ... on MessageAddedChange { messageId mailboxId origin uid flags subject from { name address } internalDate }
  ... on MessageFlagsChange { messageId mailboxId flags previousFlags }
  ... on MessageExpungedChange { messageId mailboxId }
  ... on MessageContentChange { messageId reason }
  ... on MaildropChange { messages bytes limit level }
  ... on ServerCopyChange { messageIds copyState }`

const OF_ACCOUNT = `subscription ($account: ID!, $after: String) { changes(accountId: $account, after: $after) { ${CHANGE} } }`
const OF_ALL = `subscription ($after: String) { storeChanges(after: $after) { cursor accountId change { ${CHANGE} } } }`

type Told = { cursor: string; version: number; recordedAt: string; type: string } & Record<string, unknown>
type ToldOfStore = { cursor: string; accountId: string; change: Told }

/** What `tail` may be told. */
export type TailOptions = { after?: string; all?: boolean; json?: boolean }

/** Prints an account's events, or those of all accounts, as they come, until the process ends. */
export async function tail(account: string | undefined, { after, all, json }: TailOptions): Promise<void> {
  if (all && account !== undefined) throw new ApiFailure('give an account or --all, not both', EXIT.USAGE)
  const client = await ApiClient.find(process.env)
  await client.reach()
  const told = all ? tailStore(client, after) : tailAccount(client, await client.account(account), after)
  for await (const each of told) process.stdout.write((json ? JSON.stringify(each) : line(each)) + '\n')
}

async function* tailAccount(client: ApiClient, account: string, after: string | undefined): AsyncGenerator<Told> {
  const from = after === 'start' ? firstCursor(account) : after
  const variables = { account, after: from ?? null }
  for await (const { changes } of client.follow<{ changes: Told }>(
    OF_ACCOUNT,
    variables,
    (data) => data.changes.cursor,
  ))
    yield changes
}

/** With the cursors of the whole store in place of those of the accounts. */
async function* tailStore(client: ApiClient, after: string | undefined): AsyncGenerator<Told> {
  const from = after === 'start' ? STORE_START_CURSOR : after
  const events = client.follow<{ storeChanges: ToldOfStore }>(
    OF_ALL,
    { after: from ?? null },
    (data) => data.storeChanges.cursor,
  )
  for await (const { storeChanges } of events) {
    const { accountId, cursor, change } = storeChanges
    yield { ...change, accountId, cursor }
  }
}

/** Before the first event of all; like the next, a cursor that a client can make. */
const STORE_START_CURSOR = Buffer.from('0/00000000-0000-0000-0000-000000000000@0').toString('base64url')

/** Before the first event of an account. */
function firstCursor(accountId: string): string {
  const [, id] = Buffer.from(accountId, 'base64url').toString().split(':')
  return Buffer.from(`${id}@0`).toString('base64url')
}

function line({ version, recordedAt, type, cursor, ...rest }: Told): string {
  const told = Object.entries(rest).flatMap(([name, value]) =>
    value === null || name === '__typename' ? [] : [`${name}=${JSON.stringify(value)}`],
  )
  return [recordedAt, `#${version}`, type, ...told, `cursor=${cursor}`].join(' ')
}
