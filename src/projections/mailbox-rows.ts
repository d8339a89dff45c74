import type { Writes } from '../platform/statements.js'
import type { AccountColumns, At, MailboxChange, MailboxColumns } from './row-changes.js'

/** Rows of accounts and mailboxes are kept as they were at every so many versions; what lies between is folded when read. */
export const SNAPSHOT_VERSIONS = 256

/** The last version of the snapshot interval that a version lies in. */
function snapshotAfter(version: number): number {
  return Math.ceil(version / SNAPSHOT_VERSIONS) * SNAPSHOT_VERSIONS
}

/**
 * Folds changes of an account and its mailboxes: what changes within one interval is joined per row, and at its end the
 * rows that changed in it are copied into the rows of the past.
 *
 * @param range the versions that are folded, those without such a change included
 */
export async function foldMailboxes(
  session: Writes,
  accountId: string,
  changes: readonly At<MailboxChange>[],
  range: { first: number; last: number },
): Promise<void> {
  let next = 0
  for (let end = snapshotAfter(range.first); ; end += SNAPSHOT_VERSIONS) {
    const pending = new Pending(session, accountId)
    for (let at = changes[next]; at && at.version <= end; at = changes[++next]) await pending.take(at)
    await pending.write()
    if (end > range.last) return
    await keepSnapshot(session, accountId, end)
  }
}

type PendingRow = { columns: MailboxColumns; messages: number; unseen: number; version: number }

/** Changes of rows that are still to be written, joined. */
class Pending {
  private account: { columns: AccountColumns; version: number } | null = null
  private readonly mailboxes = new Map<string, PendingRow>()

  constructor(
    private readonly session: Writes,
    private readonly accountId: string,
  ) {}

  async take({ version, change }: At<MailboxChange>): Promise<void> {
    switch (change.change) {
      case 'add account':
        return insert(this.session, 'accounts', { account_id: this.accountId, ...change.columns, version })
      case 'set account':
        this.account = { columns: { ...this.account?.columns, ...change.columns }, version }
        return
      case 'add measure': {
        const { messages, bytes, limit } = change.size
        const measure = { at: change.at, messages, bytes, bytes_limit: limit }
        return insert(this.session, 'maildrop_measures', { account_id: this.accountId, version, ...measure })
      }
      case 'add mailbox':
        return insert(this.session, 'mailboxes', {
          mailbox_id: change.mailboxId,
          account_id: this.accountId,
          ...change.columns,
          version,
        })
      case 'set mailbox': {
        const row = this.row(change.mailboxId, version)
        row.columns = { ...row.columns, ...change.columns }
        return
      }
      case 'count messages': {
        const row = this.row(change.mailboxId, version)
        row.messages += change.messages
        row.unseen += change.unseen
        return
      }
      case 'remove mailbox':
        await this.writeMailbox(change.mailboxId)
        this.mailboxes.delete(change.mailboxId)
        return removeMailbox(this.session, change.mailboxId, version)
    }
  }

  async write(): Promise<void> {
    if (this.account) {
      const { columns, version } = this.account
      await update(this.session, 'accounts', 'account_id', this.accountId, { ...columns, version })
    }
    for (const mailboxId of this.mailboxes.keys()) await this.writeMailbox(mailboxId)
  }

  private row(mailboxId: string, version: number): PendingRow {
    const row = this.mailboxes.get(mailboxId) ?? { columns: {}, messages: 0, unseen: 0, version }
    this.mailboxes.set(mailboxId, row)
    row.version = version
    return row
  }

  private async writeMailbox(mailboxId: string): Promise<void> {
    const row = this.mailboxes.get(mailboxId)
    if (!row) return
    const { columns, messages, unseen, version } = row
    await update(this.session, 'mailboxes', 'mailbox_id', mailboxId, { ...columns, version }, { messages, unseen })
  }
}

async function keepSnapshot(session: Writes, accountId: string, at: number): Promise<void> {
  await session.query({
    name: 'keep-accounts',
    text: `with accounts_then as (
             insert into past_accounts select accounts.*, $2::bigint from accounts where account_id = $1 and version > $3
           )
           insert into past_mailboxes
           select mailboxes.*, $2::bigint, false from mailboxes where account_id = $1 and version > $3`,
    values: [accountId, at, at - SNAPSHOT_VERSIONS],
  })
}

/** What the mailbox was last is kept with the mark that it is gone by the end of the interval. */
async function removeMailbox(session: Writes, mailboxId: string, version: number): Promise<void> {
  await session.query({
    name: 'remove-mailbox',
    text: `with removed as (delete from mailboxes where mailbox_id = $1 returning *)
           insert into past_mailboxes select removed.*, $2::bigint, true from removed`,
    values: [mailboxId, snapshotAfter(version)],
  })
}

// column names below come from row-changes.ts, never from outside

async function insert(session: Writes, table: string, columns: Record<string, unknown>): Promise<void> {
  const names = Object.keys(columns)
  const places = names.map((_, index) => `$${index + 1}`)
  const text = `insert into ${table} (${names.join()}) values (${places.join()})`
  await session.query({ text, values: Object.values(columns) })
}

async function update(
  session: Writes,
  table: string,
  key: string,
  id: string,
  columns: object,
  increments: Record<string, number> = {},
): Promise<void> {
  const values: unknown[] = [id]
  const given = (value: unknown) => `$${values.push(value)}`
  const assignments = [
    ...Object.entries(columns).map(([name, value]) => `${name} = ${given(value)}`),
    ...Object.entries(increments).map(([name, value]) => `${name} = ${name} + ${given(value)}`),
  ]
  await session.query({ text: `update ${table} set ${assignments.join()} where ${key} = $1`, values })
}
