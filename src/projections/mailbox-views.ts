import type { MailboxProblem } from '../mailbox/events.js'
import type { Selection } from '../mailbox/selection.js'
import type { Queryable } from '../platform/database.js'

/** A mailbox as the API shows it. */
export type MailboxListView = {
  mailboxId: string
  accountId: string
  path: string
  delimiter: string | null
  attributes: string[]
  specialUse: string | null
  subscribed: boolean
  selectable: boolean
  messages: number
  unseen: number
  /** messages on the server when it was last looked at */
  serverMessages: number
  complete: boolean
  /** whether it is shown otherwise than the server has it, since operations on it are pending */
  isPending: boolean
  /** messages that are gone from the server, unusually many at once; a client is asked whether that is to be so */
  heldDeletion: number
  /** its own selection of raw messages; null where it has that of its account */
  selection: Selection | null
  /** what keeps it from being complete, and since when */
  problem: (MailboxProblem & { since: Date }) | null
}

/** A row of `mailboxes`, as far as the API shows it. */
export type MailboxRecord = {
  mailbox_id: string
  account_id: string
  path: string
  delimiter: string | null
  attributes: string[]
  special_use: string | null
  subscribed: boolean
  selectable: boolean
  messages: string
  unseen: string
  server_messages: string | null
  complete: boolean
  server_path: string | null
  server_subscribed: boolean | null
  /** whether operations on it wait; not asked of the past */
  waiting?: boolean
  held_deletion: string | null
  selection: Selection | null
  problem: (MailboxProblem & { since: string }) | null
}

/** The mailboxes of accounts, or those with given ids, by path with INBOX first. */
export async function viewMailboxList(
  session: Queryable,
  by: { accounts: readonly string[] } | { ids: readonly string[] },
): Promise<MailboxListView[]> {
  const column = 'accounts' in by ? 'account_id' : 'mailbox_id'
  const { rows } = await session.query<MailboxRecord>({
    name: `mailbox-list-by-${column}`,
    text: `select mailbox_id, account_id, path, delimiter, attributes, special_use, subscribed, selectable, messages, unseen,
             server_messages, complete, server_path, server_subscribed, held_deletion, selection, problem,
             server_path is null and exists (select from operations where operations.mailbox_id = mailboxes.mailbox_id
               and operations.messages = 0 and state in ('PENDING', 'SENT')) as waiting
           from mailboxes where ${column} = any($1::uuid[]) and not hidden order by upper(path) <> 'INBOX', path collate "C", mailbox_id`,
    values: ['accounts' in by ? by.accounts : by.ids],
  })
  return rows.map(mailboxListView)
}

/** How many messages there are in all mailboxes of an account. */
export async function viewMessageCount(session: Queryable, accountId: string): Promise<number> {
  const { rows } = await session.query<{ messages: string }>({
    name: 'message-count',
    text: 'select coalesce(sum(messages), 0) as messages from mailboxes where account_id = $1',
    values: [accountId],
  })
  return Number(rows[0]?.messages ?? 0)
}

/** Whose a mailbox is that is there or was, null when it never was. */
export async function viewMailboxOwner(session: Queryable, mailboxId: string): Promise<string | null> {
  const { rows } = await session.query<{ account_id: string }>({
    name: 'mailbox-owner',
    text: `select account_id from mailboxes where mailbox_id = $1
           union all select account_id from past_mailboxes where mailbox_id = $1 limit 1`,
    values: [mailboxId],
  })
  return rows[0]?.account_id ?? null
}

/** Brings a row into the form in which it is handed on. */
export function mailboxListView(row: MailboxRecord): MailboxListView {
  return {
    mailboxId: row.mailbox_id,
    accountId: row.account_id,
    path: row.path,
    delimiter: row.delimiter,
    attributes: row.attributes,
    specialUse: row.special_use,
    subscribed: row.subscribed,
    selectable: row.selectable,
    messages: Number(row.messages),
    unseen: Number(row.unseen),
    serverMessages: Number(row.server_messages ?? 0),
    complete: row.complete,
    isPending: isPending(row),
    heldDeletion: Number(row.held_deletion ?? 0),
    selection: row.selection,
    problem: row.problem && { ...row.problem, since: new Date(row.problem.since) },
  }
}

/** Whether something of a mailbox waits; of one that was made here, and that the server would not have, nothing does. */
function isPending({ server_path: serverPath, server_subscribed, path, subscribed, waiting = true }: MailboxRecord) {
  if (serverPath === null) return waiting
  return serverPath !== path || server_subscribed !== subscribed
}

/**
 * Messages recorded by an account's last events, a second: how fast a first sync goes. Zero when it has come to rest.
 *
 * @param at the version at which that is asked; now where it is null
 */
export async function viewSyncRate(session: Queryable, accountId: string, at: number | null): Promise<number> {
  const { rows } = await session.query<{ rate: number | null }>({
    name: 'sync-rate',
    text: `with latest as (
             select type, recorded_at from events
             where account_id = $1 and version <= coalesce($2, 9007199254740991) order by version desc limit 10000
           ), moment as (select case when $2::bigint is null then now() else max(recorded_at) end as at from latest)
           select count(*) filter (where type = 'MessageAdded')
             / greatest(1, extract(epoch from max(moment.at) - min(recorded_at)))::float as rate
           from latest, moment where recorded_at > moment.at - interval '5 seconds'`,
    values: [accountId, at],
  })
  return Math.round(rows[0]?.rate ?? 0)
}
