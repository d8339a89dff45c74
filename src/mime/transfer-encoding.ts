import { PassThrough, Transform, pipeline, type Readable } from 'node:stream'
import { Decoder as Base64Decoder } from 'libbase64'
import { Decoder as QuotedPrintableDecoder } from 'libqp'

/**
 * The content of a part, its transfer encoding (RFC 2045 §6) undone. An encoding that nobody knows is taken for none.
 *
 * @param body the part's body as it lies in the message
 * @param encoding in lower case; null where none is named
 */
export function decodedContent(body: Readable, encoding: string | null): Readable {
  const decoder = decoderFor(encoding)
  // whoever reads it hears of a failure, and who stops reading ends both
  return pipeline(body, decoder, () => undefined)
}

function decoderFor(encoding: string | null): Transform {
  switch (encoding) {
    case 'base64':
      return new Base64Decoder()
    case 'quoted-printable':
      return new QuotedPrintableDecoder()
    case 'uuencode':
    case 'x-uuencode':
    case 'x-uue':
      return new UuDecoder()
    default:
      return new PassThrough()
  }
}

/** Undoes uuencode, from the `begin` line to `end` (POSIX.1-2017, uuencode). */
export class UuDecoder extends Transform {
  private rest = ''
  private state: 'before' | 'within' | 'behind' = 'before'

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, data?: Buffer) => void): void {
    const lines = (this.rest + chunk.toString('latin1')).split('\n')
    this.rest = lines.pop() ?? ''
    done(null, Buffer.concat(lines.map((line) => this.line(line))))
  }

  override _flush(done: (error: null, data?: Buffer) => void): void {
    done(null, this.line(this.rest))
  }

  private line(text: string): Buffer {
    const line = text.replace(/\r$/, '')
    if (this.state === 'before') {
      if (/^begin [0-7]{3,4} /.test(line)) this.state = 'within'
    } else if (this.state === 'within') {
      if (line === 'end') this.state = 'behind'
      else return decodeUuLine(line)
    }
    return Buffer.alloc(0)
  }
}

/** One line: how many bytes it has, and four characters for each three of them. */
function decodeUuLine(line: string): Buffer {
  const valueAt = (at: number) => ((line.charCodeAt(at) || 32) - 32) & 63
  const length = valueAt(0)
  const bytes = Buffer.alloc(Math.ceil(length / 3) * 3)
  for (let from = 1, to = 0; to < length; from += 4, to += 3) {
    const [a, b, c, d] = [valueAt(from), valueAt(from + 1), valueAt(from + 2), valueAt(from + 3)] as const
    bytes[to] = (a << 2) | (b >> 4)
    bytes[to + 1] = (b << 4) | (c >> 2)
    bytes[to + 2] = (c << 6) | d
  }
  return bytes.subarray(0, length)
}
