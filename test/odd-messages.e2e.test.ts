import { Dovecot } from './support/dovecot.ts'
import { OfflineAccount, sha256, type Collecting } from './support/maildrop.ts'
import { fillMaildir } from './support/maildir.ts'
import { asHeld, oddMessage } from './support/odd-mail.ts'
import { Service } from './support/service.ts'

const COUNT = 300

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('odd'), null, COUNT, oddMessage)
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

test.each<Collecting>(['POP3', 'IMAP'])(
  'odd messages come over %s as the server holds them, byte for byte',
  async (protocol) => {
    const port = protocol === 'POP3' ? dovecot.pop3Port : dovecot.imapPort
    const account = await OfflineAccount.connect(service, protocol, { port, username: 'odd' })
    const wanted = Array.from({ length: COUNT }, (_, number) => sha256(asHeld(oddMessage(number))))
    expect(await account.contents()).toEqual(wanted.sort())
    // each can be read, whatever it is like
    const { messages } = await account.state()
    for (const { id } of messages.nodes.slice(0, 40)) {
      const { message } = await service.ask<{ message: { content: object } }>(
        'query ($id: ID!) { message(id: $id) { subject from { address } content { text html isTruncated } attachments { part } } }',
        { id },
      )
      expect(message.content).not.toBeNull()
    }
  },
)
