import { Credentials } from './credentials.js'
import type { Database, Queryable } from './database.js'
import { EXIT } from './exit-codes.js'
import { isOpened, loadMasterKeys, sealCheck, SecretBox, type MasterKey, type MasterKeys } from './secrets.js'
import type { Settings } from './settings.js'
import { StartFailure } from './start-failure.js'

/** Credentials that are read, or sealed anew, together. */
const PIECE = 500

/** The settings that say what the master key is. */
export type KeySettings = Pick<Settings, 'MAILFOLD_DATA' | 'MAILFOLD_MASTER_KEY' | 'MAILFOLD_MASTER_KEY_BEFORE'>

/** The row that says by which key the credentials are sealed; `sealed_before` while they are being sealed anew. */
type CheckRow = { sealed: Buffer; sealed_before: Buffer | null }

/** What became of credentials that were sealed anew. */
export type Resealed = { resealed: number; unreadable: number }

/**
 * Opens the credentials of an installation, with the master key that sealed them.
 *
 * @throws StartFailure naming the key that does not open what is there
 */
export async function openCredentials(database: Database, settings: KeySettings): Promise<Credentials> {
  const keys = await loadMasterKeys(settings, await isUnused(database.pool))
  await checkMasterKey(database, keys)
  return new Credentials(database, new SecretBox(keys))
}

/** Whether nothing was sealed yet, so that a key may be made. */
export async function isUnused(session: Queryable): Promise<boolean> {
  const sql = 'select exists (select from master_key) or exists (select from credentials) as used'
  const { rows } = await session.query<{ used: boolean }>(sql)
  return rows[0]?.used === false
}

/** Sees that the keys are those by which the credentials are sealed; records it where that was not done yet. @throws StartFailure */
export async function checkMasterKey(database: Database, keys: MasterKeys): Promise<void> {
  const { pool } = database
  const known = [keys.current, ...(keys.before ? [keys.before] : [])]
  if (!(await checkRow(pool))) {
    const sealing = await sealingKey(pool, known)
    if (!sealing) throw new StartFailure(doesNotOpen(keys.current), EXIT.CONFIG)
    await pool.query('insert into master_key (sealed) values ($1) on conflict do nothing', [sealCheck(sealing.key)])
  }
  const row = await checkRow(pool)
  const isKnown = (sealed: Buffer) => known.some(({ key }) => isOpened(key, sealed))
  if (!row || !isKnown(row.sealed)) throw new StartFailure(doesNotOpen(keys.current), EXIT.CONFIG)
  if (row.sealed_before && !isKnown(row.sealed_before))
    throw new StartFailure(
      'the master key is being changed, and not all credentials are sealed with the new one: set MAILFOLD_MASTER_KEY_BEFORE to the key before, and run `mailfold rotate-key`',
      EXIT.CONFIG,
    )
}

/**
 * Seals all credentials with the current key that are sealed with the one before. It can be cut off anywhere, and run again; processes that know both
 * keys go on meanwhile.
 *
 * @param pieceDone called after each piece
 * @throws StartFailure where neither key is the one that sealed the credentials
 */
export async function rotateMasterKey(
  database: Database,
  keys: MasterKeys,
  pieceDone: () => void = () => undefined,
): Promise<Resealed> {
  await checkMasterKey(database, keys)
  await database.transaction(async (session) => {
    const row = await checkRow(session, 'for update')
    if (!row || isOpened(keys.current.key, row.sealed)) return
    const sql = 'update master_key set sealed = $1, sealed_before = $2'
    await session.query(sql, [sealCheck(keys.current.key), row.sealed])
  })
  const done = { resealed: 0, unreadable: 0 }
  for (let after: string | null = ''; after !== null;) {
    after = await resealPiece(database, new SecretBox(keys), after, done)
    pieceDone()
  }
  await database.pool.query('update master_key set sealed_before = null')
  return done
}

/** Whether the current key opens any of the credentials that there are. */
export async function opensAny(database: Database, { current }: MasterKeys): Promise<boolean> {
  const { rowCount } = await database.pool.query('select from credentials limit 1')
  return rowCount === 1 && (await sealingKey(database.pool, [current])) !== undefined
}

/** Takes the current key for good, although it does not open the credentials: their accounts need new ones. */
export async function giveUpCredentials(database: Database, { current }: MasterKeys): Promise<void> {
  await database.pool.query(
    `insert into master_key (sealed) values ($1)
     on conflict (single) do update set sealed = excluded.sealed, sealed_before = null`,
    [sealCheck(current.key)],
  )
}

/** @returns the last account of the piece; null where there are no more */
async function resealPiece(database: Database, box: SecretBox, after: string, done: Resealed): Promise<string | null> {
  return database.transaction(async (session) => {
    const { rows } = await session.query<{ account_id: string; wrapped_key: Buffer; sealed: Buffer }>(
      `select account_id, wrapped_key, sealed from credentials where account_id::text > $1
       order by account_id::text limit ${PIECE} for update`,
      [after],
    )
    for (const { account_id: accountId, wrapped_key: wrappedKey, sealed } of rows) {
      const anew = box.resealed({ wrappedKey, sealed }, accountId)
      if (anew === 'unreadable') done.unreadable++
      if (typeof anew === 'string') continue
      done.resealed++
      const sql = 'update credentials set wrapped_key = $2, sealed = $3 where account_id = $1'
      await session.query(sql, [accountId, anew.wrappedKey, anew.sealed])
    }
    return rows.length < PIECE ? null : (rows.at(-1)?.account_id ?? null)
  })
}

async function checkRow(session: Queryable, lock = ''): Promise<CheckRow | undefined> {
  const { rows } = await session.query<CheckRow>(`select sealed, sealed_before from master_key ${lock}`)
  return rows[0]
}

/** The key that opens any of the credentials; the first one where there are none. An installation of before has no check value. */
async function sealingKey(session: Queryable, keys: readonly MasterKey[]): Promise<MasterKey | undefined> {
  const { rows } = await session.query<{ account_id: string; wrapped_key: Buffer; sealed: Buffer }>(
    'select account_id, wrapped_key, sealed from credentials',
  )
  if (rows.length === 0) return keys[0]
  return keys.find((current) => {
    const box = new SecretBox({ current, before: null })
    return rows.some(({ account_id: accountId, wrapped_key: wrappedKey, sealed }) =>
      box.opens({ wrappedKey, sealed }, accountId),
    )
  })
}

const doesNotOpen = ({ name }: MasterKey) =>
  `${name} is not the master key with which the credentials in the database are sealed: set the right one, or, where that is lost, run \`mailfold rotate-key --lost\` and give each account new credentials`
