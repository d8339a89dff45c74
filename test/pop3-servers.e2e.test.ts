/* How messages are told on servers that give them no names, or names that do not hold; and what hostile ones cannot do. */
import { readFile } from 'node:fs/promises'
import { mail } from './support/mail.ts'
import { OfflineAccount, sha256 } from './support/maildrop.ts'
import { ScriptedPop3, type Held, type Manner } from './support/scripted-pop3.ts'
import { Service, until } from './support/service.ts'

let service: Service
const servers: ScriptedPop3[] = []

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '10000', MAILFOLD_ANSWER_TIMEOUT: '2000' })
})

afterAll(async () => {
  for (const server of servers) server.stop()
  await service?.stop()
})

const held = (number: number, wish: Parameters<typeof mail>[1] = {}): Held => ({
  uidl: `u${number}`,
  raw: Buffer.from(mail(number, { subject: `m${number}`, ...wish })),
})

/** The same bytes in every header, and bodies of one length. */
const untold = (number: number): Held => ({
  uidl: `x${number}`,
  raw: Buffer.from(`Subject: report\r\n\r\n${String(number).padStart(8, '0')}\r\n`),
})

async function connected(manner: Manner, messages: Held[]) {
  const server = await ScriptedPop3.start(manner, messages)
  servers.push(server)
  const account = await OfflineAccount.connect(service, 'POP3', { port: server.port, username: 'ada' })
  const run = async () => {
    const sessions = server.asked.length
    await account.syncNow()
    await until(() => server.asked.length > sessions && server.last('QUIT').length > 0)
    await until(async () => (await account.state()).connection.state === 'CONNECTED')
  }
  const expectHere = async (all: readonly Held[]) =>
    until(
      async () => JSON.stringify(await account.contents()) === JSON.stringify(all.map(({ raw }) => sha256(raw)).sort()),
    )
  await expectHere(messages)
  return { server, account, run, expectHere }
}

const MANNERS: [string, Manner, boolean][] = [
  ['has no UIDL', { uidl: null, caps: ['TOP', 'PIPELINING', 'USER'] }, true],
  ['knows neither UIDL nor CAPA', { uidl: null, caps: null }, true],
  ['gives other unique-ids in each session', { uidl: ({ uidl }, session) => `${uidl}-${session}` }, true],
  ['gives all messages one unique-id', { uidl: () => 'same' }, true],
  ['has neither UIDL nor TOP', { uidl: null, top: false, caps: ['USER'] }, false],
]

describe.each(MANNERS)('on a server that %s', (_, manner, hasTop) => {
  test('no message comes twice, and none is passed over', async () => {
    const first = [0, 1, 2, 3].map((number) => held(number))
    const { server, run, expectHere } = await connected(manner, first)
    await run()
    await run()
    await expectHere(first)
    // what is known by its header is not fetched again
    if (hasTop) expect(server.last('RETR')).toEqual([])
    server.held = [held(10), ...server.held, held(11)]
    await run()
    await expectHere([...first, held(10), held(11)])
    // gone there, and back from a backup, under whatever name
    const all = server.held
    server.held = all.slice(2)
    await run()
    server.held = all.map((message) => ({ ...message, uidl: `restored-${message.uidl}` }))
    await run()
    await expectHere([...first, held(10), held(11)])
  })

  test('messages of which headers and sizes are the same are told by their contents', async () => {
    const first = [untold(1), untold(2), untold(3)]
    const { server, run, expectHere } = await connected(manner, first)
    await run()
    await expectHere(first)
    // one goes and another comes that looks like it
    server.held = [untold(1), untold(3), untold(4)]
    await run()
    await expectHere([...first, untold(4)])
    await run()
    await expectHere([...first, untold(4)])
  })

  test('messages that are the same byte for byte are as many here as they were there at once', async () => {
    const twins = [held(7), { ...held(7), uidl: 'twin' }]
    const { server, run, expectHere } = await connected(manner, twins)
    await run()
    await expectHere(twins)
    server.held = [...server.held, { ...held(7), uidl: 'triplet' }]
    await run()
    await expectHere([...twins, held(7)])
    await run()
    await expectHere([...twins, held(7)])
  })

  test('is deleted what is here byte for byte, and not what only looks like it', async () => {
    const { server, account, run, expectHere } = await connected(manner, [untold(1), held(2)])
    await account.setPolicy({ kind: 'AT_ONCE' })
    await run()
    await until(() => server.held.length === 0)
    await expectHere([untold(1), held(2)])
  })
})

