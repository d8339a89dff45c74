import { offersOf } from '../mailbox/conflicts.js'
import type { StoredContent } from '../mailbox/events.js'
import type { LocalMessage } from '../mailbox/local-work.js'
import type {
  Effect,
  Offer,
  OperationKind,
  OperationOutcome,
  OperationState,
  OutcomeReason,
  PendingOperation,
} from '../mailbox/operation.js'
import type { ServerPlace } from '../mailbox/server-place.js'
import type { Tally } from '../mailbox/settlement.js'
import { identityOf, placeShown, type TrackedMessage } from '../mailbox/tracked-message.js'
import type { TrackedMailbox } from '../mailbox/upload-plan.js'
import type { Queryable } from '../platform/database.js'
import { together } from '../platform/together.js'
import { viewLastMessages, viewLocalMessages } from './local-views.js'

/** The operations that wait for their outcomes, by message, in the order in which they were asked for. */
export async function viewWaiting(
  session: Queryable,
  ids: readonly string[],
): Promise<Map<string, PendingOperation[]>> {
  const { rows } = await session.query<{ operation_id: string; kind: OperationKind; state: string; effect: Effect }>({
    name: 'operations-waiting-of-messages',
    text: `select operation_id, kind, state, effect from operation_messages join operations using (operation_id)
           where message_id = any($1::uuid[]) and outcome is null
           order by operation_messages.requested_version`,
    values: [ids],
  })
  const waiting = new Map<string, PendingOperation[]>()
  for (const { operation_id: operationId, kind, state, effect } of rows) {
    const operations = waiting.get(effect.messageId) ?? []
    waiting.set(effect.messageId, operations)
    operations.push({ operationId, kind, isSent: state === 'SENT', effect })
  }
  return waiting
}

type PlaceRecord = {
  message_id: string
  state: ServerPlace['state']
  mailbox_id: string | null
  uid_validity: string | null
  uid: string | null
  flags: string[]
  modseq: string | null
  fingerprint: string
  internal_date: Date
  email_id: string | null
}

const PLACE_COLUMNS = `message_id, state, mailbox_id, uid_validity, uid, flags, modseq,
  encode(fingerprint, 'hex') as fingerprint, internal_date, email_id`

/** Messages by their ids, with all that bears on operations on them; those that are nowhere are missing. */
export async function viewTracked(session: Queryable, ids: readonly string[]): Promise<TrackedMessage[]> {
  if (ids.length === 0) return []
  const places = session.query<PlaceRecord>({
    name: 'server-places-of-messages',
    text: `select ${PLACE_COLUMNS} from server_places where message_id = any($1::uuid[])`,
    values: [ids],
  })
  const [{ rows }, parts] = await together([places, viewParts(session, ids)])
  return tracked(session, ids, rows, parts)
}

/**
 * The messages of an account of which the server has something else than is shown, by their ids, at most `limit`.
 *
 * @param after only those behind this id; null for the first
 */
export async function viewTrackedApart(
  session: Queryable,
  accountId: string,
  after: string | null,
  limit: number,
): Promise<TrackedMessage[]> {
  const { rows } = await session.query<PlaceRecord>({
    name: 'server-places-of-account',
    text: `select ${PLACE_COLUMNS} from server_places
           where account_id = $1 and ($2::uuid is null or message_id > $2) order by message_id limit $3`,
    values: [accountId, after, limit],
  })
  return trackedAt(session, rows)
}

/** The ids of all of them. */
export async function viewApartIds(session: Queryable, accountId: string): Promise<string[]> {
  const { rows } = await session.query<{ message_id: string }>({
    name: 'apart-ids-of-account',
    text: 'select message_id from server_places where account_id = $1 order by message_id',
    values: [accountId],
  })
  return rows.map((row) => row.message_id)
}

/** Those of which the server has, or had, something in given mailboxes, or that are shown in one of them. */
export async function viewTrackedIn(session: Queryable, mailboxIds: readonly string[]): Promise<TrackedMessage[]> {
  if (mailboxIds.length === 0) return []
  const { rows } = await session.query<PlaceRecord>({
    name: 'server-places-of-mailboxes',
    text: `select ${PLACE_COLUMNS} from server_places as place
           where mailbox_id = any($1::uuid[])
             or exists (select from messages where messages.message_id = place.message_id
                          and messages.mailbox_id = any($1::uuid[]))`,
    values: [mailboxIds],
  })
  return trackedAt(session, rows)
}

