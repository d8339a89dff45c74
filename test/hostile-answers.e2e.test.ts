/* Mail servers that answer without an end, or too slowly, or with what they should not repeat: what each may cost, and what an operator is told of it. */
import { PASSWORD } from './support/imap-server.ts'
import { address, HostileServers, message, MOST_MEMORY } from './support/hostile-servers.ts'
import { uuidOf } from './support/installation.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { ScriptedPop3, type Manner } from './support/scripted-pop3.ts'
import { CONNECT, until } from './support/service.ts'

const hostile = new HostileServers()

beforeAll(() => hostile.start())

afterAll(() => hostile.stop())

describe('hostile-servers: what a server says without an end', () => {
  test('a flood of answers during IDLE ends the connection, which says why', async () => {
    let isFlooding = false
    const of = await hostile.connected((command, say) => {
      if (/^IDLE/i.test(command) && isFlooding) {
        say('+ idling')
        // 40 MB at once, in lines that are read quickly: on a slow machine a flood by the clock is none
        const long = 'x'.repeat(4_000)
        for (let line = 0; line < 10_000; line++) say(`* 1 FETCH (UID 1 FLAGS (\\Seen $${long}${line}))`)
        return null
      }
      return honest(command, say, [message(1)])
    })
    await hostile.service.synced(of.id)
    isFlooding = true
    await hostile.bounded(of, { events: 40, commands: 400, logLines: 40 }, async () => {
      of.server.cut()
      const told = /more than anybody asked for|did not finish its answer/
      await until(async () => told.test((await of.state()).connection.reason ?? ''))
    })
    isFlooding = false
    await of.end()
  })

  test('200,000 flags and 20,001 capabilities are kept in part', async () => {
    const flags = Array.from({ length: 200_000 }, (_, index) => `f${index}`).join(' ')
    const capabilities = Array.from({ length: 20_001 }, (_, index) => `X-CAP${index}`).join(' ')
    const of = await hostile.connected((command, say) => {
      if (/^CAPABILITY/i.test(command)) {
        say(`* CAPABILITY IMAP4rev1 IDLE ${capabilities}`)
        return 'OK done'
      }
      return honest(command, say, [message(1, flags)])
    })
    await hostile.service.synced(of.id)
    expect((await of.state()).messages.nodes[0]?.flags.length).toBeLessThanOrEqual(500)
    const { rows } = await hostile.database.query<{ size: number }>(
      'select max(length(data::text)) as size from events where account_id = $1',
      [uuidOf(of.id)],
    )
    expect(rows[0]?.size).toBeLessThan(200_000)
    await of.end()
  })

  test('the same message, told again and again, is recorded a bounded number of times', async () => {
    let turn = 0
    const of = await hostile.connected((command, say) => {
      if (/^UID FETCH/i.test(command) && !/HEADER\.FIELDS/i.test(command)) {
        for (let again = 0; again < 20_000; again++) say(`* 1 FETCH (UID 1 FLAGS ($turn${++turn}))`)
        return 'OK done'
      }
      return honest(command, say, [message(1)])
    })
    await hostile.bounded(of, { events: 60, commands: 200, logLines: 40 }, async () => {
      await until(async () => (await of.state()).connection.reason !== null)
    })
    expect((await of.state()).connection.reason).toContain('again and again')
    await of.end()
  })
})

describe('a server that takes its time', () => {
  test('core 15: connecting to one that drips a byte now and then has an end', async () => {
    const { createServer } = await import('node:net')
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      const drip = setInterval(
        () => socket.write('* OK a greeting that never ends '[Math.floor(Math.random() * 30)] ?? 'x'),
        200,
      )
      socket.once('close', () => clearInterval(drip))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    hostile.stopWith(() => server.close())
    const { port } = server.address() as { port: number }
    for (const protocol of ['IMAP', 'POP3']) {
      const input = { ...address(port), protocol, username: `drip${protocol}`, model: 'OFFLINE' }
      type Payload = { connectAccount: { account: null; errors: { __typename: string }[] } }
      const { connectAccount } = await hostile.service.ask<Payload>(CONNECT, { input })
      expect(connectAccount.account).toBeNull()
      expect(['ConnectionTimedOut', 'ProtocolNotSpoken']).toContain(connectAccount.errors[0]?.__typename)
    }
  })

  test('hostile-servers: one that drips its answers later on is told as too slow', async () => {
    let drips = false
    const of = await hostile.connected((command, say) => {
      if (!drips || !/^(LIST|STATUS|NOOP|UID)/i.test(command)) return honest(command, say)
      return null
    })
    await hostile.service.synced(of.id)
    of.server.drip(200)
    drips = true
    await until(async () => (await of.state()).connection.reason !== null)
    expect((await of.state()).connection.reason).toMatch(/too slowly|time/)
    of.server.drip(0)
    await of.end()
  })

  test('core 8: one that lets log in and then breaks is visited more and more seldom', async () => {
    let breaks = false
    const visits: number[] = []
    const of = await hostile.connected((command, say) => {
      if (breaks && /^LIST/i.test(command)) {
        visits.push(performance.now())
        of.server.cut()
        return null
      }
      return honest(command, say)
    })
    await hostile.service.synced(of.id)
    breaks = true
    await until(() => visits.length >= 4)
    // the pauses double, and each is at least half of what it may be: 0.5, 1 and 2 s
    const pauses = visits.slice(1).map((at, index) => at - (visits[index] ?? 0))
    expect(pauses.at(-1)).toBeGreaterThan(950)
    expect((await of.state()).connection).toMatchObject({ state: 'DISCONNECTED', reason: expect.any(String) as string })
    await of.end()
  })
})

