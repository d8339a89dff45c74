/*
 * The messages of test/fixtures/mime, each odd in one way, in each access model and over both protocols: what expected.json says of them, and the same
 * everywhere, before a message is copied and after.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Dovecot } from './support/dovecot.ts'
import { Service } from './support/service.ts'
import { allTold, connectWith, MODELS, type Told } from './support/told-messages.ts'

const FOLDER = join(import.meta.dirname, 'fixtures/mime')
const NAMES = readdirSync(FOLDER).flatMap((file) => (file.endsWith('.eml') ? [file.slice(0, -4)] : []))

const RAWS = NAMES.map((name) => readFileSync(join(FOLDER, `${name}.eml`)))

type File = readonly [filename: string | null, type: string | null, bytes: { hex: string } | null]
type Expected = {
  subject?: string
  sentAt?: string | null
  from?: [string, string][]
  to?: [string, string][]
  to_addrs?: string[]
  cc_addrs?: string[]
  from_last?: string
  text?: string
  text_has?: string
  text_not?: string
  html_has?: string
  attachments?: File[]
  attachments_has?: File[]
}
const EXPECTED = JSON.parse(readFileSync(join(FOLDER, 'expected.json'), 'utf8')) as Record<string, Expected>

/** What is not right yet, by the account in which it is not: names and shapes that the server reads in its own way, and files in the middle of a text. */
const NOT_YET: Record<string, readonly string[]> = {
  'b-uuencode': ['DISCONNECTED', 'ONLINE'],
}

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const lines = (text: string | null) => (text ?? '').replaceAll('\r\n', '\n').replace(/\n+$/, '')
const people = (list: Told['from']) => list.map(({ name, address }) => [name, address])
const addresses = (list: Told['from']) => list.map(({ address }) => address)

/** What differs from what is expected of a message, as pairs of what is told and what is right. */
function differences(message: Told, wanted: Expected): Record<string, unknown> {
  const files = (list: readonly File[]) =>
    list.map(([filename, type], index) => {
      const { part = '', contentType } = message.attachments[index] ?? {}
      return [
        filename,
        type === null ? null : contentType,
        list[index]?.[2] ? message.bytes[part]?.toString('hex') : null,
      ]
    })
  const { text, html } = message.content
  const found: [keyof Expected, unknown, unknown][] = [
    ['subject', message.subject, wanted.subject],
    ['sentAt', message.sentAt, wanted.sentAt],
    ['from', people(message.from), wanted.from],
    ['to', people(message.to), wanted.to],
    ['to_addrs', addresses(message.to), wanted.to_addrs],
    ['cc_addrs', addresses(message.cc), wanted.cc_addrs],
    ['from_last', addresses(message.from).at(-1), wanted.from_last],
    ['text', lines(text), wanted.text && lines(wanted.text)],
    ['text_has', text?.includes(wanted.text_has ?? ''), true],
    ['text_not', text?.includes(wanted.text_not ?? ''), false],
    ['html_has', html?.includes(wanted.html_has ?? ''), true],
    [
      'attachments',
      message.attachments.map(({ filename }, index) => [
        filename,
        ...(files(wanted.attachments ?? [])[index] ?? []).slice(1),
      ]),
      wanted.attachments?.map(([filename, type, bytes]) => [filename, type, bytes?.hex ?? null]),
    ],
    [
      'attachments_has',
      wanted.attachments_has?.every(([filename, type]) =>
        message.attachments.some((each) => each.filename === filename && each.contentType === type),
      ),
      true,
    ],
  ]
  const wrong = found.filter(([key, is, right]) => key in wanted && JSON.stringify(is) !== JSON.stringify(right))
  return Object.fromEntries(wrong.map(([key, is, right]) => [key, { is, right }]))
}

/** The first account's, with which all others are compared. */
let first: Map<string, Told> | undefined

test.each(MODELS)(
  'content: an account that is %s over %s tells of each message what is right, and what the others tell',
  async (model, protocol) => {
    const id = await connectWith(service, dovecot, [model, protocol], RAWS)
    const found = await allTold(service, id)
    expect(found.size).toBe(NAMES.length)
    const names = NAMES.filter((name) => !NOT_YET[name]?.includes(model))
    const wrong = names.flatMap((name) => {
      const message = found.get(name)
      const differing = message ? differences(message, EXPECTED[name] ?? {}) : { missing: true }
      return Object.keys(differing).length > 0 ? [[name, differing]] : []
    })
    expect(wrong).toEqual([])
    first ??= found
    for (const name of names) expect([name, found.get(name)]).toEqual([name, first.get(name)])
    // what a message is does not change once it is here
    const again = await allTold(service, id)
    for (const name of names) expect([name, again.get(name)]).toEqual([name, found.get(name)])
  },
)
