/* The master key: a wrong one is refused, a lost one is given up on purpose, and another takes its place. */
import { randomBytes } from 'node:crypto'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { failing, isWell } from './support/failing.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { mailfold, Service, until } from './support/service.ts'

const CHANGE = `mutation ($input: ChangeCredentialsInput!) {
  changeCredentials(input: $input) { account { id } errors { __typename } }
}`

let dovecot: Dovecot
let service: Service
let mine: DisconnectedAccount
let file: string

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await dovecot.fill('keyed', { INBOX: [mail(1, { subject: 'first' })] })
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
  file = join(service.folder, 'master.key')
  mine = await DisconnectedAccount.connect(service, dovecot, 'keyed')
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const key = () => randomBytes(32).toString('hex')
const run = (args: string[], environment: NodeJS.ProcessEnv = {}) =>
  mailfold(args, { NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: service.folder, ...environment })

/** Whether the account is worked on, with its credentials opened anew. */
async function works(): Promise<void> {
  mine.wire.cut()
  await isWell(service, mine.id)
  const number = Math.floor(Math.random() * 1e6)
  await dovecot.deliver('keyed', mail(number, { subject: `came ${number}` }))
  await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === `came ${number}`))
}

test('core 10: a start with a master key that does not open what is there is refused, and says which key', async () => {
  await service.end('SIGTERM')
  const kept = await readFile(file, 'utf8')
  const refusal = (name: string) =>
    new RegExp(`^mailfold: ${name} is not the master key with which the credentials in the database are sealed: .*\\n$`)
  expect(await run(['start'], { MAILFOLD_MASTER_KEY: key() })).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(refusal('MAILFOLD_MASTER_KEY')) as string,
  })
  await writeFile(file, key())
  expect(await run(['start'])).toMatchObject({ code: 78, stderr: expect.stringMatching(refusal(file)) as string })
  await rm(file)
  expect(await run(['start'])).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/^mailfold: \S+master\.key is not there, and the credentials .*\n$/) as string,
  })
  // none was made in its place
  await expect(readFile(file)).rejects.toThrow('ENOENT')
  await writeFile(file, kept)
  await service.launch()
  await works()
})

test('core 10: of an installation of before, the key that opens a credential is taken for the right one', async () => {
  const forget = async () => {
    const database = await service.database()
    await database.query('delete from master_key')
    await database.end()
    await service.end('SIGTERM')
  }
  await forget()
  expect(await run(['start'], { MAILFOLD_MASTER_KEY: key() })).toMatchObject({ code: 78 })
  await service.launch()
  const database = await service.database()
  expect((await database.query('select from master_key')).rowCount).toBe(1)
  await database.end()
  await works()
})

test('core 10: rotate-key seals all credentials with a new key in its file; it has the service stopped for that', async () => {
  expect(await run(['rotate-key'])).toMatchObject({
    code: 69,
    stderr: expect.stringContaining('stop it first') as string,
  })
  await service.end('SIGTERM')
  const before = await readFile(file, 'utf8')
  const told = await run(['rotate-key', '--json'])
  expect([told.code, told.stderr, JSON.parse(told.stdout)]).toEqual([0, '', { resealed: 1, unreadable: 0 }])
  expect(await readFile(file, 'utf8')).not.toBe(before)
  await expect(readFile(`${file}.before`)).rejects.toThrow('ENOENT')
  expect(await run(['start'], { MAILFOLD_MASTER_KEY: before.trim() })).toMatchObject({ code: 78 })
  await service.launch()
  await works()
})

test('core 10: rotate-key that was killed between its steps is gone on with, and nothing starts without both keys', async () => {
  await service.end('SIGTERM')
  // killed after the key before was kept, and after the new one was put into its place
  await copyFile(file, `${file}.before`)
  await service.launch()
  await works()
  await service.end('SIGTERM')
  await writeFile(file, key())
  expect(await run(['rotate-key'])).toMatchObject({ code: 0, stderr: '' })
  await service.launch()
  await works()
})

test('core 10: processes that know both keys go on while the key is changed to one in a setting', async () => {
  await service.end('SIGTERM')
  const next = key()
  const both = { MAILFOLD_MASTER_KEY: next, MAILFOLD_MASTER_KEY_BEFORE: (await readFile(file, 'utf8')).trim() }
  await service.launch(undefined, both)
  await works()
  const changed = await service.ask(CHANGE, { input: { accountId: mine.id, password: PASSWORD } })
  expect(changed).toMatchObject({ changeCredentials: { errors: [] } })
  expect(await run(['rotate-key', '--beside'], both)).toMatchObject({ code: 0, stderr: '' })
  await works()
  expect(await service.ask(CHANGE, { input: { accountId: mine.id, password: PASSWORD } })).toMatchObject(
    changed as object,
  )
  await service.end('SIGTERM')
  await rm(file)
  await service.launch(undefined, { MAILFOLD_MASTER_KEY: next })
  await works()
})

test('core 10: a key that is lost is given up on purpose; each account then says that it needs new credentials', async () => {
  await service.end('SIGTERM')
  expect((await run(['start'])).code).toBe(78)
  expect(await run(['rotate-key', '--lost'])).toMatchObject({ code: 0, stderr: '' })
  await service.launch()
  await failing(service, mine.id, { state: 'FAILED', remedy: 'CHANGE_CREDENTIALS' })
  await service.ask(CHANGE, { input: { accountId: mine.id, password: PASSWORD } })
  await isWell(service, mine.id)
  await works()
})