test.each<[string, Manner, string, string]>([
  ['without UIDL', { uidl: null }, 'Message 1.', 'Massage 1.'],
  ['under the unique-id of another', {}, 'Subject: m1', 'Subject: n1'],
])('a message %s that is not the one that is here is not deleted there', async (_, manner, one, other) => {
  const { server, account, run } = await connected(manner, [held(1), held(2)])
  await account.setPolicy({ kind: 'AT_ONCE' })
  const altered = held(1)
  altered.raw = Buffer.from(altered.raw.toString('latin1').replace(one, other), 'latin1')
  expect(altered.raw).not.toEqual(held(1).raw)
  server.held = [altered, held(2)]
  await run()
  await until(() => server.held.length === 1)
  expect(server.held[0]?.raw.toString()).toContain(other)
})

test('messages without a Message-ID, or with one that others have, are all here', async () => {
  const without = [1, 2, 3].map((number) => ({
    uidl: `w${number}`,
    raw: Buffer.from(`From: a@b.c\r\nSubject: n${number}\r\n\r\nbody\r\n`),
  }))
  const repeated = [4, 5].map((number) => held(number, { messageId: '<same@example.org>', subject: `s${number}` }))
  const broken = held(6, { messageId: '<<no id>' })
  const { run, expectHere } = await connected({}, [...without, ...repeated, broken])
  await run()
  await expectHere([...without, ...repeated, broken])
})

test('a message into whose header the server writes is the same under its unique-id', async () => {
  const { server, run, expectHere } = await connected({}, [held(1), held(2), held(3)])
  await run()
  const written = ({ uidl, raw }: Held, fields: string) => ({ uidl, raw: Buffer.concat([Buffer.from(fields), raw]) })
  server.held = [1, 2, 3].map((number) => written(held(number), `Status: O\r\nX-UID: ${number}\r\n`))
  await run()
  await expectHere([held(1), held(2), held(3)])
  expect(server.last('RETR')).toEqual([])
  // and at the end of the next session again
  server.held = server.held.map((message) => written(message, 'X-Keywords:  \r\n folded\r\nContent-Length: 12\r\n'))
  await run()
  await run()
  await expectHere([held(1), held(2), held(3)])
})

test('a unique-id that comes again for another message does not hide it', async () => {
  const { server, run, expectHere } = await connected({}, [held(1)])
  const other = { ...held(2, { body: 'another, and longer' }), uidl: 'u1' }
  server.held = [other]
  await run()
  await expectHere([held(1), other])
})

describe('the end of a session', () => {
  test('that the server does not answer leaves its deletions to be asked for again', async () => {
    const { server, account, run } = await connected({}, [held(1), held(2)])
    let quits = 0
    server.manner = {
      answer: (command, socket) => {
        if (command !== 'QUIT' || ++quits > 1) return null
        socket.destroy()
        return []
      },
    }
    await account.setPolicy({ kind: 'AT_ONCE' })
    await account.syncNow()
    await until(() => quits >= 1)
    expect(server.held).toHaveLength(2)
    await until(() => server.held.length === 0)
    await run()
    const query = 'query ($id: ID!) { account(id: $id) { messages { nodes { id } } } }'
    expect(
      (await service.ask<{ account: { messages: { nodes: object[] } } }>(query, { id: account.id })).account.messages
        .nodes,
    ).toHaveLength(2)
  })

  test('before which the policy was switched back takes everything back', async () => {
    const messages = Array.from({ length: 3 }, (_, number) => held(number))
    const { server, account, run } = await connected({}, messages)
    let switched: Promise<unknown> = Promise.resolve()
    let held4 = false
    server.manner = {
      answer: (command) => {
        if (command.startsWith('DELE 3') && !held4) {
          held4 = true
          switched = account.setPolicy({ kind: 'NEVER' })
        }
        return null
      },
    }
    await account.setPolicy({ kind: 'AT_ONCE' })
    await run()
    await switched
    // either it was heard before the end of the session, or everything was deleted that the policy of then had wanted
    expect([0, 3]).toContain(server.held.length)
    const kept = server.held.length
    await run()
    await run()
    expect(server.held).toHaveLength(kept)
  })
})

describe('what a policy deletes', () => {
  test('is never more than was said, however often it is switched', async () => {
    const messages = Array.from({ length: 20 }, (_, number) => held(number))
    const { server, account, run } = await connected({}, messages)
    const input = { accountId: account.id }
    for (let turn = 0; turn < 6; turn++) {
      const before = server.held.length
      await account.setPolicy({ kind: 'AT_ONCE' })
      await account.setPolicy({ kind: 'NEVER' })
      await account.setCollection({ limit: 20_000 })
      await account.setPolicy({ kind: 'AFTER_DAYS', days: 1 })
      const percent = 90 - turn * 10
      const bytes = server.held.reduce((sum, { raw }) => sum + raw.length, 0)
      await account.change('setCollection', 'SetCollectionInput', { ...input, limit: bytes }, 'account { id }')
      await until(async () => (await account.state()).maildrop?.limit === bytes)
      const { messages: said } = await account.setPolicy({ kind: 'WHEN_QUOTA_PASSES', percent, downTo: percent })
      await run()
      await until(() => server.held.length === before - said)
      await account.setPolicy({ kind: 'NEVER' })
      await run()
      expect(server.held).toHaveLength(before - said)
    }
    expect((await account.state()).messages.nodes).toHaveLength(20)
  })
})

