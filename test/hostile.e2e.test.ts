import { readFile } from 'node:fs/promises'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { headerItem, honest, ScriptedImap, type Script } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
const servers: ScriptedImap[] = []

function nested(depth: number): string {
  let body = 'Content-Type: text/plain\r\n\r\ninnermost\r\n'
  for (let level = depth; level > 0; level--)
    body = `Content-Type: multipart/mixed; boundary="b${level}"\r\n\r\n--b${level}\r\n${body}\r\n--b${level}--\r\n`
  return `From: a@example.org\r\nSubject: nested\r\nMIME-Version: 1.0\r\n${body}`
}

const side = (count: number) =>
  Array.from(
    { length: count },
    (_, part) =>
      `--s\r\nContent-Type: text/plain; name="part${part}.txt"\r\nContent-Disposition: attachment\r\n\r\n${part}\r\n`,
  ).join('')

/** Messages such as nobody should send. */
const HOSTILE: Record<string, string | Buffer> = {
  'no headers': '\r\nonly a body\r\n',
  empty: '',
  'a thousand nested parts': nested(1000),
  'a thousand parts side by side': `Subject: side\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="s"\r\n\r\n${side(1000)}--s--\r\n`,
  'bytes that are no charset': Buffer.concat([
    Buffer.from('From: \xff\xfe <x@example.org>\r\nSubject: =?no-such-charset?B?/////w==?= ', 'latin1'),
    Buffer.from([0xff, 0xfe, 0x80, 0xc0]),
    Buffer.from('\r\n\r\n'),
    Buffer.from([1, 2, 255, 254]),
  ]),
  'a NUL in the subject': 'Subject: =?utf-8?B?AGJhZAA=?=\r\n\r\nx\r\n',
  'half a surrogate pair': 'Subject: =?utf-16be?B?2AA=?=\r\n\r\nx\r\n',
  'a header line of a megabyte': `Subject: ${'x'.repeat(1024 * 1024)}\r\nFrom: long@example.org\r\n\r\nx\r\n`,
  'ten thousand recipients': `Subject: crowd\r\nTo: ${Array.from({ length: 10_000 }, (_, index) => `r${index}@example.org`).join(',\r\n ')}\r\n\r\nx\r\n`,
  'a date that is none': 'Subject: undated\r\nDate: the day before yesterday\r\n\r\nx\r\n',
  'an attachment of 50 MB': mail(50, {
    subject: 'huge',
    attachment: { name: 'huge.bin', content: Buffer.alloc(36 * 1024 ** 2, 7) },
  }),
}

beforeAll(async () => {
  dovecot = await Dovecot.start()
  const messages = Object.values(HOSTILE)
  // a good one before, between and after them
  await fillMaildir(dovecot.mailOf('mallory'), null, messages.length * 2 + 1, (number) =>
    number % 2 === 0 ? mail(number, { subject: `good ${number}` }) : (messages[(number - 1) / 2] ?? ''),
  )
  service = await Service.start({
    MAILFOLD_TLS_CA: dovecot.authorityFile,
    MAILFOLD_ANSWER_TIMEOUT: '1500',
    MAILFOLD_CONNECT_TIMEOUT: '2000',
  })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  for (const server of servers) server.stop()
})

async function memory(): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}

