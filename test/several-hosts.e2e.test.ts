/* Processes that share no folder: raw messages are in an S3. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { Installation } from './support/installation.ts'
import { mail } from './support/mail.ts'
import { OfflineAccount, onServer, sha256, untilOnServer } from './support/maildrop.ts'
import { failing, isWell } from './support/failing.ts'
import { S3 } from './support/s3.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let s3: S3
let installation: Installation
let api: Service
let worker: Service
let folders: string[]

beforeAll(async () => {
  ;[dovecot, s3] = await Promise.all([Dovecot.start(), S3.start()])
  folders = await Promise.all(['api', 'worker'].map((name) => mkdtemp(join(tmpdir(), `mailfold-${name}-`))))
  installation = await Installation.start(s3.environment)
  const [ofApi, ofWorker] = folders
  worker = await installation.add(['worker'], { MAILFOLD_DATA: ofWorker, MAILFOLD_CHECK_INTERVAL: '1000' })
  api = await installation.add(['api'], { MAILFOLD_DATA: ofApi })
})

afterAll(async () => {
  await installation?.stop()
  await s3?.stop()
  await dovecot?.stop()
  for (const folder of folders ?? []) await rm(folder, { recursive: true, force: true })
})

const LARGE = mail(900, {
  subject: 'large',
  body: randomBytes(1_200_000).toString('base64').replace(/.{76}/g, '$&\r\n'),
})

const SELECT = 'mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }'
const SELECTED = { setSelection: { errors: [] } }

const FORGET = `mutation ($input: ForgetMessageInput!) {
  forgetMessage(input: $input) { forgottenIds errors { __typename } } }`

test('what one has collected, small and large, another serves, whole and in part; and what it serves it may delete', async () => {
  const small = [0, 1, 2].map((number) => mail(number, { subject: `small ${number}` }))
  await dovecot.fill('ada', { INBOX: [...small, LARGE] })
  const account = await OfflineAccount.connect(api, 'POP3', { port: dovecot.pop3Port, username: 'ada' })
  expect(await account.contents()).toEqual([...small, LARGE].map(sha256).sort())
  expect(await s3.names()).toEqual([...small, LARGE].map(sha256).sort())
  const large = (await account.state()).messages.nodes.find(({ subject }) => subject === 'large')
  const part = await api.fetch(large?.rawUrl ?? '', { headers: { range: 'bytes=1000000-1000099' } })
  expect([part.status, await part.text()]).toEqual([206, LARGE.toString().slice(1_000_000, 1_000_100)])

  await account.setPolicy({ kind: 'AT_ONCE' })
  await account.syncNow()
  await untilOnServer(dovecot, 'ada', 0)

  const [first] = (await account.state()).messages.nodes.filter(({ subject }) => subject === 'small 1')
  await api.ask(FORGET, { input: { messageId: first?.id, requestedBy: 'a test' } })
  await until(async () => !(await s3.names()).includes(sha256(small[1] ?? '')))
  for (const folder of folders) expect(await readdir(folder)).not.toContain('blobs')
})

test('what a client puts into a mailbox through one, another uploads', async () => {
  await dovecot.fill('bob', { INBOX: [mail(10)], Drafts: [] })
  const mine = await DisconnectedAccount.connect(api, dovecot, 'bob')
  await mine.append('Drafts', mail(11, { subject: 'made here' }))
  await until(async () => (await mine.onServer('Drafts')).some(({ subject }) => subject === 'made here'))
  await mine.end()
})

test('failures: while the S3 is away nothing is taken for kept, and nothing is deleted on a server', async () => {
  await dovecot.fill('eve', { INBOX: [mail(20)] })
  const account = await OfflineAccount.connect(api, 'POP3', { port: dovecot.pop3Port, username: 'eve' })
  await account.setPolicy({ kind: 'AT_ONCE' })
  await account.syncNow()
  await untilOnServer(dovecot, 'eve', 0)
  await s3.goAway()
  const raw = mail(21, { subject: 'came meanwhile' })
  await dovecot.deliver('eve', raw)
  await account.syncNow()
  await until(() => worker.said().includes('a sync failed'))
  await failing(api, account.id, {
    state: 'FAILED',
    remedy: 'CHECK_BLOB_STORE',
    reason: 'The blob store is unavailable.',
  })
  const { messages } = await account.state()
  expect(messages.nodes.length).toBe(1)
  const unread = await api.fetch(messages.nodes[0]?.rawUrl ?? '')
  expect([unread.status, await unread.json()]).toEqual([503, { error: 'The blob store is unavailable.' }])
  expect(await onServer(dovecot, 'eve')).toBe(1)
  await s3.comeBack()
  await until(async () => {
    await account.syncNow()
    return (await account.state()).messages.nodes.length === 2
  })
  await untilOnServer(dovecot, 'eve', 0)
  expect((await account.contents()).length).toBe(2)
})

test('failures: while the S3 is away an account whose mail is copied stays connected and current; the copies come when it is back', async () => {
  await dovecot.fill('joe', { INBOX: [mail(30, { subject: 'first' })] })
  const mine = await DisconnectedAccount.connect(api, dovecot, 'joe')
  expect(await api.ask(SELECT, { input: { accountId: mine.id, selection: { keep: 'WHOLE' } } })).toEqual(SELECTED)
  const raw = mail(31, { subject: 'came meanwhile' })
  await until(async () => (await s3.names()).includes(sha256(mail(30, { subject: 'first' }))))
  const logins = mine.wire.asked.length
  await s3.goAway()
  await mine.other.append('INBOX', raw)
  await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'came meanwhile'))
  await until(() => worker.said().includes('raw messages cannot be kept'))
  await failing(
    api,
    mine.id,
    { state: 'CONNECTED', remedy: 'CHECK_BLOB_STORE', reason: 'The blob store is unavailable.' },
    false,
  )
  const message = await mine.message('came meanwhile')
  await mine.flags([message.id], ['\\Flagged'])
  await until(async () => (await mine.onServer('INBOX')).some(({ flags }) => flags.includes('\\Flagged')))
  const appended = `mutation ($input: AppendMessageInput!) { appendMessage(input: $input) { errors { __typename } } }`
  const input = { mailboxId: await mine.mailbox('INBOX'), raw: Buffer.from(mail(32)).toString('base64') }
  expect((await api.answer(appended, { input })).errors?.map(({ extensions }) => extensions?.code)).toEqual([
    'CONTENT_UNAVAILABLE',
  ])
  expect(mine.wire.asked.length).toBe(logins)
  await s3.comeBack()
  await until(async () => (await s3.names()).includes(sha256(raw)))
  await isWell(api, mine.id)
  expect(mine.wire.asked.length).toBe(logins)
  await mine.end()
  await until(async () => !(await s3.names()).includes(sha256(raw)))
})

test('of an account that is forgotten while its mail is being copied nothing stays', async () => {
  const mails = Array.from({ length: 300 }, (_, number) => mail(1_000 + number))
  await dovecot.fill('kim', { INBOX: mails })
  const before = await s3.names()
  const mine = await DisconnectedAccount.connect(api, dovecot, 'kim')
  expect(await api.ask(SELECT, { input: { accountId: mine.id, selection: { keep: 'WHOLE' } } })).toEqual(SELECTED)
  await until(async () => (await s3.names()).length > before.length)
  await mine.end()
  // what was under way comes to its end first
  await until(async () => (await s3.names()).length > before.length + 200, 3_000).catch(() => undefined)
  await until(async () => (await s3.names()).length === before.length)
  expect(await s3.names()).toEqual(before)
})

test('a backup has what is in the bucket, and a restore puts it there', async () => {
  const copy = join(folders[0] ?? '', 'copy')
  const environment = {
    ...installation.own.environment,
    ...s3.environment,
    MAILFOLD_DATA: folders[0],
    NODE_OPTIONS: '',
  }
  const taken = await mailfold(['backup', copy, '--json'], environment)
  const names = await s3.names()
  expect([taken.code, taken.stderr]).toEqual([0, ''])
  expect(JSON.parse(taken.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ blobs: names.length, missing: [] })

  const other = await S3.start()
  const fresh = await mkdtemp(join(tmpdir(), 'mailfold-restored-'))
  folders.push(fresh)
  const restored = { ...other.environment, MAILFOLD_DATA: fresh, NODE_OPTIONS: '', DATABASE_URL: '' }
  expect(await mailfold(['restore', copy], restored)).toMatchObject({ code: 0, stderr: '' })
  expect(await other.names()).toEqual(names)
  await other.stop()
})

test('a start without the bucket says so in one line', async () => {
  const environment = { ...s3.environment, MAILFOLD_BLOBS: 's3://nowhere', MAILFOLD_PORT: '0' }
  const { code, stderr } = await mailfold(['start'], { ...environment, MAILFOLD_DATA: folders[1], NODE_OPTIONS: '' })
  expect([code, stderr]).toEqual([69, expect.stringContaining('MAILFOLD_BLOBS: s3://nowhere cannot be used')])
})