describe('a hostile server', () => {
  const memory = async () =>
    Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${service.pid}/status`, 'utf8'))?.[1]) / 1024

  test.each<[string, Manner]>([
    ['states sizes that are none', { size: () => NaN }],
    ['states sizes that no disk has', { size: () => 1e21 }],
    ['lists what is no list', { answer: (command) => (command === 'LIST' ? ['+OK', 'a b', '-1 5', '1', '.'] : null) }],
    [
      'answers UIDL with another list',
      { answer: (command) => (command === 'UIDL' ? ['+OK', '99 x', '1 y', '.'] : null) },
    ],
    ['refuses every message', { answer: (command) => (command.startsWith('RETR') ? ['-ERR [SYS/TEMP] no'] : null) }],
  ])('that %s is lived with', async (_, manner) => {
    const { server, account, run, expectHere } = await connected({}, [held(1)])
    server.manner = manner
    server.held = [...server.held, held(2)]
    const sessions = server.asked.length
    await account.syncNow()
    await until(async () => {
      const isOver = server.last('QUIT').length > 0 || (await account.state()).connection.state !== 'CONNECTED'
      return server.asked.length > sessions && isOver
    })
    server.manner = {}
    await run()
    await expectHere([held(1), held(2)])
  })

  /** What is needed shows in the leanest of three runs: when a collector comes to free memory is its own affair. */
  const leanest = async (most: number, run: () => Promise<number>) => {
    const needed: number[] = []
    do needed.push(await run())
    while (needed.length < 3 && Math.min(...needed) >= most)
    expect(Math.min(...needed)).toBeLessThan(most)
  }

  test('that sends a message without an end costs no memory, and loses nothing', async () => {
    await leanest(60, async () => {
      const { server, account, run, expectHere } = await connected({}, [held(1)])
      let sent = 0
      server.held = [...server.held, held(2)]
      server.manner = {
        answer: (command, socket) => {
          if (!command.startsWith('RETR')) return null
          socket.write('+OK 100 octets\r\n')
          const more = () => {
            sent++
            if (!socket.destroyed) socket.write(Buffer.alloc(1024 * 1024, 'x'), () => setImmediate(more))
          }
          more()
          return []
        },
      }
      const before = await memory()
      await account.syncNow()
      await until(async () => (await account.state()).connection.state === 'DISCONNECTED')
      expect(sent).toBeGreaterThan(200)
      const needed = (await memory()) - before
      server.manner = {}
      await run()
      await expectHere([held(1), held(2)])
      return needed
    })
  })

  test('a message of 100 MB needs no more than 20 MB above the idle process', async () => {
    const raw = Buffer.concat([
      Buffer.from('Subject: large\r\nContent-Type: application/octet-stream\r\n\r\n'),
      Buffer.alloc(100 * 1024 * 1024, 'large lines\r\n'),
    ])
    await leanest(20, async () => {
      const { server, account, expectHere } = await connected({}, [held(1)])
      const idle = await memory()
      let peak = idle
      const timer = setInterval(() => void memory().then((now) => (peak = Math.max(peak, now))), 20)
      server.held = [...server.held, { uidl: 'large', raw }]
      await account.syncNow()
      await until(async () => (await account.state()).messages.nodes.length === 2, 200_000).finally(() => {
        clearInterval(timer)
      })
      await expectHere([held(1), { uidl: 'large', raw }])
      return peak - idle
    })
  }, 600_000)
})

test('a login delay is kept to, and told', async () => {
  const { server, account } = await connected({ caps: ['UIDL', 'LOGIN-DELAY 900'] }, [held(1)])
  const logins = server.asked.length
  server.manner = {
    caps: ['UIDL', 'LOGIN-DELAY 900'],
    answer: (command) => (command.startsWith('PASS') ? ['-ERR [LOGIN-DELAY] wait'] : null),
  }
  await account.syncNow()
  await until(async () => (await account.state()).connection.state === 'THROTTLED')
  expect((await account.state()).connection.throttledUntil).not.toBeNull()
  const tried = server.asked.length
  expect(tried).toBe(logins + 1)
  await account.syncNow()
  await account.syncNow()
  expect(server.asked.length).toBe(tried)
})
