import { readStream } from '../event-store/stored-events.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Queryable } from '../platform/database.js'
import { accountView, type AccountRecord, type AccountView } from './account-views.js'
import { concernsMailboxes } from './core-projection.js'
import { SNAPSHOT_VERSIONS } from './mailbox-rows.js'
import { mailboxListView, type MailboxListView, type MailboxRecord } from './mailbox-views.js'
import { project } from './project.js'
import type { MailboxChange } from './row-changes.js'

/** An account and its mailboxes as they were at a version; without an account before it was connected. */
export type PastAccount = { account: AccountView | null; mailboxes: MailboxListView[] }

/** Rows while events are folded onto them. */
type Rows = { account: Row | null; mailboxes: Map<string, Row> }
type Row = Record<string, unknown>

/** An account at a version: the rows of the last snapshot before it, and the events since then folded onto them. */
export async function viewPastAccount(session: Queryable, accountId: string, version: number): Promise<PastAccount> {
  const from = Math.floor(version / SNAPSHOT_VERSIONS) * SNAPSHOT_VERSIONS
  const rows = await snapshot(session, accountId, from)
  const events = from === version ? [] : await readStream(session, accountId, from, version - from)
  for (const event of events) foldEvent(rows, event)
  const shown = [...rows.mailboxes.values()].filter((row) => row['hidden'] !== true)
  const mailboxes = shown.map((row) => mailboxListView(row as MailboxRecord))
  return {
    account: rows.account ? accountView({ ...(rows.account as AccountRecord), version: String(version) }) : null,
    mailboxes: mailboxes.sort(byPath),
  }
}

/** As SQL orders them: INBOX, then by path, byte by byte; while one is being replaced, two may have the same. */
function byPath(one: MailboxListView, other: MailboxListView): number {
  const isInbox = ({ path }: MailboxListView) => path.toUpperCase() === 'INBOX'
  const first = Number(isInbox(other)) - Number(isInbox(one))
  const byName = Buffer.compare(Buffer.from(one.path), Buffer.from(other.path))
  return first || byName || (one.mailboxId < other.mailboxId ? -1 : 1)
}

async function snapshot(session: Queryable, accountId: string, at: number): Promise<Rows> {
  const accounts = await session.query<Row>({
    name: 'past-account',
    text: 'select * from past_accounts where account_id = $1 and at_version <= $2 order by at_version desc limit 1',
    values: [accountId, at],
  })
  const mailboxes = await session.query<Row & { mailbox_id: string }>({
    name: 'past-mailboxes',
    text: `with known as (
             select mailbox_id from mailboxes where account_id = $1
             union select mailbox_id from past_mailboxes where account_id = $1 and removed
           )
           select past.* from known cross join lateral (
             select * from past_mailboxes
             where account_id = $1 and mailbox_id = known.mailbox_id and at_version <= $2
             order by at_version desc limit 1
           ) as past where not past.removed`,
    values: [accountId, at],
  })
  return {
    account: accounts.rows[0] ?? null,
    mailboxes: new Map(mailboxes.rows.map((row) => [row.mailbox_id, row])),
  }
}

function foldEvent(rows: Rows, event: RecordedEvent): void {
  for (const change of project(event)) {
    const at = { version: event.version, change }
    if (concernsMailboxes(at)) foldChange(rows, event.accountId, at.change)
  }
}

/** What a new mailbox has that no event says, as in the table's defaults. */
const NEW_MAILBOX = {
  ...{ uid_next: 1, server_messages: null, complete: false, messages: 0, unseen: 0 },
  ...{ server_path: null, server_subscribed: null, hidden: false },
  ...{ held_deletion: null, deletion_confirmed: false, selection: null, problem: null },
}
const NEW_ACCOUNT = {
  server: null,
  capabilities: [],
  namespaces: null,
  deletion_policy: null,
  collection: null,
  maildrop: null,
  current_as_of: null,
  connection_failure: null,
}

function foldChange(rows: Rows, accountId: string, change: MailboxChange): void {
  switch (change.change) {
    case 'add account':
      rows.account = { ...NEW_ACCOUNT, account_id: accountId, ...change.columns }
      return
    case 'set account':
      rows.account = rows.account && { ...rows.account, ...change.columns }
      return
    case 'add mailbox':
      rows.mailboxes.set(change.mailboxId, {
        ...NEW_MAILBOX,
        mailbox_id: change.mailboxId,
        account_id: accountId,
        ...change.columns,
      })
      return
    case 'remove mailbox':
      rows.mailboxes.delete(change.mailboxId)
      return
    case 'set mailbox':
      setMailbox(rows, change.mailboxId, () => change.columns)
      return
    case 'add measure':
      // no row of an account or a mailbox
      return
    case 'count messages':
      setMailbox(rows, change.mailboxId, (row) => ({
        messages: Number(row['messages']) + change.messages,
        unseen: Number(row['unseen']) + change.unseen,
      }))
  }
}

function setMailbox(rows: Rows, mailboxId: string, columns: (row: Row) => Row): void {
  const row = rows.mailboxes.get(mailboxId)
  if (row) rows.mailboxes.set(mailboxId, { ...row, ...columns(row) })
}
