/* Many accounts at a mail host that accepts connections and says nothing, beside accounts at a healthy one. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

/** Accounts at the host that hangs; the long form is MAILFOLD_ACCOUNTS=1000. */
const ACCOUNTS = Number(process.env['MAILFOLD_ACCOUNTS'] ?? 120)

let dovecot: Dovecot
let service: Service
let hanging: ScriptedImap

beforeAll(async () => {
  dovecot = await Dovecot.start()
  hanging = await ScriptedImap.start((command, say) => honest(command, say))
  // a connection that hangs does so for longer than any test waits
  service = await Service.start({ MAILFOLD_CONNECT_TIMEOUT: '120000', MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  hanging?.stop()
})

const account = (username: string) => ({
  host: 'localhost',
  port: hanging.port,
  security: 'PLAINTEXT',
  username,
  password: PASSWORD,
})

test('core 4: new mail, and a body that somebody waits for, come at once while a host hangs that many accounts are at', async () => {
  await dovecot.fill('healthy', { INBOX: [mail(1, { subject: 'first' })] })
  const mine = await DisconnectedAccount.connect(service, dovecot, 'healthy')
  for (let number = 0; number < ACCOUNTS; number += 20)
    await Promise.all(Array.from({ length: 20 }, (_, index) => service.connect(account(`user${number + index}`))))
  const before = hanging.connections
  hanging.hang()
  await until(() => hanging.connections >= before + 20)

  await dovecot.deliver('healthy', mail(2, { subject: 'second', body: 'a body' }))
  await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'second'))
  const { id } = await mine.message('second')
  const query = 'query ($id: ID!) { message(id: $id) { content { text } } }'
  const { message } = await service.ask<{ message: { content: { text: string } } }>(query, { id })
  expect(message.content.text).toContain('a body')
  // the host that hangs is not asked by all of them at once
  expect(hanging.connections - before).toBeLessThanOrEqual(20)
  await mine.end()
})
