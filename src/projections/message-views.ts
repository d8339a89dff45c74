import type { MessageFilter } from '../mailbox/message-filter.js'
import type { Address, Structure } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'

/**
 * A message as lists show it: everything of it but structure and body. Made from the database's text, and each field
 * only when it is asked for: a list of fifty messages has a thousand, and a client asks for some.
 */
export class MessageView {
  /** @param at the version at which it is looked at; null for now */
  constructor(
    private readonly row: MessageRecord,
    readonly at: number | null = null,
  ) {}

  get messageId(): string {
    return this.row.message_id
  }
  get accountId(): string {
    return this.row.account_id
  }
  get mailboxId(): string {
    return this.row.mailbox_id
  }
  get uid(): number {
    return Number(this.row.uid)
  }
  get flags(): string[] {
    return JSON.parse(this.row.flags) as string[]
  }
  get isUnread(): boolean {
    return this.row.seen === 'f'
  }
  get isFlagged(): boolean {
    return this.row.flagged === 't'
  }
  get internalDate(): Date {
    return new Date(Number(this.row.internal_date))
  }
  get size(): number {
    return Number(this.row.size)
  }
  get subject(): string {
    return this.row.subject
  }
  get sentAt(): string | null {
    return this.row.sent_at
  }
  get headerMessageId(): string | null {
    return this.row.header_message_id
  }
  get inReplyTo(): string | null {
    return this.row.in_reply_to
  }
  get references(): string[] {
    return JSON.parse(this.row.message_references) as string[]
  }
  get from(): Address[] {
    return JSON.parse(this.row.from_addresses) as Address[]
  }
  get addresses(): Record<'sender' | 'replyTo' | 'to' | 'cc' | 'bcc', Address[]> {
    return JSON.parse(this.row.other_addresses) as MessageView['addresses']
  }
  get hasAttachment(): boolean {
    return this.row.has_attachment === 't'
  }
  get threadId(): string | null {
    return this.row.thread_id
  }
  get origin(): string {
    return this.row.origin
  }
  get defects(): string[] {
    return JSON.parse(this.row.defects) as string[]
  }
  get isForgotten(): boolean {
    return this.row.forgotten === 't'
  }
}

/** Columns as Postgres writes them: text, JSON for lists, milliseconds for the date. A brief view lacks those of the rest. */
export type MessageRecord = Record<
  | 'message_id'
  | 'account_id'
  | 'mailbox_id'
  | 'uid'
  | 'flags'
  | 'seen'
  | 'flagged'
  | 'internal_date'
  | 'size'
  | 'subject'
  | 'from_addresses'
  | 'has_attachment'
  | 'forgotten',
  string
> &
  Record<'message_references' | 'other_addresses' | 'origin' | 'defects', string> &
  Record<'sent_at' | 'header_message_id' | 'in_reply_to' | 'thread_id', string | null>

/** How much of a message is read: what a list shows as a rule, or everything but structure and body. */
export type MessageDetail = 'brief' | 'whole'

/** Leaves values as the text that they come as. */
export const AS_TEXT = { getTypeParser: () => (text: string) => text }

/** A place in a list: between messages, not at a number, so that it stays where it is when mail comes and goes. */
export type ListPlace = { internalDate: Date; messageId: string }

/** A page of a list, newest first: from a place towards older messages, or towards newer ones. */
export type MessagePage = { size: number; from: ListPlace | null; direction: 'older' | 'newer' }

/** A page, and the version of the stream that it shows. */
export type MessageList = { messages: MessageView[]; hasMore: boolean; version: number }

const BRIEF_COLUMNS = `message.message_id, message.account_id, message.mailbox_id, message.uid,
  array_to_json(message.flags) as flags, message.seen, message.flagged,
  (extract(epoch from message.internal_date) * 1000)::bigint as internal_date,
  coalesce(message.content_size, message.size) as size, message.subject,
  message.from_addresses, message.has_attachment, message.forgotten`

