import { copyRows, type CopyValue } from '../platform/copy-rows.js'
import type { Writes } from '../platform/statements.js'
import { addCopies, removeCopies, setCopies } from './copy-rows.js'
import type {
  At,
  CopyColumns,
  CopyRow,
  ExpungedRow,
  MessageChange,
  MessageColumns,
  MessageRow,
  PlaceRow,
} from './row-changes.js'
import { addKept, removeKept } from './kept-rows.js'
import { setLists } from './list-rows.js'
import { removePlaces, setPlaces } from './place-rows.js'

/** Versions of a zone, as a power of two: the index of `messages` holds rows by the zone in which they were added. */
export const ZONE_BITS = 13

/**
 * Rows of the past in classes, by how many versions they stayed: fewer than `below` each. Their zones are as large as the
 * shortest of the class before, so that of each class about nine zones can hold any that were there at a version.
 */
export const LIVES = [
  { below: 2 ** 13, zoneBits: 13 },
  { below: 2 ** 16, zoneBits: 13 },
  { below: 2 ** 19, zoneBits: 16 },
  { below: 2 ** 22, zoneBits: 19 },
  { below: 2 ** 52, zoneBits: 22 },
] as const

const byLife = (value: (life: number, zoneBits: number) => number) =>
  `case ${LIVES.map(({ below, zoneBits }, life) => `when until_version - added_version < ${below} then ${value(life, zoneBits)}`).join(' ')} end`

/** What a row of the past has besides, from its `added_version` and `until_version`: `life` and `zone`. */
const LIFE_AND_ZONE = `${byLife((life) => life)}, added_version >> ${byLife((_, zoneBits) => zoneBits)}`

/**
 * Folds changes of messages. Changes of different messages don't touch: the first changes of all are written together, set
 * by set, then the second ones, and so on. What a row was before it changed or went goes into the rows of the past.
 */
export async function foldMessages(
  session: Writes,
  accountId: string,
  changes: readonly At<MessageChange>[],
): Promise<void> {
  let layers = new Layers()
  for (const at of changes) {
    if (at.change.change !== 'remove mailbox' && at.change.change !== 'remove copies') {
      layers.add(at.version, at.change)
      continue
    }
    // touches rows that are not named
    await layers.write(session, accountId)
    layers = new Layers()
    if (at.change.change === 'remove copies') await removeCopies(session, accountId, at.change.messageIds ?? null)
    else await removeMailbox(session, at.change.mailboxId, at.version)
  }
  await layers.write(session, accountId)
}

type SingleChange = Exclude<MessageChange, { change: 'remove mailbox' | 'remove copies' }>

/** Changes of which no two are of one row. */
class Layer {
  readonly added: (MessageRow & { version: number })[] = []
  readonly moved: (MessageRow & { version: number })[] = []
  readonly set: (MessageColumns & { message_id: string; version: number })[] = []
  readonly dropped: { message_id: string; version: number }[] = []
  readonly removed: { message_id: string; version: number }[] = []
  readonly expunged: ExpungedRow[] = []
  readonly unexpunged: string[] = []
  readonly forgotten: string[] = []
  readonly copies: CopyRow[] = []
  readonly setCopies: (CopyColumns & { message_id: string })[] = []
  readonly places: PlaceRow[] = []
  readonly unplaced: string[] = []
  readonly kept: string[] = []
  readonly unkept: string[] = []
  readonly lists: { messageId: string; listId: string }[] = []
}

class Layers {
  private readonly layers: Layer[] = []
  private readonly depths = {
    message: new Map<string, number>(),
    expunged: new Map<string, number>(),
    copy: new Map<string, number>(),
    place: new Map<string, number>(),
    kept: new Map<string, number>(),
    list: new Map<string, number>(),
  }

