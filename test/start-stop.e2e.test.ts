import { execFileSync, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mailfold, Service, until } from './support/service.ts'

const folders: string[] = []

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'mailfold-start-'))
  folders.push(made)
  return made
}

afterAll(async () => {
  for (const each of folders) await rm(each, { recursive: true, force: true })
})

/** Postmasters on a data folder; a process that one of them has just forked looks like it at first. */
function postmasters(data: string): string[] {
  const found = execFileSync('sh', ['-c', `pgrep -f "[m]ailfold.cluster=${data}/" || true`])
    .toString()
    .split('\n')
    .filter(Boolean)
  return found.filter((pid) => !found.includes(parentOf(pid)))
}

function parentOf(pid: string): string {
  return execFileSync('sh', ['-c', `ps -o ppid= -p ${pid} || true`])
    .toString()
    .trim()
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s ends it cleanly within five seconds, and no postmaster stays',
  async (signal) => {
    const service = await Service.start()
    expect(postmasters(service.folder)).toHaveLength(1)
    const { code, took } = await service.end(signal)
    expect(code).toBe(0)
    expect(took).toBeLessThan(5_000)
    expect(postmasters(service.folder)).toEqual([])
    await service?.stop()
  },
)

/** Milliseconds that a stop may take: MAILFOLD_STOP_TIMEOUT, the last traces and a little. */
const PROMISED = 5_000

test('operator 7: a stop while the database is busy takes no longer, and leaves no postmaster', async () => {
  const service = await Service.start()
  const [holder, busy] = [await service.database(), await service.database()]
  for (const each of [holder, busy]) each.on('error', () => undefined)
  const { rows: tables } = await holder.query<{ names: string }>(
    "select string_agg(quote_ident(table_name), ',') as names from information_schema.tables where table_schema = 'public'",
  )
  await holder.query(`begin; lock table ${tables[0]?.names} in access exclusive mode`)
  void busy.query('select count(*) from generate_series(1, 10000000000)').catch(() => undefined)
  const waits = Array.from({ length: 20 }, () => service.answer('{ accounts { id } }').catch(() => undefined))
  await until(async () => {
    const { rows } = await holder.query<{ waiting: string }>(
      "select count(*) as waiting from pg_stat_activity where wait_event_type = 'Lock'",
    )
    return Number(rows[0]?.waiting) > 0
  })
  const { code, took } = await service.end('SIGTERM')
  expect(code).toBe(0)
  expect(took).toBeLessThan(PROMISED)
  expect(postmasters(service.folder)).toEqual([])
  await Promise.all(waits)
  await service.stop()
})

test('operator 7: a postmaster that does not hear is not left either', async () => {
  const service = await Service.start()
  const [postmaster] = postmasters(service.folder)
  process.kill(Number(postmaster), 'SIGSTOP')
  const { took } = await service.end('SIGTERM')
  expect(took).toBeLessThan(PROMISED)
  expect(postmasters(service.folder)).toEqual([])
  await service.stop()
})

test('operator 7: a stop at any moment of the first start leaves no postmaster, and data that the next start can use', async () => {
  const data = await folder()
  const environment = { ...process.env, NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: data }
  for (const moment of ['postgres.incomplete', 'postgres/PG_VERSION', 'postgres/global', 'postgres/postmaster.pid']) {
    await rm(data, { recursive: true, force: true })
    const child = spawn('dist/bundle/main.js', ['start'], { env: environment, stdio: 'ignore' })
    await until(async () => (await stat(join(data, moment)).catch(() => null)) !== null)
    const began = performance.now()
    child.kill('SIGTERM')
    await new Promise((done) => child.once('exit', done))
    expect(performance.now() - began).toBeLessThan(PROMISED)
    expect(postmasters(data)).toEqual([])
    const next = spawn('dist/bundle/main.js', ['start'], { env: environment, stdio: 'pipe' })
    let said = ''
    next.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await until(() => said.includes('Mailfold is ready'))
    next.kill('SIGTERM')
    await new Promise((done) => next.once('exit', done))
  }
})

