import { parse } from 'content-disposition'
import fc from 'fast-check'
import { asDownload, downloadName } from './download.js'

/** The headers of a download of a file of this name. */
function headersOf(said: string | null): Headers {
  const headers = new Headers()
  const reply = {
    header(name: string, value: string) {
      headers.set(name, value)
      return reply
    },
  }
  asDownload(reply as never, downloadName(said, 'attachment'))
  return headers
}

const savedAs = (said: string | null) => parse(headersOf(said).get('content-disposition') ?? '').parameters['filename']

test.each([
  ['plain.pdf', 'plain.pdf'],
  ['Rechnung für Müller 🙈.pdf', 'Rechnung für Müller 🙈.pdf'],
  ['a "quoted" name\\.txt', 'a "quoted" name_.txt'],
  ['semi;colon=x.txt', 'semi;colon=x.txt'],
  ['../../etc/passwd', '.._.._etc_passwd'],
  ['half a pair \ud800.txt', 'half a pair \ufffd.txt'],
  ['other half \udc00', 'other half \ufffd'],
  ['\u202egpj.exe', 'gpj.exe'],
  ['\u2067a\u2069\u200f.txt', 'a.txt'],
  ['a\0b\r\nSet-Cookie: x\t\x7f.txt', 'abSet-Cookie: x.txt'],
  ['100%25.txt', '100%25.txt'],
  ['', 'attachment'],
  [' \r\n ', 'attachment'],
  ['..', 'attachment'],
  [null, 'attachment'],
])('%j is saved as %j', (said, saved) => {
  expect(savedAs(said)).toBe(saved)
})

test('a long name is cut to what file systems take, and keeps its extension', () => {
  expect(savedAs(`${'x'.repeat(20_000)}.pdf`)).toBe(`${'x'.repeat(196)}.pdf`)
  expect(savedAs('🙈'.repeat(20_000))).toBe('🙈'.repeat(50))
  expect(savedAs(`a.${'x'.repeat(20_000)}`)).toBe(`a.${'x'.repeat(198)}`)
})

test('whatever a name is, the header is a short one that clients take, and names a file', () => {
  const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 400 })
  const anything = units.map((codes) => String.fromCharCode(...codes))
  fc.assert(
    fc.property(fc.oneof(anything, fc.string({ unit: 'grapheme', maxLength: 400 })), (said) => {
      const header = headersOf(said).get('content-disposition') ?? ''
      expect(header).toMatch(/^attachment; [\x20-\x7e]+$/)
      expect(header.length).toBeLessThan(1_000)
      const saved = savedAs(said) ?? ''
      expect(Buffer.byteLength(saved)).toBeLessThanOrEqual(200)
      expect(saved).toMatch(/^[^/\\\p{Cc}\p{Bidi_Control}]+$/u)
    }),
  )
})
