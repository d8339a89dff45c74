import { execFileSync } from 'node:child_process'
import type { ImapFlow } from 'imapflow'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let other: ImapFlow
let account: string
let neighbour: string

/** What must not be found any more, in any encoding in which it might lie somewhere. */
const WORDS = ['Zanzibar', 'Quixote', 'quixote@', 'sancho@', 'xylophone', 'marimba.txt', 'rocinante-id']
const SECRET = mail(1, {
  subject: 'The Zanzibar affair',
  from: 'Don Quixote <quixote@mancha.example>',
  to: 'sancho@mancha.example',
  messageId: '<rocinante-id@mancha.example>',
  body: 'Bring the xylophone.',
  attachment: { name: 'marimba.txt', content: Buffer.from('no words') },
})
const SHARED = mail(2, { subject: 'Shared by two accounts', body: 'A common word.' })

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({
    MAILFOLD_TLS_CA: dovecot.authorityFile,
    MAILFOLD_CHECK_INTERVAL: '500',
    MAILFOLD_LOG_LEVEL: 'trace',
  })
  await fillMaildir(dovecot.mailOf('dora'), null, 5, (number) => mail(10 + number))
  await fillMaildir(dovecot.mailOf('dora'), 'Umbrella', 2, (number) => mail(20 + number))
  other = await dovecot.client('dora')
  await other.mailboxCreate('Archive')
  for (const raw of [SECRET, SHARED]) await other.append('INBOX', raw, [], new Date('2026-02-01T00:00:00Z'))
  const second = await dovecot.client('emil')
  await second.append('INBOX', SHARED)
  await second.logout()
  const server = { host: 'localhost', port: dovecot.imapsPort, password: PASSWORD }
  account = await service.connect({ ...server, username: 'dora' })
  neighbour = await service.connect({ ...server, username: 'emil' })
  await service.synced(account)
  await service.synced(neighbour)
})

afterAll(async () => {
  await other?.logout().catch(() => undefined)
  await service?.stop()
  await dovecot?.stop()
})

type Found = {
  id: string
  subject: string
  uid: number
  isForgotten: boolean
  flags: string[]
  from: object[]
  mailbox: { path: string }
}
const LIST = `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) { version messages(first: 100) { nodes {
  id: presentId subject uid isForgotten flags from { address } to { address } messageIdHeader references hasAttachment attachments { filename } mailbox { path } } } } }`

async function list(id = account, version: number | null = null): Promise<{ version: number; messages: Found[] }> {
  const asOf = version === null ? null : { version }
  const answer = await service.ask<{ account: { version: number; messages: { nodes: Found[] } } }>(LIST, { id, asOf })
  return { version: answer.account.version, messages: answer.account.messages.nodes }
}

const body = (id: string) =>
  service.answer<{ message: { content: { text: string } | null } }>(
    'query ($id: ID!) { message(id: $id) { content { text } } }',
    { id },
  )

/** Where any of some words are found, once raw messages have gone that go in the background: in rows of any table, in files of the blob store, in the log. */
async function search(words: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const client = await service.database()
  try {
    await until(async () => (await client.query('select from blob_removals')).rowCount === 0)
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('information_schema', 'pg_catalog')`,
    )
    expect(tables.length).toBeGreaterThan(15)
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} as t`)
      for (const { row } of rows)
        for (const word of words) {
          const forms = [word, Buffer.from(word).toString('hex'), Buffer.from(word).toString('base64').slice(0, -3)]
          if (forms.some((form) => row.includes(form))) found.push(`${name}: ${word}`)
        }
    }
  } finally {
    await client.end()
  }
  for (const word of words) {
    const blobs = execFileSync('sh', ['-c', `grep -rl -- '${word}' ${service.folder}/blobs || true`]).toString()
    if (blobs) found.push(`blobs: ${word}`)
    if (service.said().includes(word)) found.push(`log: ${word}`)
  }
  return [...new Set(found)]
}

const verify = () => mailfold(['verify', '--json'], { MAILFOLD_DATA: service.folder, NODE_OPTIONS: '' })

const FORGET = `mutation ($input: ForgetMessageInput!) { forgetMessage(input: $input) {
  forgottenIds messages { id subject isForgotten } errors { __typename ... on UserError { message } } } }`
