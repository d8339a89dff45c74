import type { Flags } from '../mailbox/flags.js'
import type { KnownMailbox } from '../mailbox/mailbox-list.js'
import type { MailboxProblem } from '../mailbox/events.js'
import type { Defect, MessageData } from '../mailbox/message.js'
import {
  isSameUpload,
  keysOf,
  type AddedView,
  type Apart,
  type KnownMessage,
  type Lookalike,
  type MailboxPlace,
  type UnreadableMessage,
} from '../mailbox/message-changes.js'
import { isDeletionSent, sentTo } from '../mailbox/tracked-message.js'
import type { KnownPlace } from '../mailbox/sync-plan.js'
import { uidsOf, type UidSet } from '../mailbox/uid-set.js'
import type { Queryable } from '../platform/database.js'
import { together } from '../platform/together.js'
import { viewForgotten } from './forgotten-views.js'
import { viewWaiting } from './operation-views.js'

/** A mailbox with how far it is known. */
export type MailboxView = KnownMailbox & {
  place: KnownPlace
  resetAfter: string | null
  foundLater: boolean
  /** how many messages that are gone from the server a client is asked about, and whether it said yes */
  heldDeletion: number
  isDeletionConfirmed: boolean
  /** whether its messages are not in the index, or about to leave it: nothing is asked for them */
  isLeftOut: boolean
  /** what keeps it from being complete */
  problem: MailboxProblem | null
}

type MailboxRecord = {
  mailbox_id: string
  path: string
  server_path: string
  server_subscribed: boolean
  delimiter: string | null
  attributes: string[]
  special_use: string | null
  subscribed: boolean
  selectable: boolean
  object_id: string | null
  uid_validity: string | null
  uid_next: string
  highest_modseq: string | null
  complete: boolean
  reset_after: Date | null
  found_later: boolean
  held_deletion: string | null
  deletion_confirmed: boolean
  left_out: boolean
  problem: MailboxProblem | null
  messages: string
}

/** All mailboxes of an account that are on the server, as the server has them, as far as that is known. */
export async function viewMailboxes(session: Queryable, accountId: string): Promise<MailboxView[]> {
  const { rows } = await session.query<MailboxRecord>({
    name: 'view-mailboxes',
    text: `with apart as (
             select mailbox_id, count(*) as messages from server_places
             where account_id = $1 and state = 'THERE' group by mailbox_id
           ), shown as (
             select messages.mailbox_id, count(*) as messages from server_places join messages using (message_id)
             where server_places.account_id = $1 group by messages.mailbox_id
           )
           select mailbox_id, path, delimiter, attributes, special_use, subscribed, selectable, object_id, uid_validity,
             uid_next, highest_modseq, complete, reset_after, found_later, server_path, server_subscribed,
             held_deletion, deletion_confirmed, problem,
             coalesce(mailboxes.selection, accounts.selection)->>'keep' = 'NONE'
               and (uid_validity is null or not complete) as left_out,
             mailboxes.messages + coalesce(apart.messages, 0) - coalesce(shown.messages, 0) as messages
           from mailboxes join accounts using (account_id)
             left join apart using (mailbox_id) left join shown using (mailbox_id)
           where mailboxes.account_id = $1 and server_path is not null`,
    values: [accountId],
  })
  return rows.map((row) => ({
    mailboxId: row.mailbox_id,
    path: row.server_path,
    shown: { path: row.path, subscribed: row.subscribed },
    delimiter: row.delimiter,
    attributes: row.attributes,
    specialUse: row.special_use,
    subscribed: row.server_subscribed,
    selectable: row.selectable,
    objectId: row.object_id,
    uidValidity: row.uid_validity,
    messages: Number(row.messages),
    resetAfter: row.reset_after?.toISOString() ?? null,
    foundLater: row.found_later,
    heldDeletion: Number(row.held_deletion ?? 0),
    isDeletionConfirmed: row.deletion_confirmed,
    isLeftOut: row.left_out,
    problem: row.problem,
    place: {
      uidValidity: row.uid_validity,
      uidNext: Number(row.uid_next),
      highestModseq: row.highest_modseq,
      // those that the server counts and does not name are known not to be there
      messages: Number(row.messages) + (row.problem?.unlisted ?? 0),
      complete: row.complete,
    },
  }))
}