test('hostile messages neither stop the sync nor are lost, and say what the index could not keep', async () => {
  const account = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'mallory',
    password: PASSWORD,
  })
  await service.synced(account)
  const query =
    'query ($id: ID!) { account(id: $id) { messages(first: 100) { nodes { uid subject size defects sentAt rawUrl content { text isTruncated } to { address } attachments { part } } } } }'
  type Node = {
    uid: number
    subject: string
    size: number
    defects: string[]
    sentAt: string | null
    rawUrl: string
    to: object[]
    attachments: object[]
    content: { text: string }
  }
  const { account: found } = await service.ask<{ account: { messages: { nodes: Node[] } } }>(query, { id: account })
  const { nodes } = found.messages
  const kinds = Object.keys(HOSTILE)
  expect(nodes).toHaveLength(kinds.length * 2 + 1)
  expect(nodes.filter((node) => node.subject.startsWith('good'))).toHaveLength(kinds.length + 1)
  const of = (kind: string) => nodes.find((node) => node.uid === kinds.indexOf(kind) * 2 + 2) as Node
  expect(of('no headers').content.text).toContain('only a body')
  expect(of('a header line of a megabyte').defects).toContain('HEADER_TRUNCATED')
  expect(of('a header line of a megabyte').subject.length).toBeGreaterThan(1000)
  expect(of('ten thousand recipients').defects).toContain('ADDRESSES_TRUNCATED')
  expect(of('ten thousand recipients').to.length).toBeGreaterThanOrEqual(100)
  expect(of('a thousand parts side by side').defects).toContain('STRUCTURE_TRUNCATED')
  expect(of('a NUL in the subject').subject).toContain('bad')
  expect(of('a date that is none').sentAt).toBeNull()
  expect(of('an attachment of 50 MB').size).toBeGreaterThan(48 * 1024 ** 2)
  for (const kind of kinds) {
    const raw = Buffer.from(await (await service.fetch(of(kind).rawUrl)).arrayBuffer())
    expect([kind, raw.equals(Buffer.from(HOSTILE[kind] ?? ''))]).toEqual([kind, true])
  }
  expect(await memory()).toBeLessThan(450)
})

/** @returns the port of a server that does as it is told */
async function scripted(script: Script): Promise<number> {
  const server = await ScriptedImap.start(script)
  servers.push(server)
  return server.port
}

const fetched = (uid: number, header: string) =>
  `* ${uid} FETCH (UID ${uid} FLAGS () INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 10 ${header} BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 10 1))`
const GOOD = headerItem({ Subject: 'fine' })

test('an answer that cannot be parsed costs its message the envelope, not its place', async () => {
  const messages = [fetched(1, GOOD), fetched(2, 'BODY[HEADER.FIELDS (SUBJECT)] (((((NIL "broken'), fetched(3, GOOD)]
  const port = await scripted((command, say) => honest(command, say, messages))
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'broken',
    password: PASSWORD,
  })
  await service.synced(account)
  const { account: found } = await service.ask<{
    account: { messages: { nodes: { uid: number; defects: string[] }[] } }
  }>('query ($id: ID!) { account(id: $id) { messages { nodes { uid defects subject } } } }', { id: account })
  const byUid = new Map(found.messages.nodes.map((node) => [node.uid, node.defects]))
  expect([...byUid.keys()].sort()).toEqual([1, 2, 3])
  expect(byUid.get(2)).toContain('UNREADABLE')
  expect(byUid.get(3)).toEqual([])
})

test('a search that is refused is an error, never an empty mailbox', async () => {
  const messages = [fetched(1, GOOD)]
  let refuse = false
  let searches = 0
  const port = await scripted((command, say) => {
    if (refuse && /^UID SEARCH/i.test(command)) {
      searches++
      return 'NO not today'
    }
    return honest(command, say, messages)
  })
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'refusing',
    password: PASSWORD,
  })
  await service.synced(account)
  refuse = true
  await until(() => searches >= 2)
  const { account: found } = await service.ask<{ account: { messages: { nodes: object[] } } }>(
    'query ($id: ID!) { account(id: $id) { messages { nodes { uid } } } }',
    { id: account },
  )
  expect(found.messages.nodes).toHaveLength(1)
})

test('a mailbox that the list leaves out again and again, and that still answers, is not gone', async () => {
  let lists = 0
  let omit = false
  let gone = false
  const port = await scripted((command, say) => {
    if (/^(LIST|LSUB)/i.test(command)) {
      const kind = command.slice(0, 4).toUpperCase()
      // asked for by its name
      if (/Work/.test(command)) return 'OK done'
      if (!command.includes('*')) {
        say(`* ${kind} (\\Noselect) "/" ""`)
        return 'OK done'
      }
      lists++
      say(`* ${kind} () "/" INBOX`)
      if (!omit && !gone) say(`* ${kind} () "/" Work`)
      return 'OK done'
    }
    if (/^STATUS "?Work/i.test(command)) {
      if (gone) return 'NO [NONEXISTENT] no such mailbox'
      say('* STATUS Work (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 9)')
      return 'OK done'
    }
    return honest(command, say, [fetched(1, GOOD)])
  })
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'forgetful',
    password: PASSWORD,
  })
  await service.synced(account)
  const paths = async () => {
    const { account: found } = await service.ask<{ account: { mailboxes: { path: string }[] } }>(
      'query ($id: ID!) { account(id: $id) { mailboxes { path } } }',
      { id: account },
    )
    return found.mailboxes.map(({ path }) => path)
  }
  expect(await paths()).toEqual(['INBOX', 'Work'])
  omit = true
  const before = lists
  await until(() => lists >= before + 5)
  expect(await paths()).toEqual(['INBOX', 'Work'])
  gone = true
  await until(async () => (await paths()).length === 1)
})

