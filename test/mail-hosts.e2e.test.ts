/* Which addresses a mail host may have: stand-ins on loopback, and no other address, are what could be dialled. */
import { createServer, type Server } from 'node:net'
import { PASSWORD } from './support/imap-server.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { CONNECT, Service, until } from './support/service.ts'

let service: Service
let imap: ScriptedImap
let closed: Server

beforeAll(async () => {
  imap = await ScriptedImap.start((command, say) => honest(command, say))
  service = await Service.start({ MAILFOLD_MAIL_HOSTS: 'public' })
})

afterAll(async () => {
  await service?.stop()
  imap?.stop()
})

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  closed = createServer()
  await new Promise<void>((listening) => closed.listen(0, '127.0.0.1', listening))
  const { port } = closed.address() as { port: number }
  await new Promise((ended) => closed.close(ended))
  return port
}

async function outcome(host: string, port: number, protocol: string) {
  const input = { host, port, protocol, security: 'PLAINTEXT', username: 'ada', password: PASSWORD, model: 'OFFLINE' }
  type Payload = { connectAccount: { account: object | null; errors: { __typename: string; message: string }[] } }
  const { connectAccount } = await service.ask<Payload>(CONNECT, { input })
  expect(connectAccount.account).toBeNull()
  return connectAccount.errors[0]
}

test.each([
  '127.0.0.1',
  '127.1',
  '0x7f000001',
  '0177.0.0.1',
  '2130706433',
  'localhost',
  '::1',
  '::ffff:127.0.0.1',
  '0.0.0.0',
  '::',
  '169.254.169.254',
  'fe80::1',
  '224.0.0.1',
  '10.0.0.1',
  '192.168.0.1',
  'fd00::1',
])('hostile-servers: %s is refused in the same words whether its port is open or closed', async (host) => {
  const ports = [imap.port, await closedPort()]
  for (const protocol of ['IMAP', 'POP3']) {
    const [open, shut] = [await outcome(host, ports[0] ?? 0, protocol), await outcome(host, ports[1] ?? 0, protocol)]
    expect(open?.__typename).toBe('HostNotAllowed')
    expect(shut).toEqual(open)
  }
  expect(imap.connections).toBe(0)
})

test('an account whose host is not allowed any more is not connected, and says why', async () => {
  const mine = await Service.start({ MAILFOLD_MAIL_HOSTS: '127.0.0.0/8' })
  try {
    const place = { host: '127.0.0.1', port: imap.port, security: 'PLAINTEXT', username: 'ada', password: PASSWORD }
    const id = await mine.connect(place)
    await mine.synced(id)
    await mine.end('SIGTERM')
    const { connections } = imap
    await mine.launch(undefined, { MAILFOLD_MAIL_HOSTS: 'public' })
    type State = { account: { connection: { state: string; reason: string | null } } }
    const query = 'query ($id: ID!) { account(id: $id) { connection { state reason } } }'
    await until(async () => {
      const { connection } = (await mine.ask<State>(query, { id })).account
      return connection.state === 'DISCONNECTED' && connection.reason?.includes('MAILFOLD_MAIL_HOSTS') === true
    })
    expect(imap.connections).toBe(connections)
  } finally {
    await mine.stop()
  }
})