/** The UIDs that are recorded of a mailbox's numbering, as runs: the database finds them, so memory does not grow. */
export async function viewKnownUids(session: Queryable, { mailboxId, uidValidity }: MailboxPlace): Promise<UidSet> {
  const { rows } = await session.query<{ first: string; last: string }>({
    name: 'view-known-uids',
    text: `select min(uid) as first, max(uid) as last
           from (select uid, uid - row_number() over (order by uid) as run
                 from server_messages where mailbox_id = $1 and uid_validity = $2) as numbered
           group by run order by first`,
    values: [mailboxId, uidValidity],
  })
  return rows.map(({ first, last }) => [Number(first), Number(last)])
}

type MessageRecord = {
  message_id: string
  uid: string
  flags: string[]
  fingerprint: string
  internal_date: Date
  email_id: string | null
  apart: boolean
}

async function knownMessages(session: Queryable, rows: readonly MessageRecord[]): Promise<KnownMessage[]> {
  const apart = await viewApart(session, rows)
  return rows.map((row) => {
    const { message_id: messageId, flags, fingerprint, email_id: emailId } = row
    const told = { messageId, uid: Number(row.uid), flags, fingerprint, emailId }
    return { ...told, internalDate: row.internal_date.toISOString(), apart: apart.get(messageId) ?? null }
  })
}

/** What is shown of messages of which the server has something else. Most often there are none. */
async function viewApart(session: Queryable, rows: readonly MessageRecord[]): Promise<Map<string, Apart>> {
  const ids = rows.flatMap((row) => (row.apart ? [row.message_id] : []))
  if (ids.length === 0) return new Map()
  const { rows: found } = await session.query<{
    message_id: string
    is_new: boolean
    put_into: string | null
    mailbox_id: string | null
    uid: string | null
    flags: string[] | null
    fingerprint: string
    internal_date: Date
    email_id: string | null
  }>({
    name: 'view-apart',
    text: `select message_id, place.state in ('NOT_YET', 'UNNUMBERED') as is_new,
             case when place.state = 'UNNUMBERED' then place.mailbox_id end as put_into, messages.mailbox_id, messages.uid, messages.flags,
             encode(place.fingerprint, 'hex') as fingerprint, place.internal_date, place.email_id
           from server_places as place left join messages using (message_id) where message_id = any($1::uuid[])`,
    values: [ids],
  })
  const waiting = await viewWaiting(session, ids)
  return new Map(
    found.map((row): [string, Apart] => {
      const { message_id: messageId, mailbox_id: mailboxId, fingerprint, email_id: emailId } = row
      const shown = mailboxId === null ? null : { mailboxId, uid: Number(row.uid), flags: row.flags ?? [] }
      const identity = { fingerprint, internalDate: row.internal_date.toISOString(), emailId }
      const operations = waiting.get(messageId) ?? []
      const sent = {
        sentTo: row.put_into ?? sentTo(operations),
        isDeletionSent: isDeletionSent(shown !== null, operations),
      }
      return [messageId, { shown, isNew: row.is_new, ...sent, identity }]
    }),
  )
}

const KNOWN_COLUMNS =
  "message_id, uid, flags, encode(fingerprint, 'hex') as fingerprint, internal_date, email_id, apart"

/** What is known of the given UIDs, by UID. */
export async function viewMessages(
  session: Queryable,
  place: MailboxPlace,
  uids: readonly number[],
): Promise<Map<number, KnownMessage>> {
  const { rows } = await session.query<MessageRecord>({
    name: 'view-messages',
    text: `select ${KNOWN_COLUMNS} from server_messages
           where mailbox_id = $1 and uid_validity = $2 and uid = any($3::bigint[])`,
    values: [place.mailboxId, place.uidValidity, uids],
  })
  return new Map((await knownMessages(session, rows)).map((message) => [message.uid, message]))
}

/** The same for a set of UIDs, which may be sparse over a wide range. */
export function viewMessagesOf(
  session: Queryable,
  place: MailboxPlace,
  uids: UidSet,
): Promise<Map<number, KnownMessage>> {
  return viewMessages(session, place, uidsOf(uids))
}

