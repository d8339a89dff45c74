import { ApiClient, ApiFailure } from './api-client.js'

const SUBSCRIPTION = `subscription ($account: ID!, $after: String) {
  changes(accountId: $account, after: $after) {
    __typename
    ... on Change { cursor version recordedAt type }
    ... on ConnectionChange { state reason }
    ... on MailboxChange { mailboxId path }
    ... on MessageAddedChange { messageId mailboxId origin uid flags subject from { name address } internalDate }
    ... on MessageFlagsChange { messageId mailboxId flags previousFlags }
    ... on MessageExpungedChange { messageId mailboxId }
    ... on MessageContentChange { messageId contentReason: reason }
  }
}`

type Told = { cursor: string; version: number; recordedAt: string; type: string } & Record<string, unknown>

/** Prints an account's events as they come, until the process ends. */
export async function tail(
  account: string | undefined,
  { after, json }: { after?: string; json?: boolean },
): Promise<void> {
  const client = await ApiClient.find(process.env)
  const accountId = account ?? (await onlyAccount(client))
  const from = after === 'start' ? firstCursor(accountId) : after
  const events = client.follow<{ changes: Told }>(
    SUBSCRIPTION,
    { account: accountId, after: from ?? null },
    ({ changes }) => changes.cursor,
  )
  for await (const { changes } of events) process.stdout.write((json ? JSON.stringify(changes) : line(changes)) + '\n')
}

async function onlyAccount(client: ApiClient): Promise<string> {
  const { accounts } = await client.ask<{ accounts: { id: string }[] }>('{ accounts { id } }')
  if (accounts.length !== 1)
    throw new ApiFailure(`there are ${accounts.length} accounts: say which (npx mailfold accounts)`)
  return (accounts[0] as { id: string }).id
}

/** Before the first event of an account; the only cursor that a client can make, and only this one. */
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
