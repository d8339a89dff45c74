import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail, randomFrom } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

const CUTS = 100
const ARRIVALS = 1_000

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('rosa'), null, 50, (number) => mail(number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const CHANGES = `subscription ($id: ID!, $after: String) { changes(accountId: $id, after: $after) {
  __typename ... on Change { cursor version type } ... on MessageAddedChange { messageId subject origin }
} }`

type Change = {
  __typename: string
  cursor: string
  version: number
  type: string
  messageId?: string
  subject?: string
  origin?: string
}

test('cut off a hundred times while mail arrives, changes and goes, a subscriber gets every event once, in order', async () => {
  const random = randomFrom(7)
  const account = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'rosa',
    password: PASSWORD,
  })
  await service.synced(account)
  const first = await service.ask<{ account: { cursor: string; version: number } }>(
    'query ($id: ID!) { account(id: $id) { cursor version } }',
    { id: account },
  )

  const received: Change[] = []
  let cursor = first.account.cursor
  let over = false
  let cuts = 0
  const listen = async () => {
    while (!over) {
      const socket = service.socket()
      const life = 1 + Math.floor(random() * 15)
      let seen = 0
      try {
        for await (const { data } of socket.iterate<{ changes: Change }>({
          query: CHANGES,
          variables: { id: account, after: cursor },
        })) {
          if (!data) continue
          received.push(data.changes)
          cursor = data.changes.cursor
          if (++seen >= life && cuts < CUTS) break
        }
      } catch {
        // the next turn goes on from the cursor
      }
      cuts++
      // not a polite goodbye: the socket is simply gone
      ;(socket as { terminate(): void }).terminate()
    }
  }
  const listening = listen()

  const other = await dovecot.client('rosa')
  await other.mailboxOpen('INBOX')
  const deliver = async () => {
    for (let at = 0; at < ARRIVALS; at += 10) {
      await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          dovecot.deliver('rosa', mail(10_000 + at + index, { subject: `arrival ${at + index}` })),
        ),
      )
      const uid = 1 + Math.floor(random() * 50)
      if (random() < 0.5)
        await other.messageFlagsAdd(String(uid), [random() < 0.5 ? '\\Flagged' : '\\Answered'], { uid: true })
      else if (random() < 0.3) await other.messageDelete(String(uid), { uid: true })
    }
  }
  await deliver()
  await other.messageFlagsAdd('1:*', ['finished'], { uid: true })
  await until(() => received.filter((change) => change.origin === 'ARRIVED').length >= ARRIVALS)
  await until(() => cuts >= CUTS)
  // what is recorded by now has to have come
  const head = await service.ask<{ account: { version: number } }>(
    'query ($id: ID!) { account(id: $id) { version } }',
    { id: account },
  )
  await until(() => (received.at(-1)?.version ?? 0) >= head.account.version)
  over = true
  void service.end('SIGTERM')
  await listening

  const versions = received.map((change) => change.version)
  expect(versions).toEqual(versions.map((_, index) => first.account.version + 1 + index))
  const subjects = received.filter((change) => change.origin === 'ARRIVED').map((change) => change.subject)
  expect(subjects).toHaveLength(ARRIVALS)
  expect(new Set(subjects).size).toBe(ARRIVALS)
  expect(received.some((change) => change.type === 'MessageFlagsChanged')).toBe(true)
  expect(received.some((change) => change.type === 'MessageExpunged')).toBe(true)
  expect(cuts).toBeGreaterThanOrEqual(CUTS)
})
