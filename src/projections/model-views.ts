import type { AccessModel } from '../mailbox/access-model.js'
import type { BeforeOffline, CopyBefore, MailboxBefore } from '../mailbox/becoming-offline.js'
import type { KeptMail, KeptMessage } from '../mailbox/leaving-offline.js'
import type { ModelView } from '../mailbox/model-change.js'
import { FIRST_SELECTION, sameSelection } from '../mailbox/selection.js'
import type { Queryable } from '../platform/database.js'
import type { AccountView } from './account-views.js'
import { viewLocalMailboxes } from './local-views.js'
import { viewApartIds } from './operation-views.js'

/** What bears on a change of an account's access model. To and from OFFLINE that is all its mail. */
export async function viewModel(session: Queryable, account: AccountView, to: AccessModel): Promise<ModelView> {
  const { accountId, model, protocol, selection, connectionSchedule } = account
  const { rows } = await session.query<{
    waiting: string
    made_here: string
    contents: string
    bytes: string
    selected: string[] | null
    kept: string[] | null
  }>({
    name: 'model-view',
    text: `select
        (select count(*) from operations where account_id = $1 and state in ('PENDING', 'SENT')) as waiting,
        (select count(*) from server_places where account_id = $1 and state = 'NOT_YET') as made_here,
        (select count(*) from messages where account_id = $1 and content_sha256 is not null) as contents,
        (select coalesce(sum(content_size), 0) from messages where account_id = $1 and content_sha256 is not null) as bytes,
        (select array_agg(mailbox_id order by mailbox_id) from mailboxes
         where account_id = $1 and selection is not null) as selected,
        (select array_agg(message_id order by message_id) from kept_messages where account_id = $1) as kept`,
    values: [accountId],
  })
  const [row] = rows
  return {
    ...{ model, protocol },
    waitingOperations: Number(row?.waiting ?? 0),
    madeHere: Number(row?.made_here ?? 0),
    contents: { messages: Number(row?.contents ?? 0), bytes: Number(row?.bytes ?? 0) },
    isScheduled: connectionSchedule !== null,
    hasSelection: !sameSelection(selection, FIRST_SELECTION),
    selectedMailboxes: row?.selected ?? [],
    keptMessages: row?.kept ?? [],
    before: to === 'OFFLINE' && model !== 'OFFLINE' ? await viewBeforeOffline(session, account) : null,
    kept: to !== 'OFFLINE' && model === 'OFFLINE' ? await viewKeptMail(session, account) : null,
  }
}

async function viewBeforeOffline(session: Queryable, account: AccountView): Promise<BeforeOffline> {
  const { accountId, collection, deletionPolicy } = account
  const { rows: waiting } = await session.query<{ operation_id: string; messages: string[] }>({
    name: 'operations-waiting-of-account',
    text: `select operation_id, array_remove(array_agg(message_id), null) as messages
           from operations left join operation_messages as changed using (operation_id)
           where operations.account_id = $1 and state in ('PENDING', 'SENT') and changed.outcome is null
           group by operation_id`,
    values: [accountId],
  })
  return {
    ...{ collection, deletionPolicy },
    mailboxes: await viewMailboxesBefore(session, accountId),
    copies: await viewCopiesBefore(session, accountId),
    apart: await viewApartIds(session, accountId),
    waiting: waiting.map(({ operation_id: operationId, messages: messageIds }) => ({ operationId, messageIds })),
  }
}

