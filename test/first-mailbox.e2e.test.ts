import { readFile } from 'node:fs/promises'
import { auditServer } from 'graphql-http'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail, variedMail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { CONNECT, mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let account: string

type Arrival = { messageArrived: { messageId: string; origin: string; subject: string } }

const PICTURE = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7) % 256))

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('alice'), null, 120, variedMail)
  await fillMaildir(dovecot.mailOf('alice'), 'Work/2026', 30, (number) => mail(1000 + number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
  const address = `imaps://alice@localhost:${dovecot.imapsPort}`
  const connected = await mailfold(
    ['connect', address, '--model', 'disconnected', '--json'],
    service.clientEnvironment,
    `${PASSWORD}\n`,
  )
  expect(connected.stderr).toBe('')
  account = (JSON.parse(connected.stdout.split('\n')[0] ?? '') as { account: string }).account
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Listed = { id: string; uid: number; subject: string; internalDate: string }
type Page = {
  nodes: Listed[]
  edges: { cursor: string }[]
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; endCursor: string | null; startCursor: string | null }
}

const LIST = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $filter: MessageFilterInput) {
  account(id: $id) { messages(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    nodes { id uid subject internalDate } edges { cursor }
    pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
  } }
}`

/** The audits ask without the token. */
function withToken(input: string, init: RequestInit = {}): Promise<Response> {
  return fetch(input, {
    ...init,
    headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${service.token}` },
  })
}

async function list(variables: Record<string, unknown>): Promise<Page> {
  const { account: found } = await service.ask<{ account: { messages: Page } }>(LIST, { id: account, ...variables })
  return found.messages
}

test('the command line connects, follows the first sync and lists the account', async () => {
  const { stdout, code } = await mailfold(['accounts', '--json'], service.clientEnvironment)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    id: account,
    model: 'DISCONNECTED',
    progress: { done: 150, total: 150, isComplete: true },
  })
})

test('mailboxes are there with their attributes, special uses and counts', async () => {
  const query =
    'query ($id: ID!) { account(id: $id) { mailboxes { path name specialUse isSelectable isSubscribed messageCount unreadCount } } }'
  const { account: found } = await service.ask<{ account: { mailboxes: { path: string }[] } }>(query, { id: account })
  const byPath = new Map(found.mailboxes.map((mailbox) => [mailbox.path, mailbox]))
  expect(found.mailboxes[0]?.path).toBe('INBOX')
  expect(byPath.get('INBOX')).toMatchObject({ messageCount: 120, unreadCount: 80 })
  expect(byPath.get('Sent')).toMatchObject({ specialUse: '\\Sent', isSubscribed: true, messageCount: 0 })
  expect(byPath.get('Work/2026')).toMatchObject({ name: '2026', messageCount: 30, isSelectable: true })
})

test('pages hold every message once, newest first, forwards and backwards', async () => {
  const forwards: Listed[] = []
  for (let after: string | null = null; ;) {
    const page: Page = await list({ first: 40, after })
    forwards.push(...page.nodes)
    expect(page.pageInfo.hasPreviousPage).toBe(after !== null)
    if (!page.pageInfo.hasNextPage) break
    after = page.pageInfo.endCursor
  }
  const dates = forwards.map((message) => Date.parse(message.internalDate))
  expect(dates).toEqual([...dates].sort((one, other) => other - one))
  expect(new Set(forwards.map((message) => message.id)).size).toBe(150)
  const backwards: Listed[] = []
  for (let before: string | null = null; ;) {
    const page: Page = await list({ last: 40, before })
    backwards.unshift(...page.nodes)
    if (!page.pageInfo.hasPreviousPage) break
    before = page.pageInfo.startCursor
  }
  expect(backwards.map((message) => message.id)).toEqual(forwards.map((message) => message.id))
})

test('filters hold', async () => {
  const subjects = async (filter: object) =>
    (await list({ first: 200, filter })).nodes.map((message) => message.subject)
  expect(await subjects({ isUnread: true })).toHaveLength(100)
  expect(await subjects({ isUnread: false, isFlagged: true })).toHaveLength(2)
  expect(await subjects({ subject: 'thread 25' })).toHaveLength(4)
  expect((await subjects({ hasAttachment: true })).length).toBeGreaterThan(5)
  expect(await subjects({ from: 'NÚÑEZ' })).not.toHaveLength(0)
  expect(await subjects({ from: '%' })).toHaveLength(0)
  expect(await subjects({ since: '2026-01-01T01:00:00Z', before: '2026-01-01T01:10:00Z' })).toHaveLength(10)
})

