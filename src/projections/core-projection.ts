import type { InlineProjection } from '../event-store/streams.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'
import { project } from './project.js'
import type { ExpungedRow, MessageColumns, MessageRow, RowChange } from './row-changes.js'

/**
 * The tables that every query reads, folded in the append's own transaction. Changes of one append are first joined per
 * row, then written with one statement per kind of change, in an order in which none needs a later one.
 */
export class CoreProjection implements InlineProjection {
  async fold(session: Queryable, accountId: string, events: readonly RecordedEvent[]): Promise<void> {
    await write(session, accountId, join(events.flatMap(project)))
  }
}

/** Changes of accounts and mailboxes: rare, and written one by one, in their order. */
type SingleChange = Extract<RowChange, { change: `${string} account` | `${string} mailbox` }>

/** The changes of one append, joined: a message has at most one row, or one set of columns, in here. */
type JoinedChanges = {
  singly: SingleChange[]
  counts: Map<string, { messages: number; unseen: number }>
  put: Map<string, MessageRow & Partial<MessageColumns>>
  set: Map<string, MessageColumns>
  removed: Set<string>
  expunged: Map<string, ExpungedRow>
  unexpunged: Set<string>
}

function join(changes: readonly RowChange[]): JoinedChanges {
  const joined: JoinedChanges = {
    singly: [],
    counts: new Map(),
    put: new Map(),
    set: new Map(),
    removed: new Set(),
    expunged: new Map(),
    unexpunged: new Set(),
  }
  for (const change of changes) joinOne(joined, change)
  return joined
}

function joinOne(joined: JoinedChanges, change: RowChange): void {
  switch (change.change) {
    case 'count messages': {
      const before = joined.counts.get(change.mailboxId) ?? { messages: 0, unseen: 0 }
      const after = { messages: before.messages + change.messages, unseen: before.unseen + change.unseen }
      joined.counts.set(change.mailboxId, after)
      return
    }
    case 'put message':
      joined.set.delete(change.row.message_id)
      joined.put.set(change.row.message_id, change.row)
      return
    case 'set message': {
      const added = joined.put.get(change.messageId)
      if (added) joined.put.set(change.messageId, { ...added, ...change.columns })
      else joined.set.set(change.messageId, { ...joined.set.get(change.messageId), ...change.columns })
      return
    }
    case 'remove message':
      joined.put.delete(change.messageId)
      joined.set.delete(change.messageId)
      joined.removed.add(change.messageId)
      return
    case 'add expunged':
      joined.unexpunged.delete(change.row.message_id)
      joined.expunged.set(change.row.message_id, change.row)
      return
    case 'remove expunged':
      joined.expunged.delete(change.messageId)
      joined.unexpunged.add(change.messageId)
      return
    default:
      joined.singly.push(change)
  }
}

async function write(session: Queryable, accountId: string, joined: JoinedChanges): Promise<void> {
  // a message that was removed and put again in one append is simply put
  for (const id of joined.put.keys()) joined.removed.delete(id)
  if (joined.removed.size > 0) {
    await session.query('delete from messages where message_id = any($1::uuid[])', [[...joined.removed]])
  }
  if (joined.unexpunged.size > 0) {
    await session.query('delete from expunged_messages where message_id = any($1::uuid[])', [[...joined.unexpunged]])
  }
  for (const change of joined.singly) await writeSingly(session, accountId, change)
  if (joined.put.size > 0) await putMessages(session, accountId, [...joined.put.values()])
  if (joined.set.size > 0) await setMessages(session, joined.set)
  if (joined.expunged.size > 0) await addExpunged(session, accountId, [...joined.expunged.values()])
  for (const [mailboxId, { messages, unseen }] of joined.counts) {
    if (messages === 0 && unseen === 0) continue
    await session.query({
      name: 'count-messages',
      text: 'update mailboxes set messages = messages + $2, unseen = unseen + $3 where mailbox_id = $1',
      values: [mailboxId, messages, unseen],
    })
  }
}

async function writeSingly(session: Queryable, accountId: string, change: SingleChange): Promise<void> {
  switch (change.change) {
    case 'add account':
      return insert(session, 'accounts', { account_id: accountId, ...change.columns })
    case 'set account':
      return update(session, 'accounts', 'account_id', accountId, change.columns)
    case 'add mailbox':
      return insert(session, 'mailboxes', { mailbox_id: change.mailboxId, account_id: accountId, ...change.columns })
    case 'set mailbox':
      return update(session, 'mailboxes', 'mailbox_id', change.mailboxId, change.columns)
    case 'remove mailbox':
      await session.query('delete from messages where mailbox_id = $1', [change.mailboxId])
      await session.query('delete from mailboxes where mailbox_id = $1', [change.mailboxId])
  }
}

// column names below come from row-changes.ts, never from outside