  add(version: number, change: SingleChange): void {
    switch (change.change) {
      case 'add message':
        return void this.next('message', change.row.message_id).added.push({ ...change.row, version })
      case 'move message':
        return void this.next('message', change.row.message_id).moved.push({ ...change.row, version })
      case 'set message':
        return void this.next('message', change.messageId).set.push({
          message_id: change.messageId,
          ...change.columns,
          version,
        })
      case 'drop content':
        return void this.next('message', change.messageId).dropped.push({ message_id: change.messageId, version })
      case 'remove message':
        return void this.next('message', change.messageId).removed.push({ message_id: change.messageId, version })
      case 'add expunged':
        return void this.next('expunged', change.row.message_id).expunged.push(change.row)
      case 'remove expunged':
        return void this.next('expunged', change.messageId).unexpunged.push(change.messageId)
      case 'add copy':
        return void this.next('copy', change.row.message_id).copies.push(change.row)
      case 'set copy':
        return void this.next('copy', change.messageId).setCopies.push({
          message_id: change.messageId,
          ...change.columns,
        })
      case 'set place':
        return void this.next('place', change.row.message_id).places.push(change.row)
      case 'remove place':
        return void this.next('place', change.messageId).unplaced.push(change.messageId)
      case 'add kept':
        return void this.next('kept', change.messageId).kept.push(change.messageId)
      case 'remove kept':
        return void this.next('kept', change.messageId).unkept.push(change.messageId)
      case 'set list':
        return void this.next('list', change.messageId).lists.push(change)
      case 'add forgotten':
        return void this.next('message', change.fingerprint).forgotten.push(change.fingerprint)
    }
  }

  async write(session: Writes, accountId: string): Promise<void> {
    for (const layer of this.layers) {
      if (layer.removed.length > 0) await removeMessages(session, layer.removed)
      if (layer.unexpunged.length > 0) await removeExpunged(session, layer.unexpunged)
      if (layer.set.length > 0) await setMessages(session, layer.set)
      if (layer.dropped.length > 0) await dropContents(session, accountId, layer.dropped)
      if (layer.moved.length > 0) await moveMessages(session, accountId, layer.moved)
      if (layer.added.length > 0) await addMessages(session, accountId, layer.added)
      if (layer.unkept.length > 0) await removeKept(session, layer.unkept)
      if (layer.kept.length > 0) await addKept(session, accountId, layer.kept)
      if (layer.lists.length > 0) await setLists(session, accountId, layer.lists)
      if (layer.forgotten.length > 0) await addForgotten(session, accountId, layer.forgotten)
      if (layer.expunged.length > 0) await addExpunged(session, accountId, layer.expunged)
      if (layer.copies.length > 0) await addCopies(session, accountId, layer.copies)
      if (layer.setCopies.length > 0) await setCopies(session, layer.setCopies)
      if (layer.unplaced.length > 0) await removePlaces(session, layer.unplaced)
      if (layer.places.length > 0) await setPlaces(session, accountId, layer.places)
    }
  }

  private next(row: 'message' | 'expunged' | 'copy' | 'place' | 'kept' | 'list', id: string): Layer {
    const depth = this.depths[row].get(id) ?? 0
    this.depths[row].set(id, depth + 1)
    return (this.layers[depth] ??= new Layer())
  }
}

/** Columns of a new row in `messages`, with their types in JSON. */
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
  ['forgotten', 'boolean'],
  ['version', 'bigint'],
  // these travel as hexadecimal text and are stored as bytes
  ['fingerprint', 'text'],
] as const

/** Columns of a new message that a move leaves as they are: the body that was stored is still that of the message. */
const CONTENT_COLUMNS = ['content_sha256', 'content_size'] as const

const NAMES = MESSAGE_COLUMNS.map(([name]) => name)
const VALUES = NAMES.map((name) => (name === 'fingerprint' ? `decode(fingerprint, 'hex')` : name))
const GIVEN = `json_to_recordset($2::json) as message (${MESSAGE_COLUMNS.map((column) => column.join(' ')).join()})`
const ADD_MESSAGES = `insert into messages (account_id, added_version, ${NAMES.join()})
  select $1, version, ${VALUES.join()} from ${GIVEN}`

async function addMessages(session: Writes, accountId: string, rows: Layer['added']): Promise<void> {
  const columns = ['account_id', 'added_version', ...NAMES, ...CONTENT_COLUMNS]
  await copyRows(session, 'messages', columns, valuesOf(accountId, rows))
}

function* valuesOf(accountId: string, rows: Layer['added']): Generator<CopyValue[]> {
  for (const row of rows) {
    const values: CopyValue[] = [accountId, row.version]
    for (const name of NAMES) values.push(columnOf(row, name))
    values.push(row.content_sha256 === null ? null : `\\x${row.content_sha256}`, row.content_size)
    yield values
  }
}

function columnOf(row: Layer['added'][number], name: (typeof NAMES)[number]): CopyValue {
  if (name === 'fingerprint') return `\\x${row.fingerprint}`
  if (name === 'structure') return row.structure && JSON.stringify(row.structure)
  if (name === 'from_addresses' || name === 'other_addresses') return JSON.stringify(row[name])
  return row[name]
}

