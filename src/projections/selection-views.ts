import type { Selection, SelectionPreview } from '../mailbox/selection.js'
import type { Queryable } from '../platform/database.js'

/** A raw message that is to be fetched, and where it is on the server. */
export type SelectedContent = {
  messageId: string
  /** the mailbox's path on the server, and its UIDVALIDITY */
  path: string
  uidValidity: string
  uid: number
  /** bytes, as the server states them */
  size: number
}

type ContentRecord = { message_id: string; path: string; uid_validity: string; uid: string; size: string }

/** How much of what is selected there is, and is here: messages, and their bytes. */
export type SelectionProgress = { messages: number; bytes: number; messagesHere: number; bytesHere: number }

/** Which selection another one takes the place of, for a preview: a mailbox's own, or that of an account. */
export type Instead = { mailboxId: string | null; selection: Selection | null }

/**
 * The messages of account $1 that are selected: by mailbox, the newest first, and those that are kept whatever the selection
 * says. $2 to $4 are what is supposed to be set instead of what is.
 */
const SELECTED = `
  mailbox as (
    select mailbox_id, coalesce(mailboxes.selection, accounts.selection) as present, mailboxes.messages, server_messages, case
        when $2::boolean and mailbox_id = $3::uuid then coalesce($4::jsonb, accounts.selection)
        when $2::boolean and $3::uuid is null then coalesce(mailboxes.selection, $4::jsonb)
        else coalesce(mailboxes.selection, accounts.selection)
      end as wanted
    from mailboxes join accounts using (account_id) where account_id = $1 and not hidden
  ),
  bounded as (
    select mailbox.mailbox_id, wanted, oldest.internal_date as oldest_date, oldest.message_id as oldest_id
    from mailbox left join lateral (
      select internal_date, message_id from messages
      where wanted->>'newest' is not null and messages.mailbox_id = mailbox.mailbox_id and not forgotten
      order by internal_date desc, message_id desc offset (wanted->>'newest')::bigint - 1 limit 1
    ) as oldest on true
    where wanted->>'keep' = 'WHOLE'
  ),
  selected as (
    select message_id, internal_date, size, content_sha256, content_size
    from bounded join messages using (mailbox_id)
    where not forgotten
      and (oldest_id is null or (internal_date, message_id) >= (oldest_date, oldest_id))
      and (wanted->>'days' is null or internal_date >= now() - make_interval(days => (wanted->>'days')::int))
      and (wanted->>'maxBytes' is null or size <= (wanted->>'maxBytes')::bigint)
      and (wanted->'flags' = '[]' or exists (
        select from unnest(flags) as flag join jsonb_array_elements_text(wanted->'flags') as any_of
          on lower(flag) = lower(any_of)))
    union
    select message_id, internal_date, size, content_sha256, content_size
    from kept_messages join messages using (message_id) where kept_messages.account_id = $1 and not forgotten
  )`

/** Of which messages the content may go: what is under way may still need it. */
const OUTSIDE = `
  where account_id = $1 and content_sha256 is not null
    and not exists (select from selected where selected.message_id = messages.message_id)
    and not exists (select from server_places where server_places.message_id = messages.message_id)
    and not exists (
      select from operation_messages where operation_messages.message_id = messages.message_id and outcome is null)`

const AS_IT_IS = [false, null, null]

/**
 * Raw messages that are selected, not here, and on the server, newest first, at most `limit`.
 *
 * @param maxBytes larger ones are not fetched
 * @param except messages that are passed over
 */
export async function viewContentsToFetch(
  session: Queryable,
  accountId: string,
  maxBytes: number,
  except: readonly string[],
  limit: number,
): Promise<SelectedContent[]> {
  const { rows } = await session.query<ContentRecord>({
    name: 'contents-to-fetch',
    text: `with ${SELECTED},
           missing as (
             select message_id, internal_date, size from selected
             where content_sha256 is null and size <= $5 and message_id <> all($6::uuid[])
               and not exists (select from server_places as place where place.message_id = selected.message_id and state <> 'THERE')
             order by internal_date desc, message_id desc limit $7
           )
           select message_id, server_path as path, place.uid_validity, place.uid, size
           from missing cross join lateral (
               select mailbox_id, uid_validity, uid from server_messages where message_id = missing.message_id offset 0
             ) as place join mailboxes using (mailbox_id)
           where server_path is not null
           order by internal_date desc, message_id desc`,
    values: [accountId, ...AS_IT_IS, maxBytes, except, limit],
  })
  return rows.map(selectedContent)
}

