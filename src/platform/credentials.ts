import type { Database, Queryable } from './database.js'
import type { SecretBox } from './secrets.js'

/** An account's password cannot be opened: its row is missing or damaged, or was sealed with another master key. */
export class CredentialsUnreadable extends Error {}

/** The accounts' passwords: sealed before they reach the database, opened for a login, never logged or returned. */
export class Credentials {
  constructor(
    private readonly database: Database,
    private readonly box: SecretBox,
  ) {}

  /** Keeps a password, in the transaction of the event that makes it valid. */
  async keep(session: Queryable, accountId: string, password: string): Promise<void> {
    // held until the transaction ends, so that the key is not changed meanwhile
    const { rows } = await session.query<{ sealed: Buffer }>('select sealed from master_key for share')
    const { wrappedKey, sealed } = this.box.seal(password, accountId, rows[0]?.sealed ?? Buffer.alloc(0))
    await session.query(
      `insert into credentials (account_id, wrapped_key, sealed) values ($1, $2, $3)
       on conflict (account_id) do update set wrapped_key = excluded.wrapped_key, sealed = excluded.sealed, changed_at = now()`,
      [accountId, wrappedKey, sealed],
    )
  }

  /** Removes an account's password for good. */
  async remove(session: Queryable, accountId: string): Promise<void> {
    await session.query('delete from credentials where account_id = $1', [accountId])
  }

  /** @throws CredentialsUnreadable */
  async passwordOf(accountId: string): Promise<string> {
    const sql = 'select wrapped_key, sealed from credentials where account_id = $1'
    const { rows } = await this.database.pool.query<{ wrapped_key: Buffer; sealed: Buffer }>(sql, [accountId])
    if (!rows[0]) throw new CredentialsUnreadable('The credentials of the account are not there.')
    try {
      return this.box.open({ wrappedKey: rows[0].wrapped_key, sealed: rows[0].sealed }, accountId)
    } catch {
      throw new CredentialsUnreadable(
        'The credentials of the account cannot be opened: they are damaged, or were sealed with another master key.',
      )
    }
  }
}
