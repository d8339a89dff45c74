import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import yauzl from 'yauzl'
import { Dovecot } from './support/dovecot.ts'
import { connectThroughWire } from './support/disconnected.ts'
import { mail, variedMail } from './support/mail.ts'
import { OfflineAccount, sha256 } from './support/maildrop.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let folder: string
let account: OfflineAccount
let contents: string[]

/** Messages that a format may spoil. */
const SPOILABLE = [
  mail(900, { subject: 'quoting', body: 'From here on\r\n>From there\r\n>>From both\r\nFromage\r\n\r\nFrom the end' }),
  mail(901, { subject: 'Ünïcode / and: "others"?', body: 'é\r\n\r\n\r\n' }),
  mail(902, { subject: 'long', body: `${'x'.repeat(200_000)}\r\n>From\r\n` }),
]
const COUNT = 30

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailfold-transfer-'))
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000' })
  await fillMaildir(dovecot.mailOf('out'), null, COUNT, (number) => SPOILABLE[number] ?? variedMail(number))
  await fillMaildir(dovecot.mailOf('out'), 'Work/2026.old', 5, (number) => variedMail(100 + number))
  account = await OfflineAccount.connect(service, 'IMAP', { port: dovecot.imapPort, username: 'out' })
  await account.setCollection({ mailboxes: ['INBOX', 'Work/2026/old'] })
  await until(async () => (await account.state()).messages.nodes.length === COUNT + 5)
  contents = await account.contents()
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  await rm(folder, { recursive: true, force: true })
})

const run = (...args: string[]) => mailfold(args, service.clientEnvironment)
const filesBelow = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())

/** An account with nothing in it, to import into. */
async function empty(user: string): Promise<OfflineAccount> {
  await fillMaildir(dovecot.mailOf(user), null, 0, variedMail)
  return OfflineAccount.connect(service, 'IMAP', { port: dovecot.imapPort, username: user })
}

