import type { Address, Structure } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'

/** A message as lists show it: everything of it but structure and body. */
export type MessageView = {
  messageId: string
  accountId: string
  mailboxId: string
  uid: number
  flags: string[]
  internalDate: Date
  size: number
  subject: string
  sentAt: string | null
  headerMessageId: string | null
  inReplyTo: string | null
  references: string[]
  addresses: Record<'from' | 'sender' | 'replyTo' | 'to' | 'cc' | 'bcc', Address[]>
  hasAttachment: boolean
  threadId: string | null
  origin: string
  defects: string[]
  contentSha256: string | null
  contentSize: number | null
}

/** Which messages a list holds; every condition that is given has to hold. */
export type MessageFilter = {
  isUnread?: boolean | null
  isFlagged?: boolean | null
  /** part of the sender's name or address, whatever its case */
  from?: string | null
  /** part of the subject, whatever its case */
  subject?: string | null
  /** INTERNALDATE at or after, and before */
  since?: Date | null
  before?: Date | null
  hasAttachment?: boolean | null
}

/** A place in a list: between messages, not at a number, so that it stays where it is when mail comes and goes. */
export type ListPlace = { internalDate: Date; messageId: string }

/** A page of a list, newest first: from a place towards older messages, or towards newer ones. */
export type MessagePage = { size: number; from: ListPlace | null; direction: 'older' | 'newer' }

/** A page, and the version of the stream that it shows. */
export type MessageList = { messages: MessageView[]; hasMore: boolean; version: number }

const COLUMNS = `message.message_id, message.account_id, message.mailbox_id, message.uid, message.flags,
  message.internal_date, message.size, message.subject, message.sent_at, message.header_message_id, message.in_reply_to,
  message.message_references, message.addresses, message.has_attachment, message.thread_id, message.origin,
  message.defects, encode(message.content_sha256, 'hex') as content_sha256, message.content_size`

/**
 * A page of the messages of an account, or of one of its mailboxes. One statement, hence one state of the database: the
 * version that is returned is exactly that of the messages.
 */
export async function viewMessageList(
  session: Queryable,
  accountId: string,
  mailboxId: string | null,
  filter: MessageFilter,
  page: MessagePage,
): Promise<MessageList> {
  const values: unknown[] = [accountId]
  const given = (value: unknown) => `$${values.push(value)}`
  const conditions = mailboxId === null ? ['message.account_id = $1'] : [`message.mailbox_id = ${given(mailboxId)}`]
  conditions.push(...conditionsOf(filter, given))
  const older = page.direction === 'older'
  if (page.from) {
    const place = `(${given(page.from.internalDate)}::timestamptz, ${given(page.from.messageId)}::uuid)`
    conditions.push(`(message.internal_date, message.message_id) ${older ? '<' : '>'} ${place}`)
  }
  const order = older ? 'desc' : 'asc'
  const text = `select head.version as head, list.* from streams as head left join lateral (
      select ${COLUMNS} from messages as message where ${conditions.join(' and ')}
      order by message.internal_date ${order}, message.message_id ${order} limit ${given(page.size + 1)}
    ) as list on true where head.account_id = $1`
  const { rows } = await session.query<MessageRecord & { head: string }>({ name: nameOf(text), text, values })
  const found = rows.filter((row) => row.message_id !== null).map(messageOf)
  const messages = found.slice(0, page.size)
  if (!older) messages.reverse()
  return { messages, hasMore: found.length > page.size, version: Number(rows[0]?.head ?? 0) }
}

