import { createSecureContext } from 'node:tls'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import type { Authentication } from '../src/mailbox/access-model.js'
import { ServerFailed } from '../src/mailbox/failures.js'
import { lookupHost } from '../src/protocols/dial.js'
import { HostAddresses } from '../src/protocols/host-addresses.js'
import { Pop3Connection } from '../src/protocols/pop3/pop3-connection.js'
import { ScriptedPop3, type Manner } from './support/scripted-pop3.ts'

const POLICY = {
  allowPlaintext: false,
  hostAddresses: new HostAddresses(['loopback']),
  lookup: lookupHost,
  secureContext: createSecureContext(),
  connectTimeout: 1_000,
  answerTimeout: 1_000,
}

const settings = (
  port: number,
  authentication: Authentication = 'PASSWORD',
  security: 'PLAINTEXT' | 'STARTTLS' | 'IMPLICIT_TLS' = 'PLAINTEXT',
) => ({
  ...({ protocol: 'POP3', host: '127.0.0.1', port, security, username: 'ada', authentication } as const),
  certificateFingerprint: null,
})

async function withServer<T>(manner: Manner, held: Buffer[], work: (server: ScriptedPop3) => Promise<T>): Promise<T> {
  const server = await ScriptedPop3.start(
    manner,
    held.map((raw, index) => ({ uidl: `u${index}`, raw })),
  )
  try {
    return await work(server)
  } finally {
    server.stop()
  }
}

async function fetched(connection: Pop3Connection): Promise<Buffer[]> {
  const { messages: listed } = await connection.list()
  const found: Buffer[] = []
  for await (const message of connection.contents(listed.map(({ number }) => number))) {
    const chunks: Buffer[] = []
    if ('content' in message) for await (const chunk of message.content) chunks.push(Buffer.from(chunk))
    found.push(Buffer.concat(chunks))
  }
  return found
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => (error as ServerFailed).failure,
  )

describe('a message', () => {
  // dots, line ends and halves of both, and bytes of every kind, in whatever order
  const part = fc.constantFrom('.', '\r\n', '\r', '\n', '..', '\r\n.', '\r\n.\r', 'a', '\u0000', '\u00ff', 'From ')
  const raw = fc.array(part, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''), 'latin1'))

  test('comes byte for byte, whatever it holds and however it is cut on its way', async () => {
    const property = fc.asyncProperty(
      fc.array(raw, { maxLength: 4 }),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      async (held, piece, pipelines) => {
        const caps = ['UIDL', 'TOP', ...(pipelines ? ['PIPELINING'] : [])]
        const found = await withServer({ piece, caps }, held, async ({ port }) => {
          const connection = await Pop3Connection.open(settings(port), 'secret', POLICY)
          const messages = await fetched(connection)
          await connection.quit()
          return messages
        })
        expect(found.map((each) => each.toString('latin1'))).toEqual(held.map((each) => each.toString('latin1')))
      },
    )
    await fc.assert(property, { numRuns: Number(process.env['MAILFOLD_CASES'] ?? 300) })
  })

  test('keeps its last line end on a server that counts lines otherwise', async () => {
    const held = [Buffer.from('one\r\ntwo\r\nthree\r\nfour\r\n'), Buffer.from('a\r\nb\r\n')]
    // with one byte for each line end
    const size = ({ raw: bytes }: { raw: Buffer }) => bytes.toString('latin1').replaceAll('\r\n', '\n').length
    await withServer({ size }, held, async ({ port }) => {
      expect(await fetched(await Pop3Connection.open(settings(port), 'secret', POLICY))).toEqual(held)
    })
  })
})