async function trackedAt(session: Queryable, places: readonly PlaceRecord[]): Promise<TrackedMessage[]> {
  if (places.length === 0) return []
  const ids = places.map((place) => place.message_id)
  return tracked(session, ids, places, await viewParts(session, ids))
}

type Parts = [shown: LocalMessage[], contents: Map<string, StoredContent>, waiting: Map<string, PendingOperation[]>]

function viewParts(session: Queryable, ids: readonly string[]): Promise<Parts> {
  return together([viewLocalMessages(session, ids), viewContents(session, ids), viewWaiting(session, ids)])
}

async function tracked(
  session: Queryable,
  ids: readonly string[],
  places: readonly PlaceRecord[],
  [local, contents, waiting]: Parts,
): Promise<TrackedMessage[]> {
  const shown = byId(local)
  const hidden = places.flatMap(({ message_id: id }) => (shown.has(id) ? [] : [id]))
  const last = hidden.length > 0 ? byId(await viewLastMessages(session, hidden)) : new Map<string, LocalMessage>()
  const apart = new Map(places.map((place) => [place.message_id, place]))
  return ids.flatMap((messageId): TrackedMessage[] => {
    const local = shown.get(messageId) ?? null
    const place = apart.get(messageId)
    const rest = { messageId, shown: local, content: contents.get(messageId) ?? null }
    if (place) {
      const identity = {
        fingerprint: place.fingerprint,
        internalDate: place.internal_date.toISOString(),
        emailId: place.email_id,
      }
      const before = { last: local ?? last.get(messageId) ?? null, operations: waiting.get(messageId) ?? [] }
      return [{ ...rest, ...before, identity, server: serverPlace(place), isApart: true }]
    }
    if (!local) return []
    const server = { state: 'THERE' as const, ...placeShown(local) }
    return [{ ...rest, identity: identityOf(local), last: local, server, isApart: false, operations: [] }]
  })
}

const byId = (messages: readonly LocalMessage[]) => new Map(messages.map((message) => [message.messageId, message]))

function serverPlace(row: PlaceRecord): ServerPlace {
  const { state, flags, modseq } = row
  const mailboxId = row.mailbox_id ?? ''
  if (state === 'NOT_YET') return { state }
  if (state !== 'THERE') return { state, mailboxId, flags }
  return { state, mailboxId, uidValidity: row.uid_validity ?? '0', uid: Number(row.uid), flags, modseq }
}

/** The raw messages of messages, where they are kept here; of those that are no longer there as well. */
export async function viewContents(session: Queryable, ids: readonly string[]): Promise<Map<string, StoredContent>> {
  const { rows } = await session.query<{ message_id: string; sha256: string; size: string }>({
    name: 'contents-of-messages',
    text: `select distinct on (message_id) message_id, encode(content_sha256, 'hex') as sha256, content_size as size from (
             select message_id, content_sha256, content_size, 9223372036854775807 as until from messages
             where message_id = any($1::uuid[])
             union all
             select message_id, content_sha256, content_size, until_version from past_messages
             where message_id = any($1::uuid[])
           ) as message where content_sha256 is not null order by message_id, until desc`,
    values: [ids],
  })
  return new Map(rows.map(({ message_id: id, sha256, size }) => [id, { sha256, size: Number(size) }]))
}

/** How far the operations are that wait of messages, by their ids. */
export async function viewTallies(session: Queryable, messageIds: readonly string[]): Promise<Map<string, Tally>> {
  if (messageIds.length === 0) return new Map()
  const { rows } = await session.query<
    Record<'operation_id' | 'waiting' | 'applied' | 'superseded' | 'rejected' | 'undone', string>
  >({
    name: 'operation-tallies',
    text: `select operation_id, messages - applied - superseded - rejected - undone as waiting, applied, superseded,
             rejected, undone
           from operations where operation_id in
             (select operation_id from operation_messages where message_id = any($1::uuid[]) and outcome is null)`,
    values: [messageIds],
  })
  return new Map(
    rows.map((row) => [
      row.operation_id,
      {
        waiting: Number(row.waiting),
        APPLIED: Number(row.applied),
        SUPERSEDED: Number(row.superseded),
        REJECTED: Number(row.rejected),
        UNDONE: Number(row.undone),
      },
    ]),
  )
}

