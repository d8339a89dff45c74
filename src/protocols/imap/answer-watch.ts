import type { Socket } from 'node:net'

/** Bytes that a server may send while nothing is asked of it: news, and not a flood; and how many of them a second are forgotten. */
const MOST_UNASKED = 8 * 1024 ** 2
const FORGOTTEN_A_SECOND = 256 * 1024
/** Bytes that an answer may have: of one message, or of all of a command that carries no mail. */
const LONGEST_ANSWER = { mail: 72 * 1024 ** 2, other: 24 * 1024 ** 2 }
/** Bytes within the time-out of an answer that count as progress, whatever they say. */
const LEAST_BYTES = 1_024
/** Time-outs of an answer within which a command that carries no mail has to be through. */
const LONGEST_COMMAND = 8
/** Answers that imapflow could not parse, after which the connection is given up. */
const MOST_UNPARSED = 10_000

/**
 * Watches what a server sends over one connection: whether what was asked for comes, and whether what was not asked for has an end. It is the one place
 * that ends a connection for it.
 */
export class AnswerWatch {
  private asking = 0
  /** bytes of the answer so far */
  private heard = 0
  /** bytes that came while nothing was asked, and when that was, in milliseconds */
  private unasked = 0
  private unaskedAt = 0
  private unparsedCount = 0
  private ended: string | null = null
  private isMail = false
  /** set while something is asked, and until the look after that */
  private looking: NodeJS.Timeout | undefined
  /** looks in a row between which something was asked all the time */
  private looks = 0
  /** since the last look: whether nothing was asked for a moment, and whether a whole line came */
  private hasRested = true
  private hasLine = false
  /** bytes of the connection at the last look */
  private read = 0
  private written = 0

  /**
   * @param socket of the connection, after its login
   * @param patience milliseconds within which something has to come while something is asked
   * @param end ends the connection
   */
  constructor(
    private readonly socket: Socket,
    private readonly patience: number,
    private readonly end: () => void,
  ) {
    socket.once('close', () => clearInterval(this.looking))
    socket.on('data', (data: Buffer) => {
      if (data.includes(10)) this.hasLine = true
      if (this.isTooMuch(data.length)) this.giveUp('the server sends more than anybody asked for')
    })
  }

  private isTooMuch(bytes: number): boolean {
    if (this.asking > 0) {
      this.heard += bytes
      return this.heard > (this.isMail ? LONGEST_ANSWER.mail : LONGEST_ANSWER.other)
    }
    const now = performance.now()
    const forgotten = ((now - this.unaskedAt) / 1000) * FORGOTTEN_A_SECOND
    this.unasked = Math.max(0, this.unasked - forgotten) + bytes
    this.unaskedAt = now
    return this.unasked > MOST_UNASKED
  }

  /** Why the connection was ended here; null where it was not. */
  get reason(): string | null {
    return this.ended
  }

  /** How many answers could not be parsed so far. */
  get unparsed(): number {
    return this.unparsedCount
  }

  /** Takes notice of an answer that could not be parsed. */
  couldNotParse(): void {
    if (++this.unparsedCount > MOST_UNPARSED) this.giveUp('the server sends answers without an end that are no IMAP')
  }

  /**
   * Waits for an answer, as long as something of it comes.
   *
   * @param isMail whether it carries mail, which may take as long as it takes
   */
  async asked<T>(answer: () => Promise<T>, isMail = false): Promise<T> {
    this.begin(isMail)
    try {
      return await answer()
    } finally {
      this.rest()
    }
  }

  /** Something is asked from now on, until `rest`. @param isMail whether the answer carries mail */
  begin(isMail: boolean): void {
    if (this.asking++ > 0) return
    this.heard = 0
    this.isMail = isMail
    this.looking ??= setInterval(() => this.look(), this.patience).unref()
  }

  /** The answer has come, or a part of it that somebody works on now: that may take a while, and is nothing that the server does. */
  rest(): void {
    this.asking--
    this.heard = 0
    this.hasRested = true
  }

  /** Looks at what has come since the last look, if something was asked all the time. */
  private look(): void {
    const { bytesRead, bytesWritten } = this.socket
    const isProgress = this.hasLine || bytesRead - this.read >= LEAST_BYTES || bytesWritten > this.written
    this.looks = this.hasRested ? 0 : this.looks + 1
    if (this.asking === 0) this.stopLooking()
    else if (!this.hasRested && !isProgress) this.giveUp('the server answers too slowly')
    else if (!this.isMail && this.looks >= LONGEST_COMMAND) this.giveUp('the server did not finish its answer in time')
    ;[this.read, this.written] = [bytesRead, bytesWritten]
    this.hasLine = false
    this.hasRested = false
  }

  private stopLooking(): void {
    clearInterval(this.looking)
    this.looking = undefined
    // the first look after a pause knows of nothing before it
    this.hasRested = true
  }

  /** Ends the connection for what the server does. */
  giveUp(reason: string): void {
    if (this.ended !== null) return
    this.ended = reason
    clearInterval(this.looking)
    this.end()
  }
}
