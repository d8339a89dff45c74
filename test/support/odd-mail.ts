import { randomFrom } from './mail.ts'

const header = (number: number) => `Subject: odd ${number}\r\nMessage-ID: <odd${number}@example.org>\r\n`

/** Bytes of every kind, without a line end among them. */
function bytes(random: () => number, length: number, lowest: number, highest: number): Buffer {
  const made = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) {
    const byte = lowest + Math.floor(random() * (highest - lowest + 1))
    made[at] = byte === 10 || byte === 13 ? 32 : byte
  }
  return made
}

type Make = (number: number, random: () => number) => Buffer

const text = (value: string) => Buffer.from(value, 'latin1')

/** What mail may be like, and should not. */
const KINDS: Record<string, Make> = {
  'eight-bit text': (number, random) =>
    Buffer.concat([text(`${header(number)}\r\n`), bytes(random, 400, 128, 255), text('\r\n')]),
  UTF8: (number) => Buffer.from(`${header(number)}Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße, 日本 — 🎉\r\n`),
  NUL: (number, random) =>
    Buffer.concat([
      text(`${header(number)}\r\n`),
      bytes(random, 100, 0, 3),
      text('\r\nmore\0\r\n'),
      bytes(random, 50, 120, 140),
    ]),
  'bare LF': (number) => text(`${header(number)}\r\none\ntwo\n\n.three\nfour\r\nfive\n`),
  'bare CR': (number) => text(`${header(number)}\r\none\rtwo\r\r\nthree\r`),
  'leading dots': (number) => text(`${header(number)}\r\n.\r\n..\r\n.one\r\n\r\n...two\r\n.\r\n`),
  'no final newline': (number) => text(`${header(number)}\r\nends here ${number}`),
  'header alone': (number) => text(header(number)),
  'header without its end': (number) => text(`Subject: cut ${number}`),
  empty: () => Buffer.alloc(0),
  'line ends alone': (number) => text('\r\n'.repeat(1 + (number % 5))),
  'a body alone': (number) => text(`\r\nno header ${number}\r\n`),
  'one header line of 1 MB': (number) => text(`X-Long: ${'x'.repeat(1024 * 1024)}\r\n${header(number)}\r\nbody\r\n`),
  'no header at all': (number) => text(`this is ${number}, no message\r\nat all\r\n`),
  'a line that is From': (number) =>
    text(`From somebody Thu Jan  1 00:00:00 2026\r\n${header(number)}\r\nFrom here\r\n>From there\r\n`),
  'a long line': (number, random) =>
    Buffer.concat([text(`${header(number)}\r\n`), bytes(random, 120_000, 33, 126), text('\r\n')]),
  'every byte': (number) =>
    Buffer.concat([
      text(`${header(number)}\r\n`),
      Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      text('\r\n'),
    ]),
  'broken MIME': (number) =>
    text(
      `${header(number)}Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n--x--x\r\n`,
    ),
  'an encoding that is not kept to': (number) =>
    text(
      `${header(number)}Content-Transfer-Encoding: ${number % 2 ? 'quoted-printable' : 'base64'}\r\n\r\na=\rb \x80\n=ZZ=\r\n=`,
    ),
  'an encoding that nobody knows': (number) =>
    text(`${header(number)}Content-Transfer-Encoding: x-odd\r\n\r\nwith \x80\r\n`),
  'more than is held in memory': (number, random) =>
    Buffer.concat([text(`${header(number)}\r\n`), bytes(random, 300_000, 32, 255), text('\r\n.\r\n..\r\n')]),
}

const NAMES = Object.keys(KINDS)

const made = new Map<number, Buffer>()

/** Some odd message, by its number: of each kind in turn, or two kinds in one. */
export function oddMessage(number: number): Buffer {
  const message = made.get(number) ?? makeMessage(number)
  made.set(number, message)
  return message
}

function makeMessage(number: number): Buffer {
  const random = randomFrom(number * 31 + 7)
  const make = KINDS[NAMES[number % NAMES.length] as string] as Make
  const one = make(number, random)
  // NULs do not come over IMAP in what is encoded, or in what is too large to be asked for twice
  const isWithoutNul = one.includes('Content-Transfer-Encoding') || one.length > 1_000_000
  if (number < NAMES.length * 3 || isWithoutNul) return one
  const other = KINDS[NAMES[Math.floor(random() * NAMES.length)] as string] as Make
  return number % 3 ? one : Buffer.concat([one, other(number, random)])
}

/** The same as a mail store holds it that gives every line its CRLF, as Dovecot does (RFC 5322 §2.3). */
export function asHeld(raw: Buffer): Buffer {
  return Buffer.from(raw.toString('latin1').replace(/(?<!\r)\n/g, '\r\n'), 'latin1')
}
