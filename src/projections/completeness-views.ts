import type { Queryable } from '../platform/database.js'

/** When all of an account's mail was last found to be in the index; null before the first time. It is no part of the log. */
export async function viewCompleteAt(session: Queryable, accountId: string): Promise<Date | null> {
  const { rows } = await session.query<{ complete_at: Date | null }>({
    name: 'complete-at',
    text: 'select complete_at from schedule where account_id = $1',
    values: [accountId],
  })
  return rows[0]?.complete_at ?? null
}

/** Notes that all of an account's mail is in the index now, unless a mailbox has a problem. */
export async function noteComplete(session: Queryable, accountId: string): Promise<void> {
  await session.query({
    name: 'note-complete',
    text: `insert into schedule (account_id, due_at, complete_at) select account_id, now(), now() from accounts
           where account_id = $1 and not exists (select from mailboxes where account_id = $1 and problem is not null)
           on conflict (account_id) do update set complete_at = excluded.complete_at`,
    values: [accountId],
  })
}

/** How many messages of an account are in the index although nothing of them could be read. */
export async function viewUnreadableCount(session: Queryable, accountId: string): Promise<number> {
  const { rows } = await session.query<{ count: string }>({
    name: 'unreadable-count',
    text: `select count(*) from messages
           where account_id = $1 and defects && '{UNREADABLE,FLAGS_UNREADABLE}' and not forgotten`,
    values: [accountId],
  })
  return Number(rows[0]?.count)
}
