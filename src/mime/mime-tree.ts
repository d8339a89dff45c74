import { fieldsOf, firstOf, parameterised, type HeaderField, type Parameterised } from './header-fields.js'
import { UuencodedFileFinder, type UuencodedFile } from './uuencoded-files.js'

/** Bytes of one header that are looked at. */
export const LARGEST_HEADER = 4 * 1024 ** 2
/** Parts that are told apart, and how deep they may lie in each other; what is beyond is part of the last one. */
const MOST_PARTS = 3_000
const DEEPEST = 100
/** Bytes that a line with a boundary may have: 70 of the boundary (RFC 2046 §5.1.1), more of those that keep to no bound, and white space. */
const LONGEST_BOUNDARY_LINE = 1_000
/** Bytes of a header within which its own boundary is looked for. */
const LONGEST_ODD_HEADER = 16 * 1024

/** What a part's own header says of it. */
export type PartHead = {
  /** bytes of its header, as far as they are looked at */
  header: Buffer
  fields: readonly HeaderField[]
  type: Parameterised
  /** in lower case; null where none is named */
  encoding: string | null
}

/** A part of a message where it lies in the raw bytes. Offsets count from the message's first byte; an end is behind the last byte. */
export type MimePart = PartHead & {
  /** its number (RFC 9051 §6.4.5); empty for the message itself where that is a multipart */
  number: string
  /** where its body begins and ends */
  start: number
  end: number
  /** the parts of a multipart, the body of an embedded message, or the files that are written in a text (uuencode); empty for all others */
  children: MimePart[]
}

/** Where a tree ended: at the end of the message, or before, with the rest being of the last part. */
export type MimeTree = { root: MimePart; isTruncated: boolean; size: number }

/** A node whose end has not come. */
type Open = {
  part: MimePart
  /** the boundary between its parts; null for what is no multipart */
  boundary: string | null
  /** whether it is the body of an embedded message, which has the number of that */
  isEmbedded: boolean
  /** multipart/digest: its parts are messages where they do not say otherwise (RFC 2046 §5.1.5) */
  isDigest: boolean
}

/**
 * Reads the tree of a message as its bytes come by (RFC 2045, RFC 2046), holding its headers and none of its bodies. It takes whatever comes: every byte
 * of a body is of some part. A boundary ends the parts inside its multipart, also those whose own end is missing, and a header whose empty line is
 * missing. A multipart that names no boundary has the one with which its body begins.
 */
export class MimeTreeReader {
  private readonly root: MimePart = emptyPart('', 0)
  private readonly open: Open[] = [openOf(this.root)]
  private parts = 1
  private readonly files = new UuencodedFileFinder()
  private isTruncated = false
  /** bytes of the message that are read through */
  private offset = 0
  private pending: Buffer = Buffer.alloc(0)
  /** the last two bytes before `pending` */
  private before = ''
  private isInHeader = true
  private isLineStart = true
  /** a multipart without a boundary parameter waits for the line with which its body begins */
  private isGuessing = false
  private headerLines: Buffer[] = []
  private headerBytes = 0

  /** Takes the next bytes of the message. */
  take(chunk: Buffer): void {
    this.files.take(chunk)
    const bytes = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk
    let at = 0
    while (at < bytes.length) {
      const next = this.isInHeader || this.isGuessing ? this.takeLine(bytes, at) : this.skipTo(bytes, at)
      if (next === null) break
      at = next
    }
    this.pending = Buffer.from(bytes.subarray(at))
    if (at > 0) this.before = (this.before + bytes.toString('latin1', Math.max(0, at - 2), at)).slice(-2)
    this.offset += at
  }

  /** The tree, the whole message having come by. */
  end(): MimeTree {
    const rest = this.pending
    this.pending = Buffer.alloc(0)
    if (rest.length > 0) {
      if (this.isInHeader || this.isGuessing) this.line(rest, this.offset, this.before)
      else if (this.isLineStart) this.boundary(rest, this.offset, this.before)
      this.offset += rest.length
    }
    this.endHeaders(this.offset)
    this.close(0, this.offset)
    addFiles(this.root, this.files.end())
    return { root: this.root, isTruncated: this.isTruncated, size: this.offset }
  }

  /** Takes one line of a header. @returns where the next begins; null where its end has not come */
  private takeLine(bytes: Buffer, at: number): number | null {
    const end = bytes.indexOf(10, at) + 1
    if (end === 0) {
      if (bytes.length - at + this.headerBytes <= LARGEST_HEADER) return null
      this.isTruncated = true
      this.isGuessing = false
      if (this.isInHeader) this.endHeader(this.offset + at)
      this.isLineStart = false
      return at
    }
    this.line(bytes.subarray(at, end), this.offset + at, this.behind(bytes, at))
    return end
  }

