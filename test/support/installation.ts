import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { OwnServices } from './own-services.ts'
import { Service } from './service.ts'

/** What one process of an installation is for. */
export type Role = 'api' | 'worker'

/** Several processes of the service on one Postgres, with or without a Redis, and one folder of blobs. */
export class Installation {
  private readonly processes = new Set<Service>()
  readonly own: OwnServices
  /** sessions, to look where no client can */
  readonly database: pg.Pool
  private readonly folder: string
  private readonly environment: NodeJS.ProcessEnv

  private constructor(own: OwnServices, folder: string, environment: NodeJS.ProcessEnv) {
    this.own = own
    this.database = own.database()
    this.folder = folder
    this.environment = environment
  }

  /** @param environment beside what all installations have; REDIS_URL empty for the queues on Postgres */
  static async start(environment: NodeJS.ProcessEnv = {}): Promise<Installation> {
    const own = await OwnServices.start()
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-shared-'))
    return new Installation(own, folder, {
      ...own.environment,
      MAILFOLD_DATA: folder,
      MAILFOLD_MASTER_KEY: randomBytes(32).toString('hex'),
      MAILFOLD_SHARDS: '8',
      MAILFOLD_LEASE: '3000',
      ...environment,
    })
  }

  /** Starts a process. */
  async add(roles: Role[], environment: NodeJS.ProcessEnv = {}): Promise<Service> {
    const service = await Service.start({ ...this.environment, MAILFOLD_ROLES: roles.join(), ...environment })
    this.processes.add(service)
    return service
  }

  /** Starts several. */
  async addMany(role: Role, count: number): Promise<Service[]> {
    return Promise.all(Array.from({ length: count }, () => this.add([role])))
  }

  /** For each process that holds shards, how many; by its address. */
  async holders(): Promise<Map<string, number>> {
    const { rows } = await this.database.query<{ address: string; count: string }>(
      `select address, count(*) from shards join workers using (worker_id)
       where shards.expires_at > now() group by address`,
    )
    return new Map(rows.map(({ address, count }) => [address, Number(count)]))
  }

  /** The process that holds an account now, by its address; null for none. */
  async holderOf(account: string): Promise<string | null> {
    const { rows } = await this.database.query<{ address: string }>(
      `select address from shards join workers using (worker_id)
       where shard = ('x' || right($1, 8))::bit(32)::bigint % (select count(*) from shards)`,
      [uuidOf(account)],
    )
    return rows[0]?.address ?? null
  }

  async stop(): Promise<void> {
    await Promise.all([...this.processes].map((service) => service.stop()))
    await this.database.end()
    await this.own.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** The UUID in a Node id. */
export function uuidOf(id: string): string {
  return Buffer.from(id, 'base64url').toString().split(':').at(-1) ?? ''
}