describe('a login', () => {
  const refusing = (line: string): Manner => ({
    answer: (command) => (/^(PASS|AUTH|APOP)/.test(command) ? [line] : null),
  })

  test.each([
    ['-ERR [AUTH] no', 'LoginRefused', 'reauthenticate'],
    ['-ERR Authentication failed', 'LoginRefused', 'reauthenticate'],
    ['-ERR [IN-USE] locked by another session', 'MaildropInUse', 'wait'],
    ['-ERR maildrop already locked', 'MaildropInUse', 'wait'],
    ['-ERR [LOGIN-DELAY] too soon', 'Throttled', 'wait'],
    ['-ERR Too many connections', 'Throttled', 'wait'],
    ['-ERR [SYS/TEMP] disk', 'ConnectionLost', 'retry'],
    ['-ERR [SYS/PERM] gone', 'CommandRefused', 'report'],
  ])('that is answered %s is a %s', async (line, kind) => {
    await withServer(refusing(line), [], async ({ port }) => {
      expect(await failureOf(Pop3Connection.open(settings(port), 'secret', POLICY))).toMatchObject({ kind })
    })
  })

  test('by SASL PLAIN, where the server has it', async () => {
    await withServer({ caps: ['SASL LOGIN PLAIN', 'UIDL'] }, [], async (server) => {
      await (await Pop3Connection.open(settings(server.port), 'sécret', POLICY)).quit()
      const response = Buffer.from('\0ada\0sécret').toString('base64')
      expect(server.last('AUTH')).toEqual([`AUTH PLAIN ${response}`])
      expect(server.last('PASS')).toEqual([])
    })
  })

  test('by APOP, where a password would be seen', async () => {
    await withServer({ greeting: '+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>' }, [], async (server) => {
      // the example of RFC 1939 §7
      await (await Pop3Connection.open({ ...settings(server.port), username: 'mrose' }, 'tanstaaf', POLICY)).quit()
      expect(server.last('APOP')).toEqual(['APOP mrose c4c9334bac560ecc979e58001b3e22fb'])
      expect(server.last('PASS')).toEqual([])
    })
  })

  test.each<[string, NonNullable<Manner['answer']>, string[]]>([
    ['refuses it', (command) => (command.startsWith('APOP') ? ['-ERR [AUTH] no secret'] : null), ['APOP', 'AUTH']],
    [
      'refuses it and SASL',
      (command) =>
        command.startsWith('APOP') ? ['-ERR no'] : command.startsWith('AUTH') ? ['-ERR unsupported mechanism'] : null,
      ['APOP', 'AUTH', 'USER', 'PASS'],
    ],
    [
      'refuses it and ends the connection',
      (command, socket) => (command.startsWith('APOP') ? (socket.end('-ERR no\r\n'), []) : null),
      ['AUTH'],
    ],
  ])('by other ways where a server offers APOP and %s', async (_, answer, ways) => {
    const manner: Manner = {
      greeting: '+OK ready <1.2@example.org>',
      caps: ['SASL PLAIN', 'UIDL'],
      answer: answer ?? null,
    }
    await withServer(manner, [], async (server) => {
      await (await Pop3Connection.open(settings(server.port), 'secret', POLICY)).quit()
      const asked = (server.asked.at(-1) ?? []).map((command) => command.split(' ')[0] ?? '')
      expect(asked.filter((verb) => /^(APOP|AUTH|USER|PASS)$/.test(verb))).toEqual(ways)
    })
  })

  test('by SASL with a wrong password is not tried again in another way', async () => {
    const answer = (command: string) => (command.startsWith('AUTH') ? ['-ERR [AUTH] wrong password'] : null)
    await withServer({ caps: ['SASL PLAIN', 'UIDL'], answer }, [], async (server) => {
      expect(await failureOf(Pop3Connection.open(settings(server.port), 'secret', POLICY))).toMatchObject({
        kind: 'LoginRefused',
      })
      expect(server.last('USER')).toEqual([])
    })
  })

  test('by XOAUTH2 with a token of any length, and a token that is refused', async () => {
    const asked = { answer: (command: string) => (command === 'AUTH XOAUTH2' ? ['+ '] : null) }
    for (const token of ['short', 'x'.repeat(2_000)]) {
      await withServer(asked, [], async (server) => {
        await (await Pop3Connection.open(settings(server.port, 'XOAUTH2'), token, POLICY)).quit()
        const response = Buffer.from(`user=ada\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64')
        expect((server.asked[0] ?? []).join(' ')).toContain(`AUTH XOAUTH2 ${response}`)
      })
    }
    const refusing401 = {
      answer: (command: string) =>
        /^AUTH/.test(command) ? ['+ eyJzdGF0dXMiOiI0MDEifQ=='] : command === '' ? ['-ERR [AUTH] no'] : null,
    }
    await withServer(refusing401, [], async ({ port }) => {
      expect(await failureOf(Pop3Connection.open(settings(port, 'XOAUTH2'), 'old', POLICY))).toMatchObject({
        kind: 'LoginRefused',
      })
    })
  })

  test('is never made in plain text where TLS is wanted', async () => {
    await withServer({ caps: ['UIDL', 'USER'] }, [], async (server) => {
      const failure = await failureOf(
        Pop3Connection.open(settings(server.port, 'PASSWORD', 'STARTTLS'), 'secret', POLICY),
      )
      expect(failure).toMatchObject({ kind: 'TlsNotOffered' })
      expect((server.asked[0] ?? []).join(' ')).not.toMatch(/ada|secret/)
    })
  })

  test('does not go on with what stood behind the answer to STLS', async () => {
    const injecting = {
      caps: ['STLS'],
      answer: (command: string) => (command === 'STLS' ? ['+OK begin', '+OK injected'] : null),
    }
    await withServer(injecting, [], async ({ port }) => {
      const failure = await failureOf(Pop3Connection.open(settings(port, 'PASSWORD', 'STARTTLS'), 'secret', POLICY))
      expect(failure?.kind).toMatch(/^(TlsNotOffered|ConnectionLost|ProtocolNotSpoken)$/)
    })
  })
})

describe('a server that is none, or a hostile one', () => {
  async function raw(serve: (socket: Socket) => void, work: (port: number) => Promise<void>): Promise<void> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      serve(socket)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    await work((server.address() as { port: number }).port)
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  const open = (port: number) => failureOf(Pop3Connection.open(settings(port), 'secret', POLICY))

  test('says nothing', () =>
    raw(
      () => undefined,
      async (port) => expect(await open(port)).toMatchObject({ kind: 'ProtocolNotSpoken' }),
    ))
  test('speaks something else', () =>
    raw(
      (socket) => socket.write('SSH-2.0-OpenSSH\r\n'),
      async (port) => expect(await open(port)).toMatchObject({ kind: 'ProtocolNotSpoken' }),
    ))
  test('sends a line without an end', () =>
    raw(
      (socket) => {
        const more = () => socket.write('x'.repeat(65_536), (error) => error ?? setImmediate(more))
        more()
      },
      async (port) => expect((await open(port))?.kind).toMatch(/ProtocolNotSpoken|ConnectionLost/),
    ))
  test('is not there', async () => {
    const [port] = await new Promise<[number]>((done) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = server.address() as { port: number }
        server.close(() => done([free]))
      })
    })
    expect(await open(port)).toMatchObject({ kind: 'ConnectionRefused' })
    connectSocket(port, '127.0.0.1').on('error', () => undefined)
  })

  test('answers in the middle of a message with silence', async () => {
    await withServer(
      { answer: (command) => (/^RETR/.test(command) ? ['+OK 100 octets', 'Subject: half'] : null) },
      [Buffer.alloc(100)],
      async ({ port }) => {
        const connection = await Pop3Connection.open(settings(port), 'secret', POLICY)
        expect(await failureOf(fetched(connection))).toMatchObject({ kind: 'ConnectionLost' })
      },
    )
  })

  test('a message that is left in the middle does not spoil the answers behind it', async () => {
    await withServer({}, [Buffer.from('a'.repeat(1_000_000)), Buffer.from('b')], async ({ port }) => {
      const connection = await Pop3Connection.open(settings(port), 'secret', POLICY)
      await connection.list()
      const leave = async () => {
        for await (const message of connection.contents([1, 2]))
          if ('content' in message) for await (const _ of message.content) break
      }
      expect(await failureOf(leave().then(() => connection.bytes()))).toMatchObject({ kind: 'ConnectionLost' })
    })
  })
})

test('over a connection that may not be used any more nothing is said, and what was marked for deletion stays', async () => {
  await withServer({}, [Buffer.from('one\r\n'), Buffer.from('two\r\n')], async (server) => {
    const connection = await Pop3Connection.open(settings(server.port), 'secret', POLICY)
    await connection.list()
    let isHeld = true
    connection.guard(() => isHeld)
    expect(await connection.delete([1])).toEqual([1])
    isHeld = false
    expect(await failureOf(connection.quit())).toMatchObject({ kind: 'ConnectionLost' })
    expect(server.last('QUIT')).toEqual([])
    expect(server.held).toHaveLength(2)
  })
})
