import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Most statements of a client that wait for a session; whatever would be one more is refused. */
const MOST_WAITING = 2_000

/** Milliseconds after which a statement that still runs is cancelled again. */
const CANCEL_PAUSE = 100

/** A client has too much under way: it may ask again when some of that is done. */
export class TooBusy extends Error {
  constructor() {
    super('Too much of this client is under way: ask again when some of it is done.')
  }
}

/** For whom the database is asked: who the client is, and when it is gone. */
export type ClientScope = {
  client: string
  /** aborts when nobody waits for what is read any more; null for changes, which are made to their end */
  signal: AbortSignal | null
}

type Waiting = { begin: () => void; refuse: (reason: unknown) => void }
type Client = { running: number; waiting: Map<ClientScope, Waiting[]>; waitingCount: number }

const scopes = new AsyncLocalStorage<ClientScope & { hasSession?: boolean }>()

/** Does work for a client: what it asks of the database counts as the client's. */
export function forClient<T>(scope: ClientScope, work: () => T): T {
  return scopes.run(scope, work)
}

/** Does work that is shared by several clients, and therefore counts as nobody's. */
export function forNobody<T>(work: () => T): T {
  return scopes.exit(work)
}

/** Does work inside a transaction of a client: a session that it needs besides is not waited for, since it could be waited for in a circle. */
export function insideSession<T>(work: () => T): T {
  const scope = scopes.getStore()
  return scope ? scopes.run({ ...scope, hasSession: true }, work) : work()
}

/** Follows something for a client, whoever asks for the next of it. */
export async function* followedFor<T>(scope: ClientScope, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await forClient(scope, () => iterator.next())
      if (next.done) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}

/**
 * Sessions for what clients ask, beside those of the service's own work. A client has some of them at once, never all; its operations take turns.
 * Each statement has a time-out, and ends when its client is gone.
 */
export class ClientSessions {
  private readonly clients = new Map<string, Client>()
  /** what goes on for a signal, to be ended when it aborts */
  private readonly ends = new WeakMap<AbortSignal, Set<() => void>>()

  /**
   * @param perClient sessions that one client may have at once
   * @param cancel has Postgres cancel what a session is doing, by its process
   */
  constructor(
    private readonly pool: pg.Pool,
    private readonly perClient: number,
    private readonly cancel: (process: number) => Promise<unknown>,
  ) {}

  /** A session for the client for whom this is called; null where it is called for nobody. Released like any of a pool. */
  connect(): Promise<pg.PoolClient> | null {
    const scope = scopes.getStore()
    return scope ? this.session(scope, scope.hasSession ?? false) : null
  }

  /**
   * Reads for the client for whom this is called; null where it is called for nobody.
   *
   * @throws TooBusy where too many statements of the client wait
   * @throws what its signal aborts with, where the client is gone
   */
  read(statement: never, values: never): Promise<pg.QueryResult> | null {
    const scope = scopes.getStore()
    return scope ? this.readFor(scope, statement, values) : null
  }

  async close(): Promise<void> {
    await this.pool.end()
  }

  private async readFor(scope: ClientScope, statement: never, values: never): Promise<pg.QueryResult> {
    const { signal } = scope
    signal?.throwIfAborted()
    const session = await this.session(scope, false)
    let isOver = false
    const end = () => void this.cancelUntil(session, () => isOver)
    const ends = signal ? this.endsOf(signal) : null
    ends?.add(end)
    let isBroken = false
    try {
      signal?.throwIfAborted()
      return await session.query(statement, values)
    } catch (error) {
      isBroken = true
      throw signal?.aborted ? signal.reason : error
    } finally {
      isOver = true
      ends?.delete(end)
      // what cancels it may still be on its way, and must not meet the statement of another client
      session.release(isBroken || signal?.aborted === true)
    }
  }

  /** Cancels what a session does, again and again: Postgres passes over what comes before the statement has begun. */
  private async cancelUntil(session: pg.PoolClient, isOver: () => boolean): Promise<void> {
    const { processID } = session as { processID?: number }
    while (!isOver()) {
      await this.cancel(processID ?? 0).catch(() => undefined)
      await sleep(CANCEL_PAUSE, undefined, { ref: false })
    }
  }

  private async session(scope: ClientScope, isAtOnce: boolean): Promise<pg.PoolClient> {
    await this.enter(scope, isAtOnce)
    try {
      const session = await this.pool.connect()
      const release = session.release.bind(session)
      session.release = (error) => {
        this.leave(scope.client)
        release(error)
      }
      return session
    } catch (error) {
      this.leave(scope.client)
      throw error
    }
  }

  private async enter(scope: ClientScope, isAtOnce: boolean): Promise<void> {
    const client: Client = this.clients.get(scope.client) ?? { running: 0, waiting: new Map(), waitingCount: 0 }
    this.clients.set(scope.client, client)
    if (isAtOnce || client.running < this.perClient) {
      client.running++
      return
    }
    if (client.waitingCount >= MOST_WAITING) throw new TooBusy()
    await new Promise<void>((begin, refuse) => {
      const turn = client.waiting.get(scope) ?? []
      turn.push({ begin, refuse })
      client.waiting.set(scope, turn)
      client.waitingCount++
      if (scope.signal && turn.length === 1) this.endsOf(scope.signal).add(() => this.drop(client, scope))
    })
  }

  private drop(client: Client, scope: ClientScope): void {
    const dropped = client.waiting.get(scope) ?? []
    client.waiting.delete(scope)
    client.waitingCount -= dropped.length
    for (const { refuse } of dropped) refuse(scope.signal?.reason)
  }

  private leave(name: string): void {
    const client = this.clients.get(name)
    if (!client) return
    client.running--
    const [next] = client.waiting
    if (!next) {
      if (client.running === 0) this.clients.delete(name)
      return
    }
    if (client.running >= this.perClient) return
    const [scope, queue] = next
    const waiting = queue.shift()
    // an operation that was served goes behind the others of its client
    client.waiting.delete(scope)
    if (queue.length > 0) client.waiting.set(scope, queue)
    client.waitingCount--
    client.running++
    waiting?.begin()
  }

  /** One listener for each signal, however many statements there are. */
  private endsOf(signal: AbortSignal): Set<() => void> {
    const known = this.ends.get(signal)
    if (known) return known
    const ends = new Set<() => void>()
    this.ends.set(signal, ends)
    signal.addEventListener('abort', () => ends.forEach((end) => end()), { once: true })
    return ends
  }
}
