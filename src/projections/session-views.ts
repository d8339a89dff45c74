import type { Session } from '../mailbox/session.js'
import type { Queryable } from '../platform/database.js'

/** The sessions of an account that are open, oldest first. They are not in the log, and have no past. */
export async function viewSessions(session: Queryable, accountId: string): Promise<Session[]> {
  return sessionsOf(session, 'account_id', accountId)
}

/** A session, while it is open. */
export async function viewSession(session: Queryable, sessionId: string): Promise<Session | undefined> {
  return (await sessionsOf(session, 'session_id', sessionId))[0]
}

async function sessionsOf(session: Queryable, column: 'account_id' | 'session_id', id: string): Promise<Session[]> {
  const { rows } = await session.query<{
    session_id: string
    account_id: string
    opened_at: Date
    idle_seconds: number
    left: number
  }>({
    name: `sessions-by-${column}`,
    text: `select session_id, account_id, opened_at, idle_seconds, extract(epoch from expires_at - now())::float as left from sessions
           where ${column} = $1 and expires_at > now() order by opened_at, session_id`,
    values: [id],
  })
  return rows.map((row) => ({
    sessionId: row.session_id,
    accountId: row.account_id,
    openedAt: row.opened_at.getTime(),
    idleSeconds: row.idle_seconds,
    // the database's clock says how long it is open; this process's may say another time
    expiresAt: Date.now() + row.left * 1_000,
  }))
}

/**
 * Whether the index of an account is whole: the account was up to date once, and all mailboxes that it has now have been read for the first time, which
 * begins anew with another model.
 */
export async function viewIsIndexed(session: Queryable, accountId: string): Promise<boolean> {
  const { rows } = await session.query<{ indexed: boolean | null }>({
    name: 'is-indexed',
    text: `select current_as_of is not null and
             (select bool_and(complete) from mailboxes
              where account_id = $1 and selectable and server_path is not null) as indexed
           from accounts where account_id = $1`,
    values: [accountId],
  })
  return rows[0]?.indexed === true
}
