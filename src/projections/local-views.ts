import type { AccessModel } from '../mailbox/access-model.js'
import type { MailboxProblem } from '../mailbox/events.js'
import type { LocalMailbox, NewMessagesView } from '../mailbox/local-mailboxes.js'
import type { LocalMessage } from '../mailbox/local-work.js'
import type { Address, Defect, MessageData, Structure } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'
import type { AccountModel } from './account-views.js'
import { viewForgotten } from './forgotten-views.js'

/** The mailboxes that are kept here for an account. */
export async function viewLocalMailboxes(session: Queryable, accountId: string): Promise<LocalMailbox[]> {
  const { rows } = await session.query<{
    mailbox_id: string
    path: string
    special_use: string | null
    uid_validity: string
    uid_next: string
    messages: string
    server_messages: string | null
    complete: boolean
  }>({
    name: 'local-mailboxes',
    text: `select mailbox_id, path, special_use, uid_validity, uid_next, messages, server_messages, complete
           from mailboxes where account_id = $1`,
    values: [accountId],
  })
  return rows.map((row) => ({
    mailboxId: row.mailbox_id,
    path: row.path,
    specialUse: row.special_use,
    uidValidity: row.uid_validity,
    uidNext: Number(row.uid_next),
    messages: Number(row.messages),
    serverMessages: Number(row.server_messages ?? 0),
    complete: row.complete,
  }))
}

/** What keeps an account's mailboxes from being complete, by their paths; null for nothing. */
export async function viewProblems(
  session: Queryable,
  accountId: string,
): Promise<{ mailboxId: string; path: string; problem: MailboxProblem | null }[]> {
  const { rows } = await session.query<{ mailbox_id: string; path: string; problem: MailboxProblem | null }>({
    name: 'mailbox-problems',
    text: 'select mailbox_id, path, problem from mailboxes where account_id = $1',
    values: [accountId],
  })
  return rows.map(({ mailbox_id: mailboxId, path, problem }) => ({ mailboxId, path, problem }))
}

/** What a decision on new messages needs. */
export async function viewNewMessages(
  session: Queryable,
  accountId: string,
  messages: readonly Pick<MessageData, 'fingerprint'>[],
): Promise<NewMessagesView> {
  return {
    mailboxes: await viewLocalMailboxes(session, accountId),
    forgotten: await viewForgotten(session, accountId, messages),
  }
}

type MessageRecord = {
  message_id: string
  mailbox_id: string
  uid_validity: string | null
  uid: string | null
  modseq: string | null
  flags: string[]
  internal_date: Date
  size: string
  subject: string
  sent_at: string | null
  header_message_id: string | null
  in_reply_to: string | null
  message_references: string[]
  from_addresses: Address[]
  other_addresses: Record<'sender' | 'replyTo' | 'to' | 'cc' | 'bcc', Address[]>
  structure: Structure | null
  email_id: string | null
  thread_id: string | null
  fingerprint: string
  forgotten: boolean
  defects: Defect[]
}

const COLUMNS = `message_id, mailbox_id, uid_validity, uid, modseq, flags, internal_date, size, subject, sent_at, header_message_id, in_reply_to,
  message_references, from_addresses, other_addresses, structure, email_id, thread_id,
  encode(fingerprint, 'hex') as fingerprint, forgotten, defects`

/** Messages by their ids, with all that events say of them; those that are not there are missing. */
export async function viewLocalMessages(session: Queryable, ids: readonly string[]): Promise<LocalMessage[]> {
  const { rows } = await session.query<MessageRecord>({
    name: 'local-messages',
    text: `select ${COLUMNS} from messages where message_id = any($1::uuid[])`,
    values: [ids],
  })
  const found = new Map(rows.map((row) => [row.message_id, localMessage(row)]))
  return ids.flatMap((id) => found.get(id) ?? [])
}

/** The first messages of a mailbox by UID, at most `limit`. */
export async function viewFirstMessages(session: Queryable, mailboxId: string, limit: number): Promise<LocalMessage[]> {
  const { rows } = await session.query<MessageRecord>({
    name: 'first-local-messages',
    text: `select ${COLUMNS} from messages where mailbox_id = $1 order by uid limit $2`,
    values: [mailboxId, limit],
  })
  return rows.map(localMessage)
}

/** What messages were last that are no longer shown. */
export async function viewLastMessages(session: Queryable, ids: readonly string[]): Promise<LocalMessage[]> {
  const { rows } = await session.query<MessageRecord>({
    name: 'last-messages',
    text: `select distinct on (message_id) ${COLUMNS} from past_messages
           where message_id = any($1::uuid[]) order by message_id, until_version desc`,
    values: [ids],
  })
  return rows.map(localMessage)
}

function localMessage(row: MessageRecord): LocalMessage {
  const data: MessageData = {
    uid: Number(row.uid),
    flags: row.flags,
    modseq: row.modseq,
    internalDate: row.internal_date.toISOString(),
    size: Number(row.size),
    envelope: {
      ...{ date: row.sent_at, subject: row.subject, from: row.from_addresses, ...row.other_addresses },
      ...{ inReplyTo: row.in_reply_to, messageId: row.header_message_id },
    },
    structure: row.structure,
    references: row.message_references,
    emailId: row.email_id,
    threadId: row.thread_id,
    fingerprint: row.fingerprint,
    defects: row.defects,
    ...(row.forgotten ? { forgotten: true } : {}),
  }
  return { messageId: row.message_id, mailboxId: row.mailbox_id, uidValidity: row.uid_validity ?? '0', data }
}

/** The account that messages are of; null when there are none, or they are of several. */
export async function viewOwnerOfMessages(session: Queryable, ids: readonly string[]): Promise<AccountModel | null> {
  const { rows } = await session.query<{ account_id: string; model: AccessModel }>({
    name: 'owner-of-messages',
    text: `select distinct account_id, model from messages join accounts using (account_id)
           where message_id = any($1::uuid[]) limit 2`,
    values: [ids],
  })
  const [owner] = rows
  return owner && rows.length === 1 ? { accountId: owner.account_id, model: owner.model } : null
}

/** Which of some contents are here, each as "SHA-256/path of the mailbox". */
export async function viewContentsHere(
  session: Queryable,
  accountId: string,
  sha256s: readonly string[],
): Promise<Set<string>> {
  const { rows } = await session.query<{ sha256: string; path: string }>({
    name: 'contents-here',
    text: `select encode(content_sha256, 'hex') as sha256, path from messages join mailboxes using (mailbox_id)
           where messages.account_id = $1
             and content_sha256 in (select decode(hash, 'hex') from unnest($2::text[]) as hash)`,
    values: [accountId, sha256s],
  })
  return new Set(rows.map(({ sha256, path }) => `${sha256}/${path}`))
}