/** The flags that the server has for the messages of a mailbox's numbering, as far as recorded, by UID. */
export async function viewServerFlags(
  session: Queryable,
  { mailboxId, uidValidity }: MailboxPlace,
): Promise<Map<number, Flags>> {
  const { rows } = await session.query<{ uid: string; flags: string[] }>({
    name: 'view-server-flags',
    text: 'select uid, flags from server_messages where mailbox_id = $1 and uid_validity = $2',
    values: [mailboxId, uidValidity],
  })
  return new Map(rows.map(({ uid, flags }) => [Number(uid), flags]))
}

/** Messages of the numbering before a reset which nothing on the server has matched; at most `limit`. */
export async function viewUnconfirmed(
  session: Queryable,
  { mailboxId, uidValidity }: MailboxPlace,
  limit: number,
): Promise<KnownMessage[]> {
  const { rows } = await session.query<MessageRecord>({
    name: 'view-unconfirmed',
    text: `select ${KNOWN_COLUMNS} from server_messages where mailbox_id = $1 and uid_validity <> $2 limit $3`,
    values: [mailboxId, uidValidity, limit],
  })
  return knownMessages(session, rows)
}

/** How many there are. */
export async function viewUnconfirmedCount(
  session: Queryable,
  { mailboxId, uidValidity }: MailboxPlace,
): Promise<number> {
  const { rows } = await session.query<{ count: string }>({
    name: 'view-unconfirmed-count',
    text: 'select count(*) from server_messages where mailbox_id = $1 and uid_validity <> $2',
    values: [mailboxId, uidValidity],
  })
  return Number(rows[0]?.count)
}

/** INTERNALDATE of the newest message of a mailbox, null where it has none. */
export async function viewNewestDate(session: Queryable, mailboxId: string): Promise<string | null> {
  const sql = 'select max(internal_date) as newest from server_messages where mailbox_id = $1'
  const { rows } = await session.query<{ newest: Date | null }>({
    name: 'view-newest-date',
    text: sql,
    values: [mailboxId],
  })
  return rows[0]?.newest?.toISOString() ?? null
}

/** A lookalike before the server was asked whether it is still there, with the numbering to ask in. */
export type Candidate = Omit<Lookalike, 'stillThere'> & { path: string | null; key: string }

/**
 * The rows of account $1 that have one of the fingerprints $2 or of the EMAILIDs $3. Each is looked up by itself, for which `offset 0` sees to it: asked for all
 * at once, Postgres reads the whole account.
 */
const alikeIn = (table: 'server_messages' | 'expunged_messages') => `
  select alike.* from unnest($2::text[]) as hash cross join lateral (
    select * from ${table} where account_id = $1 and fingerprint = decode(hash, 'hex') offset 0
  ) as alike
  union
  select alike.* from unnest($3::text[]) as asked cross join lateral (
    select * from ${table} where account_id = $1 and email_id = asked offset 0
  ) as alike`