/** What a whole MessageView is made of, from a row called `message`. */
export const COLUMNS = `${BRIEF_COLUMNS}, message.sent_at, message.header_message_id, message.in_reply_to,
  array_to_json(message.message_references) as message_references, message.other_addresses, message.thread_id,
  message.origin, array_to_json(message.defects) as defects`

/**
 * A page of the messages of an account, or of one of its mailboxes. One statement, hence one state of the database: the
 * version that is returned is exactly that of the messages.
 *
 * @param detail what is read of each; fields of a brief view that were not read must not be asked for
 */
export async function viewMessageList(
  session: Queryable,
  accountId: string,
  mailboxId: string | null,
  filter: MessageFilter,
  page: MessagePage,
  detail: MessageDetail = 'whole',
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
      select ${detail === 'brief' ? BRIEF_COLUMNS : COLUMNS} from messages as message where ${conditions.join(' and ')}
      order by message.internal_date ${order}, message.message_id ${order} limit ${given(page.size + 1)}
    ) as list on true where head.account_id = $1`
  const { rows } = await session.query<MessageRecord & { head: string }>({
    name: nameOf(text),
    text,
    values,
    types: AS_TEXT as never,
  })
  const found = rows.filter((row) => row.message_id !== null).map((row) => new MessageView(row))
  const messages = found.slice(0, page.size)
  if (!older) messages.reverse()
  return { messages, hasMore: found.length > page.size, version: Number(rows[0]?.head ?? 0) }
}

/** How many messages a list has in all, and their bytes. */
export async function viewListSize(
  session: Queryable,
  accountId: string,
  mailboxId: string | null,
  filter: MessageFilter,
): Promise<{ messages: number; bytes: number }> {
  const { values, where } = matching(accountId, mailboxId, filter)
  const { rows } = await session.query<{ messages: string; bytes: string | null }>(
    `select count(*) as messages, sum(size) as bytes from messages as message where ${where}`,
    values,
  )
  return { messages: Number(rows[0]?.messages), bytes: Number(rows[0]?.bytes ?? 0) }
}

/** The ids of the messages that a filter finds in an account, or in one of its mailboxes; at most `limit`. */
export async function viewMatchingIds(
  session: Queryable,
  accountId: string,
  mailboxId: string | null,
  filter: MessageFilter,
  limit: number,
): Promise<string[]> {
  const { values, given, where } = matching(accountId, mailboxId, filter)
  const { rows } = await session.query<{ message_id: string }>(
    `select message_id from messages as message where ${where} order by message_id limit ${given(limit)}`,
    values,
  )
  return rows.map((row) => row.message_id)
}

/** What holds of the rows, called `message`, that a filter finds in an account, or in one of its mailboxes. */
function matching(accountId: string, mailboxId: string | null, filter: MessageFilter) {
  const values: unknown[] = [accountId]
  const given = (value: unknown) => `$${values.push(value)}`
  const conditions = ['message.account_id = $1', ...conditionsOf(filter, given)]
  if (mailboxId !== null) conditions.push(`message.mailbox_id = ${given(mailboxId)}`)
  return { values, given, where: conditions.join(' and ') }
}

/** A filter as conditions on a row called `message`. */
export function conditionsOf(filter: MessageFilter, given: (value: unknown) => string): string[] {
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
    conditions.push(namesPerson('message.from_addresses', given(containing(filter.from))))
  }
  if (filter.since) conditions.push(`message.internal_date >= ${given(filter.since)}`)
  if (filter.before) conditions.push(`message.internal_date < ${given(filter.before)}`)
  return conditions
}

/** That somebody in a list of addresses has a name or an address like a pattern. */
export function namesPerson(addresses: string, pattern: string): string {
  return `exists (select from json_array_elements(${addresses}) as person
    where person->>'address' ilike ${pattern} or person->>'name' ilike ${pattern})`
}

/** A pattern for what contains a text (LIKE). */
export function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`
}

// one name for each of the few shapes of the statement, so that a session plans each once
const names = new Map<string, string>()

/** The name under which a session keeps a statement's plan. */
export function nameOf(text: string): string {
  const name = names.get(text) ?? `message-list-${names.size}`
  names.set(text, name)
  return name
}