test('each field of a message is the same in a list as by its id, asked for alone, in a fragment, or with all others', async () => {
  const fields = [
    'id',
    'uid',
    'flags',
    'isUnread',
    'isFlagged',
    'internalDate',
    'sentAt',
    'size',
    'subject',
    'from { name }',
  ]
  fields.push('sender { name }', 'replyTo { name }', 'to { name }', 'cc { name }', 'bcc { name }', 'messageIdHeader')
  fields.push('inReplyTo', 'references', 'threadId', 'hasAttachment', 'origin', 'defects', 'isForgotten', 'rawUrl')
  type One = Record<string, unknown>
  const { nodes } = await list({ first: 1 })
  const query = `query ($id: ID!) { message(id: $id) { ${fields.join(' ')} } }`
  const { message } = await service.ask<{ message: One }>(query, { id: nodes[0]?.id })
  for (const field of [...fields, fields.join(' ')]) {
    const names = field.split(' ').filter((name) => /^\w+$/.test(name))
    const expected = Object.fromEntries(Object.entries(message).filter(([name]) => names.includes(name)))
    for (const [asked, fragment] of [
      [`nodes { ${field} }`, ''],
      [`edges { node { ...Asked } }`, `fragment Asked on Message { ${field} }`],
    ] as const) {
      const document = `query ($id: ID!) { account(id: $id) { messages(first: 1) { ${asked} } } } ${fragment}`
      // the third time it is compiled
      for (let turn = 0; turn < 3; turn++) {
        type Page = { account: { messages: { nodes?: One[]; edges?: { node: One }[] } } }
        const { messages } = (await service.ask<Page>(document, { id: account })).account
        expect(messages.nodes?.[0] ?? messages.edges?.[0]?.node).toEqual(expected)
      }
    }
  }
})

test('bad arguments are refused with a code, and answer nothing', async () => {
  for (const variables of [{ first: 0 }, { first: 501 }, { first: 1, last: 1 }, { after: 'nonsense' }]) {
    expect(await service.answer(LIST, { id: account, ...variables })).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    })
  }
  expect(await service.answer(LIST, { id: 'nonsense' })).toMatchObject({
    errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
  })
})

test('a message that arrives comes by itself, with its bodies, attachment and raw bytes', async () => {
  const socket = service.socket()
  const query =
    'subscription ($id: ID!) { messageArrived(accountId: $id) { messageId origin subject from { name address } } }'
  const arrivals = socket.iterate<Arrival>({
    query,
    variables: { id: account },
  })
  const next = arrivals.next()
  const raw = mail(5000, {
    subject: 'Schöne Grüße',
    body: 'Hallo Welt',
    attachment: { name: 'picture.png', content: PICTURE },
  })
  await until(
    async () =>
      (
        await service.ask<{ account: { connection: { state: string } } }>(
          'query ($id: ID!) { account(id: $id) { connection { state } } }',
          { id: account },
        )
      ).account.connection.state === 'CONNECTED',
  )
  // the subscription begins when the server has it: a delivery may come before that only if nobody would see it
  await new Promise((resolve) => setTimeout(resolve, 300))
  await dovecot.deliver('alice', raw)
  const arrived = ((await next) as { value: { data: Arrival } }).value.data.messageArrived
  expect(arrived).toMatchObject({ origin: 'ARRIVED', subject: 'Schöne Grüße' })
  void socket.dispose()

  const content =
    'query ($id: ID!) { message(id: $id) { content { text html isTruncated } rawUrl attachments { part filename contentType url } } }'
  type Found = {
    message: { content: { text: string }; rawUrl: string; attachments: { filename: string; url: string }[] }
  }
  const { message } = await service.ask<Found>(content, { id: arrived.messageId })
  expect(message.content.text.trim()).toBe('Hallo Welt')
  expect(message.attachments).toMatchObject([{ filename: 'picture.png', contentType: 'application/octet-stream' }])

  const whole = Buffer.from(await (await service.fetch(message.rawUrl)).arrayBuffer())
  // LMTP puts its own headers on top; below them every byte is as it was sent
  expect(whole.subarray(-Buffer.byteLength(raw)).equals(Buffer.from(raw))).toBe(true)
  const part = await service.fetch(message.rawUrl, { headers: { range: `bytes=10-19` } })
  expect(part.status).toBe(206)
  expect(part.headers.get('content-range')).toBe(`bytes 10-19/${whole.length}`)
  expect(Buffer.from(await part.arrayBuffer()).equals(whole.subarray(10, 20))).toBe(true)
  expect((await service.fetch(message.rawUrl, { headers: { range: 'bytes=999999999-' } })).status).toBe(416)
  const attachment = await service.fetch(message.attachments[0]?.url ?? '')
  expect(Buffer.from(await attachment.arrayBuffer()).equals(PICTURE)).toBe(true)
  expect(attachment.headers.get('content-disposition')).toContain('attachment')
})