type State = { account: { connection: { state: string; reason: string | null; throttledUntil: string | null } } }
const STATE = 'query ($id: ID!) { account(id: $id) { connection { state reason throttledUntil } } }'

test('a connection on which nothing is answered any more is found dead within the bound', async () => {
  let dead = false
  const port = await scripted((command, say) => (dead ? null : honest(command, say)))
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'mute',
    password: PASSWORD,
  })
  await service.synced(account)
  dead = true
  await until(
    async () => (await service.ask<State>(STATE, { id: account })).account.connection.state === 'DISCONNECTED',
  )
})

test('what has arrived is shown even when the server then refuses to say what has changed', async () => {
  await dovecot.fill('silent', { INBOX: [mail(900)] })
  const mine = await DisconnectedAccount.connect(service, dovecot, 'silent')
  mine.wire.answering = (command) => (/^UID FETCH .*CHANGEDSINCE/.test(command) ? 'NO not today' : null)
  await mine.goOffline()
  await mine.other.append('INBOX', mail(901, { subject: 'arrived' }))
  await mine.goOnline()
  await until(async () => (await mine.state()).messages.nodes.some(({ subject }) => subject === 'arrived'))
  await mine.end()
})

test('a refused login is not tried again, until the credentials change', async () => {
  let logins = 0
  let refuse = false
  const port = await scripted((command, say) => {
    if (/^(LOGIN|AUTHENTICATE)/i.test(command)) {
      logins++
      return refuse ? 'NO [AUTHENTICATIONFAILED] no' : 'OK done'
    }
    if (refuse && !/^(CAPABILITY|DONE)/i.test(command)) {
      say('* BYE changed')
      return 'NO changed'
    }
    return honest(command, say)
  })
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'locked',
    password: PASSWORD,
  })
  await service.synced(account)
  refuse = true
  const state = async () => (await service.ask<State>(STATE, { id: account })).account.connection
  await until(async () => (await state()).state === 'LOGIN_REFUSED')
  const tried = logins
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  expect(logins).toBe(tried)
  refuse = false
  const change =
    'mutation ($input: ChangeCredentialsInput!) { changeCredentials(input: $input) { account { id } errors { __typename } } }'
  expect(await service.ask(change, { input: { accountId: account, password: 'another' } })).toMatchObject({
    changeCredentials: { account: { id: account } },
  })
  await until(async () => (await state()).state === 'CONNECTED')
})

test('a server that throttles is left alone for as long as it says, and this is shown', async () => {
  let logins = 0
  let throttle = false
  const port = await scripted((command, say) => {
    if (/^(LOGIN|AUTHENTICATE)/i.test(command)) {
      logins++
      if (throttle) return 'NO Request is throttled. Suggested Backoff Time: 3000 milliseconds'
    }
    if (throttle && !/^(CAPABILITY|DONE)/i.test(command)) {
      say('* BYE too busy')
      return 'NO busy'
    }
    return honest(command, say)
  })
  const account = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'throttled',
    password: PASSWORD,
  })
  await service.synced(account)
  throttle = true
  const state = async () => (await service.ask<State>(STATE, { id: account })).account.connection
  await until(async () => (await state()).state === 'THROTTLED')
  const { throttledUntil } = await state()
  const tried = logins
  expect(Date.parse(throttledUntil ?? '')).toBeGreaterThan(Date.now() + 1_000)
  await until(() => Date.now() > Date.parse(throttledUntil ?? '') - 500)
  expect(logins).toBe(tried)
  throttle = false
  await until(async () => (await state()).state === 'CONNECTED')
})
