import type { MessageFilter } from '../mailbox/message-filter.js'
import type { Structure } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'
import { LIVES, ZONE_BITS } from './message-rows.js'
import {
  AS_TEXT,
  COLUMNS,
  conditionsOf,
  MessageView,
  nameOf,
  type MessageList,
  type MessagePage,
  type MessageRecord,
} from './message-views.js'

/*
 * How the messages of a version are found.
 *
 * A row of `messages` was there at version v if it was added at v or before; one of `past_messages`, if besides it went
 * after v. An index by date alone would have to pass over all that came later; so the indexes hold the rows by zone of
 * the version at which they were added, and by date within a zone. Rows of the past are also told apart by how long they
 * stayed, with larger zones for longer lives: of each class only the last few zones before v can hold any.
 *
 * A page is gathered zone by zone, that with the newest message first, until no other zone can have one that belongs
 * into it. What a row was at v, if it has changed since, is the first of its states that held beyond v.
 */

/** What is read of a row: what stays as it is, and what changes, which comes from the state that held. */
const FIXED = [
  'message_id',
  'account_id',
  'mailbox_id',
  'internal_date',
  'size',
  'subject',
  'sent_at',
  'header_message_id',
  'in_reply_to',
  'message_references',
  'from_addresses',
  'other_addresses',
  'has_attachment',
  'thread_id',
  'origin',
  'defects',
] as const
const CHANGING = ['uid', 'flags', 'seen', 'flagged', 'forgotten', 'content_size'] as const

/** Rows of a table as they were at version $1, for those that were there. */
function rowsAt(table: 'messages' | 'past_messages', conditions: string): string {
  const changing = CHANGING.map(
    (name) => `case when state.version is null then row.${name} else state.${name} end as ${name}`,
  )
  return `select ${FIXED.map((name) => `row.${name}`).join()}, ${changing.join()}
    from ${table} as row left join lateral (
      select * from past_message_states as state
      where row.version > $1 and state.account_id = row.account_id and state.message_id = row.message_id
        and state.until_version > $1
      order by until_version limit 1
    ) as state on true
    where row.added_version <= $1 ${table === 'past_messages' ? 'and row.until_version > $1' : ''} and ${conditions}`
}

/** Messages as they were at version $1, as a statement with the columns of `messages`. @param conditions on a `row` that was there */
export function messagesAt(conditions: string): string {
  return `${rowsAt('messages', conditions)} union all ${rowsAt('past_messages', conditions)}`
}

/** Messages by their ids as they were at a version, in any order; those that were not there are missing. */
export async function viewPastMessagesById(
  session: Queryable,
  version: number,
  ids: readonly string[],
): Promise<MessageView[]> {
  const wanted = 'row.message_id = any($2::uuid[])'
  const text = `select ${COLUMNS} from (${messagesAt(wanted)}) as message`
  const { rows } = await session.query<MessageRecord>({
    name: 'past-messages-by-id',
    text,
    values: [version, ids],
    types: AS_TEXT as never,
  })
  return rows.map((row) => new MessageView(row, version))
}

/** The structures that messages had at a version, by their ids. */
export async function viewPastStructures(
  session: Queryable,
  version: number,
  ids: readonly string[],
): Promise<Map<string, Structure | null>> {
  const text = `select message_id, structure from messages where message_id = any($2::uuid[]) and added_version <= $1
    union all
    select message_id, structure from past_messages
    where message_id = any($2::uuid[]) and added_version <= $1 and until_version > $1`
  const { rows } = await session.query<{ message_id: string; structure: Structure | null }>({
    name: 'past-structures',
    text,
    values: [version, ids],
  })
  return new Map(rows.map((row) => [row.message_id, row.structure]))
}

/** A page of the messages of an account, or of one of its mailboxes, as the same query would have answered at a version. */
export async function viewPastMessageList(
  session: Queryable,
  version: number,
  accountId: string,
  mailboxId: string | null,
  filter: MessageFilter,
  page: MessagePage,
): Promise<MessageList> {
  const values: unknown[] = [version]
  const text = new PastListQuery(accountId, mailboxId, filter, page, (value) => `$${values.push(value)}`).text
  const { rows } = await session.query<MessageRecord>({ name: nameOf(text), text, values, types: AS_TEXT as never })
  const found = rows.map((row) => new MessageView(row, version))
  const messages = found.slice(0, page.size)
  if (page.direction === 'newer') messages.reverse()
  return { messages, hasMore: found.length > page.size, version }
}

