import { readdir, readFile, readlink } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { parse } from 'content-disposition'
import { getIntrospectionQuery } from 'graphql'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until, type Answer } from './support/service.ts'
import { WebSocket } from 'ws'

let dovecot: Dovecot
let service: Service
let account: string

const MESSAGES = 2_000
const LARGE = Buffer.alloc(12 * 1024 ** 2, 'large ')

/** Names of files such as nobody should send, by how a header says them. */
const NAMES: Record<string, string> = {
  'half of a surrogate pair': '=?utf-16be?B?2AAuAGEALgB0AHgAdA==?=',
  '20,000 characters': `${'x'.repeat(20_000)}.txt`,
  'control characters': '=?utf-8?B?YQBiDQpjCX8udHh0?=',
  quotes: 'a\\"b\\\\c.txt',
  'marks that turn the direction': '=?utf-8?B?4oCuZ3BqLmV4ZQ==?=',
  'a place in a folder': '../../etc/passwd',
  'no character': '',
}

const namedFiles = Object.values(NAMES)
  .map(
    (name) => `--n\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\nhere\r\n`,
  )
  .join('')
const NAMED = `From: m@example.org\r\nSubject: named\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="n"\r\n\r\n${namedFiles}--n--\r\n`

beforeAll(async () => {
  dovecot = await Dovecot.start()
  const special = [NAMED, mail(1, { subject: 'large', attachment: { name: 'large.bin', content: LARGE } })]
  await fillMaildir(dovecot.mailOf('mallory'), null, MESSAGES, (number) => special[number] ?? mail(number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_LOG_LEVEL: 'warn' })
  const server = { host: 'localhost', port: dovecot.imapsPort, username: 'mallory', password: PASSWORD }
  account = await service.connect(server)
  await service.synced(account)
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const errorsLogged = () =>
  service
    .said()
    .split('\n')
    .filter((line) => /"level":(50|60)/.test(line))

afterEach(() => expect(errorsLogged()).toEqual([]))

/** Asks as a client of another address would. @returns the status, the answer and the milliseconds that it took */
function askFrom(
  localAddress: string,
  path: string,
  query?: string,
): Promise<{ status: number; body: string; took: number }> {
  const began = performance.now()
  const headers = { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' }
  const options = { localAddress, agent: WELL_BEHAVED, headers, method: query ? 'POST' : 'GET' }
  return new Promise((resolve, reject) => {
    const asked = request(`${service.url}${path}`, options, (answer) => {
      let body = ''
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body, took: performance.now() - began }))
    })
    asked.once('error', reject)
    asked.end(query && JSON.stringify({ query, variables: { id: account } }))
  })
}

const WELL_BEHAVED = new Agent({ keepAlive: true, maxSockets: 2 })
const LIST = 'query ($id: ID!) { account(id: $id) { messages(first: 20) { nodes { id subject } } } }'

/** Milliseconds for which the event loop of the service stood still at most since this was last asked. */
async function longestStandstill(): Promise<number> {
  const text = await (await service.fetch('/metrics')).text()
  return 1_000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1])
}

/** Milliseconds that a small piece of work takes in this process: longer where the machine has other work to do. */
function paceNow(): number {
  const began = performance.now()
  let sum = 0
  for (let at = 0; at < 2_000_000; at++) sum = (sum + at * 31) % 1_000_003
  return sum < 0 ? 0 : performance.now() - began
}

/** What a well-behaved client and the event loop feel of something. */
async function feltOf(work: () => Promise<unknown>) {
  await longestStandstill()
  const isOver = { yes: false }
  const answers: { status: number; body: string; took: number }[] = []
  const behaves = async () => {
    while (!isOver.yes || answers.length < 20) {
      answers.push(await askFrom('127.0.0.2', '/graphql', LIST))
      answers.push(await askFrom('127.0.0.2', '/health/ready'))
    }
  }
  const paces: number[] = []
  const pace = setInterval(() => paces.push(paceNow()), 50)
  const behaving = behaves()
  await work()
  isOver.yes = true
  await behaving
  clearInterval(pace)
  const isRight = ({ status, body }: { status: number; body: string }) => status === 200 && !body.includes('errors')
  return {
    wrong: answers.filter((answer) => !isRight(answer)),
    slowest: Math.max(...answers.map(({ took }) => took)),
    standstill: await longestStandstill(),
    pace: Math.max(...paces, paceNow()),
  }
}

type Listed = { subject: string; rawUrl: string; attachments: { url: string; filename: string | null }[] }

