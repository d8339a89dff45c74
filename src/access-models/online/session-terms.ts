import type { Queryable } from '../../platform/database.js'
import { viewIsIndexed, viewSessions } from '../../projections/session-views.js'

/**
 * Whether an ONLINE account is to have a connection: while a session is open, and without one until its index is whole.
 */
export async function isConnectionWanted(session: Queryable, accountId: string): Promise<boolean> {
  return (await viewSessions(session, accountId)).length > 0 || !(await viewIsIndexed(session, accountId))
}
