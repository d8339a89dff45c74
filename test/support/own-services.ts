import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { postgresPrograms } from '../../src/platform/postgres-runtime.js'
import { freePorts } from './imap-server.ts'
import { install } from './install.ts'
import { until } from './service.ts'

/** A Postgres and a Redis as somebody else runs them, over TCP. */
export class OwnServices {
  private postgres: ChildProcess | null = null
  private cache: ChildProcess | null = null

  private readonly folder: string
  private readonly binary: string
  private readonly account: { uid: number; gid: number }
  private readonly postgresPort: number
  private readonly redisPort: number

  private constructor(
    folder: string,
    binary: string,
    account: { uid: number; gid: number },
    ports: { postgres: number; redis: number },
  ) {
    this.folder = folder
    this.binary = binary
    this.account = account
    this.postgresPort = ports.postgres
    this.redisPort = ports.redis
  }

  static async start(): Promise<OwnServices> {
    await install(['redis-server'], ['/usr/bin/redis-server'])
    const [redisPort = 0, postgresPort = 0] = await freePorts(2)
    const folder = mkdtempSync(join(tmpdir(), 'mailfold-own-'))
    chmodSync(folder, 0o755)
    const account = {
      uid: Number(execFileSync('id', ['-u', 'mail']).toString()),
      gid: Number(execFileSync('id', ['-g', 'mail']).toString()),
    }
    // the embedded Postgres's programs serve as one that somebody else runs
    const { initdb, postgres } = await postgresPrograms(account)
    const cluster = join(folder, 'cluster')
    mkdirSync(cluster)
    chownSync(cluster, account.uid, account.gid)
    execFileSync(initdb, ['-D', cluster, '-U', 'owner', '--auth=trust'], { ...account, stdio: 'ignore' })
    const services = new OwnServices(folder, postgres, account, { postgres: postgresPort, redis: redisPort })
    await Promise.all([services.startPostgres(), services.startRedis()])
    return services
  }

  get databaseUrl(): string {
    return `postgres://owner@127.0.0.1:${this.postgresPort}/postgres`
  }

  /** What the service is to be told of them. */
  get environment(): { DATABASE_URL: string; REDIS_URL: string } {
    return { DATABASE_URL: this.databaseUrl, REDIS_URL: `redis://127.0.0.1:${this.redisPort}` }
  }

  /** A client; the caller ends it. */
  redis(): Redis {
    const client = new Redis(this.redisPort)
    client.on('error', () => undefined)
    return client
  }

  /** Sessions, to look where no client of the service can; the caller ends them. */
  database(): pg.Pool {
    const pool = new pg.Pool({ connectionString: this.databaseUrl, max: 2 })
    pool.on('error', () => undefined)
    pool.on('connect', (session) => session.on('error', () => undefined))
    return pool
  }

  async restartPostgres(): Promise<void> {
    await this.stopPostgres()
    await this.startPostgres()
  }

  /** It is not there until it is restarted. */
  async stopPostgres(): Promise<void> {
    await ended(this.postgres, 'SIGQUIT')
  }

  /** Without anything that it has held. */
  async restartRedis(): Promise<void> {
    await this.stopRedis()
    await this.startRedis()
  }

  async stopRedis(): Promise<void> {
    await ended(this.cache, 'SIGKILL')
  }

  async stop(): Promise<void> {
    await Promise.all([ended(this.postgres, 'SIGQUIT'), ended(this.cache, 'SIGKILL')])
    rmSync(this.folder, { recursive: true, force: true })
  }

  private async startPostgres(): Promise<void> {
    // a process is killed here, and never the machine: what the kernel has is not lost, and a recovery need not wait for a slow disk
    const settings = ['unix_socket_directories=', 'max_connections=300', 'fsync=off', 'max_wal_size=128MB']
    const given = settings.flatMap((each) => ['-c', each])
    const args = ['-D', join(this.folder, 'cluster'), '-p', String(this.postgresPort), ...given]
    this.postgres = spawn(this.binary, args, { ...this.account, stdio: 'ignore' })
    const database = this.database()
    await until(() =>
      database.query('select 1').then(
        () => true,
        () => false,
      ),
    )
    await database.end()
  }

  async startRedis(): Promise<void> {
    const args = ['--port', String(this.redisPort), '--save', '', '--dir', this.folder]
    this.cache = spawn('redis-server', args, { stdio: 'ignore' })
    const client = this.redis()
    await client.ping()
    client.disconnect()
  }
}

async function ended(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}
