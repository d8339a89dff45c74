/*
 * A generated corpus in each access model and over both protocols: the same of each message everywhere, each part's bytes, nothing listed that cannot be
 * fetched, and nothing there that cannot be reached. Long form: MAILFOLD_CASES=2000.
 */
import { Dovecot } from './support/dovecot.ts'
import { corpus } from './support/mime-corpus.ts'
import { Service } from './support/service.ts'
import { allTold, connectWith, MODELS, sha256, type Told } from './support/told-messages.ts'

const MADE = corpus(Number(process.env['MAILFOLD_CASES'] ?? 500), 7)

let dovecot: Dovecot
let service: Service
/** What the first account tells, with which all others are compared. */
let first: Map<string, Told> | undefined

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

test.each(MODELS)(
  'content: an account that is %s over %s has each part of each generated message, and tells what the others tell',
  async (model, protocol) => {
    const id = await connectWith(
      service,
      dovecot,
      [model, protocol],
      MADE.map(({ raw }) => raw),
    )
    const found = await allTold(service, id)
    expect(found.size).toBe(MADE.length)
    for (const [number, { subject, from, parts }] of MADE.entries()) {
      const message = found.get(String(number))
      const told = message?.parts.map(({ part, contentType, filename }) => {
        return { type: contentType, filename, sha256: sha256(message.bytes[part] ?? Buffer.alloc(0)) }
      })
      expect([number, message?.subject, message?.from[0]?.name, told]).toEqual([number, subject, from, parts])
    }
    first ??= found
    for (const [name, message] of found) expect([name, message]).toEqual([name, first.get(name)])
  },
)