async function insert(session: Queryable, table: string, columns: Record<string, unknown>): Promise<void> {
  const names = Object.keys(columns)
  const places = names.map((_, index) => `$${index + 1}`)
  await session.query(`insert into ${table} (${names.join()}) values (${places.join()})`, Object.values(columns))
}

async function update(session: Queryable, table: string, key: string, id: string, columns: object): Promise<void> {
  const assignments = Object.keys(columns).map((name, index) => `${name} = $${index + 2}`)
  await session.query(`update ${table} set ${assignments.join()} where ${key} = $1`, [
    id,
    ...(Object.values(columns) as unknown[]),
  ])
}

/** Columns of `messages` in the order of the statement below, with their types. */
const MESSAGE_COLUMNS = [
  ['message_id', 'uuid'],
  ['mailbox_id', 'uuid'],
  ['uid_validity', 'bigint'],
  ['uid', 'bigint'],
  ['modseq', 'numeric'],
  ['flags', 'text[]'],
  ['seen', 'boolean'],
  ['flagged', 'boolean'],
  ['internal_date', 'timestamptz'],
  ['size', 'bigint'],
  ['subject', 'text'],
  ['sent_at', 'text'],
  ['header_message_id', 'text'],
  ['in_reply_to', 'text'],
  ['message_references', 'text[]'],
  ['from_addresses', 'json'],
  ['other_addresses', 'json'],
  ['structure', 'json'],
  ['has_attachment', 'boolean'],
  ['email_id', 'text'],
  ['thread_id', 'text'],
  ['origin', 'text'],
  ['defects', 'text[]'],
  ['content_size', 'bigint'],
  ['version', 'bigint'],
] as const

/** Hashes travel as hexadecimal text and are stored as bytes. */
const HASH_COLUMNS = ['fingerprint', 'content_sha256'] as const

const PUT_MESSAGES = (() => {
  const names = [...MESSAGE_COLUMNS.map(([name]) => name), ...HASH_COLUMNS]
  const values = [...MESSAGE_COLUMNS.map(([name]) => name), ...HASH_COLUMNS.map((name) => `decode(${name}, 'hex')`)]
  const types = [
    ...MESSAGE_COLUMNS.map(([name, type]) => `${name} ${type}`),
    ...HASH_COLUMNS.map((name) => `${name} text`),
  ]
  // the body of a message that was moved is still the one that was stored
  const updates = names.filter((name) => !name.startsWith('content_')).map((name) => `${name} = excluded.${name}`)
  return `insert into messages (account_id, ${names.join()})
          select $1, ${values.join()} from json_to_recordset($2::json) as message (${types.join()})
          on conflict (message_id) do update set ${updates.join()}`
})()

async function putMessages(session: Queryable, accountId: string, rows: MessageRow[]): Promise<void> {
  await session.query({ name: 'put-messages', text: PUT_MESSAGES, values: [accountId, JSON.stringify(rows)] })
}

async function setMessages(session: Queryable, changes: ReadonlyMap<string, MessageColumns>): Promise<void> {
  const rows = [...changes].map(([message_id, columns]) => ({
    message_id,
    ...columns,
    sets_modseq: 'modseq' in columns,
  }))
  await session.query({
    name: 'set-messages',
    text: `update messages set
             uid_validity = coalesce(change.uid_validity, messages.uid_validity),
             uid = coalesce(change.uid, messages.uid),
             modseq = case when change.sets_modseq then change.modseq else messages.modseq end,
             flags = coalesce(change.flags, messages.flags),
             seen = coalesce(change.seen, messages.seen),
             flagged = coalesce(change.flagged, messages.flagged),
             content_sha256 = coalesce(decode(change.content_sha256, 'hex'), messages.content_sha256),
             content_size = coalesce(change.content_size, messages.content_size),
             version = change.version
           from json_to_recordset($1::json) as change (message_id uuid, uid_validity bigint, uid bigint, modseq numeric,
             sets_modseq boolean, flags text[], seen boolean, flagged boolean, content_sha256 text, content_size bigint,
             version bigint)
           where messages.message_id = change.message_id`,
    values: [JSON.stringify(rows)],
  })
}

async function addExpunged(session: Queryable, accountId: string, rows: ExpungedRow[]): Promise<void> {
  await session.query({
    name: 'add-expunged',
    text: `insert into expunged_messages (account_id, message_id, mailbox_id, uid, flags, internal_date, fingerprint, email_id)
           select $1, message_id, mailbox_id, uid, flags, internal_date, decode(fingerprint, 'hex'), email_id
           from json_to_recordset($2::json) as message (message_id uuid, mailbox_id uuid, uid bigint, flags text[],
             internal_date timestamptz, fingerprint text, email_id text)
           on conflict (message_id) do nothing`,
    values: [accountId, JSON.stringify(rows)],
  })
}
