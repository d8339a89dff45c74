/* From the embedded Postgres to one of one's own. */
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { OwnServices } from './support/own-services.ts'
import { Service, mailfold, until } from './support/service.ts'

let dovecot: Dovecot
let own: OwnServices
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  own = await OwnServices.start()
  await dovecot.fill('mover', { INBOX: [1, 2, 3].map((number) => mail(number, { subject: `s${number}` })) })
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_SHARDS: '4' })
})

afterAll(async () => {
  await service?.stop()
  await own?.stop()
  await dovecot?.stop()
})

test('all is there after the log was copied to another database, and goes on; nothing is copied while the service runs', async () => {
  const server = { host: 'localhost', port: dovecot.imapsPort, username: 'mover', password: PASSWORD }
  const account = await service.connect(server)
  await service.synced(account)
  type Seen = { account: { version: number; messages: { nodes: { id: string; subject: string }[] } } }
  const seen = (from: Service) =>
    from.ask<Seen>('query ($id: ID!) { account(id: $id) { version messages { nodes { id subject } } } }', {
      id: account,
    })
  const copy = (url = own.databaseUrl) =>
    mailfold(['db', 'copy', url, '--json'], { NODE_OPTIONS: '', MAILFOLD_DATA: service.folder })
  expect(await copy()).toMatchObject({ code: 69, stderr: expect.stringContaining('stop it first') as string })
  await service.end('SIGTERM')
  expect(await copy('mysql://x')).toMatchObject({ code: 64, stderr: expect.stringContaining('postgres://') as string })
  const copied = await copy()
  expect([copied.code, copied.stdout]).toEqual([0, expect.stringContaining('"copied":true')])
  expect(await copy()).toMatchObject({ code: 73, stderr: expect.stringContaining('not empty') as string })
  await service.launch()
  const before = await seen(service)
  await service.end('SIGTERM')

  const moved = await Service.start({
    ...{ DATABASE_URL: own.databaseUrl, MAILFOLD_DATA: service.folder, MAILFOLD_TLS_CA: dovecot.authorityFile },
  })
  try {
    expect((await seen(moved)).account.messages).toEqual(before.account.messages)
    await dovecot.deliver('mover', mail(9, { subject: 'afterwards' }))
    await until(async () => (await seen(moved)).account.messages.nodes.some(({ subject }) => subject === 'afterwards'))
    const database = own.database()
    expect((await database.query('select from shards')).rowCount).toBe(4)
    await database.end()
  } finally {
    await moved.stop()
  }
})