/** The mailboxes of an account with what is shown of them and what the server has. */
export async function viewTrackedMailboxes(session: Queryable, accountId: string): Promise<TrackedMailbox[]> {
  const { rows } = await session.query<{
    mailbox_id: string
    path: string
    delimiter: string | null
    subscribed: boolean
    hidden: boolean
    server_path: string | null
    server_subscribed: boolean | null
    uid_validity: string | null
    highest_modseq: string | null
    special_use: string | null
    selectable: boolean
    attributes: string[]
    object_id: string | null
    messages: string
    operations: { operationId: string; kind: OperationKind; state: OperationState }[] | null
  }>({
    name: 'tracked-mailboxes',
    text: `with waiting as (
             select mailbox_id, json_agg(json_build_object('operationId', operation_id, 'kind', kind, 'state', state)
               order by requested_version) as operations
             from operations where account_id = $1 and state in ('PENDING', 'SENT') and messages = 0
             group by mailbox_id
           )
           select mailbox_id, path, delimiter, subscribed, hidden, server_path, server_subscribed, uid_validity,
             highest_modseq, special_use, selectable, attributes, object_id, messages, operations
           from mailboxes left join waiting using (mailbox_id) where account_id = $1`,
    values: [accountId],
  })
  return rows.map((row) => ({
    mailboxId: row.mailbox_id,
    path: row.path,
    delimiter: row.delimiter,
    subscribed: row.subscribed,
    isHidden: row.hidden,
    serverPath: row.server_path,
    serverSubscribed: row.server_subscribed ?? false,
    uidValidity: row.uid_validity,
    highestModseq: row.highest_modseq,
    specialUse: row.special_use,
    selectable: row.selectable,
    attributes: row.attributes,
    objectId: row.object_id,
    messages: Number(row.messages),
    operations: (row.operations ?? []).map(({ operationId, kind, state }) => ({
      operationId,
      kind,
      isSent: state === 'SENT',
    })),
  }))
}

/** Whether anything of an account waits to be told to its server. */
export async function viewHasWaiting(session: Queryable, accountId: string): Promise<boolean> {
  const { rows } = await session.query<{ waiting: boolean }>({
    name: 'has-waiting',
    text: `select exists (select from operations where account_id = $1 and state in ('PENDING', 'SENT'))
             or exists (select from server_places where account_id = $1 and state not in ('NOT_YET', 'UNNUMBERED')) as waiting`,
    values: [accountId],
  })
  return rows[0]?.waiting === true
}

/** An operation as the API shows it. */
export type OperationView = {
  operationId: string
  accountId: string
  kind: OperationKind
  mailboxId: string | null
  state: OperationState
  reason: OutcomeReason | null
  retryOf: string | null
  requestedAt: Date
  settledAt: Date | null
  version: number
  messages: number
} & { [Outcome in Lowercase<OperationOutcome>]: number }

type OperationRecord = {
  operation_id: string
  account_id: string
  kind: OperationKind
  mailbox_id: string | null
  state: OperationState
  reason: OutcomeReason | null
  retry_of: string | null
  requested_at: Date
  settled_at: Date | null
  requested_version: string
  messages: string
  applied: string
  superseded: string
  rejected: string
  undone: string
}

const OPERATION_COLUMNS = `operation_id, account_id, kind, mailbox_id, state, reason, retry_of, requested_at, settled_at,
  requested_version, messages, applied, superseded, rejected, undone`