/** Messages by their ids, in any order; those that are gone are missing. */
export async function viewMessagesById(session: Queryable, ids: readonly string[]): Promise<MessageView[]> {
  const text = `select ${COLUMNS} from messages as message where message_id = any($1::uuid[])`
  const { rows } = await session.query<MessageRecord>({
    name: 'messages-by-id',
    text,
    values: [ids],
    types: AS_TEXT as never,
  })
  return rows.map((row) => new MessageView(row))
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

/** Whose a message is, or was; whether it is still there, or forgotten; its content's name, where that is kept here. */
export type MessageOwner = { accountId: string; isThere: boolean; isForgotten: boolean; contentSha256: string | null }

/** The owner of a message that is there or was, null when it never was. */
export async function viewMessageOwner(session: Queryable, messageId: string): Promise<MessageOwner | null> {
  const { rows } = await session.query<{
    account_id: string
    there: boolean
    forgotten: boolean
    sha256: string | null
  }>({
    name: 'message-owner',
    text: `select account_id, true as there, forgotten, 9223372036854775807 as until, encode(content_sha256, 'hex') as sha256
           from messages where message_id = $1
           union all
           select account_id, false, forgotten, until_version, encode(content_sha256, 'hex') from past_messages where message_id = $1
           order by until desc limit 1`,
    values: [messageId],
  })
  const row = rows[0]
  if (!row) return null
  const { account_id: accountId, there: isThere, forgotten: isForgotten, sha256: contentSha256 } = row
  return { accountId, isThere, isForgotten, contentSha256 }
}

/** Where a message's content is to be had: on its server, null where that does not have it yet; and under which name it is here. */
export type ContentPlace = {
  there: { path: string; uidValidity: string; uid: number } | null
  size: number
  sha256: string | null
}

/** Where a message's content is to be had; null when it is not shown any more, or forgotten. */
export async function viewContentPlace(session: Queryable, messageId: string): Promise<ContentPlace | null> {
  const { rows } = await session.query<{
    path: string | null
    uid_validity: string
    uid: string
    size: string
    sha256: string | null
  }>({
    name: 'content-place',
    text: `select server_path as path, place.uid_validity, place.uid, size, encode(content_sha256, 'hex') as sha256
           from messages as message
           left join server_messages as place using (message_id)
           left join mailboxes on mailboxes.mailbox_id = place.mailbox_id
           where message_id = $1 and not forgotten`,
    values: [messageId],
  })
  const row = rows[0]
  if (!row) return null
  const { path, uid_validity: uidValidity, size, sha256 } = row
  const there = path === null ? null : { path, uidValidity, uid: Number(row.uid) }
  return { there, size: Number(size), sha256 }
}

/** A message of an ONLINE account that is on its server, of which pieces can be had: its bytes, as the server states them, and its structure. */
export type OnlineMessage = {
  accountId: string
  size: number
  /** its parts, where its server gives each of them by itself; null for one that is read as a whole */
  structure: Structure | null
}

/** Such a message; null for any other. */
export async function viewOnlineMessage(session: Queryable, messageId: string): Promise<OnlineMessage | null> {
  const { rows } = await session.query<{ account_id: string; size: string; structure: Structure | null }>({
    name: 'online-message',
    text: `select account_id, size, case when 'STRUCTURE_MISTOLD' = any(defects) then null else structure end as structure
           from messages join accounts using (account_id)
           where message_id = $1 and model = 'ONLINE' and not forgotten`,
    values: [messageId],
  })
  const [row] = rows
  return row ? { accountId: row.account_id, size: Number(row.size), structure: row.structure } : null
}

/** The bytes of all messages in an account's index, as the server states them. */
export async function viewIndexBytes(session: Queryable, accountId: string): Promise<number> {
  const { rows } = await session.query<{ bytes: string }>({
    name: 'index-bytes',
    text: 'select coalesce(sum(size), 0) as bytes from messages where account_id = $1',
    values: [accountId],
  })
  return Number(rows[0]?.bytes ?? 0)
}
