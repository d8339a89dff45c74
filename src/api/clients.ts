import { GraphQLError } from 'graphql'
import { Shares, Turns } from './turns.js'
import { keepingFailureOf } from '../content/blobs/keeping-failure.js'
import { forClient, TooBusy, type ClientScope } from '../platform/client-sessions.js'
import { databaseFailureOf } from '../platform/database-failure.js'

/** Bounds how much each of many has at once. */
export class Bound {
  private readonly counts = new Map<string, number>()

  /** @param most how much each may have */
  constructor(private readonly most: number) {}

  /** Takes one for somebody. @returns gives it back; null where there is none left */
  take(of: string): (() => void) | null {
    const count = this.counts.get(of) ?? 0
    if (count >= this.most) return null
    this.counts.set(of, count + 1)
    return () => this.giveBack(of)
  }

  private giveBack(of: string): void {
    const left = (this.counts.get(of) ?? 1) - 1
    if (left > 0) this.counts.set(of, left)
    else this.counts.delete(of)
  }
}

/** What the operations of one client that go on at once may cost in all. */
const SHARE = 20_000

/** What goes on for clients, each of which may have a bounded part of it. */
export class Clients {
  /** when each begins what takes the event loop */
  readonly turns = new Turns()
  private readonly shares = new Shares(SHARE)
  private readonly operations: Bound
  readonly subscriptions: Bound

  /** @param most operations and downloads, and subscriptions, that one client may have at once */
  constructor(most: { operations: number; subscriptions: number }) {
    this.operations = new Bound(most.operations)
    this.subscriptions = new Bound(most.subscriptions)
  }

  /**
   * Does an operation for a client, when those that it has under way leave room for what it costs.
   *
   * @throws TooBusy where the client has too many already
   * @throws what its signal aborts with, where the client is gone before that
   */
  async run<T>(scope: ClientScope, cost: number, work: () => T | Promise<T>): Promise<T> {
    const { client, signal } = scope
    const end = this.begin(client)
    const hasWaited = await this.shares.take(client, cost)
    try {
      if (hasWaited) await this.turns.next(client)
      signal?.throwIfAborted()
      return await forClient(scope, work)
    } finally {
      this.shares.give(client, cost)
      end()
    }
  }

  /** Begins an operation of a client. @returns ends it @throws TooBusy where the client has too many already */
  begin(client: string): () => void {
    const end = this.operations.take(client)
    if (!end) throw new TooBusy()
    return end
  }
}

/** Whom a request is from, as far as can be told: all have the same token. */
export function clientOf(address: string | undefined): string {
  return address?.replace(/^::ffff:/, '') ?? 'unknown'
}

/** What a request is aborted with when nobody waits for its answer. Made once: an exception with its stack costs more than many a request. */
export const REQUEST_OVER = new Error('the request is over')

/** The error for a client that has too much under way. */
export function tooMany(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'TOO_MANY_REQUESTS' } })
}

/** Code and HTTP status of what an operator can end. */
const OPERATORS = {
  BLOB_STORE: { code: 'CONTENT_UNAVAILABLE', status: 503 },
  DISK_FULL: { code: 'DISK_FULL', status: 507 },
  DATABASE: { code: 'DATABASE_UNAVAILABLE', status: 503 },
} as const

/** What a client is told of an error, and whether an operator has to do something about it. */
export type ToldError = { message: string; code: string; status: number; isOperators?: boolean }

/** What is told of an error that the client has led to, or that an operator can end; null for one that nobody foresaw. */
export function toldOf(error: unknown): ToldError | null {
  if (error === REQUEST_OVER) return { message: 'The request was given up.', code: 'CANCELLED', status: 499 }
  if (error instanceof TooBusy) return { message: error.message, code: 'TOO_MANY_REQUESTS', status: 429 }
  // query_canceled: by its time-out, as long as the client is there
  if ((error as { code?: unknown } | null)?.code === '57014')
    return { message: 'The database took too long: ask for less.', code: 'TIMED_OUT', status: 503 }
  const failure = keepingFailureOf(error) ?? databaseFailureOf(error)
  if (!failure) return null
  const { code, status } = OPERATORS[failure.kind]
  return { message: failure.reason, code, status, isOperators: true }
}