function operationView(row: OperationRecord): OperationView {
  return {
    operationId: row.operation_id,
    accountId: row.account_id,
    kind: row.kind,
    mailboxId: row.mailbox_id,
    state: row.state,
    reason: row.reason,
    retryOf: row.retry_of,
    requestedAt: row.requested_at,
    settledAt: row.settled_at,
    version: Number(row.requested_version),
    messages: Number(row.messages),
    applied: Number(row.applied),
    superseded: Number(row.superseded),
    rejected: Number(row.rejected),
    undone: Number(row.undone),
  }
}

/** Operations by their ids; those that are not there are missing. */
export async function viewOperations(session: Queryable, ids: readonly string[]): Promise<OperationView[]> {
  const { rows } = await session.query<OperationRecord>({
    name: 'operations-by-id',
    text: `select ${OPERATION_COLUMNS} from operations where operation_id = any($1::uuid[])`,
    values: [ids],
  })
  return rows.map(operationView)
}

/** A page of an account's operations, newest first; those that wait, or those with given states. */
export async function viewOperationList(
  session: Queryable,
  accountId: string,
  states: readonly OperationState[] | null,
  before: number | null,
  limit: number,
): Promise<OperationView[]> {
  const { rows } = await session.query<OperationRecord>({
    name: 'operation-list',
    text: `select ${OPERATION_COLUMNS} from operations
           where account_id = $1 and ($2::text[] is null or state = any($2)) and ($3::bigint is null or requested_version < $3)
           order by requested_version desc limit $4`,
    values: [accountId, states, before, limit],
  })
  return rows.map(operationView)
}

/** What an operation changes, or was to change, of messages: while they wait, or where it was rejected for them. */
export async function viewEffects(
  session: Queryable,
  operationId: string,
): Promise<{ effect: Effect; reason: OutcomeReason | null }[]> {
  const { rows } = await session.query<{ effect: Effect; outcome: OutcomeReason | null }>({
    name: 'effects-of-operation',
    text: 'select effect, outcome from operation_messages where operation_id = $1 order by message_id',
    values: [operationId],
  })
  return rows.map(({ effect, outcome }) => ({ effect, reason: outcome }))
}

/** Messages that are no longer shown, with what they were last and what is kept of them; those that are shown are missing. */
async function viewGone(session: Queryable, ids: readonly string[]): Promise<TrackedMessage[]> {
  const shown = new Set((await viewLocalMessages(session, ids)).map(({ messageId }) => messageId))
  const last = (await viewLastMessages(session, ids)).filter(({ messageId }) => !shown.has(messageId))
  const contents = await viewContents(session, ids)
  return last.map((message) => {
    const { messageId, mailboxId, data } = message
    const server = { state: 'GONE' as const, mailboxId, flags: data.flags }
    const known = { messageId, identity: identityOf(message), shown: null, last: message, server, isApart: false }
    return { ...known, content: contents.get(messageId) ?? null, operations: [] }
  })
}

/** What can be done about an operation, with the messages for which it was rejected, and those of them that are gone. */
export type OperationOffers = { offers: readonly Offer[]; rejected: Effect[]; gone: TrackedMessage[] }

/** What can be done about an operation; nothing where it was not rejected, be it in part. */
export async function viewOffers(session: Queryable, operation: OperationView): Promise<OperationOffers> {
  const isRejected = operation.rejected > 0 || operation.state === 'REJECTED'
  if (!isRejected) return { offers: [], rejected: [], gone: [] }
  const effects = (await viewEffects(session, operation.operationId)).filter(({ reason }) => reason !== null)
  const rejected = effects.map(({ effect }) => effect)
  const gone = await viewGone(
    session,
    rejected.map(({ messageId }) => messageId),
  )
  const isKept = gone.some(({ content }) => content !== null && content.sha256 !== null)
  const offers = offersOf(operation.kind, effects[0]?.reason ?? operation.reason, isKept)
  return { offers, rejected, gone }
}

/** Whether an operation was tried again, and that was not rejected, or not yet. */
export async function viewIsRetried(session: Queryable, operationId: string): Promise<boolean> {
  const { rows } = await session.query<{ retried: boolean }>({
    name: 'is-retried',
    text: `select exists (
             select from operations where account_id = (select account_id from operations where operation_id = $1)
               and retry_of = $1 and state <> 'REJECTED') as retried`,
    values: [operationId],
  })
  return rows[0]?.retried === true
}