/** A row that is there becomes one of the past. */
async function moveMessages(session: Writes, accountId: string, rows: Layer['moved']): Promise<void> {
  const updates = [...NAMES, 'added_version'].map((name) => `${name} = excluded.${name}`)
  await session.query({
    name: 'move-messages',
    text: `with gone as (
             select messages.*, message.version as until_version
             from messages join ${GIVEN} using (message_id)
           ), past as (insert into past_messages select gone.*, ${LIFE_AND_ZONE} from gone)
           ${ADD_MESSAGES} on conflict (message_id) do update set ${updates.join()}`,
    values: [accountId, JSON.stringify(rows)],
  })
}

async function setMessages(session: Writes, changes: Layer['set']): Promise<void> {
  const rows = changes.map((change) => ({ ...change, sets_modseq: 'modseq' in change, sets_uid: 'uid' in change }))
  await session.query({
    name: 'set-messages',
    text: `with change as (
             select * from json_to_recordset($1::json) as change (message_id uuid, uid_validity bigint, uid bigint,
               modseq numeric, sets_modseq boolean, sets_uid boolean, flags text[], seen boolean, flagged boolean, content_sha256 text,
               content_size bigint, version bigint)
           ), past as (
             insert into past_message_states
             select account_id, message_id, messages.uid_validity, messages.uid, messages.modseq, messages.flags,
               messages.seen, messages.flagged, messages.content_sha256, messages.content_size, messages.forgotten,
               messages.version, change.version
             from messages join change using (message_id)
           )
           update messages set
             uid_validity = case when change.sets_uid then change.uid_validity else messages.uid_validity end,
             uid = case when change.sets_uid then change.uid else messages.uid end,
             modseq = case when change.sets_modseq then change.modseq else messages.modseq end,
             flags = coalesce(change.flags, messages.flags),
             seen = coalesce(change.seen, messages.seen),
             flagged = coalesce(change.flagged, messages.flagged),
             content_sha256 = coalesce(decode(change.content_sha256, 'hex'), messages.content_sha256),
             content_size = coalesce(change.content_size, messages.content_size),
             version = change.version
           from change where messages.message_id = change.message_id`,
    values: [JSON.stringify(rows)],
  })
}

/** Rows of the past lose the reference as well, so that the blobs can go. */
async function dropContents(session: Writes, accountId: string, rows: Layer['dropped']): Promise<void> {
  await setMessages(session, rows)
  for (const table of ['messages', 'past_messages', 'past_message_states'])
    await session.query({
      name: `drop-contents-of-${table}`,
      text: `update ${table} set content_sha256 = null, content_size = null
             where account_id = $1 and message_id = any($2::uuid[]) and content_sha256 is not null`,
      values: [accountId, rows.map((row) => row.message_id)],
    })
}

async function removeMessages(session: Writes, rows: Layer['removed']): Promise<void> {
  await session.query({
    name: 'remove-messages',
    text: `with change as (
             select * from json_to_recordset($1::json) as change (message_id uuid, version bigint)
           ), removed as (
             delete from messages using change where messages.message_id = change.message_id
             returning messages.*, change.version as until_version
           )
           insert into past_messages select removed.*, ${LIFE_AND_ZONE} from removed`,
    values: [JSON.stringify(rows)],
  })
}

async function removeMailbox(session: Writes, mailboxId: string, version: number): Promise<void> {
  await session.query({
    name: 'remove-messages-of-mailbox',
    text: `with removed as (delete from messages where mailbox_id = $1 returning messages.*, $2::bigint as until_version)
           insert into past_messages select removed.*, ${LIFE_AND_ZONE} from removed`,
    values: [mailboxId, version],
  })
}

async function addForgotten(session: Writes, accountId: string, fingerprints: readonly string[]): Promise<void> {
  await session.query({
    name: 'add-forgotten',
    text: `insert into forgotten_messages (account_id, fingerprint)
           select $1, decode(hash, 'hex') from unnest($2::text[]) as hash on conflict do nothing`,
    values: [accountId, fingerprints],
  })
}

async function removeExpunged(session: Writes, ids: readonly string[]): Promise<void> {
  await session.query({
    name: 'remove-expunged',
    text: 'delete from expunged_messages where message_id = any($1::uuid[])',
    values: [ids],
  })
}

async function addExpunged(session: Writes, accountId: string, rows: ExpungedRow[]): Promise<void> {
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
