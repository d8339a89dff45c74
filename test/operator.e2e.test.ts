import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { variedMail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { OwnServices } from './support/own-services.ts'
import { mailfold, Service, until, type Finished } from './support/service.ts'
import { Wire } from './support/wire.ts'

/** Enough that the first sync is cut off where a test cuts it off. */
const MANY = 6_000

let dovecot: Dovecot
let service: Service
let folder: string
let small: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailfold operator '))
  small = join(folder, 'small')
  await mkdir(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small])
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('many'), null, MANY, variedMail)
  await fillMaildir(dovecot.mailOf('half'), null, 100, variedMail)
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  execFileSync('umount', [small])
  await rm(folder, { recursive: true, force: true })
})

const oneLine = (pattern: string) =>
  expect.stringMatching(new RegExp(`^mailfold: [^\\n]*${pattern}[^\\n]*\\n$`)) as string
const addressOf = (user: string) => `imaps://${user}@localhost:${dovecot.imapsPort}`
const run = (args: string[], environment: NodeJS.ProcessEnv = {}, input = '') =>
  mailfold(args, { ...service.clientEnvironment, ...environment }, input)

/**
 * Runs the command line on a terminal.
 *
 * @param typed what is typed as soon as something shows, in this order
 * @returns the exit code, and all that the terminal was sent
 */
async function onTerminal(args: string[], typed: [after: string, keys: string][]): Promise<Omit<Finished, 'stderr'>> {
  const command = ['exec', 'dist/bundle/main.js', ...args].join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, ...service.clientEnvironment },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const ended = new Promise<number | null>((done) => child.once('close', done))
  for (const [after, keys] of typed) {
    await until(() => stdout.includes(after))
    child.stdin.write(keys)
  }
  return { code: await ended, stdout }
}

const CTRL_C = '\x03'
const CTRL_D = '\x04'
const SHOW_CURSOR = '\x1b[?25h'

test('Ctrl-C where the password is asked for ends the command, and Ctrl-D gives none', async () => {
  const connect = ['connect', addressOf('nora'), '--model', 'disconnected']
  const cut = await onTerminal(connect, [['Password: ', CTRL_C]])
  expect(cut).toEqual({ code: 130, stdout: expect.not.stringContaining('await') as string })
  const none = await onTerminal(connect, [['Password: ', CTRL_D]])
  expect(none).toEqual({ code: 64, stdout: expect.stringContaining('no password was given') as string })
  expect(await run(connect, {}, '\n')).toMatchObject({ code: 64, stderr: oneLine('no password was given') })
})

test('a command that is ended while it shows a bar gives the cursor back', async () => {
  const { code, stdout } = await onTerminal(
    ['connect', addressOf('many'), '--model', 'disconnected'],
    [
      ['Password: ', `${PASSWORD}\r`],
      [`of ${MANY} messages`, CTRL_C],
    ],
  )
  expect(code).toBe(130)
  expect(stdout.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(stdout.lastIndexOf(`of ${MANY} messages`))
})

test('no password is asked for where no service answers', async () => {
  const connect = ['connect', addressOf('nora'), '--model', 'online']
  expect(await run(connect, { MAILFOLD_URL: 'http://127.0.0.1:1' })).toMatchObject({
    code: 69,
    stderr: oneLine('no service answers'),
  })
})

test('connect says what keeps the first sync from going on, and goes on when it does', async () => {
  const wire = await Wire.to(dovecot.imapPort, ['COMPRESS=DEFLATE'])
  wire.answering = (command) => (/^UID FETCH/.test(command) ? 'hold' : null)
  const address = `imap://half@localhost:${wire.port}`
  const child = spawn(
    process.execPath,
    ['dist/bundle/main.js', 'connect', address, '--plaintext', '--model', 'disconnected'],
    {
      env: { ...process.env, ...service.clientEnvironment },
    },
  )
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise((done) => child.once('close', done))
  child.stdin.end(`${PASSWORD}\n`)
  await until(() => wire.struck)
  wire.isDown = true
  wire.cut()
  await until(() => /mailfold: DISCONNECTED: .*localhost.* \(RETRIES_BY_ITSELF\)\n/.test(stderr))
  wire.answering = () => null
  wire.isDown = false
  expect(await ended).toBe(0)
  wire.stop()
})

test('each way in which an account is not connected has its exit code, and one line', async () => {
  const online = ['--model', 'online']
  const first = ['connect', addressOf('otto'), ...online]
  expect(await run(first, {}, PASSWORD)).toMatchObject({ code: 0 })
  const cases: [code: number, args: string[], says: string][] = [
    [64, ['connect', `pop3s://otto@localhost:${dovecot.pop3sPort}`, ...online], 'POP3'],
    [64, ['connect', 'imaps://ot%zzto@localhost', ...online], 'written with %25'],
    [64, ['connect', `${addressOf('otto')}/INBOX`, ...online], 'nothing may follow'],
    [64, ['connect', 'imaps://localhost', ...online], 'the address must be like'],
    [69, ['connect', 'imaps://otto@localhost:1', ...online], 'refuses connections'],
    [73, first, 'connected already'],
    [77, ['connect', 'imaps://otto@169.254.169.254', ...online], 'MAILFOLD_MAIL_HOSTS'],
    [77, ['connect', 'imap://otto@10.1.2.3', '--plaintext', ...online], 'MAILFOLD_ALLOW_PLAINTEXT'],
    [64, ['bogus'], "unknown command 'bogus'"],
  ]
  for (const [code, args, says] of cases)
    expect([args, await run(args, {}, PASSWORD)]).toEqual([args, { code, stdout: '', stderr: oneLine(says) }])
})

test('tail, like every command, says at once that the service is not there, or is none of Mailfold', async () => {
  const web = createServer((_, response) => response.writeHead(502).end('<html>Bad gateway</html>'))
  const other = createServer((_, response) => response.writeHead(404).end('{"message":"Not found"}'))
  for (const each of [web, other]) await new Promise<void>((done) => each.listen(0, '127.0.0.1', done))
  const at = (server: typeof web) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const command of [['tail', '--all'], ['accounts']]) {
    const fails = (url: string) => run(command, { MAILFOLD_URL: url })
    expect(await fails('http://127.0.0.1:1')).toEqual({ code: 69, stdout: '', stderr: oneLine('no service answers') })
    expect(await fails(at(web))).toEqual({ code: 69, stdout: '', stderr: oneLine('is not Mailfold \\(HTTP 502\\)') })
    expect(await fails(at(other))).toEqual({ code: 69, stdout: '', stderr: oneLine('is not Mailfold') })
    expect(await fails('localhost:4000')).toEqual({ code: 78, stdout: '', stderr: oneLine('MAILFOLD_URL') })
  }
  expect(await run(['tail', '--all', '--after', 'nonsense'])).toEqual({
    code: 64,
    stdout: '',
    stderr: oneLine('no cursor'),
  })
  web.close()
  other.close()
})