type Forgot = { forgetMessage: { forgottenIds: string[]; messages: object[]; errors: { __typename: string }[] } }
const forget = (id: string, requestedBy = 'ticket 42') =>
  service.ask<Forgot>(FORGET, { input: { messageId: id, requestedBy } }).then((answer) => answer.forgetMessage)

let before: { version: number; messages: Found[] }
let secret: Found

test('a message with a past, a body and a copy is forgotten everywhere, and its copy with it', async () => {
  secret = (await list()).messages.find(({ subject }) => subject.includes('Zanzibar')) as Found
  expect((await body(secret.id)).data?.message.content?.text).toContain('xylophone')
  await other.mailboxOpen('INBOX')
  await other.messageFlagsAdd(String(secret.uid), ['\\Flagged', '$Later'], { uid: true })
  await other.messageCopy(String(secret.uid), 'Umbrella', { uid: true })
  await until(async () => (await list()).messages.filter(({ subject }) => subject.includes('Zanzibar')).length === 2)
  await other.messageMove(String(secret.uid), 'Archive', { uid: true })
  await until(async () =>
    (await list()).messages.some(({ id, mailbox }) => id === secret.id && mailbox.path === 'Archive'),
  )
  before = await list()
  const hits = await search(WORDS)
  for (const place of ['public.events', 'public.messages', 'public.past_messages', 'blobs'])
    expect(hits.some((hit) => hit.startsWith(place))).toBe(true)
  expect(hits.filter((hit) => hit.startsWith('log'))).toEqual([])

  const outcome = await forget(secret.id)
  expect(outcome.errors).toEqual([])
  expect(outcome.forgottenIds).toHaveLength(2)
  expect(outcome.forgottenIds).toContain(secret.id)
  expect(outcome.messages).toEqual(outcome.forgottenIds.map((id) => ({ id, subject: '', isForgotten: true })))
  expect(await search(WORDS)).toEqual([])
})

test('versions stay without a gap, all tables follow from the log, and the act stands in it', async () => {
  expect(await verify()).toMatchObject({ code: 0 })
  const history = `query ($id: ID!) { message(id: $id) { history(first: 50) { nodes {
    ... on Change { type version cause recordedAt } ... on ForgottenChange { forgottenMessageId requestedBy }
    ... on MessageAddedChange { subject from { address } } } } } }`
  type Nodes = { message: { history: { nodes: { type: string; subject?: string; from?: object[] }[] } } }
  const { message } = await service.ask<Nodes>(history, { id: secret.id })
  expect(message.history.nodes.at(-1)).toMatchObject({
    type: 'MessageForgotten',
    cause: 'CLIENT',
    forgottenMessageId: secret.id,
    requestedBy: 'ticket 42',
  })
  for (const { subject, from } of message.history.nodes) expect([subject ?? '', from ?? []]).toEqual(['', []])
  const told = await tailed(account)
  expect(told.map(({ version }) => version)).toEqual(told.map((_, index) => index + 1))
  for (const word of WORDS) expect(JSON.stringify(told)).not.toContain(word)
})

/** All events of an account, by the public client. */
async function tailed(id: string): Promise<{ version: number; type: string }[]> {
  const events: { version: number; type: string }[] = []
  const start = Buffer.from(`${Buffer.from(id, 'base64url').toString().split(':')[1]}@0`).toString('base64url')
  const socket = service.socket()
  const query = `subscription ($id: ID!, $after: String) { changes(accountId: $id, after: $after) { ... on Change { version type }
    ... on MessageAddedChange { subject from { name address } messageIdHeader } ... on ConnectionChange { reason } ... on MailboxChange { path } } }`
  const results = socket.iterate<{ changes: { version: number; type: string } }>({
    query,
    variables: { id, after: start },
  })
  const quiet = setTimeout(() => void results.return?.(), 1_000)
  for await (const { data } of results) if (data) events.push(data.changes)
  clearTimeout(quiet)
  await socket.dispose()
  return events
}

