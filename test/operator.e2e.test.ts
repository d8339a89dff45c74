import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { variedMail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until, type Finished } from './support/service.ts'

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
  await fillMaildir(dovecot.mailOf('half'), null, MANY, variedMail)
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
  const child = spawn(
    process.execPath,
    ['dist/bundle/main.js', 'connect', addressOf('half'), '--model', 'disconnected'],
    {
      env: { ...process.env, ...service.clientEnvironment },
    },
  )
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise((done) => child.once('close', done))
  child.stdin.end(`${PASSWORD}\n`)
  await until(() => stdout.includes('Connected'))
  await dovecot.kill()
  await until(() => /mailfold: DISCONNECTED: localhost .* \(RETRIES_BY_ITSELF\)\n/.test(stderr))
  await dovecot.restart()
  expect(await ended).toBe(0)
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