/** Messages of an account that have the content of a reported one, be they still there or expunged. */
export async function viewCandidates(
  session: Queryable,
  accountId: string,
  reported: readonly MessageData[],
): Promise<Candidate[]> {
  const fingerprints = [...new Set(reported.map((message) => message.fingerprint))]
  const emailIds = [...new Set(reported.flatMap((message) => message.emailId ?? []))]
  const lookalikes = session.query<CandidateRecord>({
    name: 'view-candidates',
    text: `select message_id, message.mailbox_id, uid, flags, internal_date, encode(fingerprint, 'hex') as fingerprint, email_id,
             message.uid_validity, mailboxes.server_path as path, false as expunged, apart
           from (${alikeIn('server_messages')}) as message join mailboxes using (mailbox_id)
           union all
           select message_id, mailbox_id, uid, flags, internal_date, encode(fingerprint, 'hex'), email_id, null, null, true,
             true
           from server_places
           where account_id = $1 and state <> 'THERE'
             and (fingerprint in (select decode(hash, 'hex') from unnest($2::text[]) as hash) or email_id = any($3::text[]))
           union all
           select message_id, mailbox_id, uid, flags, internal_date, encode(fingerprint, 'hex'), email_id, null, null, true,
             false
           from (${alikeIn('expunged_messages')}) as message
           where not exists (select from server_places where server_places.message_id = message.message_id)`,
    values: [accountId, fingerprints, emailIds],
  })
  const [{ rows }, uploads] = await together([lookalikes, viewUploads(session, accountId, reported)])
  const asked = new Set(reported.flatMap(keysOf))
  const keyed = rows.map((row) => ({
    row,
    key: row.email_id !== null && asked.has(row.email_id) ? row.email_id : row.fingerprint,
  }))
  const all = [...keyed, ...uploads]
  const apart = await viewApart(
    session,
    all.map(({ row }) => row),
  )
  return all.map(({ row, key }) => ({
    messageId: row.message_id,
    mailboxId: row.mailbox_id ?? '',
    uid: Number(row.uid),
    flags: row.flags,
    internalDate: row.internal_date.toISOString(),
    wasExpunged: row.expunged,
    apart: apart.get(row.message_id) ?? null,
    uidValidity: row.uid_validity,
    path: row.path,
    key,
  }))
}

type CandidateRecord = MessageRecord & {
  mailbox_id: string | null
  uid_validity: string | null
  path: string | null
  expunged: boolean
}

/** Messages that were made here, of which reported ones with another fingerprint may be the uploads: see isSameUpload. */
async function viewUploads(
  session: Queryable,
  accountId: string,
  reported: readonly MessageData[],
): Promise<{ row: CandidateRecord; key: string }[]> {
  const { rows } = await session.query<
    CandidateRecord & { size: string; header_message_id: string | null; subject: string | null; acknowledged: boolean }
  >({
    name: 'view-uploads',
    // one that is to be deleted again is told by what it was
    text: `select message_id, place.mailbox_id, place.uid, place.flags, place.internal_date, place.email_id,
             encode(place.fingerprint, 'hex') as fingerprint, null as uid_validity, null as path, true as expunged, true as apart,
             made.size, made.header_message_id, made.subject, state = 'UNNUMBERED' as acknowledged
           from server_places as place cross join lateral (
             select size, header_message_id, subject from messages where message_id = place.message_id
             union all
             (select size, header_message_id, subject from past_messages where message_id = place.message_id limit 1)
             limit 1
           ) as made
           where account_id = $1 and (state = 'UNNUMBERED' or state = 'NOT_YET'
             and (made.size = any($2::bigint[]) or made.header_message_id = any($3::text[])))`,
    values: [accountId, reported.map(({ size }) => size), reported.flatMap(({ envelope }) => envelope.messageId ?? [])],
  })
  const found = rows.flatMap((row) => {
    const { size, header_message_id: headerMessageId, internal_date: internalDate, subject } = row
    const told = { size: Number(size), headerMessageId, internalDate: internalDate.toISOString(), subject }
    const made = { ...told, isAcknowledged: row.acknowledged }
    const uploads = reported.filter((each) => each.fingerprint !== row.fingerprint && isSameUpload(made, each))
    return uploads.map(({ fingerprint }) => ({ row, key: fingerprint }))
  })
  // two that may each be the other are not told apart: taken for it, the wrong one would be moved or deleted
  const isOnly = ({ row, key }: (typeof found)[number]) =>
    found.every((each) => (each.row.message_id === row.message_id) === (each.key === key))
  return found.filter((each) => !each.row.acknowledged || isOnly(each))
}

/** Whether a candidate bears on the messages of a mailbox that was numbered anew; those of before are in `unconfirmed`. */
export function bearsOnReset({ apart, mailboxId }: Candidate, place: MailboxPlace): boolean {
  return apart !== null || mailboxId !== place.mailboxId
}

/** What of what is known bears on reported messages; `gone`: candidates that the server no longer has. */
export type WantedForAdded = {
  lookalikes: 'all' | 'apart' | 'none'
  unconfirmed: boolean
  gone: ReadonlySet<string>
  movesByCopy: boolean
}

