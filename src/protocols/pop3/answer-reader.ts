import type { Socket } from 'node:net'

/** Longest line of an answer that is not part of a message; RFC 1939 §3 allows 512 bytes. */
const LONGEST_LINE = 8_192

/** Bytes that count as progress, and how many times as long as a server may be silent it may take for them. */
const LEAST_BYTES = 1_024
const SLOWEST = 3

const CR = 13
const LF = 10
const DOT = 46
const NOTHING = Buffer.alloc(0)
const STUFFED = Buffer.from('\r\n.')

/** The connection ended, fell silent, or what came is no POP3. `code` is that of the socket's error, where there is one. */
export class AnswerLost extends Error {
  constructor(
    message: string,
    readonly code?: string,
  ) {
    super(message)
  }
}

/**
 * Reads a POP3 server's answers off a socket. Takes no more than it is asked for, so that a message that nobody reads on
 * stays in the server: what is held is one buffer of the socket.
 */
export class AnswerReader {
  private rest: Buffer = NOTHING
  /** milliseconds that were spent waiting, and bytes that came, since a line or so many bytes had come last */
  private waited = 0
  private came = 0
  private lost: AnswerLost | null = null
  private wake: () => void = () => undefined
  private readonly onReadable = () => this.wake()
  private readonly onError = (error: NodeJS.ErrnoException) => this.lose(error.message, error.code)
  private readonly onEnd = () => this.lose('the server closed the connection')

  /** @param patience milliseconds of silence after which an answer counts as lost */
  constructor(
    private readonly socket: Socket,
    private readonly patience: number,
  ) {
    socket.on('readable', this.onReadable).on('error', this.onError).on('end', this.onEnd).on('close', this.onEnd)
  }

  /** Lets go of the socket, for another to read on (STLS). @returns whether something was left unread */
  release(): boolean {
    this.socket.off('readable', this.onReadable).off('end', this.onEnd).off('close', this.onEnd)
    return this.rest.length > 0 || this.socket.readableLength > 0
  }

  /** A line, without its end. @throws AnswerLost */
  async line(): Promise<string> {
    for (let from = 0; ;) {
      const end = this.rest.indexOf(LF, from)
      if (end >= 0) {
        const text = this.rest.toString('latin1', 0, end > 0 && this.rest[end - 1] === CR ? end - 1 : end)
        this.rest = this.rest.subarray(end + 1)
        return text
      }
      if (this.rest.length > LONGEST_LINE) throw this.lose('a line of an answer is longer than any may be')
      from = this.rest.length
      await this.more()
    }
  }

  /** The lines of a multi-line answer (RFC 1939 §3), without their ends, in groups as they come. @throws AnswerLost */
  async *lines(): AsyncGenerator<string[]> {
    for (;;) {
      const end = this.rest.lastIndexOf(LF)
      if (end < 0) {
        if (this.rest.length > LONGEST_LINE) throw this.lose('a line of an answer is longer than any may be')
        await this.more()
        continue
      }
      const lines = this.rest.toString('latin1', 0, end).split('\n').map(withoutCr)
      const last = lines.indexOf('.')
      const group = last < 0 ? lines : lines.slice(0, last)
      // what stands behind the end mark is of the next answer
      this.rest = last < 0 ? this.rest.subarray(end + 1) : this.rest.subarray(behindLine(this.rest, last))
      if (group.length > 0) yield group.map(unstuffed)
      if (last >= 0) return
    }
  }

  /** The bytes of a multi-line answer, dot-stuffing undone, as they come. @throws AnswerLost */
  async *bytes(): AsyncGenerator<Buffer> {
    for (let atLineStart = true; ;) {
      if (atLineStart) {
        while (this.rest.length === 0 || (this.rest[0] === DOT && this.rest.length < 3)) await this.more()
        if (this.rest[0] === DOT) {
          const isEnd = this.rest[1] === CR && this.rest[2] === LF
          this.rest = this.rest.subarray(isEnd ? 3 : 1)
          if (isEnd) return
        }
      }
      const stuffed = this.rest.indexOf(STUFFED)
      const until = stuffed >= 0 ? stuffed + 2 : beforeUnfinishedEnd(this.rest)
      const piece = this.rest.subarray(0, until)
      this.rest = this.rest.subarray(until)
      atLineStart = piece.length >= 2 && piece[until - 1] === LF && piece[until - 2] === CR
      if (piece.length > 0) yield piece
      else await this.more()
    }
  }

  private async more(): Promise<void> {
    for (;;) {
      const data = this.socket.read() as Buffer | null
      if (data) {
        this.came += data.length
        if (this.came >= LEAST_BYTES || data.includes(LF)) this.waited = this.came = 0
        this.rest = this.rest.length === 0 ? data : Buffer.concat([this.rest, data])
        return
      }
      if (this.lost) throw this.lost
      await this.readable()
    }
  }

  private async readable(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const began = performance.now()
    try {
      await new Promise<void>((resolve) => {
        this.wake = resolve
        timer = setTimeout(() => {
          this.lose('the server did not answer in time', 'ETIMEDOUT')
          this.socket.destroy()
        }, this.patience)
      })
    } finally {
      clearTimeout(timer)
      this.wake = () => undefined
      this.waited += performance.now() - began
      if (this.waited > SLOWEST * this.patience) {
        this.lose('the server answers too slowly')
        this.socket.destroy()
      }
    }
  }

  private lose(message: string, code?: string): AnswerLost {
    this.lost ??= new AnswerLost(message, code)
    this.wake()
    return this.lost
  }
}

/** A CR at the end may belong to an end of line of which the rest is still to come. */
function beforeUnfinishedEnd(bytes: Buffer): number {
  return bytes.at(-1) === CR ? bytes.length - 1 : bytes.length
}

const withoutCr = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line)
const unstuffed = (line: string) => (line.startsWith('.') ? line.slice(1) : line)

/** Where the line behind the one of that number begins. */
function behindLine(bytes: Buffer, number: number): number {
  let at = 0
  for (let line = 0; line <= number; line++) at = bytes.indexOf(LF, at) + 1
  return at
}
