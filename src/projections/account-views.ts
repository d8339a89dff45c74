import type { AccessModel, Authentication, Protocol, Security, ServerSettings } from '../mailbox/access-model.js'
import type { ConnectionRemedy, WorkFailureKind } from '../mailbox/failures.js'
import type { ConnectionSchedule } from '../mailbox/connection-schedule.js'
import { DEFAULT_POLICY, type DeletionPolicy } from '../mailbox/deletion-policy.js'
import { DEFAULT_COLLECTION, type CollectionSettings, type MaildropSize } from '../mailbox/maildrop.js'
import type { Namespaces } from '../mailbox/namespaces.js'
import { FIRST_CONFLICT_POLICY, type ConflictPolicy } from '../mailbox/operation.js'
import { FIRST_SELECTION, type Selection } from '../mailbox/selection.js'
import { shardInSql } from '../event-store/shards.js'
import type { Queryable } from '../platform/database.js'
import type { ConnectionFailure } from './row-changes.js'

/** How an account's connection stands. */
export type ConnectionState =
  'CONNECTING' | 'CONNECTED' | 'DISCONNECTED' | 'THROTTLED' | 'LOGIN_REFUSED' | 'FAILED' | 'OFFLINE' | 'NO_SESSION'

/** What keeps an account from being worked on. */
export type AccountFailure = {
  /** what failed; null where it was the mail server, or the network */
  kind: WorkFailureKind | null
  remedy: ConnectionRemedy
  /** the id under which the log tells more; null for a failure of the mail server */
  failureId: string | null
  since: Date
}

/** An account as it is kept; without its credentials. */
export type AccountView = ServerSettings & {
  accountId: string
  model: AccessModel
  connectedAt: Date
  state: ConnectionState
  since: Date
  detail: string | null
  /** what failed; null where nothing does */
  failure: AccountFailure | null
  throttledUntil: Date | null
  /** until when a client wants no connection; null where it wants one, or did not say until when */
  offlineUntil: Date | null
  server: string | null
  capabilities: string[]
  /** where the server keeps mailboxes (RFC 2342); null where it has not told that */
  namespaces: Namespaces | null
  /** how an OFFLINE account collects, and when it deletes from its server */
  collection: CollectionSettings
  deletionPolicy: DeletionPolicy
  /** how full its maildrop was when it was last looked at, and which level of warning held; null before */
  maildrop: (MaildropSize & { level: number; at: Date }) | null
  /** whose change stands where an operation and a change on the server contradict each other */
  conflictPolicy: ConflictPolicy
  /** of which messages the raw messages are here, where a mailbox has no selection of its own */
  selection: Selection
  /** when it has a connection; null for always */
  connectionSchedule: ConnectionSchedule | null
  /** when what is known of an ONLINE account was last known to be as the server has it; null before that */
  currentAsOf: Date | null
  version: number
}

/** A row of `accounts`, with the version of the stream. */
export type AccountRecord = {
  account_id: string
  protocol: Protocol
  host: string
  port: number
  security: Security
  username: string
  model: AccessModel
  connected_at: Date
  connection_state: ConnectionState
  connection_since: Date
  connection_detail: string | null
  connection_failure?: ConnectionFailure | null
  throttled_until: Date | null
  offline_until?: Date | null
  server: string | null
  capabilities: string[]
  namespaces?: Namespaces | null
  authentication: Authentication
  certificate_fingerprint?: string | null
  deletion_policy: DeletionPolicy | null
  collection: CollectionSettings | null
  maildrop: (MaildropSize & { level: number; at: string }) | null
  conflict_policy?: ConflictPolicy
  selection?: Selection | null
  connection_schedule?: ConnectionSchedule | null
  current_as_of?: Date | null
  version: string
}

/** The accounts, all or those with the given ids, in the order in which they were connected. */
export async function viewAccounts(session: Queryable, ids?: readonly string[]): Promise<AccountView[]> {
  const { rows } = await session.query<AccountRecord>({
    name: 'view-accounts',
    text: `select accounts.*, streams.version as version from accounts join streams using (account_id)
           where $1::uuid[] is null or account_id = any($1) order by connected_at, account_id`,
    values: [ids ?? null],
  })
  return rows.map(accountView)
}