async function messageOf(subject: string): Promise<Listed> {
  type Found = { account: { messages: { nodes: Listed[] } } }
  const query = `query ($id: ID!, $subject: String!) { account(id: $id) {
    messages(filter: { subject: $subject }) { nodes { subject rawUrl attachments { url filename } } } } }`
  const { account: found } = await service.ask<Found>(query, { id: account, subject })
  return found.messages.nodes.find((message) => message.subject === subject) as Listed
}

/** Files of the data folder that the service holds open. */
async function opened(): Promise<string[]> {
  const folder = `/proc/${service.pid}/fd`
  const links = (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => ''))
  return (await Promise.all(links)).filter((link) => link.startsWith(service.folder))
}

test('an attachment is saved under a name that means no harm, whatever it was called', async () => {
  const { attachments } = await messageOf('named')
  expect(attachments).toHaveLength(Object.keys(NAMES).length)
  const saved: string[] = []
  for (const { url } of attachments) {
    const answer = await service.fetch(url)
    const header = answer.headers.get('content-disposition') ?? ''
    expect([answer.status, await answer.text()]).toEqual([200, 'here'])
    expect(header).toMatch(/^attachment; [\x20-\x7e]{1,1000}$/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    saved.push(parse(header).parameters['filename'] ?? '')
  }
  for (const name of saved) expect(name).toMatch(/^[^/\\\p{Cc}\p{Bidi_Control}]{1,200}$/u)
  expect(saved).toContain(`${'x'.repeat(196)}.txt`)
  expect(saved).toContain('.._.._etc_passwd')
  expect(saved).toContain('gpj.exe')
})

test('a raw message is a download as well, and never sniffed', async () => {
  const { rawUrl } = await messageOf('named')
  for (const range of [{}, { range: 'bytes=0-3' }]) {
    const answer = await service.fetch(rawUrl, { headers: range })
    expect(answer.headers.get('content-type')).toBe('message/rfc822')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('content-security-policy')).toBe('sandbox')
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename=[-\w]+\.eml$/)
    expect(NAMED.startsWith(await answer.text())).toBe(true)
  }
})

test('many who download at once have it all, and who leaves in the middle leaves nothing open', async () => {
  const { rawUrl, attachments } = await messageOf('large')
  const { url = '' } = attachments[0] ?? {}
  const whole = async (path: string) => (await (await service.fetch(path)).arrayBuffer()).byteLength
  const size = await whole(rawUrl)
  const leaves = async (path: string) => {
    const leaving = new AbortController()
    const answer = await service.fetch(path, { signal: leaving.signal })
    await answer.body?.getReader().read()
    leaving.abort()
  }
  const exported = (format: string) => `/accounts/${account}/export?format=${format}`
  for (const path of [rawUrl, url, exported('zip'), exported('maildir'), exported('mbox')]) {
    const downloads = [rawUrl, url, rawUrl, url, rawUrl].map(whole)
    await Promise.all(Array.from({ length: 10 }, () => leaves(path)))
    expect(await Promise.all(downloads)).toEqual([size, LARGE.length, size, LARGE.length, size])
  }
  expect((await service.fetch(`${url}9`)).status).toBe(404)
  await until(async () => (await opened()).length === 0)
})

/** Sends documents at once, each twice: the second time is when one would be compiled. @returns the codes of what is refused */
async function sendAll(
  queries: readonly string[],
  variables: Record<string, unknown> = {},
): Promise<Set<string | undefined>> {
  const send = async (query: string) => service.answer(query, { id: account, ...variables })
  const answers: Answer<unknown>[] = []
  for (let at = 0; at < queries.length; at += 40) {
    const some = queries.slice(at, at + 40)
    answers.push(...(await Promise.all(some.map(send))), ...(await Promise.all(some.map(send))))
  }
  return new Set(
    answers.flatMap(({ errors }) =>
      (errors ?? [{}]).map((error) => ('extensions' in error ? error.extensions?.code : undefined)),
    ),
  )
}

const times = (count: number, text: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => text(at)).join(' ')
const many = (count: number, text: (at: number) => string) => Array.from({ length: count }, (_, at) => text(at))
const spreading = (count: number) =>
  `{ accounts { ...F0 } } ${times(count, (at) => `fragment F${at} on Account { ...F${at + 1} ...F${at + 1} }`)} fragment F${count} on Account { id }`
const LISTED =
  'query ($id: ID!, $filter: MessageFilterInput) { account(id: $id) { messages(filter: $filter) { nodes { id } } } }'
const FULL = 'id uid subject size isUnread internalDate from { name address } mailbox { path }'