describe('what is exported', () => {
  test('as a zip has every message, byte for byte', async () => {
    const target = join(folder, 'all.zip')
    const done = await run('export', target, '--account', account.id, '--format', 'zip', '--json')
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(done.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ messages: COUNT + 5 })
    const zip = await yauzl.openPromise(target)
    const found: string[] = []
    for await (const entry of zip.eachEntry()) found.push(sha256(await buffer(await zip.openReadStreamPromise(entry))))
    expect(found.sort()).toEqual(contents)
  })

  test('as a Maildir has every message byte for byte, in its folder, with its flags', async () => {
    const target = join(folder, 'Maildir')
    expect(await run('export', target, '--account', account.id, '--format', 'maildir')).toMatchObject({ code: 0 })
    const files = await filesBelow(target)
    const found = await Promise.all(
      files.map(async ({ parentPath, name }) => sha256(await readFile(join(parentPath, name)))),
    )
    expect(found.sort()).toEqual(contents)
    expect(await readdir(join(target, '.Work.2026.old', 'cur'))).toHaveLength(5)
    const seen = (await account.state()).messages.nodes.filter(({ flags }) => flags.includes('\\Seen'))
    expect(files.filter(({ name }) => /:2,\w*S/.test(name))).toHaveLength(seen.length)
  })

  test('as an mbox can be read by whoever reads mbox, and comes back as it was', async () => {
    const target = join(folder, 'all.mbox')
    expect(await run('export', target, '--account', account.id)).toMatchObject({ code: 0 })
    const text = await readFile(target, 'latin1')
    expect(text.match(/^From \S+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/gm)).toHaveLength(COUNT + 5)
    expect(text).not.toContain('\r\n')
    expect(text).toContain('\n>From here on\n>>From there\n>>>From both\nFromage\n')
    const other = await empty('in-mbox')
    const done = await run('import', target, '--account', other.id, '--json')
    expect(JSON.parse(done.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ imported: COUNT + 5, skipped: 0 })
    expect(await other.contents()).toEqual(contents)
    const dates = (await other.state()).messages.nodes
    expect(new Set(dates.map(({ origin }) => origin))).toEqual(new Set(['IMPORTED']))
  })

  test('of one mailbox, or of a query, has that and no more', async () => {
    const one = join(folder, 'work.mbox')
    expect(await run('export', one, '--account', account.id, '--mailbox', 'Work/2026/old')).toMatchObject({ code: 0 })
    expect((await readFile(one, 'latin1')).match(/^From \S+ /gm)).toHaveLength(5)
    const two = join(folder, 'query.mbox')
    expect(await run('export', two, '--account', account.id, '--subject', 'quoting')).toMatchObject({ code: 0 })
    expect((await readFile(two, 'latin1')).match(/^From \S+ /gm)).toHaveLength(1)
    expect(await run('export', two, '--account', account.id)).toMatchObject({
      code: 73,
      stderr: expect.stringContaining('is there already') as string,
    })
    expect(await run('export', join(folder, 'x'), '--account', account.id, '--mailbox', 'None')).toMatchObject({
      code: 66,
    })
  })

  test('with a message that was forgotten says so in its place', async () => {
    const [first] = (await account.state()).messages.nodes
    const copy = await empty('forgetting')
    await run('import', join(folder, 'work.mbox'), '--account', copy.id)
    const [message] = (await copy.state()).messages.nodes
    expect(first).toBeDefined()
    await copy.change(
      'forgetMessage',
      'ForgetMessageInput',
      { messageId: message?.id, requestedBy: 'a test' },
      'forgottenIds',
    )
    const target = join(folder, 'forgotten.mbox')
    expect(await run('export', target, '--account', copy.id)).toMatchObject({ code: 0 })
    const text = await readFile(target, 'latin1')
    expect(text.match(/^From \S+ /gm)).toHaveLength(5)
    expect(text).toMatch(/^X-Mailfold-Missing: /m)
  })

  test('and imported again after it was forgotten leaves nothing of its content here', async () => {
    const copy = await empty('again')
    const source = join(folder, 'alone.mbox')
    await writeFile(
      source,
      `From a@b.c Thu Jan  1 00:00:00 2026\n${mail(9_999, { body: 'forgotten twice' }).replaceAll('\r\n', '\n')}\n`,
    )
    await run('import', source, '--account', copy.id)
    const [message] = (await copy.state()).messages.nodes
    const sha = await copy.contentOf(message as { rawUrl: string })
    await copy.change(
      'forgetMessage',
      'ForgetMessageInput',
      { messageId: message?.id, requestedBy: 'a test' },
      'forgottenIds',
    )
    await run('import', source, '--account', copy.id, '--mailbox', 'Again')
    await until(async () => (await filesBelow(join(service.folder, 'blobs'))).every(({ name }) => name !== sha))
  })
})

test('operator 5: messages of which only the index is here are fetched by the hundred, not one by one', async () => {
  const MANY = 250
  await fillMaildir(dovecot.mailOf('index-only'), null, MANY, (number) => variedMail(1_000 + number))
  await fillMaildir(dovecot.mailOf('index-only'), 'Other', 5, (number) => variedMail(2_000 + number))
  const { id, wire } = await connectThroughWire(service, dovecot, 'index-only', 'DISCONNECTED')
  try {
    const before = wire.asked.join('').length
    const target = join(folder, 'index-only.mbox')
    const exported = await run('export', target, '--account', id)
    expect([exported.code, exported.code === 0 ? '' : exported.stderr, service.said()]).toEqual([0, '', ''])
    const text = await readFile(target, 'latin1')
    expect(text.match(/^From \S+ /gm)).toHaveLength(MANY + 5)
    expect(text).not.toMatch(/^X-Mailfold-Missing: /m)
    const fetches =
      wire.asked
        .join('')
        .slice(before)
        .match(/UID FETCH [^\r]*BODY/g) ?? []
    expect(fetches.length).toBeGreaterThan(0)
    // two pages, of two mailboxes at most
    expect(fetches.length).toBeLessThanOrEqual(6)
  } finally {
    wire.stop()
  }
})