/** Where the server of an account keeps mailboxes (RFC 2342); null where it has not told that. */
export async function viewNamespaces(session: Queryable, accountId: string): Promise<Namespaces | null> {
  const { rows } = await session.query<{ namespaces: Namespaces | null }>({
    name: 'namespaces-of-account',
    text: 'select namespaces from accounts where account_id = $1',
    values: [accountId],
  })
  return rows[0]?.namespaces ?? null
}

/** An account, and in which way it is worked with: what a job for it has to be known. */
export type AccountModel = Pick<AccountView, 'accountId' | 'model'>

/** The accounts of a shard. @param shards how many there are */
export async function viewAccountModels(session: Queryable, shard: number, shards: number): Promise<AccountModel[]> {
  const { rows } = await session.query<{ account_id: string; model: AccessModel }>({
    name: 'accounts-of-shard',
    text: `select account_id, model from accounts where ${shardInSql('account_id', '$2')} = $1 order by account_id`,
    values: [shard, shards],
  })
  return rows.map(({ account_id: accountId, model }) => ({ accountId, model }))
}

/** Those of the given ids of which there are accounts. */
export async function viewThere(session: Queryable, ids: readonly string[]): Promise<string[]> {
  const { rows } = await session.query<{ account_id: string }>({
    name: 'accounts-there',
    text: 'select account_id from accounts where account_id = any($1::uuid[])',
    values: [ids],
  })
  return rows.map((row) => row.account_id)
}

/** How many accounts there are, by access model and how their connections stand. */
export async function viewAccountStates(
  session: Queryable,
): Promise<{ model: AccessModel; state: ConnectionState; accounts: number }[]> {
  const { rows } = await session.query<{ model: AccessModel; state: ConnectionState; accounts: string }>({
    name: 'account-states',
    text: `select model, connection_state as state, count(*) as accounts from accounts group by model, connection_state`,
  })
  return rows.map(({ accounts, ...row }) => ({ ...row, accounts: Number(accounts) }))
}

/** The ids of all accounts that have not been forgotten. */
export async function viewEveryAccountId(session: Queryable): Promise<string[]> {
  const sql = 'select account_id from streams where not closed order by account_id'
  const { rows } = await session.query<{ account_id: string }>(sql)
  return rows.map((row) => row.account_id)
}

/** Brings a row into the form in which it is handed on; times may be dates or ISO 8601. */
export function accountView(row: AccountRecord): AccountView {
  return {
    accountId: row.account_id,
    protocol: row.protocol,
    host: row.host,
    port: row.port,
    security: row.security,
    username: row.username,
    model: row.model,
    connectedAt: new Date(row.connected_at),
    state: row.connection_state,
    since: new Date(row.connection_since),
    detail: row.connection_detail,
    failure: failureOf(row),
    throttledUntil: row.throttled_until && new Date(row.throttled_until),
    offlineUntil: row.offline_until ? new Date(row.offline_until) : null,
    server: row.server,
    capabilities: row.capabilities,
    namespaces: row.namespaces ?? null,
    authentication: row.authentication,
    certificateFingerprint: row.certificate_fingerprint ?? null,
    collection: row.collection ?? DEFAULT_COLLECTION,
    deletionPolicy: row.deletion_policy ?? DEFAULT_POLICY,
    maildrop: row.maildrop && { ...row.maildrop, at: new Date(row.maildrop.at) },
    conflictPolicy: row.conflict_policy ?? FIRST_CONFLICT_POLICY,
    selection: row.selection ?? FIRST_SELECTION,
    connectionSchedule: row.connection_schedule ?? null,
    currentAsOf: row.current_as_of ? new Date(row.current_as_of) : null,
    version: Number(row.version),
  }
}

/** What a state of a connection says of the remedy by itself. */
const REMEDIES: Partial<Record<ConnectionState, ConnectionRemedy>> = {
  DISCONNECTED: 'RETRIES_BY_ITSELF',
  THROTTLED: 'WAIT',
  LOGIN_REFUSED: 'CHANGE_CREDENTIALS',
}

function failureOf(row: AccountRecord): AccountFailure | null {
  const { connection_failure: failure, connection_state: state } = row
  if (failure) return { ...failure, kind: failure.kind ?? null, since: new Date(failure.since) }
  const remedy = REMEDIES[state]
  return remedy ? { kind: null, remedy, failureId: null, since: new Date(row.connection_since) } : null
}