  /** Passes over what can be no boundary. @returns where the next line begins that may be one; null where that has not come */
  private skipTo(bytes: Buffer, at: number): number | null {
    if (this.isLineStart) {
      const end = bytes.indexOf(10, at) + 1
      const mayBe = bytes[at] === 45 && (bytes[at + 1] ?? 45) === 45
      if (mayBe && end === 0 && bytes.length - at <= LONGEST_BOUNDARY_LINE) return null
      this.isLineStart = false
      if (mayBe && end > 0 && end - at <= LONGEST_BOUNDARY_LINE) {
        const line = bytes.subarray(at, end)
        if (this.boundary(line, this.offset + at, this.behind(bytes, at))) {
          this.isLineStart = true
          return end
        }
      }
    }
    const next = bytes.indexOf('\n--', at, 'latin1')
    if (next >= 0) {
      this.isLineStart = true
      return next + 1
    }
    // the line end with which a boundary may begin
    const tail = bytes.subarray(Math.max(at, bytes.length - 2))
    const lineEnd = tail.indexOf(10)
    const isOpen = lineEnd >= 0 && (tail[lineEnd + 1] ?? 45) === 45
    if (isOpen) {
      this.isLineStart = true
      return bytes.length - tail.length + lineEnd + 1
    }
    return bytes.length
  }

  /** The two bytes before a place. */
  private behind(bytes: Buffer, at: number): string {
    return (this.before + bytes.toString('latin1', Math.max(0, at - 2), at)).slice(-2)
  }

  /** Takes a line of a header, or the first of a multipart that names no boundary. */
  private line(line: Buffer, offset: number, before: string): void {
    if (this.boundary(line, offset, before)) return
    if (this.isGuessing) return this.guess(line, offset)
    const isEmpty = line.length <= 2 && /^\r?\n$/.test(line.toString('latin1'))
    if (isEmpty) return this.endHeader(offset + line.length)
    // the boundary of the very part whose header has no empty line behind it
    if (line[0] === 45 && line[1] === 45 && this.headerBytes < LONGEST_ODD_HEADER && this.isOwnBoundary(line)) {
      this.endHeader(offset)
      this.boundary(line, offset, before)
      return
    }
    this.headerBytes += line.length
    if (this.headerBytes <= LARGEST_HEADER) this.headerLines.push(Buffer.from(line))
    else this.isTruncated = true
  }

  private isOwnBoundary(line: Buffer): boolean {
    const { type } = headOf(Buffer.concat(this.headerLines), false)
    const boundary = boundaryOf(type)
    const found = delimiterIn(line)
    return boundary !== null && (found === boundary || found === `${boundary}--`)
  }

  private guess(line: Buffer, offset: number): void {
    const text = line.toString('latin1').trim()
    if (text === '') return
    this.isGuessing = false
    const open = this.top
    const found = /^--(\S.*)$/.exec(text)?.[1]
    if (found && found.length <= LONGEST_BOUNDARY_LINE) {
      open.boundary = found
      this.boundary(line, offset, '')
      return
    }
    // it is no multipart: what a person could read is shown
    becomeText(open)
    this.isLineStart = true
  }

  private get top(): Open {
    return this.open.at(-1) as Open
  }

  /** Takes a line that may be a boundary of one of the open multiparts. @returns whether it is */
  private boundary(line: Buffer, offset: number, before: string): boolean {
    const found = delimiterIn(line)
    if (found === null) return false
    for (let depth = this.open.length - 1; depth >= 0; depth--) {
      const { boundary } = this.open[depth] as Open
      if (boundary === null || !found.startsWith(boundary)) continue
      const rest = found.slice(boundary.length)
      if (rest !== '' && rest !== '--') continue
      this.endHeaders(offset)
      this.isGuessing = false
      // the line end before a boundary is of the boundary
      const lineEnd = before === '\r\n' ? 2 : before.endsWith('\n') ? 1 : 0
      this.close(depth + 1, offset - lineEnd)
      if (rest === '') this.begin(this.open[depth] as Open, offset + line.length)
      else this.finish(this.open[depth] as Open)
      return true
    }
    return false
  }

  /** Begins the next part of a multipart. */
  private begin(parent: Open, offset: number): void {
    if (this.parts >= MOST_PARTS) {
      this.isTruncated = true
      return
    }
    this.parts++
    const { number, children } = parent.part
    const part = emptyPart(`${number === '' ? '' : `${number}.`}${children.length + 1}`, offset)
    children.push(part)
    this.open.push(openOf(part))
    this.isInHeader = true
    this.headerLines = []
    this.headerBytes = 0
  }

  /** What comes behind the last boundary of a multipart is of nobody. */
  private finish(parent: Open): void {
    parent.boundary = null
    this.isLineStart = true
  }

  /** Ends the open parts from a depth on. */
  private close(depth: number, offset: number): void {
    let most = Infinity
    for (const open of this.open.splice(depth)) {
      const { part } = open
      // a header that a boundary ended has its body behind that line's end, where what it is in has ended
      part.start = Math.min(part.start, most)
      part.end = Math.min(most, Math.max(part.start, offset))
      most = part.end
      if (part.type.value.startsWith('multipart/') && part.children.length === 0) becomeText(open)
    }
  }

