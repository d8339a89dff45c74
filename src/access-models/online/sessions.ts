import { Injectable } from '@nestjs/common'
import { v7 as newId } from 'uuid'
import type { Session } from '../../mailbox/session.js'
import type { Queryable } from '../../platform/database.js'
import { Platform } from '../../platform/platform.js'
import { viewSession, viewSessions } from '../../projections/session-views.js'

/** A use of sessions is written down when this part of their idle time has passed since the last that was. */
const NOTED_PART = 0.1

/** The sessions of ONLINE accounts. They are no part of the log: nothing follows from them but whether there is a connection. */
@Injectable()
export class Sessions {
  constructor(private readonly platform: Platform) {}

  /** Opens one. @param idleSeconds seconds without use after which it ends by itself */
  async open(accountId: string, idleSeconds: number): Promise<Session> {
    const openedAt = Date.now()
    const session = { sessionId: newId(), accountId, openedAt, idleSeconds, expiresAt: openedAt + idleSeconds * 1_000 }
    // by the database's clock, which every process compares with; what has ended by itself goes
    await this.platform.database.pool.query(
      `with ended as (delete from sessions where account_id = $2 and expires_at <= now())
       insert into sessions (session_id, account_id, opened_at, idle_seconds, expires_at)
       values ($1, $2, now(), $3::int, now() + make_interval(secs => $3::int))`,
      [session.sessionId, accountId, idleSeconds],
    )
    return session
  }

  /** Takes notice that a session is in use. @returns undefined where it is not open */
  async keep(sessionId: string): Promise<Session | undefined> {
    const { pool } = this.platform.database
    const session = await viewSession(pool, sessionId)
    return session && (await this.noteUse(pool, [session]))[0]
  }

  /** Takes notice that an account is worked with, which all its sessions are for. @returns those that are open */
  async used(session: Queryable, accountId: string): Promise<Session[]> {
    return this.noteUse(session, await viewSessions(session, accountId))
  }

  /** Ends one. @returns the account that it was of, null where there is no such session */
  async close(sessionId: string): Promise<string | null> {
    const { rows } = await this.platform.database.pool.query<{ account_id: string }>(
      'delete from sessions where session_id = $1 and expires_at > now() returning account_id',
      [sessionId],
    )
    return rows[0]?.account_id ?? null
  }

  /** Ends all of an account's. */
  async closeAll(accountId: string): Promise<void> {
    await this.platform.database.pool.query('delete from sessions where account_id = $1', [accountId])
  }

  /** Not each use is written down, so that work is not slowed down by it. */
  private async noteUse(session: Queryable, sessions: readonly Session[]): Promise<Session[]> {
    const now = Date.now()
    const used = sessions.map((each) => ({ ...each, expiresAt: now + each.idleSeconds * 1_000 }))
    const noted = used.filter(({ expiresAt, idleSeconds }, index) => {
      return expiresAt - (sessions[index]?.expiresAt ?? 0) >= idleSeconds * 1_000 * NOTED_PART
    })
    if (noted.length > 0)
      await session.query(
        `update sessions set expires_at = now() + make_interval(secs => idle_seconds) where session_id = any($1::uuid[])`,
        [noted.map(({ sessionId }) => sessionId)],
      )
    return used
  }
}
