/** Bytes that the name of a file may have, and files that are told apart. */
const LONGEST_NAME = 255
const MOST_FILES = 100
/** Bytes of a line: 45 that are encoded, with one for their number before them and checksums that some write behind them. */
const LONGEST_LINE = 100

/** Where a file in uuencode (POSIX.1-2017, uuencode) lies in a message: from its `begin` line to behind its `end` line. */
export type UuencodedFile = { name: string; start: number; end: number }

/** Finds the files in uuencode in the bytes of a message as they come by, whatever part they are in; an unfinished one is none. */
export class UuencodedFileFinder {
  private readonly found: UuencodedFile[] = []
  private open: UuencodedFile | null = null
  private pending: Buffer = Buffer.alloc(0)
  /** where `pending` lies in the message */
  private offset = 0
  private isLineStart = true

  /** Takes the next bytes of the message. */
  take(chunk: Buffer): void {
    const bytes = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk
    let at = 0
    for (let next: number | null = 0; next !== null;) {
      at = next
      next = this.open ? this.nextLine(bytes, at) : this.nextBegin(bytes, at)
    }
    this.pending = Buffer.from(bytes.subarray(at))
    this.offset += at
  }

  /** All files, the message having come by. */
  end(): readonly UuencodedFile[] {
    if (this.open && isEnd(this.pending)) this.close(this.offset + this.pending.length)
    return this.found
  }

  /** Looks for a `begin` line. @returns from where to go on; null where more bytes are wanted */
  private nextBegin(bytes: Buffer, at: number): number | null {
    if (this.found.length >= MOST_FILES) return at < bytes.length ? bytes.length : null
    if (!this.isLineStart) {
      const found = bytes.indexOf('\nbegin ', at, 'latin1')
      // the beginning of such a line may stand at the end
      if (found < 0) return at < bytes.length - 6 ? bytes.length - 6 : null
      this.isLineStart = true
      return found + 1
    }
    const end = bytes.indexOf(10, at) + 1
    if (end === 0 && bytes.length - at <= LONGEST_NAME + 20) return null
    this.isLineStart = false
    const line = bytes.toString('latin1', at, Math.min(end || bytes.length, at + LONGEST_NAME + 20))
    const name = /^begin [0-7]{3,4} (\S.*?)\s*$/s.exec(line)?.[1]
    if (end === 0 || name === undefined) return at
    this.open = { name, start: this.offset + at, end: 0 }
    return end
  }

  /** Passes over a line of a file. */
  private nextLine(bytes: Buffer, at: number): number | null {
    const end = bytes.indexOf(10, at) + 1
    if (end === 0 && bytes.length - at <= LONGEST_LINE) return null
    const line = bytes.subarray(at, end || bytes.length)
    if (end > 0 && isEnd(line)) this.close(this.offset + end)
    else if (end === 0 || !isEncoded(line)) this.open = null
    else return end
    this.isLineStart = true
    return end > 0 && isEnd(line) ? end : at
  }

  private close(end: number): void {
    if (this.open) this.found.push({ ...this.open, end })
    this.open = null
  }
}

function isEnd(line: Buffer): boolean {
  return line.length <= 5 && /^end\r?\n?$/.test(line.toString('latin1'))
}

/** Whether a line has as many characters as it says; trailing spaces, which stand for zeros, may be lost. */
function isEncoded(line: Buffer): boolean {
  const text = line.toString('latin1').replace(/\r?\n$/, '')
  if (text.length > LONGEST_LINE || !/^[ -`]*$/.test(text)) return false
  const bytes = ((text.charCodeAt(0) || 32) - 32) & 63
  const characters = Math.ceil(bytes / 3) * 4
  return text.length <= characters + 4
}