const LIVES_AND_ZONES = LIVES.map(({ below, zoneBits }, life) => `(${life}, ${below}::bigint, ${zoneBits})`).join()

/** The statement of a page at version $1. */
class PastListQuery {
  private readonly older: boolean
  private readonly order: 'asc' | 'desc'
  private readonly scope: string
  private readonly place: string
  private readonly wanted: string
  private readonly size: string

  constructor(
    accountId: string,
    mailboxId: string | null,
    filter: MessageFilter,
    { size, from, direction }: MessagePage,
    given: (value: unknown) => string,
  ) {
    this.older = direction === 'older'
    this.order = this.older ? 'desc' : 'asc'
    this.scope = mailboxId === null ? `row.account_id = ${given(accountId)}` : `row.mailbox_id = ${given(mailboxId)}`
    const behind = (date: string, id: string) =>
      `and (row.internal_date, row.message_id) ${this.older ? '<' : '>'} (${date}::timestamptz, ${id}::uuid)`
    this.place = from ? behind(given(from.internalDate), given(from.messageId)) : ''
    this.wanted = ['true', ...conditionsOf(filter, given)].join(' and ')
    this.size = `${given(size + 1)}::int`
  }

  /**
   * `heads`: each zone that holds anything wanted, with the date of its first message, in the order of those dates.
   * `walk`: takes one zone after the other in, and keeps the dates of the best messages until now, a page of them; it
   * ends when the next zone begins beyond the last of those. `bound`: how far it went, and the date of the last message.
   */
  get text(): string {
    const { size, order, older } = this
    const beyond = older ? '>' : '<'
    const end = older ? "'-infinity'" : "'infinity'"
    const dates = (life: string, zone: string, bound: string, limit: string) =>
      this.rows('message.internal_date, message.message_id', life, zone, bound, limit)
    return `with recursive zones as (
        select -1 as life, zone from generate_series(0, $1::bigint >> ${ZONE_BITS}) as zone
        union all
        select life, zone from (values ${LIVES_AND_ZONES}) as lives (life, below, bits)
        cross join lateral generate_series(greatest(0, $1::bigint - below) >> bits, $1::bigint >> bits) as zone
      ), heads as materialized (
        select life, zone, head.internal_date, row_number() over (order by head.internal_date ${order}) as turn
        from zones cross join lateral (
          select message.internal_date from (${dates('zones.life', 'zones.zone', '', '1')}) as message
          order by message.internal_date ${order} limit 1
        ) as head
      ), walk as (
        select 0::bigint as turn, array[]::timestamptz[] as best
        union all
        select heads.turn, array(
          select internal_date from (
            select unnest(walk.best) as internal_date
            union all
            select message.internal_date
            from (${dates('heads.life', 'heads.zone', this.within(`coalesce(walk.best[${size}], ${end})`), size)}) as message
          ) as dates order by internal_date ${order} limit ${size}
        )
        from walk join heads on heads.turn = walk.turn + 1
        where walk.best[${size}] is null or not walk.best[${size}] ${beyond} heads.internal_date
      ), bound as materialized (
        select turn, coalesce(best[${size}], ${end}) as internal_date from walk order by turn desc limit 1
      )
      select ${COLUMNS} from bound join heads on heads.turn <= bound.turn cross join lateral (
        ${this.rows('message.*', 'heads.life', 'heads.zone', this.within('bound.internal_date'), size)}
      ) as message
      order by message.internal_date ${order}, message.message_id ${order} limit ${size}`
  }

  private within(bound: string): string {
    return `and row.internal_date ${this.older ? '>=' : '<='} ${bound}`
  }

  /** The first wanted rows of one zone, in the order of the list; `life` is -1 for messages that are still there. */
  private rows(columns: string, life: string, zone: string, bound: string, limit: string): string {
    const ofTable = (table: 'messages' | 'past_messages') => {
      const inTable =
        table === 'messages'
          ? `${life} = -1 and (row.added_version >> ${ZONE_BITS}) = ${zone}`
          : `${life} >= 0 and row.life = ${life} and row.zone = ${zone}`
      const inZone = `${inTable} and ${this.scope} ${this.place} ${bound}`
      return `(select ${columns} from (${rowsAt(table, inZone)}) as message where ${this.wanted}
        order by message.internal_date ${this.order}, message.message_id ${this.order} limit ${limit})`
    }
    return `${ofTable('messages')} union all ${ofTable('past_messages')}`
  }
}