/** What a decision on reported messages needs; see AddedView. */
export async function viewAdded(
  session: Queryable,
  accountId: string,
  place: MailboxPlace,
  reported: readonly MessageData[],
  want: WantedForAdded,
): Promise<AddedView> {
  const { movesByCopy } = want
  if (reported.length === 0)
    return { knownUids: new Set(), lookalikes: new Map(), unconfirmed: new Map(), forgotten: new Set(), movesByCopy }
  const uids = reported.map((message) => message.uid)
  const [known, unconfirmed, candidates, forgotten] = await together([
    viewMessages(session, place, uids),
    want.unconfirmed ? viewUnconfirmedByFingerprint(session, place, reported) : Promise.resolve(new Map()),
    want.lookalikes === 'none' ? Promise.resolve([]) : viewCandidates(session, accountId, reported),
    viewForgotten(session, accountId, reported),
  ])
  const lookalikes = new Map<string, Lookalike[]>()
  for (const candidate of candidates) {
    if (want.lookalikes === 'apart' && !bearsOnReset(candidate, place)) continue
    const { key, path: _path, ...rest } = candidate
    const lookalike = { ...rest, stillThere: !candidate.wasExpunged && !want.gone.has(candidate.messageId) }
    lookalikes.set(key, [...(lookalikes.get(key) ?? []), lookalike])
  }
  return { knownUids: new Set(known.keys()), lookalikes, unconfirmed, forgotten, movesByCopy }
}

async function viewUnconfirmedByFingerprint(session: Queryable, place: MailboxPlace, reported: readonly MessageData[]) {
  const { rows } = await session.query<MessageRecord>({
    name: 'view-unconfirmed-by-fingerprint',
    text: `select message.* from unnest($3::text[]) as hash cross join lateral (
             select ${KNOWN_COLUMNS} from server_messages
             where account_id = (select account_id from mailboxes where mailbox_id = $1) and mailbox_id = $1 and uid_validity <> $2
               and fingerprint = decode(hash, 'hex') offset 0
           ) as message order by uid`,
    values: [place.mailboxId, place.uidValidity, [...new Set(reported.map((message) => message.fingerprint))]],
  })
  const found = new Map<string, KnownMessage[]>()
  for (const message of await knownMessages(session, rows))
    found.set(message.fingerprint, [...(found.get(message.fingerprint) ?? []), message])
  return found
}

/**
 * Messages of an account of which something could not be read, by mailbox: those for which nothing is pending, since that is what reading them again
 * would have to be reconciled with.
 */
export async function viewUnreadable(
  session: Queryable,
  accountId: string,
  limit: number,
): Promise<Map<string, (UnreadableMessage & { uidValidity: string })[]>> {
  const { rows } = await session.query<{
    message_id: string
    mailbox_id: string
    uid_validity: string
    uid: string
    flags: string[]
    origin: UnreadableMessage['origin']
    defects: Defect[]
  }>({
    name: 'view-unreadable',
    text: `select message_id, mailbox_id, uid_validity, uid, flags, origin, defects from messages
           where account_id = $1 and defects && '{UNREADABLE,FLAGS_UNREADABLE}' and uid is not null and not forgotten
             and not exists (select from server_places where server_places.message_id = messages.message_id)
           order by message_id limit $2`,
    values: [accountId, limit],
  })
  const messages = rows.map((row) => ({
    messageId: row.message_id,
    mailboxId: row.mailbox_id,
    uidValidity: row.uid_validity,
    uid: Number(row.uid),
    flags: row.flags,
    origin: row.origin,
    defects: row.defects,
  }))
  return Map.groupBy(messages, ({ mailboxId }) => mailboxId)
}

/** UIDs of a mailbox's messages of which nothing could be read. */
export async function viewUnreadableUids(session: Queryable, place: MailboxPlace): Promise<number[]> {
  const { rows } = await session.query<{ uid: string }>({
    name: 'view-unreadable-uids',
    text: `select uid from messages where mailbox_id = $1 and uid_validity = $2
             and defects && '{UNREADABLE,FLAGS_UNREADABLE}' and 'UNREADABLE' = any(defects) and uid is not null order by uid`,
    values: [place.mailboxId, place.uidValidity],
  })
  return rows.map(({ uid }) => Number(uid))
}