test('check tells of messages that are not read yet', async () => {
  const own = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
  try {
    const account = await own.connect({
      host: 'localhost',
      port: dovecot.imapsPort,
      username: 'many',
      password: PASSWORD,
    })
    type Some = { account: { progress: { done: number } } }
    const query = 'query ($id: ID!) { account(id: $id) { progress { done } } }'
    await until(async () => (await own.ask<Some>(query, { id: account })).account.progress.done > 0)
    await own.end('SIGKILL')
    const { code, stdout } = await mailfold(['check'], { MAILFOLD_DATA: own.folder })
    expect(stdout).toMatch(/INBOX: \d+ of the server's messages are not read yet\n/)
    expect(stdout).not.toContain('all is recorded')
    expect(code).toBe(1)
  } finally {
    await own.stop()
  }
})

test('a first start on a disk that is too small says so', async () => {
  const start = await mailfold(['start'], { MAILFOLD_PORT: '0', MAILFOLD_DATA: join(small, 'too much') })
  expect(start).toEqual({ code: 69, stdout: '', stderr: oneLine('No space left on device') })
})

describe('on a full disk', () => {
  beforeAll(async () => {
    await writeFile(join(small, 'fill'), Buffer.alloc(2 ** 20)).catch(() => undefined)
  })

  test('a first start says so', async () => {
    const start = await mailfold(['start'], { MAILFOLD_PORT: '0', MAILFOLD_DATA: join(small, 'data') })
    expect(start).toEqual({ code: 73, stdout: '', stderr: oneLine('data cannot be written: the disk is full') })
  })

  test('a backup says so, and leaves nothing', async () => {
    const target = join(small, 'backup')
    const { code, stderr } = await mailfold(['backup', target], { MAILFOLD_DATA: service.folder })
    expect([code, stderr]).toEqual([73, oneLine('the disk is full')])
    expect(existsSync(`${target}.partial`)).toBe(false)
  })

  test('an export says so, and leaves nothing', async () => {
    const answers = createServer((request, response) => {
      if (request.method === 'POST') response.end(JSON.stringify({ data: { accounts: [{ id: 'QWNjb3VudDox' }] } }))
      else response.writeHead(200, { 'mailfold-messages': '1', 'mailfold-bytes': '4' }).end('From '.repeat(100_000))
    })
    await new Promise<void>((done) => answers.listen(0, '127.0.0.1', done))
    const target = join(small, 'all.mbox')
    const { port } = answers.address() as AddressInfo
    const { code, stderr } = await run(['export', target], { MAILFOLD_URL: `http://127.0.0.1:${port}` })
    expect([code, stderr]).toEqual([73, `mailfold: ${target}: the disk is full\n`])
    expect(existsSync(`${target}.partial`)).toBe(false)
    const full = `exec dist/bundle/main.js export - > /dev/full`
    const said = spawn('sh', ['-c', full], {
      env: { ...process.env, ...service.clientEnvironment, MAILFOLD_URL: `http://127.0.0.1:${port}` },
    })
    let stderrOfFull = ''
    said.stderr.on('data', (chunk: Buffer) => (stderrOfFull += chunk.toString()))
    expect(await new Promise((done) => said.once('close', done))).toBe(73)
    expect(stderrOfFull).toBe('mailfold: standard output: the disk is full\n')
    answers.close()
  })
})

test('what this user may not use is told as that, and not as missing', async () => {
  const nobody = Number(execFileSync('id', ['-u', 'nobody']).toString())
  // the checkout may lie where nobody may go: what is run is what is copied
  const copy = await mkdtemp(join(tmpdir(), 'mailfold-copy-'))
  await chmod(copy, 0o755)
  execFileSync('cp', ['-r', 'dist', 'package.json', 'node_modules', copy])
  await writeFile(join(service.folder, 'token'), 'a-token-of-somebody', { mode: 0o600 })
  const asNobodyDoes = (...args: string[]) => {
    const child = spawn(join(copy, 'node_modules/.bin/node'), [join(copy, 'dist/bundle/main.js'), ...args], {
      uid: nobody,
      gid: nobody,
      env: { PATH: process.env['PATH'], MAILFOLD_DATA: service.folder },
      cwd: '/',
    })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    return new Promise((done) => child.once('close', (code) => done({ code, stderr })))
  }
  await chmod(service.folder, 0o711)
  for (const command of ['accounts', 'verify', 'start'])
    expect([command, await asNobodyDoes(command)]).toEqual([
      command,
      { code: 77, stderr: oneLine('this user may not use it') },
    ])
  await rm(copy, { recursive: true, force: true })
})

test('a start that is refused, since the service runs on its folder, changes nothing there', async () => {
  const start = await mailfold(['start'], { MAILFOLD_PORT: '0', MAILFOLD_DATA: service.folder })
  expect(start).toEqual({ code: 69, stdout: '', stderr: oneLine('in use by another Mailfold') })
  expect(existsSync(join(service.folder, 'tls-ca.pem'))).toBe(true)
})

test('a database in which no tables can be made, or that goes away, is told in one line, and every command ends', async () => {
  const own = await OwnServices.start()
  const owner = own.database()
  try {
    await owner.query('create role guest login')
    const guest = own.databaseUrl.replace('owner@', 'guest@')
    for (const command of ['start', 'verify']) {
      const run = await mailfold([command], { MAILFOLD_PORT: '0', MAILFOLD_DATA: folder, DATABASE_URL: guest })
      expect([command, run]).toEqual([command, { code: 77, stdout: '', stderr: oneLine('grant its role the schema') }])
    }
    const environment = { MAILFOLD_DATA: folder, DATABASE_URL: own.databaseUrl }
    expect(await mailfold(['migrate'], environment)).toMatchObject({ code: 0 })
    const session = await owner.connect()
    await session.query('begin; lock table streams')
    const verified = mailfold(['verify'], environment)
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mailfold' and wait_event_type = 'Lock'`
    await until(async () => (await owner.query(end)).rowCount === 1)
    expect(await verified).toEqual({ code: 69, stdout: '', stderr: oneLine('database') })
    session.release()
  } finally {
    await owner.end()
    await own.stop()
  }
})

test('a data folder that is a file, and an address of a database that is none, are told in one line', async () => {
  const file = join(folder, 'a file')
  await writeFile(file, '')
  const start = (environment: NodeJS.ProcessEnv) => mailfold(['start'], { MAILFOLD_PORT: '0', ...environment })
  expect(await start({ MAILFOLD_DATA: file })).toEqual({ code: 73, stdout: '', stderr: oneLine('is no folder') })
  for (const url of ['postgres://user:50%off@localhost/mail', 'postgres://user:p#w@localhost/mail'])
    expect(await start({ MAILFOLD_DATA: folder, DATABASE_URL: url })).toEqual({
      code: 78,
      stdout: '',
      stderr: oneLine('DATABASE_URL'),
    })
  const blobs = await start({ MAILFOLD_DATA: join(folder, 'data'), MAILFOLD_BLOBS: 's3://none', AWS_REGION: '' })
  expect(blobs).toEqual({ code: 69, stdout: '', stderr: oneLine('MAILFOLD_BLOBS') })
  expect(await start({ MAILFOLD_DATA: folder, MAILFOLD_TRACES: 'yes', MAILFOLD_LOG_LEVEL: 'loud' })).toEqual({
    code: 78,
    stdout: '',
    stderr: oneLine('MAILFOLD_LOG_LEVEL: must be fatal, .*MAILFOLD_TRACES: must be true or false'),
  })
})
