/** Messages that are asked for together, at most; while it is looked for one that ends the connection, fewer. */
const TOGETHER = 200
const FEWER = 16

/** Milliseconds after which such a message is asked for again. */
const TRY_AGAIN = 3_600_000

/**
 * Messages over which a server has ended the connection twice, one time after the other, each asked for alone: they are not asked for again for an hour, so
 * that they keep no others away. Connections end by themselves, too, so that once says nothing. Messages go by names, whatever these are.
 */
export class ConnectionEnders {
  /** when each has ended the connection last */
  private readonly names = new Map<string, number>()
  /** the message that was asked for alone when a connection ended last */
  private alone: string | null = null
  private size = TOGETHER

  /** What is told of such a message. */
  static readonly told = 'The connection has ended each time that the message was asked for.'

  /** How many messages are asked for together. */
  get together(): number {
    return this.size
  }

  /** Whether a message is one. */
  has(name: string): boolean {
    return Date.now() - (this.names.get(name) ?? -Infinity) < TRY_AGAIN
  }

  /**
   * Takes notice that the connection ended.
   *
   * @param first the first of the messages that were asked for together and had not come
   * @param isAlone whether it was asked for alone
   */
  ended(first: string, isAlone = this.size === 1): void {
    const name = isAlone ? first : null
    if (name !== null && this.alone === name) this.names.set(name, Date.now())
    this.alone = name
    this.size = Math.max(1, Math.floor(this.size / FEWER))
  }

  /** All that was asked for has come: ask for many together again. */
  through(): void {
    this.alone = null
    this.size = TOGETHER
  }

  /** Has all of them asked for again. */
  clear(): void {
    this.names.clear()
    this.through()
  }
}
