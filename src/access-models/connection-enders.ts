/** Messages that one FETCH asks for, at most. */
const TOGETHER = 200
/** By how much this number is divided each time the connection ends, so that the guilty message is soon asked for alone. */
const FEWER = 16

/** Milliseconds after which such a message is asked for again. */
const TRY_AGAIN = 3_600_000

/**
 * Messages that made the server end the connection. A message is one when the connection ended twice in a row while the message was asked for alone; once
 * proves nothing, since connections also end by themselves. Such a message is not asked for again for an hour. Until then, all others can come. The caller
 * gives each message a name of its choice.
 */
export class ConnectionEnders {
  /** when each has ended the connection last */
  private readonly names = new Map<string, number>()
  /** the message that was asked for alone when a connection ended last */
  private alone: string | null = null
  private size = TOGETHER

  /** What Mailfold tells a person about such a message. */
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
