/* Many credentials are sealed anew while the work is cut off again and again. */
import { randomBytes } from 'node:crypto'
import { v7 as newId } from 'uuid'
import { Credentials } from '../src/platform/credentials.js'
import { checkMasterKey, rotateMasterKey } from '../src/platform/master-key.js'
import { SecretBox, type MasterKey } from '../src/platform/secrets.js'
import { Store } from './support/store.ts'

const ACCOUNTS = 1_700
let store: Store

beforeAll(async () => {
  store = await Store.open()
})
afterAll(() => store?.close())

const key = (name: string): MasterKey => ({ key: randomBytes(32), name })

test('core 10: a rotation that is cut off after each piece loses no credential, and is refused without both keys', async () => {
  const { database } = store
  const [first, second, third] = [key('first'), key('second'), key('third')]
  const old = { current: first, before: null }
  await checkMasterKey(database, old)
  const ids = Array.from({ length: ACCOUNTS }, () => newId())
  await database.pool.query('insert into streams (account_id) select unnest($1::uuid[])', [ids])
  const written = new Credentials(database, new SecretBox(old))
  await database.transaction(async (session) => {
    for (const id of ids) await written.keep(session, id, `password of ${id}`)
  })
  await database.pool.query(`update credentials set sealed = '\\x00' where account_id = $1`, [ids[0]])

  const both = { current: second, before: first }
  const credentials = new Credentials(database, new SecretBox(both))
  const opened = async () => {
    for (const id of ids.slice(1)) if ((await credentials.passwordOf(id)) !== `password of ${id}`) return false
    return true
  }
  let cuts = 0
  for (let allowed = 0; ; allowed++) {
    let pieces = 0
    const cut = () => {
      if (++pieces > allowed) throw new Error('cut off')
    }
    const end = await rotateMasterKey(database, both, cut).then(
      () => 'done',
      (error: Error) => error.message,
    )
    expect(await opened()).toBe(true)
    if (end === 'done') break
    expect(end).toBe('cut off')
    cuts++
    await expect(checkMasterKey(database, { current: second, before: null })).rejects.toThrow(
      'MAILFOLD_MASTER_KEY_BEFORE',
    )
    await expect(checkMasterKey(database, { current: third, before: first })).rejects.toThrow(
      'third is not the master key',
    )
  }
  expect(cuts).toBeGreaterThan(2)
  await checkMasterKey(database, { current: second, before: null })
  await expect(checkMasterKey(database, old)).rejects.toThrow('first is not the master key')
  const [, id = ''] = ids
  expect(await new Credentials(database, new SecretBox({ current: second, before: null })).passwordOf(id)).toContain(id)
  // a process that has only the key before keeps nothing that the others could not open
  await expect(database.transaction((session) => written.keep(session, id, 'x'))).rejects.toThrow('was changed')
  expect(await rotateMasterKey(database, { current: third, before: second })).toEqual({
    resealed: ACCOUNTS - 1,
    unreadable: 1,
  })
})