test('it stays in its place, now and in the past, without what it said; its body is not had again', async () => {
  const now = await list()
  const same = ({ messages }: { messages: Found[] }) => messages.map(({ id, uid, flags }) => [id, uid, flags])
  expect(same(now)).toEqual(same(before))
  expect(same(await list(account, before.version))).toEqual(same(before))
  const then = (await list(account, before.version)).messages.filter(({ isForgotten }) => isForgotten)
  expect(then).toHaveLength(2)
  for (const message of then)
    expect(message).toMatchObject({
      subject: '',
      from: [],
      to: [],
      references: [],
      messageIdHeader: null,
      attachments: [],
    })
  expect((await body(secret.id)).errors?.[0]?.extensions?.code).toBe('CONTENT_GONE')
  const raw = await service.fetch(`/messages/${Buffer.from(secret.id, 'base64url').toString().split(':')[1]}/raw`)
  expect(raw.status).toBe(410)
  expect((await forget(secret.id)).errors).toEqual([])
  expect((await list()).version).toBe(now.version)
})

test('where the server moves it, numbers it anew or gets it again, it stays forgotten', async () => {
  await other.mailboxOpen('Archive')
  await other.messageMove('1:*', 'INBOX', { uid: true })
  await other.append('INBOX', SECRET)
  await other.mailboxCreate('Second')
  await other.append('Second', SECRET)
  await until(async () => (await list()).messages.filter(({ isForgotten }) => isForgotten).length === 4)
  expect((await list()).messages.filter(({ id }) => id === secret.id)).toMatchObject([
    { isForgotten: true, mailbox: { path: 'INBOX' } },
  ])
  expect(await search(WORDS)).toEqual([])
  expect(await verify()).toMatchObject({ code: 0 })
})

test('what another account has as well stays there', async () => {
  const [own, neighbours] = await Promise.all(
    [account, neighbour].map(
      async (id) => (await list(id)).messages.find(({ subject }) => subject.startsWith('Shared')) as Found,
    ),
  )
  for (const each of [own, neighbours])
    expect((await body(each?.id ?? '')).data?.message.content?.text).toContain('common word')
  expect((await forget(own?.id ?? '')).forgottenIds).toHaveLength(1)
  expect((await body(neighbours?.id ?? '')).data?.message.content?.text).toContain('common word')
  await forget(neighbours?.id ?? '')
  expect(await search(['common word', 'Shared by two'])).toEqual([])
})

test('what cannot be forgotten is said so', async () => {
  const nobody = Buffer.from('Message:00000000-0000-4000-8000-000000000000').toString('base64url')
  expect((await forget(nobody)).errors).toMatchObject([{ __typename: 'MessageNotFound' }])
  expect((await forget(secret.id, ' ')).errors).toMatchObject([{ __typename: 'InvalidSettings' }])
})

test('an account is forgotten with all that is known of it; its login can be connected again', async () => {
  const before = await tailed(account)
  const words = ['dora', 'Umbrella', 'Invoice', 'borya@', 'ada@example', 'Archive']
  expect((await search(words)).length).toBeGreaterThan(5)
  const query = `mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { forgottenId errors { __typename } } }`
  const input = { id: account, requestedBy: 'the user himself' }
  expect(await service.ask(query, { input })).toEqual({ forgetAccount: { forgottenId: account, errors: [] } })
  expect(await search(words)).toEqual([])
  expect(await service.ask('query ($id: ID!) { account(id: $id) { id } }', { id: account })).toEqual({ account: null })
  const past = 'query ($id: ID!) { account(id: $id, asOf: { version: 30 }) { id } }'
  expect(await service.ask(past, { id: account })).toEqual({ account: null })
  const after = await tailed(account)
  expect(after).toHaveLength(before.length + 1)
  expect(new Set(after.slice(0, -1).map(({ type }) => type))).toEqual(new Set(['EventForgotten']))
  expect(after.at(-1)).toMatchObject({ type: 'AccountForgotten', version: after.length })
  expect(await verify()).toMatchObject({ code: 0 })
  await until(async () => !(await dovecot.doveadm('who')).includes('dora') || other.usable)
  expect(await service.ask(query, { input })).toMatchObject({
    forgetAccount: { errors: [{ __typename: 'AccountNotFound' }] },
  })

  const again = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'dora',
    password: PASSWORD,
  })
  await service.synced(again)
  expect((await list(again)).messages.length).toBeGreaterThan(5)
  // and the account that was forgotten has not come back to life
  expect(await tailed(account)).toHaveLength(after.length)
})