  /** Ends the header that is being read, and that of a message which it embeds. */
  private endHeaders(offset: number): void {
    while (this.isInHeader) this.endHeader(offset)
  }

  /** Reads the header of the innermost part, all of it having come. @param start where the body begins */
  private endHeader(start: number): void {
    const { top } = this
    const { part } = top
    this.isInHeader = false
    this.isLineStart = true
    Object.assign(part, headOf(Buffer.concat(this.headerLines), this.isInDigest), { start })
    const { type, encoding } = part
    const isMultipart = type.value.startsWith('multipart/')
    if (isMultipart && this.open.length > DEEPEST) this.isTruncated = true
    else if (isMultipart) {
      top.boundary = boundaryOf(type)
      top.isDigest = type.value === 'multipart/digest'
      this.isGuessing = top.boundary === null
      return
    }
    numberLeaf(top)
    if (type.value !== 'message/rfc822' && type.value !== 'message/global') return
    if (isEncoded(encoding)) return
    if (this.open.length > DEEPEST || this.parts >= MOST_PARTS) {
      this.isTruncated = true
      return
    }
    this.parts++
    // the embedded message has the number of the part, and its parts have numbers below that (RFC 9051 §6.4.5)
    const body = emptyPart(part.number, start)
    part.children.push(body)
    this.open.push({ ...openOf(body), isEmbedded: true })
    this.isInHeader = true
    this.headerLines = []
    this.headerBytes = 0
  }

  private get isInDigest(): boolean {
    return this.open.at(-2)?.isDigest ?? false
  }
}

/** Adds the files to the texts in which they lie, as parts of those; in an encoded text there is none. */
function addFiles(part: MimePart, files: readonly UuencodedFile[]): void {
  const { type, encoding, start, end, children } = part
  for (const child of children) addFiles(child, files)
  if (type.value !== 'text/plain' || children.length > 0) return
  if (encoding === 'base64' || encoding === 'quoted-printable') return
  const within = files.filter((file) => file.start >= start && file.end <= end + 2)
  within.forEach(({ name, ...file }, index) => {
    const named = { value: 'application/octet-stream', params: { name } }
    const head = { header: Buffer.alloc(0), fields: [], type: named, encoding: 'x-uuencode' }
    children.push({ number: `${part.number}.${index + 1}`, ...head, ...file, children: [] })
  })
}

/** Reads the tree of a message that is in memory. */
export function readTree(raw: Buffer): MimeTree {
  const reader = new MimeTreeReader()
  reader.take(raw)
  return reader.end()
}

function openOf(part: MimePart): Open {
  return { part, boundary: null, isEmbedded: false, isDigest: false }
}

/** What is no multipart has a number of its own, also as the only part of its message (RFC 9051 §6.4.5). */
function numberLeaf({ part, isEmbedded }: Open): void {
  if (part.number === '') part.number = '1'
  else if (isEmbedded) part.number += '.1'
}

/** A multipart without parts: what a person could read in it is shown. */
function becomeText(open: Open): void {
  open.part.type = { value: 'text/plain', params: open.part.type.params }
  open.boundary = null
  numberLeaf(open)
}

function emptyPart(number: string, start: number): MimePart {
  const nothing = { header: Buffer.alloc(0), fields: [], type: { value: 'text/plain', params: {} }, encoding: null }
  return { number, ...nothing, start, end: start, children: [] }
}

/**
 * Reads what a header says of its part.
 *
 * @param isInDigest whether it is a part of a multipart/digest, which are messages where they do not say otherwise
 */
export function headOf(header: Buffer, isInDigest: boolean): PartHead {
  const fields = fieldsOf(header)
  const named = parameterised(firstOf(fields, 'content-type'))
  const otherwise = isInDigest ? 'message/rfc822' : 'text/plain'
  const type = { value: named.value === '' ? otherwise : mediaTypeOf(named.value), params: named.params }
  const encoding = firstOf(fields, 'content-transfer-encoding')
  return { header, fields, type, encoding: encoding?.replace(/[;\s].*$/s, '').toLowerCase() || null }
}

/** A media type in lower case; what is none says nothing (RFC 2045 §5.2). */
export function mediaTypeOf(written: string): string {
  return /^[^\s/]+\/[^\s/]+$/.test(written) ? written.toLowerCase() : 'text/plain'
}

function boundaryOf({ value, params }: Parameterised): string | null {
  if (!value.startsWith('multipart/')) return null
  return params['boundary']?.trimEnd() || null
}

/** What stands behind the dashes of a line that may be a boundary; null for every other line. White space behind it is of nobody (RFC 2046 §5.1.1). */
function delimiterIn(line: Buffer): string | null {
  if (line[0] !== 45 || line[1] !== 45 || line.length > LONGEST_BOUNDARY_LINE) return null
  return line.toString('latin1', 2).trimEnd()
}

function isEncoded(encoding: string | null): boolean {
  return encoding !== null && !/^(7bit|8bit|binary)$/.test(encoding)
}
