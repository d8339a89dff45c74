import type { KnownMessage } from '../mailbox/message-changes.js'
import type { Queryable } from '../platform/database.js'

/** A message that is to leave the index; `sha256` names its raw message, where that is here. */
export type LeavingMessage = Omit<KnownMessage, 'apart'> & { sha256: string | null }

/** A mailbox that is to leave the index, whether that has begun, and some of its messages. */
export type LeavingMailbox = { mailboxId: string; isLeaving: boolean; messages: LeavingMessage[] }

/**
 * A mailbox of an account that the selection leaves out and that is in the index, and at most `limit` of its messages; null where there is
 * none. One in which something is pending, or kept, does not count.
 */
export async function viewToLeaveOut(
  session: Queryable,
  accountId: string,
  limit: number,
): Promise<LeavingMailbox | null> {
  const { rows } = await session.query<{ mailbox_id: string; leaving: boolean }>({
    name: 'mailbox-to-leave-out',
    text: `select mailbox_id, not complete and found_later as leaving
           from mailboxes join accounts using (account_id)
           where account_id = $1 and not hidden and server_path = path and selectable
             and coalesce(mailboxes.selection, accounts.selection)->>'keep' = 'NONE'
             and not (complete and uid_validity is null)
             and not exists (
               select from operations
               where operations.account_id = $1 and operations.mailbox_id = mailboxes.mailbox_id and settled_at is null)
             and not exists (
               select from server_places left join messages using (message_id) where server_places.account_id = $1
                 and mailboxes.mailbox_id in (server_places.mailbox_id, messages.mailbox_id))
             and not exists (
               select from operation_messages join messages using (message_id)
               where operation_messages.account_id = $1 and outcome is null and messages.mailbox_id = mailboxes.mailbox_id)
             and not exists (
               select from kept_messages join messages using (message_id)
               where kept_messages.account_id = $1 and messages.mailbox_id = mailboxes.mailbox_id)
           limit 1`,
    values: [accountId],
  })
  const [mailbox] = rows
  if (!mailbox) return null
  const { mailbox_id: mailboxId, leaving: isLeaving } = mailbox
  return { mailboxId, isLeaving, messages: await viewLeaving(session, mailboxId, limit) }
}

async function viewLeaving(session: Queryable, mailboxId: string, limit: number): Promise<LeavingMessage[]> {
  const { rows } = await session.query<{
    message_id: string
    uid: string
    flags: string[]
    fingerprint: string
    internal_date: Date
    email_id: string | null
    sha256: string | null
  }>({
    name: 'messages-to-leave-out',
    text: `select message_id, uid, flags, encode(fingerprint, 'hex') as fingerprint, internal_date, email_id,
             encode(content_sha256, 'hex') as sha256
           from messages where mailbox_id = $1 limit $2`,
    values: [mailboxId, limit],
  })
  return rows.map((row) => ({
    messageId: row.message_id,
    uid: Number(row.uid),
    flags: row.flags,
    fingerprint: row.fingerprint,
    internalDate: row.internal_date.toISOString(),
    emailId: row.email_id,
    sha256: row.sha256,
  }))
}
