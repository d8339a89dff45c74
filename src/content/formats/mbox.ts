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

/** A line of an mbox that begins with "From " and may begin a message or not, and how it was taken. */
export type Ambiguity = {
  /** the number of the message in which it is, from 1 */
  message: number
  /** its beginning, for a person */
  line: string
  /** why it was taken for text */
  reason: 'NO_DATE' | 'NO_EMPTY_LINE' | 'WITHIN_CONTENT_LENGTH'
}

/**
 * The messages of an mbox, in their order. Each content is to be read to its end before the next message is asked for. A line "From sender date" behind an
 * empty line begins a message (RFC 4155, Appendix A), unless the message before says by Content-Length that the line is in it, and is right.
 *
 * @param noticed is called with each line that another program might read differently
 */
export async function* readMbox(
  source: AsyncIterable<Buffer>,
  noticed: (ambiguity: Ambiguity) => void = () => undefined,
): AsyncGenerator<ImportedMessage> {
  const reader = new MboxReader(source, noticed)
  for (let from = await reader.begin(); from !== null; from = reader.next) {
    const flags: string[] = []
    const content = reader.message()
    yield { path: null, flags, internalDate: dateOf(from), content }
    for await (const _ of content);
  }
}

/** Bytes of a body that are read ahead to see whether its Content-Length is right. */
const MOST_AHEAD = 8 * 1024 * 1024
/** Characters of a line that are told. */
const LONGEST_TOLD = 100

class MboxReader {
  private readonly pieces: AsyncGenerator<Line>
  /** lines that were read ahead */
  private readonly ahead: Line[] = []
  private count = 0
  /** the line that begins the message that comes next, null at the end */
  next: string | null = null

  constructor(
    source: AsyncIterable<Buffer>,
    private readonly noticed: (ambiguity: Ambiguity) => void,
  ) {
    this.pieces = lines(source)
  }

  /** The line that begins the first message; null for a file that is empty. @throws UnreadableFile */
  async begin(): Promise<string | null> {
    for (let line = await this.line(); line; line = await this.line()) {
      const text = line.bytes.toString('latin1')
      if (line.isStart && isFromLine(line.bytes, false)) return text
      if (text.trim() !== '') throw new UnreadableFile('The file is no mbox: it does not begin with a line "From ...".')
    }
    return null
  }

  /** The message that has just begun, with line ends as mail has them, up to the line that begins the next. */
  async *message(): AsyncGenerator<Buffer> {
    this.next = null
    this.count++
    /** an empty line, which may belong to the message or part it from the next */
    let held: Buffer | null = null
    let stated: number | null = null
    let isInHeader = true
    /** bytes of the body that are known to be of the message, and whether they are as they were before they came into the file */
    let certain = 0
    let isLiteral = false
    for (let line = await this.line(); line; line = await this.line()) {
      const { bytes, isStart, isEnd } = line
      if (isStart && isFromLine(bytes, false) && this.isSeparator(bytes, held !== null, certain > 0)) {
        this.next = bytes.toString('latin1')
        return
      }
      if (held) yield held
      held = null
      const isEmpty = isStart && isEnd && bytes.toString('latin1').trim() === '' && bytes.length <= 2
      const isQuoted = isStart && bytes[0] === 62 && isFromLine(bytes, true) && !(certain > 0 && isLiteral)
      certain = Math.max(0, certain - bytes.length)
      if (isInHeader && isStart) {
        stated ??= contentLengthIn(bytes)
        isInHeader = !isEmpty
        const body = isEmpty && stated !== null ? await this.bodyOf(stated) : null
        if (body) certain = stated ?? 0
        // where such a line stands unquoted, none is quoted
        isLiteral = body?.some((each) => each.isStart && isFromLine(each.bytes, false)) ?? false
      }
      const whole = isEnd ? withCrLf(bytes) : bytes
      if (isEmpty) held = whole
      else yield isQuoted ? whole.subarray(1) : whole
    }
    // the end of the file parts nothing
    if (held && certain > 0) yield held
  }

  private async line(): Promise<Line | null> {
    const first = this.ahead.shift()
    if (first) return first
    const next = await this.pieces.next()
    return next.done ? null : next.value
  }

  /** Whether a line that begins with "From " begins a message. */
  private isSeparator(bytes: Buffer, isBehindEmpty: boolean, isCertain: boolean): boolean {
    const line = bytes.toString('latin1', 0, 1_000)
    const hasDate = SEPARATOR.test(line)
    if (hasDate && isBehindEmpty && !isCertain) return true
    // what is neither behind an empty line nor has a date is taken for text by everybody
    if (hasDate || isBehindEmpty) {
      const reason = isCertain ? 'WITHIN_CONTENT_LENGTH' : hasDate ? 'NO_EMPTY_LINE' : 'NO_DATE'
      this.noticed({ message: this.count, line: line.trimEnd().slice(0, LONGEST_TOLD), reason })
    }
    return false
  }

  /** Reads a body of a length ahead. @returns its lines; null where no message begins, and the file does not end, behind it and an empty line */
  private async bodyOf(length: number): Promise<readonly Line[] | null> {
    if (length === 0 || length > MOST_AHEAD) return null
    const lineAt = async (index: number) => {
      while (this.ahead.length <= index) {
        const next = await this.pieces.next()
        if (next.done) return null
        this.ahead.push(next.value)
      }
      return this.ahead[index] ?? null
    }
    let bytes = 0
    let count = 0
    for (; bytes < length; count++) {
      const line = await lineAt(count)
      if (!line) return null
      bytes += line.bytes.length
    }
    if (bytes !== length) return null
    const body = this.ahead.slice(0, count)
    const isEmpty = (line: Line | null | undefined) => line?.bytes.toString('latin1').trim() === ''
    const behind = await lineAt(count)
    if (!behind) return isEmpty(body.at(-1)) ? null : body
    const next = await lineAt(count + 1)
    return isEmpty(behind) && (!next || SEPARATOR.test(next.bytes.toString('latin1', 0, 1_000))) ? body : null
  }
}

/** A line that begins a message: a sender, and a date as asctime writes it, perhaps with a zone. */
const SEPARATOR =
  /^From .*\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} +\d{1,2}:\d\d(:\d\d)?( +[\w+-]+)* +\d{4}\b|^From .*\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{1,2}:\d\d/i

/** The bytes that a body has by a field of its header; null for every other line. */
function contentLengthIn(line: Buffer): number | null {
  if (line.length > 100) return null
  const found = /^content-length[ \t]*:[ \t]*(\d{1,10})\s*$/i.exec(line.toString('latin1'))
  return found ? Number(found[1]) : null
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