function conditionsOf(filter: MessageFilter, given: (value: unknown) => string): string[] {
  const conditions: string[] = []
  const flag = (column: string, wanted: boolean | null | undefined, holds: boolean) => {
    if (wanted !== null && wanted !== undefined)
      conditions.push(wanted === holds ? `message.${column}` : `not message.${column}`)
  }
  flag('seen', filter.isUnread, false)
  flag('flagged', filter.isFlagged, true)
  flag('has_attachment', filter.hasAttachment, true)
  if (filter.subject) conditions.push(`message.subject ilike ${given(containing(filter.subject))}`)
  if (filter.from) {
    const pattern = given(containing(filter.from))
    conditions.push(`exists (select from json_array_elements(message.addresses->'from') as sender
      where sender->>'address' ilike ${pattern} or sender->>'name' ilike ${pattern})`)
  }
  if (filter.since) conditions.push(`message.internal_date >= ${given(filter.since)}`)
  if (filter.before) conditions.push(`message.internal_date < ${given(filter.before)}`)
  return conditions
}

function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`
}

// one name for each of the few shapes of the statement, so that a session plans each once
const names = new Map<string, string>()

function nameOf(text: string): string {
  const name = names.get(text) ?? `message-list-${names.size}`
  names.set(text, name)
  return name
}

type MessageRecord = {
  message_id: string
  account_id: string
  mailbox_id: string
  uid: string
  flags: string[]
  internal_date: Date
  size: string
  subject: string
  sent_at: string | null
  header_message_id: string | null
  in_reply_to: string | null
  message_references: string[]
  addresses: MessageView['addresses']
  has_attachment: boolean
  thread_id: string | null
  origin: string
  defects: string[]
  content_sha256: string | null
  content_size: string | null
}

function messageOf(row: MessageRecord): MessageView {
  return {
    messageId: row.message_id,
    accountId: row.account_id,
    mailboxId: row.mailbox_id,
    uid: Number(row.uid),
    flags: row.flags,
    internalDate: row.internal_date,
    size: Number(row.size),
    subject: row.subject,
    sentAt: row.sent_at,
    headerMessageId: row.header_message_id,
    inReplyTo: row.in_reply_to,
    references: row.message_references,
    addresses: row.addresses,
    hasAttachment: row.has_attachment,
    threadId: row.thread_id,
    origin: row.origin,
    defects: row.defects,
    contentSha256: row.content_sha256,
    contentSize: row.content_size === null ? null : Number(row.content_size),
  }
}

/** Messages by their ids, in any order; those that are gone are missing. */
export async function viewMessagesById(session: Queryable, ids: readonly string[]): Promise<MessageView[]> {
  const text = `select ${COLUMNS} from messages as message where message_id = any($1::uuid[])`
  const { rows } = await session.query<MessageRecord>({ name: 'messages-by-id', text, values: [ids] })
  return rows.map(messageOf)
}

/** The structures of messages, by their ids. */
export async function viewStructures(
  session: Queryable,
  ids: readonly string[],
): Promise<Map<string, Structure | null>> {
  const text = 'select message_id, structure from messages where message_id = any($1::uuid[])'
  const { rows } = await session.query<{ message_id: string; structure: Structure | null }>({
    name: 'structures',
    text,
    values: [ids],
  })
  return new Map(rows.map((row) => [row.message_id, row.structure]))
}

/** Where a message's content is to be had. */
export type ContentPlace = { path: string; uidValidity: string; uid: number; size: number; sha256: string | null }

/** Where a message is on its server, and whether its content is here; null when there is no such message. */
export async function viewContentPlace(session: Queryable, messageId: string): Promise<ContentPlace | null> {
  const { rows } = await session.query<{
    path: string
    uid_validity: string
    uid: string
    size: string
    sha256: string | null
  }>({
    name: 'content-place',
    text: `select path, message.uid_validity, uid, size, encode(content_sha256, 'hex') as sha256
           from messages as message join mailboxes using (mailbox_id) where message_id = $1`,
    values: [messageId],
  })
  const row = rows[0]
  return row
    ? {
        path: row.path,
        uidValidity: row.uid_validity,
        uid: Number(row.uid),
        size: Number(row.size),
        sha256: row.sha256,
      }
    : null
}