async function viewMailboxesBefore(session: Queryable, accountId: string): Promise<MailboxBefore[]> {
  const { rows } = await session.query<{
    mailbox_id: string
    path: string
    delimiter: string | null
    special_use: string | null
    selectable: boolean
    hidden: boolean
    left_out: boolean
    server_path: string | null
    uid_validity: string | null
    uid_next: string
    server_messages: string | null
    complete: boolean
    unnumbered: string[] | null
  }>({
    name: 'mailboxes-before-offline',
    text: `select mailbox_id, path, delimiter, special_use, selectable, hidden, server_path, uid_validity,
             greatest(uid_next, 1 + (select max(uid) from messages where messages.mailbox_id = mailboxes.mailbox_id
               and messages.uid_validity = mailboxes.uid_validity)) as uid_next,
             server_messages, complete,
             coalesce(mailboxes.selection, accounts.selection)->>'keep' = 'NONE' as left_out,
             (select array_agg(message_id order by internal_date, message_id) from messages
              where messages.mailbox_id = mailboxes.mailbox_id
                and messages.uid_validity is distinct from mailboxes.uid_validity) as unnumbered
           from mailboxes join accounts using (account_id) where mailboxes.account_id = $1 order by path`,
    values: [accountId],
  })
  return rows.map((row) => ({
    mailboxId: row.mailbox_id,
    path: row.path,
    delimiter: row.delimiter,
    specialUse: row.special_use,
    selectable: row.selectable,
    isHidden: row.hidden,
    isLeftOut: row.left_out,
    serverPath: row.server_path,
    uidValidity: row.uid_validity,
    uidNext: Number(row.uid_next),
    serverMessages: Number(row.server_messages ?? 0),
    complete: row.complete,
    unnumbered: row.unnumbered ?? [],
  }))
}

/** What the server has of an account's messages, those included that are to be deleted and are not shown any more. */
async function viewCopiesBefore(session: Queryable, accountId: string): Promise<CopyBefore[]> {
  const { rows } = await session.query<{
    message_id: string
    mailbox: string
    uid_validity: string
    uid: string
    size: string
    sha256: string | null
    internal_date: Date
  }>({
    name: 'copies-before-offline',
    text: `select server.message_id, mailboxes.server_path as mailbox, server.uid_validity, server.uid,
             coalesce(shown.size, last.size, 0) as size, server.internal_date,
             encode(coalesce(shown.content_sha256, last.content_sha256), 'hex') as sha256
           from server_messages as server join mailboxes using (mailbox_id)
             left join messages as shown using (message_id)
             left join lateral (
               select size, content_sha256 from past_messages where message_id = server.message_id
               order by until_version desc limit 1
             ) as last on shown.message_id is null
           where server.account_id = $1 and server_path is not null and server.uid is not null
           order by server.message_id`,
    values: [accountId],
  })
  return rows.map((row) => ({
    messageId: row.message_id,
    mailbox: row.mailbox,
    uidValidity: row.uid_validity,
    uid: Number(row.uid),
    size: Number(row.size),
    sha256: row.sha256,
    internalDate: row.internal_date.toISOString(),
  }))
}

async function viewKeptMail(session: Queryable, account: AccountView): Promise<KeptMail> {
  const { accountId, collection, deletionPolicy } = account
  const { rows } = await session.query<{
    message_id: string
    mailbox_id: string
    uid: string
    flags: string[]
    fingerprint: string
    internal_date: Date
    email_id: string | null
    sha256: string | null
    size: string
    mailbox: string | null
    copy_validity: string | null
    copy_uid: string | null
  }>({
    name: 'kept-mail',
    text: `select messages.message_id, mailbox_id, messages.uid, flags, encode(fingerprint, 'hex') as fingerprint,
             messages.internal_date, email_id, encode(content_sha256, 'hex') as sha256, messages.size,
             copy.mailbox, copy.uid_validity as copy_validity, copy.uid as copy_uid
           from messages left join server_copies as copy on copy.message_id = messages.message_id and copy.state = 'THERE'
           where messages.account_id = $1 order by messages.message_id`,
    values: [accountId],
  })
  const messages = rows.map((row): KeptMessage => {
    const { mailbox, copy_validity: uidValidity, copy_uid: uid } = row
    const internalDate = row.internal_date.toISOString()
    return {
      ...{ messageId: row.message_id, mailboxId: row.mailbox_id, uid: Number(row.uid), flags: row.flags },
      identity: { fingerprint: row.fingerprint, internalDate, emailId: row.email_id },
      ...{ sha256: row.sha256, size: Number(row.size) },
      copy:
        mailbox !== null && uidValidity !== null && uid !== null ? { mailbox, uidValidity, uid: Number(uid) } : null,
    }
  })
  const mailboxes = await viewLocalMailboxes(session, accountId)
  return { mailboxes, messages, collectedFrom: collection.mailboxes, deletionPolicy }
}