/** What a client with a token may try, and how it is answered: by a code, or, where it may ask that, at all. */
const ATTACKS: [string, string | undefined, () => Promise<Set<string | undefined>>][] = [
  ['fragments that double', 'TOO_EXPENSIVE', () => sendAll([22, 40, 100, 250].map(spreading))],
  [
    'overlapping fields',
    'TOO_EXPENSIVE',
    () => sendAll(many(30, (at) => `{ ${times(700, () => 'accounts { id }')} a${at}: accounts { id } }`)),
  ],
  [
    'a high cost behind padding',
    'TOO_EXPENSIVE',
    () =>
      sendAll(
        many(
          10,
          (at) =>
            `{ accounts { mailboxes { messages(first: 500) { nodes { ${FULL} ${times(600, (each) => `p${at}x${each}: id`)} } } } } }`,
        ),
      ),
  ],
  [
    'questions about the schema',
    'TOO_EXPENSIVE',
    () =>
      sendAll(
        many(
          20,
          (at) => `{ ${times(100, (each) => `a${at}x${each}: __schema { types { fields { name args { name } } } }`)} }`,
        ),
      ),
  ],
  [
    'filters of 900 KB',
    'BAD_USER_INPUT',
    () =>
      sendAll(
        many(20, () => LISTED),
        { filter: { subject: 'x'.repeat(900_000) } },
      ),
  ],
  [
    'filters as long as they may be',
    undefined,
    () =>
      sendAll(
        many(40, () => LISTED),
        { filter: { subject: '%_'.repeat(500), from: 'x'.repeat(1_000) } },
      ),
  ],
  [
    'as much as an operation may cost',
    undefined,
    () =>
      sendAll(
        many(
          10,
          (at) =>
            `query ($id: ID!) { account(id: $id) { ${times(3, (each) => `a${at}x${each}: messages(first: 500) { nodes { ${FULL} } }`)} } }`,
        ),
      ),
  ],
  ['the whole schema', undefined, () => sendAll(many(10, (at) => `${getIntrospectionQuery()} # ${at}`))],
  [
    'dates that are none',
    'BAD_USER_INPUT',
    () =>
      sendAll(
        many(500, () => LISTED),
        { filter: { since: '2026-13-45' } },
      ),
  ],
]

test.each(ATTACKS)('%s: nobody else is held up', async (_, code, attack) => {
  const idle = await feltOf(() => Promise.resolve())
  let codes = new Set<string | undefined>()
  const felt = await feltOf(async () => (codes = await attack()))
  expect([...codes]).toEqual([code])
  expect(felt.wrong).toEqual([])
  expect(felt.standstill).toBeLessThan(allowed(idle.standstill, felt.pace))
  expect(felt.slowest).toBeLessThan(10 * allowed(idle.slowest, felt.pace))
})

/** The pace of this machine when nothing else goes on, as near as that can be told. */
const PACE = Math.min(...many(20, () => '').map(paceNow))

/** What the machine may add: many times what it takes when nobody attacks, and as much more as it was slower meanwhile. */
const allowed = (idle: number, pace: number) => Math.max(200, 20 * idle) * Math.max(1, pace / PACE)

/** A socket on which the subprotocol is spoken by hand, with no bound of a client's own. */
async function rawSocket(): Promise<{
  socket: WebSocket
  told: { id?: string; type: string; payload?: { extensions?: { code?: string } }[] }[]
}> {
  const socket = new WebSocket(`${service.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
  const told: { type: string }[] = []
  socket.on('message', (data: Buffer) => told.push(JSON.parse(data.toString()) as { type: string }))
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${service.token}` } }))
  await until(() => told.length > 0)
  return { socket, told }
}

const FOLLOW = 'subscription ($id: ID!) { changes(accountId: $id) { __typename } }'
const follow = (id: number) =>
  JSON.stringify({ id: `${id}`, type: 'subscribe', payload: { query: FOLLOW, variables: { id: account } } })

/** Subscriptions that the service follows the account for; what it does for itself is counted as well. */
async function followers(): Promise<number> {
  const text = await (await service.fetch('/metrics')).text()
  return Number(/^mailfold_followers (\d+)/m.exec(text)?.[1])
}

