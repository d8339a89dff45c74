import { createServer, type Server, type Socket } from 'node:net'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { CONNECT, mailfold, Service } from './support/service.ts'

let dovecot: Dovecot
/** trusts the test's authority */
let service: Service
const servers: Server[] = []
const scriptedImaps: ScriptedImap[] = []

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({
    MAILFOLD_TLS_CA: dovecot.authorityFile,
    MAILFOLD_MAIL_HOSTS: 'loopback, 192.0.2.0/24',
    MAILFOLD_CONNECT_TIMEOUT: '3000',
    MAILFOLD_ANSWER_TIMEOUT: '1500',
  })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  for (const server of servers) server.close()
  for (const imap of scriptedImaps) imap.stop()
})

/** A server that real ones never are. @returns its port */
async function scripted(talk: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    talk(socket)
  })
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as { port: number }).port
}

/** Tries to connect. @returns the error's type */
async function failure(input: Record<string, unknown>, of = service): Promise<string | undefined> {
  const whole = {
    model: 'DISCONNECTED',
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'alice',
    password: PASSWORD,
    ...input,
  }
  type Payload = { connectAccount: { account: object | null; errors: { __typename: string; message: string }[] } }
  const { connectAccount } = await of.ask<Payload>(CONNECT, { input: whole })
  expect(connectAccount.account).toBeNull()
  expect(connectAccount.errors[0]?.message).not.toContain(PASSWORD)
  return connectAccount.errors[0]?.__typename
}

test('each way of failing has its own type, and saves nothing', async () => {
  expect(await failure({ host: 'no-such-host.invalid' })).toBe('HostNotFound')
  expect(await failure({ port: 1 })).toBe('ConnectionRefused')
  expect(await failure({ password: 'wrong' })).toBe('LoginRefused')
  expect(await failure({ host: '127.0.0.2' })).toBe('TlsNotTrusted')
  expect(await failure({ port: dovecot.imapPort })).toBe('TlsNotOffered')
  expect(await failure({ model: 'ONLINE', protocol: 'POP3' })).toBe('ModelNotPossible')
  expect(await failure({ model: 'DISCONNECTED', protocol: 'POP3' })).toBe('ModelNotPossible')
  expect(await failure({ host: 'two words' })).toBe('InvalidSettings')
  expect(await failure({ port: 0 })).toBe('InvalidSettings')
  expect(await failure({ username: 'alice\r\nA1 LOGOUT' })).toBe('InvalidSettings')
  expect(await service.ask('{ accounts { id } }')).toEqual({ accounts: [] })
})

test('a server that says nothing, gibberish, or offers no STARTTLS is told apart', async () => {
  const plain = { security: 'PLAINTEXT' }
  const silent = await scripted(() => undefined)
  const web = await scripted((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const noTls = await scripted((socket) => {
    socket.write('* OK ready\r\n')
    socket.on('data', (data: Buffer) =>
      socket.write(`* CAPABILITY IMAP4rev1\r\n${data.toString().split(' ')[0]} OK done\r\n`),
    )
  })
  expect(['ConnectionTimedOut', 'ProtocolNotSpoken']).toContain(await failure({ ...plain, port: silent }))
  expect(await failure({ ...plain, port: web })).toBe('ProtocolNotSpoken')
  expect(await failure({ security: 'STARTTLS', port: noTls })).toBe('TlsNotOffered')
})

test('throttling is not taken for a refused login', async () => {
  const says = async (answer: string) => {
    const imap = await ScriptedImap.start((command, say) =>
      /^CAPABILITY/i.test(command) ? honest(command, say) : answer,
    )
    scriptedImaps.push(imap)
    return imap.port
  }
  const plain = { security: 'PLAINTEXT' }
  expect(
    await failure({
      ...plain,
      port: await says('NO Request is throttled. Suggested Backoff Time: 299961 milliseconds'),
    }),
  ).toBe('ServerThrottles')
  expect(await failure({ ...plain, port: await says('NO [UNAVAILABLE] Temporary authentication failure') })).toBe(
    'ServerThrottles',
  )
  expect(await failure({ ...plain, port: await says('NO User is authenticated but not connected.') })).toBe(
    'ServerThrottles',
  )
  expect(await failure({ ...plain, port: await says('NO [AUTHENTICATIONFAILED] no') })).toBe('LoginRefused')
})

test('a certificate that nobody vouches for is not trusted', async () => {
  const doubtful = await Service.start({ MAILFOLD_TLS_CA: '' })
  try {
    expect(await failure({}, doubtful)).toBe('TlsNotTrusted')
    expect(await failure({ port: dovecot.imapPort, security: 'STARTTLS' }, doubtful)).toBe('TlsNotTrusted')
  } finally {
    await doubtful.stop()
  }
})

test('plain text is only for loopback, and only when asked for by name', async () => {
  // an address of the documentation's, never connected to: the rule comes first
  expect(await failure({ host: '192.0.2.1', security: 'PLAINTEXT' })).toBe('PlaintextNotAllowed')
  const connected = await service.connect({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    security: 'PLAINTEXT',
    username: 'paula',
    password: PASSWORD,
  })
  expect(connected).not.toBe('')
})

test('STARTTLS connects', async () => {
  expect(
    await service.connect({
      host: 'localhost',
      port: dovecot.imapPort,
      security: 'STARTTLS',
      username: 'stella',
      password: PASSWORD,
    }),
  ).not.toBe('')
})

test('the command line takes no password on its command line, and says in one line what fails', async () => {
  const environment = { ...service.clientEnvironment, SECRET_OF_CLARA: PASSWORD }
  const run = (...args: string[]) => mailfold(['connect', ...args], environment, 'wrong\n')
  const inAddress = await run(`imaps://clara:${PASSWORD}@localhost`, '--model', 'online')
  expect(inAddress).toMatchObject({
    code: 64,
    stderr: expect.stringMatching(/^mailfold: the password may not stand in the address.*\n$/) as string,
  })
  const refused = await run(`imaps://clara@localhost:${dovecot.imapsPort}`, '--model', 'online')
  expect(refused).toMatchObject({
    code: 77,
    stderr: expect.stringMatching(/^mailfold: localhost refused the login.*\n$/) as string,
  })
  const missing = await run(
    `imaps://clara@localhost:${dovecot.imapsPort}`,
    '--model',
    'online',
    '--password-env',
    'NO_SUCH_VARIABLE',
  )
  expect(missing.code).toBe(64)
  const named = await run(
    `imaps://clara@localhost:${dovecot.imapsPort}`,
    '--model',
    'online',
    '--password-env',
    'SECRET_OF_CLARA',
    '--json',
  )
  expect(named).toMatchObject({ code: 0, stderr: '' })
})
