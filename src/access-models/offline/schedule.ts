import type { Queryable } from '../../platform/database.js'

/** When an account is due, in milliseconds; 0 for one that has no time yet. */
export async function dueAt(session: Queryable, accountId: string): Promise<number> {
  const sql = 'select due_at from schedule where account_id = $1'
  const { rows } = await session.query<{ due_at: Date }>(sql, [accountId])
  return rows[0]?.due_at.getTime() ?? 0
}

/** Makes an account due now. */
export async function makeDue(session: Queryable, accountId: string): Promise<void> {
  await session.query(
    `insert into schedule (account_id, due_at) values ($1, $2)
     on conflict (account_id) do update set due_at = excluded.due_at`,
    [accountId, new Date()],
  )
}

/**
 * Sets when an account is due after a run, unless it was made due meanwhile: the run may have passed what is to be seen.
 *
 * @param was when it was due for that run, in milliseconds
 * @returns when it is due now
 */
export async function setDueAfterRun(
  session: Queryable,
  accountId: string,
  was: number,
  next: number,
): Promise<number> {
  await session.query(
    `insert into schedule (account_id, due_at) values ($1, $3)
     on conflict (account_id) do update set due_at = excluded.due_at where schedule.due_at <= $2`,
    [accountId, new Date(was), new Date(next)],
  )
  return dueAt(session, accountId)
}