test('thousands of subscriptions on a socket are refused beyond a bound, and hold nobody up', async () => {
  const idle = await feltOf(() => Promise.resolve())
  const before = await followers()
  const { socket, told } = await rawSocket()
  const felt = await feltOf(async () => {
    for (let id = 0; id < 20_000; id++) socket.send(follow(id))
    await until(() => told.filter(({ type }) => type === 'error').length === 19_800)
  })
  const codes = told.filter(({ type }) => type === 'error').map(({ payload }) => payload?.[0]?.extensions?.code)
  expect(new Set(codes)).toEqual(new Set(['TOO_MANY_REQUESTS']))
  await until(async () => (await followers()) === before + 200)
  expect(felt.wrong).toEqual([])
  expect(felt.standstill).toBeLessThan(allowed(idle.standstill, felt.pace))
  // one that is ended makes room for another, though nothing has happened that it could have been told
  socket.send(JSON.stringify({ id: '0', type: 'complete' }))
  await until(async () => (await followers()) === before + 199)
  socket.send(follow(20_000))
  await until(async () => (await followers()) === before + 200)
  socket.close()
  await until(async () => (await followers()) === before)
})

test('subscriptions of a client are bounded over all its sockets', async () => {
  const before = await followers()
  const sockets = await Promise.all(many(6, () => '').map(rawSocket))
  for (const { socket } of sockets) for (let id = 0; id < 200; id++) socket.send(follow(id))
  const refused = () => sockets.flatMap(({ told }) => told.filter(({ type }) => type === 'error'))
  await until(() => refused().length === 200)
  expect(refused()[0]?.payload?.[0]?.extensions?.code).toBe('TOO_MANY_REQUESTS')
  await until(async () => (await followers()) === before + 1_000)
  for (const { socket } of sockets) socket.terminate()
  await until(async () => (await followers()) === before)
})

test('a client that leaves its requests leaves nothing for the database to do', async () => {
  const database = await service.database()
  const felt = await feltOf(async () => {
    for (let round = 0; round < 20; round++) {
      const leaving = new AbortController()
      const body = JSON.stringify({ query: LISTED, variables: { id: account, filter: { from: 'x'.repeat(1_000) } } })
      const headers = { 'content-type': 'application/json' }
      const asked = many(20, () => '').map(() =>
        service.fetch('/graphql', { method: 'POST', body, headers, signal: leaving.signal }).catch(() => undefined),
      )
      leaving.abort()
      await Promise.all(asked)
    }
  })
  expect(felt.wrong).toEqual([])
  const busy = `select from pg_stat_activity where application_name = 'mailfold-clients' and state = 'active'`
  await until(async () => (await database.query(busy)).rowCount === 0)
  await database.end()
})

/** Says something that no client should on a socket of its own, and waits for its end. */
async function sayOnSocket(message: string | Buffer, isInitialised: boolean): Promise<void> {
  const { socket } = isInitialised
    ? await rawSocket()
    : { socket: new WebSocket(service.url.replace('http', 'ws') + '/graphql', 'graphql-transport-ws') }
  socket.on('error', () => undefined)
  if (!isInitialised) await new Promise((resolve) => socket.once('open', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.send(message, { binary: false })
  await closed
}

test('what is no HTTP, no JSON and no message of the protocol leaves no line in the log', async () => {
  const logged = service.said().length
  const post = (body: string, type = 'application/json') =>
    service.fetch('/graphql', { method: 'POST', body, headers: { 'content-type': type } })
  for (let round = 0; round < 5; round++) {
    const bodies = [
      '{',
      '[]',
      'null',
      '5',
      '"x"',
      '{"query": 5}',
      '{"query": "{"}',
      '{"query": "{ x }", "variables": 5}',
      '',
    ]
    for (const body of bodies) expect([400, 200]).toContain((await post(body)).status)
    expect(
      (await post(JSON.stringify({ query: 'x'.repeat(2 * 1024 ** 2) })).catch(() => ({ status: 413 }))).status,
    ).toBe(413)
    expect((await post('x', 'text/plain')).status).toBe(415)
    for (const path of ['/%ff', '/messages/%ff/raw', '/nowhere', `/accounts/%00/export?format=mbox`])
      expect((await service.fetch(path)).status).toBeGreaterThanOrEqual(400)
    const unclosed = JSON.stringify({ id: '1', type: 'subscribe', payload: {} })
    for (const message of ['{', '[]', '{"type":"no"}', unclosed, Buffer.from([0xff, 0xfe]), 'x'.repeat(300_000)])
      for (const isInitialised of [false, true]) await sayOnSocket(message, isInitialised)
  }
  expect(service.said().slice(logged)).toBe('')
})

test('after all that the service has kept its memory and its log small', async () => {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8')
  expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024).toBeLessThan(500)
  expect(service.said().length).toBeLessThan(10_000)
})
