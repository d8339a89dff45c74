import { copyRows, type CopyValue } from '../platform/copy-rows.js'
import type { Writes } from '../platform/statements.js'
import type { CopyColumns, CopyRow } from './row-changes.js'

const COLUMNS = [
  'message_id',
  'mailbox',
  'uid_validity',
  'uid',
  'uidl',
  'size',
  'header_hash',
  'sha256',
  'internal_date',
  'collected_at',
  'state',
] as const

const isHash = (name: string) => name === 'header_hash' || name === 'sha256'

/** Writes rows of `server_copies`. */
export async function addCopies(session: Writes, accountId: string, rows: readonly CopyRow[]): Promise<void> {
  const values = rows.map((row): CopyValue[] => [
    accountId,
    ...COLUMNS.map((name) => (isHash(name) && row[name] !== null ? `\\x${row[name]}` : row[name])),
  ])
  await copyRows(session, 'server_copies', ['account_id', ...COLUMNS], values)
}

/** Changes rows of `server_copies`: their states, and their places where those are given. */
export async function setCopies(
  session: Writes,
  changes: readonly (CopyColumns & { message_id: string })[],
): Promise<void> {
  const rows = changes.map((change) => ({ ...change, moves: 'mailbox' in change }))
  const moved = ['mailbox', 'uid_validity', 'uid', 'uidl', 'size'].map(
    (name) => `${name} = case when moves then change.${name} else copy.${name} end`,
  )
  await session.query({
    name: 'set-copies',
    text: `update server_copies as copy set state = change.state, ${moved.join()},
             header_hash = coalesce(decode(change.header_hash, 'hex'), copy.header_hash),
             sha256 = coalesce(decode(change.sha256, 'hex'), copy.sha256)
           from json_to_recordset($1::json) as change (message_id uuid, moves boolean, mailbox text, uid_validity bigint,
             uid bigint, uidl text, size bigint, header_hash text, sha256 text, state text)
           where copy.message_id = change.message_id`,
    values: [JSON.stringify(rows)],
  })
}

/** Removes rows of `server_copies`: those of given messages, or all of the account. */
export async function removeCopies(session: Writes, accountId: string, ids: readonly string[] | null): Promise<void> {
  await session.query({
    name: 'remove-copies',
    text: 'delete from server_copies where account_id = $1 and ($2::uuid[] is null or message_id = any($2))',
    values: [accountId, ids],
  })
}