describe('the command line', () => {
  const none = () =>
    expect.stringMatching(/^mailfold: there is no account nobody \(npx mailfold accounts\)\n$/) as string

  test('operator 3: an account that is not there is told in the same words by every command', async () => {
    const source = join(folder, 'for nobody.mbox')
    await writeFile(source, 'From a@b.c Thu Jan  1 00:00:00 2026\n')
    const beside = (...args: string[]) => mailfold(args, { NODE_OPTIONS: '', MAILFOLD_DATA: service.folder })
    for (const finished of [
      run('export', join(folder, 'none'), '--account', 'nobody'),
      run('import', source, '--account', 'nobody'),
      run('tail', 'nobody'),
      beside('check', 'nobody'),
      beside('verify', 'nobody'),
      beside('rebuild', 'nobody'),
    ])
      expect(await finished).toMatchObject({ code: 66, stderr: none() })
  })

  test('operator 3: each way of failing has its exit code, and one line', async () => {
    const oneLine = expect.stringMatching(/^mailfold: [^\n]+\n$/) as string
    const file = join(folder, 'a file')
    await writeFile(file, '')
    const codes: [number, string[], NodeJS.ProcessEnv?][] = [
      [64, ['export', '-', '--format', 'maildir']],
      [64, ['export', join(folder, 'a'), '--account', account.id, '--since', 'yesterday']],
      [65, ['import', folder, '--account', account.id]],
      [66, ['import', join(folder, 'no such file'), '--account', account.id]],
      [69, ['accounts'], { MAILFOLD_URL: 'http://127.0.0.1:1' }],
      [73, ['export', join(folder, 'no such folder/all.mbox'), '--account', account.id]],
      [73, ['export', join(file, 'below'), '--account', account.id]],
      [77, ['accounts'], { MAILFOLD_TOKEN: 'a-token-that-is-another' }],
      [78, ['accounts'], { MAILFOLD_PORT: 'four thousand' }],
    ]
    for (const [code, args, environment] of codes)
      expect([args, await mailfold(args, { ...service.clientEnvironment, ...environment })]).toEqual([
        args,
        { code, stdout: '', stderr: oneLine },
      ])
    for (const args of [['no-such-command'], ['export'], ['export', 'x', '--format', 'doc'], ['accounts', '--nothing']])
      expect([args, (await run(...args)).code]).toEqual([args, 64])
    expect((await run('--help')).stdout).toMatch(/Exit codes:[^]*64[^]*78/)
  })

  test('operator 3: an import that is refused counts nothing', async () => {
    const path = join(folder, 'refused.mbox')
    await writeFile(path, 'nothing of the kind\n')
    const { stderr, code } = await run('import', path, '--account', account.id)
    expect(code).toBe(65)
    expect(stderr).not.toContain('imported')
  })

  test('an import that the service breaks off says how far it came', async () => {
    const path = join(folder, 'broken-off.mbox')
    await writeFile(path, 'From a@example.org Thu Jan  1 00:00:00 2026\n\nHello\n')
    const breaks = createServer((request, response) => {
      if (request.url === '/graphql') return response.end(JSON.stringify({ data: { accounts: [{ id: account.id }] } }))
      response.write('{"imported":2,"skipped":0}\n', () => response.destroy())
    })
    await new Promise<void>((done) => breaks.listen(0, '127.0.0.1', done))
    const { port } = breaks.address() as AddressInfo
    const { code, stderr } = await mailfold(['import', path], {
      ...service.clientEnvironment,
      MAILFOLD_URL: `http://127.0.0.1:${port}`,
    })
    expect([code, stderr]).toEqual([
      69,
      expect.stringMatching(/^mailfold: the service broke the import off after \d messages?: [^\n]*\n$/),
    ])
    breaks.close()
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('operator 3: an export that %s ends leaves nothing', async (signal) => {
    // answers, and then sends no more
    const slow = createServer((request, response) => {
      if (request.method === 'POST') response.end(JSON.stringify({ data: { accounts: [{ id: account.id }] } }))
      else response.writeHead(200, { 'mailfold-messages': '1', 'mailfold-bytes': '9' }).write('From ')
    })
    await new Promise<void>((done) => slow.listen(0, '127.0.0.1', done))
    const { port } = slow.address() as AddressInfo
    const target = join(folder, `cut-${signal}.mbox`)
    const child = spawn('dist/bundle/main.js', ['export', target], {
      env: { ...process.env, ...service.clientEnvironment, MAILFOLD_URL: `http://127.0.0.1:${port}` },
    })
    await until(() => existsSync(`${target}.partial`))
    child.kill(signal)
    expect(await new Promise((done) => child.once('close', done))).toBe(128 + constants.signals[signal])
    expect((await readdir(folder)).filter((name) => name.startsWith(`cut-${signal}`))).toEqual([])
    slow.closeAllConnections()
    slow.close()
  })
})

describe('what is imported', () => {
  test('from a Maildir keeps mailboxes, flags and dates, and nothing comes twice', async () => {
    const other = await empty('in-maildir')
    const source = join(folder, 'Maildir')
    const done = await run('import', source, '--account', other.id, '--json')
    expect(JSON.parse(done.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ imported: COUNT + 5, error: null })
    expect(await other.contents()).toEqual(contents)
    const flagsOf = async (of: OfflineAccount) =>
      (await of.state()).messages.nodes
        .map(({ subject, flags, mailbox }) => `${subject} ${mailbox.path} ${flags.join()}`)
        .sort()
    expect(await flagsOf(other)).toEqual(await flagsOf(account))
    const again = await run('import', source, '--account', other.id, '--json')
    expect(JSON.parse(again.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ imported: 0, skipped: COUNT + 5 })
  })

  test('from a Maildir without INBOX, as an export of one mailbox writes it, is taken as well', async () => {
    const path = join(folder, 'one mailbox')
    expect(
      await run('export', path, '--format', 'maildir', '--account', account.id, '--mailbox', 'Work/2026/old'),
    ).toMatchObject({ code: 0 })
    expect(await readdir(path)).toEqual(expect.arrayContaining(['cur', 'new', 'tmp', '.Work.2026.old']))
    // an export of before had nothing at the top
    for (const name of ['cur', 'new', 'tmp']) await rm(join(path, name), { recursive: true })
    const into = await empty('one-mailbox')
    expect(await run('import', path, '--account', into.id)).toMatchObject({
      code: 0,
      stderr: '5 messages imported, 0 here already\n',
    })
  })

  test('is never deleted on the server, nor taken for mail of the server', async () => {
    const other = await empty('in-policy')
    await run('import', join(folder, 'all.mbox'), '--account', other.id, '--mailbox', 'Archive')
    expect(await other.setPolicy({ kind: 'AT_ONCE' })).toEqual({ messages: 0, bytes: 0 })
    await other.syncNow()
    await until(async () => (await other.state()).maildrop?.messages === 0)
    expect((await other.state()).mailboxes.find(({ path }) => path === 'Archive')?.messageCount).toBe(COUNT + 5)
  })

  test('from what is no mbox, or into what keeps no mail here, is refused', async () => {
    const path = join(folder, 'no.mbox')
    await writeFile(path, 'nothing of the kind\n')
    const none = await run('import', path, '--account', account.id, '--json')
    expect(none).toMatchObject({ code: 65, stderr: expect.stringContaining('no mbox') as string })
    const held = await service.connect({
      host: '127.0.0.1',
      port: dovecot.imapPort,
      security: 'PLAINTEXT',
      username: 'held',
      password: 'correct-horse',
    })
    expect(await run('import', path, '--account', held)).toMatchObject({
      code: expect.any(Number) as number,
      stderr: expect.stringContaining('OFFLINE') as string,
    })
    expect((await service.fetch(`/accounts/${held}/export?format=doc`)).status).toBe(400)
    expect((await fetch(`${service.url}/accounts/${held}/export?format=mbox`)).status).toBe(401)
  })
})
