import type { Queryable } from '../../platform/database.js'
import { viewWasCurrent, viewSessions } from '../../projections/session-views.js'

/**
 * Whether an ONLINE account is to have a connection: while a session is open, and without one until it was up to date for the first time.
 */
export async function isConnectionWanted(session: Queryable, accountId: string): Promise<boolean> {
  return (await viewSessions(session, accountId)).length > 0 || !(await viewWasCurrent(session, accountId))
}
