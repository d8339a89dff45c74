import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { v7 as newId } from 'uuid'
import type { MigrationInterface } from 'typeorm'
import type { Credentials } from './credentials.js'
import { Database } from './database.js'
import { prepareDataFolder, startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js'
import { EXIT } from './exit-codes.js'
import { makeLogger, type Logger } from './logs.js'
import { openCredentials } from './master-key.js'
import { loadToken } from './secrets.js'
import { Metrics } from './metrics.js'
import { Peers } from './peers.js'
import type { Settings } from './settings.js'
import { StartFailure } from './start-failure.js'

/** What the service stands on, opened: to be handed to the modules, and closed after them. */
export class Platform {
  /** what this process counts */
  readonly metrics = new Metrics()
  /** this process, among those of the installation */
  readonly processId = newId()
  private stopping = false
  /** those others */
  readonly peers: Peers

  private constructor(
    readonly settings: Settings,
    readonly logger: Logger,
    readonly database: Database,
    readonly databaseUrl: string,
    readonly credentials: Credentials,
    readonly token: { value: string; made: boolean },
    /** whom mail servers are trusted by: one for all connections, since each takes a megabyte */
    readonly secureContext: SecureContext,
    /** resolves when the embedded Postgres has ended, asked to or not; never where there is none */
    readonly databaseEnded: Promise<void>,
  ) {
    this.peers = new Peers(token.value)
  }

  /**
   * @param spawned called when the process of the embedded Postgres is there; whoever calls `open` ends it, also when `open` fails
   * @throws StartFailure with one line for the person who starts the service
   */
  static async open(
    settings: Settings,
    migrations: (new () => MigrationInterface)[],
    spawned: (postgres: EmbeddedPostgres) => void,
  ): Promise<Platform> {
    const folder = settings.MAILFOLD_DATA
    await prepareDataFolder(folder)
    const secureContext = await trusting(settings.MAILFOLD_TLS_CA)
    const token = await loadToken(folder, settings.MAILFOLD_TOKEN)
    const embedded = settings.DATABASE_URL === undefined ? await startEmbeddedPostgres(folder, spawned) : null
    const url = embedded?.url ?? settings.DATABASE_URL ?? ''
    const database = await Database.open(url, migrations, {
      longestPause: settings.MAILFOLD_LEASE,
      longestStatement: settings.MAILFOLD_STATEMENT_TIMEOUT,
    })
    try {
      // not before the folder is known to be this process's own: it may be that of a service that runs
      await keepAuthorities(folder, settings.MAILFOLD_TLS_CA)
      return new Platform(
        settings,
        makeLogger(settings.MAILFOLD_LOG_LEVEL),
        database,
        url,
        await openCredentials(database, settings),
        token,
        secureContext,
        embedded?.ended ?? new Promise(() => undefined),
      )
    } catch (error) {
      await database.close()
      throw error
    }
  }

  /** Whether no other process works on the database: an embedded one is of one process. */
  get isOnly(): boolean {
    return this.settings.DATABASE_URL === undefined
  }

  /** Whether the process is about to end: clients are to go elsewhere. */
  get isStopping(): boolean {
    return this.stopping
  }

  /** Takes notice that the process is about to end. */
  stops(): void {
    this.stopping = true
  }

  /** Closes the connections to the database. */
  async close(): Promise<void> {
    await this.database.close()
  }
}

const keptAuthorities = (folder: string) => join(folder, 'tls-ca.pem')

/** Keeps the certificate authorities of the service where commands beside it find them. */
async function keepAuthorities(folder: string, path: string | undefined): Promise<void> {
  if (path === undefined) await rm(keptAuthorities(folder), { force: true })
  else await writeFile(keptAuthorities(folder), await readFile(path), { mode: 0o600 })
}

/** The PEM file of the certificate authorities that the service trusts beside the usual ones, for a command beside it: by its own setting, else as the service was last started. */
export async function authoritiesOfService({ MAILFOLD_TLS_CA, MAILFOLD_DATA }: Settings): Promise<string | undefined> {
  const kept = keptAuthorities(MAILFOLD_DATA)
  return (
    MAILFOLD_TLS_CA ??
    access(kept).then(
      () => kept,
      () => undefined,
    )
  )
}

/** The usual certificate authorities, and more of them. @param path a PEM file of those, none for only the usual ones. @throws StartFailure */
export async function trusting(path: string | undefined): Promise<SecureContext> {
  if (path === undefined) return createSecureContext()
  try {
    const pem = await readFile(path, 'utf8')
    // the context itself would pass over what is no certificate
    void new X509Certificate(pem)
    return createSecureContext({ ca: [...getCACertificates('default'), pem] })
  } catch {
    throw new StartFailure(`MAILFOLD_TLS_CA: ${path} cannot be read, or holds no certificate`, EXIT.CONFIG)
  }
}