describe('hostile-servers: secrets', () => {
  const SECRET = 'Tr0ub4dor&3"\\x'

  test('a server that repeats the login command has the password told nowhere', async () => {
    const tell = (command: string) => `NO [AUTHENTICATIONFAILED] you said ${command}, and that is wrong`
    const server = await ScriptedImap.start((command, say) =>
      /^(LOGIN|AUTHENTICATE)/i.test(command) ? tell(command) : honest(command, say),
    )
    hostile.stopWith(() => server.stop())
    const pop3 = await ScriptedPop3.start({
      answer: (command) =>
        /^(USER|PASS|AUTH|APOP)/.test(command) && !/^USER/.test(command)
          ? [`-ERR you said ${command}, and that is wrong`]
          : null,
    })
    hostile.stopWith(() => pop3.stop())
    for (const [protocol, port] of [
      ['IMAP', server.port],
      ['POP3', pop3.port],
    ] as const) {
      const input = { ...address(port), protocol, username: 'echo', model: 'OFFLINE', password: SECRET }
      const answer = JSON.stringify(await hostile.service.ask(CONNECT, { input }))
      expect(answer).toContain('LoginRefused')
      expect(answer).toContain('[withheld]')
      for (const form of [
        SECRET,
        JSON.stringify(SECRET).slice(1, -1),
        Buffer.from(SECRET).toString('base64'),
        Buffer.from(`\u0000echo\u0000${SECRET}`).toString('base64'),
      ])
        expect([answer.includes(form), hostile.service.said().includes(form)]).toEqual([false, false])
    }
  })

  test('one that does so later on has it told in no event', async () => {
    let refuses = false
    const server = await ScriptedImap.start((command, say) => {
      if (refuses && /^(LOGIN|AUTHENTICATE)/i.test(command)) return `NO [AUTHENTICATIONFAILED] ${command}`
      return honest(command, say)
    })
    hostile.stopWith(() => server.stop())
    const id = await hostile.service.connect({ ...address(server.port), username: 'echo later' })
    await hostile.service.synced(id)
    refuses = true
    server.cut()
    type State = { account: { connection: { state: string; reason: string } } }
    const state = () =>
      hostile.service.ask<State>('query ($id: ID!) { account(id: $id) { connection { state reason } } }', { id })
    await until(async () => (await state()).account.connection.state === 'LOGIN_REFUSED')
    expect((await state()).account.connection.reason).not.toContain(PASSWORD)
    const { rows } = await hostile.database.query('select from events where account_id = $1 and data::text like $2', [
      uuidOf(id),
      `%${PASSWORD}%`,
    ])
    expect([rows.length, hostile.service.said().includes(PASSWORD)]).toEqual([0, false])
  })
})

describe('hostile-servers: POP3', () => {
  const held = Array.from({ length: 3 }, (_, number) => ({
    uidl: `uid${number}`,
    raw: Buffer.from(`Subject: ${number}\r\nMessage-ID: <${number}@x>\r\n\r\nbody\r\n`),
  }))

  async function collected(manner: Manner): Promise<{
    id: string
    count: () => Promise<number>
    reason: () => Promise<string | null>
    version: () => Promise<number>
    visits: () => number
  }> {
    const server = await ScriptedPop3.start(manner, held)
    hostile.stopWith(() => server.stop())
    const id = await hostile.service.connect({
      ...address(server.port),
      protocol: 'POP3',
      model: 'OFFLINE',
      username: hostile.username(),
    })
    const query =
      'query ($id: ID!) { account(id: $id) { version connection { reason } messages { nodes { subject } } } }'
    type Found = { account: { version: number; connection: { reason: string | null }; messages: { nodes: object[] } } }
    const ask = async () => (await hostile.service.ask<Found>(query, { id })).account
    return {
      id,
      count: async () => (await ask()).messages.nodes.length,
      reason: async () => (await ask()).connection.reason,
      version: async () => (await ask()).version,
      visits: () => server.asked.length,
    }
  }

  test.each([
    ['NUL in it', 'with\u0000nul'],
    ['bytes that are no UTF-8', '\u00ff\u00fe'],
    ['5,000 characters', 'x'.repeat(5_000)],
  ])('a UIDL with %s keeps no message away', async (_, uidl) => {
    const { count, id } = await collected({ uidl: (message) => (message === held[1] ? uidl : message.uidl) })
    await until(async () => (await count()) === 3)
    // and none comes twice
    await hostile.service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id })
    await hostile.service.synced(id)
    expect(await count()).toBe(3)
  })

  test('a list without an end is left soon, and told', async () => {
    const before = await hostile.memory()
    const { reason, version, visits } = await collected({
      answer: (command) =>
        command === 'LIST' ? ['+OK', ...Array.from({ length: 300_000 }, (_, index) => `${index + 1} 10`)] : null,
    })
    await until(async () => (await reason()) !== null)
    expect(await reason()).toContain('no end')
    // a login that works is no news while the work behind it fails
    const [first, told] = [visits(), await version()]
    await until(() => visits() >= first + 4)
    expect(await version()).toBe(told)
    expect(await reason()).toContain('no end')
    expect((await hostile.memory()) - before).toBeLessThan(MOST_MEMORY)
  })
})