test('an ONLINE account hands out bodies, and keeps none', async () => {
  await dovecot.deliver('olga', mail(7000, { body: 'unmistakablewords' }))
  const olga = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'olga',
    password: PASSWORD,
    model: 'ONLINE',
  })
  await service.synced(olga)
  await service.ask('mutation ($input: OpenSessionInput!) { openSession(input: $input) { errors { __typename } } }', {
    input: { accountId: olga },
  })
  type Found = { account: { messages: { nodes: { rawUrl: string; content: { text: string } }[] } } }
  const { account: found } = await service.ask<Found>(
    'query ($id: ID!) { account(id: $id) { messages { nodes { rawUrl content { text } } } } }',
    { id: olga },
  )
  expect(found.messages.nodes[0]?.content.text).toContain('unmistakablewords')
  expect(await (await service.fetch(found.messages.nodes[0]?.rawUrl ?? '')).text()).toContain('unmistakablewords')
  const { execFileSync } = await import('node:child_process')
  expect(execFileSync('sh', ['-c', `grep -rl unmistakablewords ${service.folder} || true`]).toString()).toBe('')
})

test('without the token there is nothing, over HTTP as over WebSocket', async () => {
  for (const headers of [{ authorization: '' }, { authorization: 'Bearer wrong' }, { authorization: service.token }]) {
    expect(await service.answer('{ accounts { id } }', {}, headers)).toEqual({
      errors: [{ message: 'A bearer token is needed.', extensions: { code: 'UNAUTHENTICATED' } }],
    })
    expect((await service.fetch('/messages/01a210be-7f7a-706a-9cd6-6bfc63ab2289/raw', { headers })).status).toBe(401)
  }
  const socket = service.socket('wrong')
  await expect(socket.iterate({ query: '{ accounts { id } }' }).next()).rejects.toMatchObject({ code: 4403 })
})

test('the password is neither in the database, nor in a file, nor in a log', async () => {
  const { execFileSync } = await import('node:child_process')
  expect(execFileSync('sh', ['-c', `grep -rl ${PASSWORD} ${service.folder} || true`]).toString()).toBe('')
  expect(service.said()).not.toContain(PASSWORD)
  const key = await import('node:fs/promises').then(({ stat }) => stat(`${service.folder}/master.key`))
  expect(key.mode & 0o777).toBe(0o600)
})

test('the same mailbox is connected once', async () => {
  const input = {
    model: 'DISCONNECTED',
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'alice',
    password: PASSWORD,
  }
  // core 13: the name of a host is the same in any case
  for (const host of ['localhost', 'LocalHost'])
    expect(await service.ask(CONNECT, { input: { ...input, host } })).toMatchObject({
      connectAccount: { account: null, errors: [{ __typename: 'AlreadyConnected' }] },
    })
})

test('an operation that could answer without end is refused before it is run', async () => {
  const nested =
    '{ accounts { mailboxes { messages(first: 500) { nodes { mailbox { messages(first: 500) { nodes { id subject uid size } } } } } } } }'
  expect(await service.answer(nested)).toMatchObject({ errors: [{ extensions: { code: 'TOO_EXPENSIVE' } }] })
  expect(await service.answer(`{ ${'a '.repeat(30_000)} }`)).toHaveProperty('errors')
})

test('health is told without a token, and GraphiQL is served', async () => {
  expect(await (await fetch(`${service.url}/health/live`)).json()).toEqual({ status: 'live' })
  expect(await (await fetch(`${service.url}/health/ready`)).json()).toMatchObject({ status: 'ready' })
  expect(await (await fetch(`${service.url}/graphiql`)).text()).toContain('graphiql')
  for (const name of ['react', 'react-dom', 'graphiql', 'style', 'page']) {
    expect((await fetch(`${service.url}/graphiql/assets/${name}`)).status).toBe(200)
  }
})

test('tail prints events from any cursor on, as JSON', async () => {
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, ['dist/bundle/main.js', 'tail', account, '--after', 'start', '--json'], {
    env: { ...process.env, ...service.clientEnvironment },
  })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  await until(() => printed.split('\n').length > 100)
  child.kill()
  const versions = printed
    .split('\n')
    .slice(0, 100)
    .map((line) => (JSON.parse(line) as { version: number }).version)
  expect(versions).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
})

test('GraphQL over HTTP is spoken as its specification says: each audit passes', async () => {
  const audits = await auditServer({ url: `${service.url}/graphql`, fetchFn: withToken as never })
  expect(audits.filter((audit) => audit.status === 'error')).toEqual([])
  expect(audits.length).toBeGreaterThan(50)
})

test('the committed schema is the one that is served', async () => {
  const { printSchema, buildClientSchema, getIntrospectionQuery, lexicographicSortSchema, buildSchema } =
    await import('graphql')
  const served = buildClientSchema(await service.ask(getIntrospectionQuery({ oneOf: true, specifiedByUrl: true })))
  const committed = buildSchema(await readFile('schema.graphql', 'utf8'))
  expect(printSchema(lexicographicSortSchema(served))).toBe(printSchema(lexicographicSortSchema(committed)))
})
