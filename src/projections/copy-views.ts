import type { CopyState, ListedMessage, NamedCopy, ServerCopy } from '../mailbox/collection.js'
import type { DeletableCopy } from '../mailbox/deletion-policy.js'
import type { Measure } from '../mailbox/quota-forecast.js'
import type { Queryable } from '../platform/database.js'

type CopyRecord = {
  message_id: string
  mailbox: string
  uid_validity: string | null
  uid: string | null
  uidl: string | null
  size: string
  header_hash: string | null
  sha256: string | null
  internal_date: Date
  collected_at: Date
  state: CopyState
}

const COLUMNS = `copy.message_id, copy.mailbox, copy.uid_validity, copy.uid, copy.uidl, copy.size,
  encode(copy.header_hash, 'hex') as header_hash, encode(copy.sha256, 'hex') as sha256, copy.internal_date,
  copy.collected_at, copy.state`

function serverCopy(row: CopyRecord): ServerCopy {
  return {
    messageId: row.message_id,
    mailbox: row.mailbox,
    uidValidity: row.uid_validity,
    uid: row.uid === null ? null : Number(row.uid),
    uidl: row.uidl,
    size: Number(row.size),
    headerHash: row.header_hash,
    sha256: row.sha256,
    internalDate: row.internal_date.toISOString(),
    collectedAt: row.collected_at.toISOString(),
    state: row.state,
  }
}

/** The messages of an account that its server has, as far as known, by their names: there may be very many. */
export async function viewNamedCopies(session: Queryable, accountId: string): Promise<NamedCopy[]> {
  type Row = [
    id: string,
    mailbox: string,
    uidValidity: string | null,
    uid: string | null,
    uidl: string | null,
    size: string,
    state: CopyState,
  ]
  const { rows } = await session.query<Row>({
    name: 'named-copies',
    text: `select message_id, mailbox, uid_validity, uid, uidl, size, state
           from server_copies where account_id = $1 and state <> 'GONE'`,
    values: [accountId],
    rowMode: 'array',
  } as never)
  return rows.map(([messageId, mailbox, uidValidity, uid, uidl, size, state]) => {
    return { messageId, mailbox, uidValidity, uid: uid === null ? null : Number(uid), uidl, size: Number(size), state }
  })
}

/** The messages of an account that its server has, and of which the content is to be here and is not. */
export async function viewAwaitedContents(session: Queryable, accountId: string): Promise<string[]> {
  const { rows } = await session.query<{ message_id: string }>({
    name: 'awaited-contents',
    text: `select message_id from server_copies as copy join messages using (message_id)
           where copy.account_id = $1 and copy.state = 'THERE' and copy.sha256 is null and content_sha256 is null
             and not forgotten`,
    values: [accountId],
  })
  return rows.map((row) => row.message_id)
}

/** What is with the server's copies of messages, by message; those that were not collected are missing. */
export async function viewCopyStates(session: Queryable, ids: readonly string[]): Promise<Map<string, CopyState>> {
  const { rows } = await session.query<{ message_id: string; state: CopyState }>({
    name: 'copy-states',
    text: 'select message_id, state from server_copies where message_id = any($1::uuid[])',
    values: [ids],
  })
  return new Map(rows.map((row) => [row.message_id, row.state]))
}

/** Copies by the messages that they are of. */
export async function viewServerCopies(session: Queryable, ids: readonly string[]): Promise<ServerCopy[]> {
  const { rows } = await session.query<CopyRecord>({
    name: 'server-copies',
    text: `select ${COLUMNS} from server_copies as copy where message_id = any($1::uuid[])`,
    values: [ids],
  })
  return rows.map(serverCopy)
}

/** The messages that the server had, and that listed ones may be: they have the same unique-id, or the same size. */
export async function viewGoneCopies(
  session: Queryable,
  accountId: string,
  listed: readonly ListedMessage[],
): Promise<ServerCopy[]> {
  const { rows } = await session.query<CopyRecord>({
    name: 'gone-copies',
    text: `select ${COLUMNS} from server_copies as copy
           where account_id = $1 and state = 'GONE' and (uidl = any($2::text[]) or size = any($3::bigint[]))
           order by collected_at, message_id`,
    values: [accountId, listed.flatMap(({ uidl }) => uidl ?? []), listed.map(({ size }) => size)],
  })
  return rows.map(serverCopy)
}

/** A copy with what a deletion policy asks of it. */
export type PolicyCopy = ServerCopy & DeletableCopy

/**
 * The copies on the server of which the content is kept here: no others can be deleted there. One counts as deleted here when
 * its expunge was recorded; that it is absent deletes nothing.
 */
export async function viewDeletableCopies(session: Queryable, accountId: string): Promise<PolicyCopy[]> {
  const { rows } = await session.query<CopyRecord & { deleted_here: boolean }>({
    name: 'deletable-copies',
    text: `select ${COLUMNS}, expunged.message_id is not null as deleted_here
           from server_copies as copy left join expunged_messages as expunged using (message_id)
           where copy.account_id = $1 and copy.state <> 'GONE' and copy.sha256 is not null`,
    values: [accountId],
  })
  return rows.map((row) => ({ ...serverCopy(row), isDeletedHere: row.deleted_here }))
}

/** How full an account's maildrop was, at the times when that had changed, oldest first; the newest `limit` of them. */
export async function viewMeasures(session: Queryable, accountId: string, limit: number): Promise<Measure[]> {
  const { rows } = await session.query<{ at: Date; bytes: string }>({
    name: 'maildrop-measures',
    text: `select at, bytes from maildrop_measures where account_id = $1 order by version desc limit $2`,
    values: [accountId, limit],
  })
  return rows.map(({ at, bytes }) => ({ at: at.getTime(), bytes: Number(bytes) })).reverse()
}
