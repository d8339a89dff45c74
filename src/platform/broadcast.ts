import { Redis } from 'ioredis'
import pg from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { poolAddress } from './database.js'

/** Tells short messages to all processes of the installation, this one included. Any of them may be lost. */
export interface Broadcast {
  /** Sends a message of at most `LARGEST` bytes. */
  send(message: string): void
  /** Ends it. */
  close(): Promise<void>
}

/** Bytes of a message: what NOTIFY carries. */
export const LARGEST = 7_900

const CHANNEL = 'mailfold'
/** Milliseconds after which a session that has broken is made again. */
const AGAIN = 1_000

/** Opens it on Redis where there is one, else on the database (LISTEN and NOTIFY). */
export async function openBroadcast(
  databaseUrl: string,
  redisUrl: string | undefined,
  heard: (message: string) => void,
): Promise<Broadcast> {
  return redisUrl === undefined ? DatabaseBroadcast.open(databaseUrl, heard) : RedisBroadcast.open(redisUrl, heard)
}

class RedisBroadcast implements Broadcast {
  private constructor(
    private readonly sender: Redis,
    private readonly listener: Redis,
  ) {}

  static async open(url: string, heard: (message: string) => void): Promise<RedisBroadcast> {
    const [sender, listener] = [new Redis(url, { enableOfflineQueue: false }), new Redis(url)]
    for (const connection of [sender, listener]) connection.on('error', () => undefined)
    listener.on('message', (_channel, message) => heard(message))
    await listener.subscribe(CHANNEL)
    return new RedisBroadcast(sender, listener)
  }

  send(message: string): void {
    this.sender.publish(CHANNEL, message).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.sender.disconnect()
    this.listener.disconnect()
  }
}

/** On a session of its own, so that a commit of mail never waits for the lock that NOTIFY takes. */
class DatabaseBroadcast implements Broadcast {
  private session: pg.Client | null = null
  private closed = false

  private constructor(
    private readonly url: string,
    private readonly heard: (message: string) => void,
  ) {}

  static async open(url: string, heard: (message: string) => void): Promise<DatabaseBroadcast> {
    const opened = new DatabaseBroadcast(url, heard)
    await opened.connect()
    return opened
  }

  send(message: string): void {
    this.session?.query('select pg_notify($1, $2)', [CHANNEL, message]).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.closed = true
    await this.session?.end().catch(() => undefined)
  }

  private async connect(): Promise<void> {
    const session = new pg.Client({ ...poolAddress(this.url), application_name: 'mailfold-broadcast', keepAlive: true })
    session.on('error', () => undefined)
    session.once('end', () => void this.connectAgain())
    session.on('notification', ({ payload }) => this.heard(payload ?? ''))
    await session.connect()
    await session.query(`listen ${CHANNEL}`)
    this.session = session
  }

  private async connectAgain(): Promise<void> {
    this.session = null
    await sleep(AGAIN, undefined, { ref: false })
    // one that fails ends as well, and comes here again
    if (!this.closed) await this.connect().catch(() => undefined)
  }
}
