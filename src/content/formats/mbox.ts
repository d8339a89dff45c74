import { Readable } from 'node:stream'
import type { ImportedMessage } from '../../mailbox/offline-commands.js'
import { UnreadableFile, type ExportedMessage } from './message-file.js'

/*
 * mbox (RFC 4155, Appendix A): messages one after the other, each begun by a line "From sender date", lines ended by LF. A line of
 * a message that begins like that is quoted by one ">" more than it has, as in the variant mboxrd, which can be undone for certain.
 */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** Bytes of a line that are looked at together; a longer line comes in pieces. */
const PIECE = 65_536

/** Messages as one mbox. */
export function mboxOf(messages: AsyncIterable<ExportedMessage>): Readable {
  return Readable.from(written(messages), { objectMode: false, highWaterMark: PIECE })
}

async function* written(messages: AsyncIterable<ExportedMessage>): AsyncGenerator<Buffer> {
  for await (const { sender, internalDate, content } of messages) {
    yield Buffer.from(`From ${/^[^\s]+@[^\s]+$/.test(sender) ? sender : 'MAILER-DAEMON'} ${asctime(internalDate)}\n`)
    yield* quoted(content)
  }
}

/** As C's asctime writes it, in UTC. */
function asctime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = String(date.getUTCDate()).padStart(2, ' ')
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${time} ${date.getUTCFullYear()}`
}

async function* quoted(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let endsLine = true
  for await (const { bytes, isStart, isEnd } of lines(content)) {
    if (isStart && isFromLine(bytes, true)) yield Buffer.from('>')
    yield isEnd && bytes.at(-2) === 13 ? Buffer.concat([bytes.subarray(0, -2), bytes.subarray(-1)]) : bytes
    endsLine = isEnd
  }
  yield Buffer.from(endsLine ? '\n' : '\n\n')
}

function isFromLine(bytes: Buffer, mayBeQuoted: boolean): boolean {
  let at = 0
  while (mayBeQuoted && bytes[at] === 62) at++
  return bytes.toString('latin1', at, at + 5) === 'From '
}

/** The messages of an mbox, in their order. Each content is to be read to its end before the next message is asked for. */
export async function* readMbox(source: AsyncIterable<Buffer>): AsyncGenerator<ImportedMessage> {
  const reader = new MboxReader(source)
  for (let from = await reader.begin(); from !== null; from = reader.next) {
    const flags: string[] = []
    const content = reader.message()
    yield { path: null, flags, internalDate: dateOf(from), content }
    for await (const _ of content);
  }
}

class MboxReader {
  private readonly pieces: AsyncGenerator<Line>
  /** the line that begins the message that comes next, null at the end */
  next: string | null = null

  constructor(source: AsyncIterable<Buffer>) {
    this.pieces = lines(source)
  }

  /** The line that begins the first message; null for a file that is empty. @throws UnreadableFile */
  async begin(): Promise<string | null> {
    for (let next = await this.pieces.next(); !next.done; next = await this.pieces.next()) {
      const text = next.value.bytes.toString('latin1')
      if (next.value.isStart && isFromLine(next.value.bytes, false)) return text
      if (text.trim() !== '') throw new UnreadableFile('The file is no mbox: it does not begin with a line "From ...".')
    }
    return null
  }

  /** The message that has just begun, with line ends as mail has them, up to the line that begins the next. */
  async *message(): AsyncGenerator<Buffer> {
    this.next = null
    /** an empty line, which may belong to the message or part it from the next */
    let held: Buffer | null = null
    for (let next = await this.pieces.next(); !next.done; next = await this.pieces.next()) {
      const { bytes, isStart, isEnd } = next.value
      if (isStart && isFromLine(bytes, false)) {
        this.next = bytes.toString('latin1')
        return
      }
      if (held) yield held
      held = null
      const line = isEnd ? withCrLf(bytes) : bytes
      if (isStart && isEnd && line.length === 2) held = line
      else yield isStart && bytes[0] === 62 && isFromLine(bytes, true) ? line.subarray(1) : line
    }
  }
}

function withCrLf(line: Buffer): Buffer {
  return line.at(-2) === 13 ? line : Buffer.concat([line.subarray(0, -1), Buffer.from('\r\n')])
}

/** When a message was delivered, by the line that begins it; null where that tells no date. */
function dateOf(from: string): Date | null {
  const [, date] = /^From \S+\s+(.*?)\s*$/.exec(from) ?? []
  const time = Date.parse(`${date} UTC`) || Date.parse(date ?? '')
  return Number.isNaN(time) ? null : new Date(time)
}

/** A line, or a piece of a long one. */
type Line = { bytes: Buffer; isStart: boolean; isEnd: boolean }

async function* lines(source: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0)
  let isStart = true
  for await (const chunk of source) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, at)) {
      yield { bytes: bytes.subarray(at, end + 1), isStart, isEnd: true }
      isStart = true
      at = end + 1
    }
    rest = bytes.subarray(at)
    if (rest.length < PIECE) continue
    // the last byte may be the CR of the line's end
    yield { bytes: rest.subarray(0, -1), isStart, isEnd: false }
    isStart = false
    rest = rest.subarray(-1)
  }
  if (rest.length > 0) yield { bytes: rest, isStart, isEnd: false }
}