/** Of some messages those whose raw ones are not here and can be fetched, be they selected or not. */
export async function viewContentsOf(
  session: Queryable,
  accountId: string,
  maxBytes: number,
  messageIds: readonly string[],
): Promise<SelectedContent[]> {
  const { rows } = await session.query<ContentRecord>({
    name: 'contents-of',
    text: `select message_id, server_path as path, place.uid_validity, place.uid, message.size
           from messages as message
             join server_messages as place using (message_id)
             join mailboxes on mailboxes.mailbox_id = place.mailbox_id
           where message.account_id = $1 and message_id = any($2::uuid[]) and message.content_sha256 is null and not message.forgotten
             and message.size <= $3 and server_path is not null
             and not exists (select from server_places as pending where pending.message_id = message.message_id and state <> 'THERE')
           order by message.internal_date, message_id`,
    values: [accountId, messageIds, maxBytes],
  })
  return rows.map(selectedContent)
}

function selectedContent({
  message_id: messageId,
  path,
  uid_validity: uidValidity,
  uid,
  size,
}: ContentRecord): SelectedContent {
  return { messageId, path, uidValidity, uid: Number(uid), size: Number(size) }
}

/** How far the copying of what is selected has come. */
export async function viewSelectionProgress(session: Queryable, accountId: string): Promise<SelectionProgress> {
  const { rows } = await session.query<Record<'messages' | 'bytes' | 'messages_here' | 'bytes_here', string>>({
    name: 'selection-progress',
    text: `with ${SELECTED}
           select count(*) as messages, coalesce(sum(size), 0) as bytes, count(content_sha256) as messages_here,
             coalesce(sum(content_size), 0) as bytes_here
           from selected`,
    values: [accountId, ...AS_IT_IS],
  })
  const [row] = rows
  return {
    messages: Number(row?.messages ?? 0),
    bytes: Number(row?.bytes ?? 0),
    messagesHere: Number(row?.messages_here ?? 0),
    bytesHere: Number(row?.bytes_here ?? 0),
  }
}

/**
 * Raw messages that are here and not selected, and that the server has, nothing being under way with them; at most `limit`.
 *
 * @param except messages that are passed over
 */
export async function viewContentsToDrop(
  session: Queryable,
  accountId: string,
  except: readonly string[],
  limit: number,
): Promise<{ messageId: string; sha256: string }[]> {
  const { rows } = await session.query<{ message_id: string; sha256: string }>({
    name: 'contents-to-drop',
    text: `with ${SELECTED}
           select message_id, encode(content_sha256, 'hex') as sha256 from messages ${OUTSIDE}
             and message_id <> all($5::uuid[]) limit $6`,
    values: [accountId, ...AS_IT_IS, except, limit],
  })
  return rows.map(({ message_id: messageId, sha256 }) => ({ messageId, sha256 }))
}

/** What all selections of an account are, for comparison: while it is the same text, they are the same. */
export async function viewSelections(session: Queryable, accountId: string): Promise<string> {
  const { rows } = await session.query<{ selections: string }>({
    name: 'selections',
    text: `select concat(
             (select selection from accounts where account_id = $1),
             (select json_agg(json_build_array(mailbox_id, selection) order by mailbox_id)
              from mailboxes where account_id = $1 and selection is not null),
             (select count(*) from kept_messages where account_id = $1)) as selections`,
    values: [accountId],
  })
  return rows[0]?.selections ?? ''
}

/** What a selection would change if it was set. */
export async function viewSelectionPreview(
  session: Queryable,
  accountId: string,
  { mailboxId, selection }: Instead,
): Promise<SelectionPreview> {
  const { rows } = await session.query<
    Record<'indexed' | 'left' | 'missing' | 'missing_bytes' | 'outside' | 'outside_bytes', string>
  >({
    name: 'selection-preview',
    text: `with ${SELECTED},
           missing as (select count(*) as missing, coalesce(sum(size), 0) as missing_bytes
             from selected where content_sha256 is null),
           outside as (select count(*) as outside, coalesce(sum(content_size), 0) as outside_bytes
             from messages ${OUTSIDE}),
           moved as (select
               coalesce(sum(greatest(server_messages - messages, 0)) filter (where present->>'keep' = 'NONE'), 0) as indexed,
               coalesce(sum(messages) filter (where wanted->>'keep' = 'NONE'), 0) as left
             from mailbox where (present->>'keep' = 'NONE') <> (wanted->>'keep' = 'NONE'))
           select * from missing, outside, moved`,
    values: [accountId, true, mailboxId, selection && JSON.stringify(selection)],
  })
  const [row] = rows
  return {
    indexMessages: Number(row?.indexed ?? 0),
    leaveMessages: Number(row?.left ?? 0),
    fetchMessages: Number(row?.missing ?? 0),
    fetchBytes: Number(row?.missing_bytes ?? 0),
    dropMessages: Number(row?.outside ?? 0),
    dropBytes: Number(row?.outside_bytes ?? 0),
  }
}

/** Which of the messages are shown, not forgotten, and without their raw message here. */
export async function viewWithoutContent(session: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await session.query<{ message_id: string }>({
    name: 'without-content',
    text: `select message_id from messages
           where message_id = any($1::uuid[]) and not forgotten and content_sha256 is null`,
    values: [ids],
  })
  return new Set(rows.map((row) => row.message_id))
}