test('operator 7: a first start that was killed while it made the cluster is done again', async () => {
  const data = await folder()
  const environment = { ...process.env, NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: data }
  const child = spawn('dist/bundle/main.js', ['start'], { env: environment, stdio: 'ignore' })
  await until(async () => (await stat(join(data, 'postgres/PG_VERSION')).catch(() => null)) !== null)
  execFileSync('sh', ['-c', `pkill -KILL -P ${child.pid}; kill -KILL ${child.pid}`])
  await new Promise((done) => child.once('exit', done))
  const next = spawn('dist/bundle/main.js', ['start'], { env: environment, stdio: 'pipe' })
  let said = ''
  for (const stream of [next.stdout, next.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until(() => said.includes('Mailfold is ready') || next.exitCode !== null)
  expect(said).toContain('Mailfold is ready')
  next.kill('SIGTERM')
  await new Promise((done) => next.once('exit', done))
})

test('npm start hands a signal on, and leaves nothing behind', async () => {
  const data = await folder()
  const environment = { ...process.env, NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: data }
  const child = spawn('npm', ['start'], { env: environment })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until(() => said.includes('npx mailfold connect'))
  child.kill('SIGTERM')
  await until(() => postmasters(data).length === 0, 5_000)
})

test('after kill -9 the next start ends the postmaster that stayed, and finds the data', async () => {
  const service = await Service.start({ MAILFOLD_TOKEN: '' })
  const token = await readFile(join(service.folder, 'token'), 'utf8')
  await service.end('SIGKILL')
  expect(postmasters(service.folder)).toHaveLength(1)
  await service.launch()
  expect(postmasters(service.folder)).toHaveLength(1)
  expect(await readFile(join(service.folder, 'token'), 'utf8')).toBe(token)
  expect((await stat(join(service.folder, 'token'))).mode & 0o777).toBe(0o600)
  await service?.stop()
})

test('a second Mailfold on the same data folder is told so, and the first goes on', async () => {
  const service = await Service.start()
  const second = await mailfold(['start'], { NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: service.folder })
  expect(second).toMatchObject({
    code: 69,
    stderr: expect.stringMatching(/^mailfold: the data folder is in use by another Mailfold .*\n$/) as string,
  })
  expect((await fetch(`${service.url}/health/ready`)).status).toBe(200)
  await service?.stop()
})

test('operator 6: the token is shown once, on a terminal only; elsewhere the start says where it lies', async () => {
  const start = async (data: string, command: string[]) => {
    const [program = '', ...args] = command
    const child = spawn(program, args, {
      env: { ...process.env, NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: data, MAILFOLD_TOKEN: '' },
      detached: true,
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await until(() => /npx mailfold connect|"api"/.test(said))
    process.kill(-(child.pid ?? 0), 'SIGTERM')
    await new Promise((done) => child.once('close', done))
    await until(() => postmasters(data).length === 0)
    return said
  }
  const main = 'exec dist/bundle/main.js start'
  const onTerminal = ['script', '--quiet', '--return', '--command', main, '/dev/null']
  const shown = await folder()
  const first = await start(shown, onTerminal)
  expect(first).toContain((await readFile(join(shown, 'token'), 'utf8')).trim())
  expect(first).toContain('/graphql')
  expect(first).toContain(`lies in ${join(shown, 'token')}`)
  expect(await start(shown, onTerminal)).not.toContain('mf_')
  const logged = await folder()
  const said = await start(logged, ['sh', '-c', main])
  expect(said).toContain(`lies in ${join(logged, 'token')}`)
  expect(said).not.toContain((await readFile(join(logged, 'token'), 'utf8')).trim())
  const json = await start(await folder(), ['sh', '-c', `${main} --json`])
  expect(json).toContain('"tokenFile"')
  expect(json).not.toContain('mf_')
})

const oneLine = (pattern: string) =>
  expect.stringMatching(new RegExp(`^mailfold: [^\\n]*${pattern}[^\\n]*\\n$`)) as string

test('a taken port, a folder that cannot be written and a bad setting each get one clear line', async () => {
  const taken = createServer()
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
  const port = String((taken.address() as { port: number }).port)
  const data = await folder()
  const start = (environment: NodeJS.ProcessEnv) =>
    mailfold(['start'], { NODE_OPTIONS: '', MAILFOLD_PORT: '0', MAILFOLD_DATA: data, ...environment })
  expect(await start({ MAILFOLD_PORT: port })).toMatchObject({ code: 69, stderr: oneLine(`port ${port}`), stdout: '' })
  expect(postmasters(data)).toEqual([])
  taken.close()
  const file = join(data, 'a-file')
  await writeFile(file, '')
  expect(await start({ MAILFOLD_DATA: join(file, 'below') })).toMatchObject({
    code: 73,
    stderr: oneLine('cannot be written'),
  })
  expect(await start({ MAILFOLD_PORT: 'four thousand' })).toMatchObject({ code: 78, stderr: oneLine('MAILFOLD_PORT') })
  expect(await start({ DATABASE_URL: 'mysql://localhost' })).toMatchObject({
    code: 78,
    stderr: oneLine('DATABASE_URL'),
  })
  expect(await start({ DATABASE_URL: 'postgres://127.0.0.1:1/none' })).toMatchObject({
    code: 69,
    stderr: oneLine('database cannot be reached'),
  })
  const secret = await start({ MAILFOLD_MASTER_KEY: 'my secret key' })
  expect(secret).toMatchObject({ code: 78, stderr: oneLine('MAILFOLD_MASTER_KEY') })
  expect(secret.stderr).not.toContain('my secret key')
})

test('operator 4: names that are no settings are told with the nearest that is, and all wrong settings at once', async () => {
  const data = await folder()
  const { code, stderr, stdout } = await mailfold(['start'], {
    NODE_OPTIONS: '',
    MAILFOLD_DATA: data,
    MAILFOLD_LOGLEVEL: 'debug',
    mailfold_token: 'a secret of somebody',
    MAILFOLD_PORT: 'four thousand',
    MAILFOLD_SHARDS: '0',
    // what others set, on Kubernetes above all
    MAILFOLD_URL: 'http://127.0.0.1:1',
    MAILFOLD_SERVICE_HOST: '10.0.0.1',
    MAILFOLD_SERVICE_PORT_HTTP: '80',
    MAILFOLD_API_PORT_4000_TCP_ADDR: '10.0.0.1',
    MAILFOLD_PORT_4000_TCP: 'tcp://10.0.0.1:4000',
  })
  expect([code, stdout]).toEqual([78, ''])
  expect(stderr.trim().split('\n').sort()).toEqual([
    'mailfold: MAILFOLD_LOGLEVEL is no setting and has no effect: the nearest is MAILFOLD_LOG_LEVEL',
    'mailfold: MAILFOLD_PORT: must be a whole number from 0 to 65535; MAILFOLD_SHARDS: must be a whole number from 1 to 1024',
    'mailfold: mailfold_token is no setting and has no effect: the nearest is MAILFOLD_TOKEN',
  ])
  expect(stderr).not.toContain('secret')
})

test('the help names every setting, and so does docs/operations.md', async () => {
  const { settingDefinitions } = await import('../src/platform/settings.js')
  const { stdout, code } = await mailfold(['start', '--help'], { NODE_OPTIONS: '' })
  const operations = await readFile('docs/operations.md', 'utf8')
  expect(code).toBe(0)
  for (const [name, { about }] of Object.entries(settingDefinitions)) {
    expect(stdout).toContain(name)
    expect(operations).toContain(`\`${name}\``)
    expect(operations.replaceAll(/\s+/g, ' ')).toContain(about)
  }
})

test('it runs as somebody who is not root', async () => {
  if (process.getuid?.() !== 0)
    throw new Error('this test steps down from root, and there is no root to step down from')
  const data = await folder()
  await chmod(data, 0o777)
  const nobody = Number(execFileSync('id', ['-u', 'nobody']).toString())
  const environment = { PATH: process.env['PATH'], MAILFOLD_PORT: '0', MAILFOLD_DATA: join(data, 'of nobody') }
  // the checkout may lie where nobody may go: what is run is what is copied
  const copy = await folder()
  await chmod(copy, 0o755)
  execFileSync('cp', ['-r', 'dist', 'package.json', 'node_modules', copy])
  const child = spawn(join(copy, 'node_modules/.bin/node'), [join(copy, 'dist/bundle/main.js'), 'start'], {
    uid: nobody,
    gid: nobody,
    env: environment,
    cwd: '/',
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until(() => said.includes('npx mailfold connect')).catch(() => {
    throw new Error(said)
  })
  child.kill('SIGTERM')
  expect(await new Promise((done) => child.once('exit', done))).toBe(0)
})

test('as root, it runs below a folder that only root can enter', async () => {
  if (process.getuid?.() !== 0) throw new Error('this test is about root')
  const locked = await folder()
  await chmod(locked, 0o700)
  const service = await Service.start({ MAILFOLD_DATA: join(locked, 'data') })
  expect((await fetch(`${service.url}/health/ready`)).status).toBe(200)
  await service?.stop()
})
