/* ONLINE accounts: sessions, and work on the server while a client waits. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { SERVERS } from './support/mail-servers.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

let service: Service
let made = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_OPERATION_TIMEOUT: '3000' })
})

afterAll(() => service?.stop())

const subjects = (messages: readonly { subject: string }[]) => messages.map(({ subject }) => subject).sort()

describe.each(SERVERS)('on $name', ({ start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  /** An account with three messages in INBOX, and one in Work. */
  async function account(): Promise<OnlineAccount> {
    const user = `online${++made}`
    const raw = (subject: string) => mail(made * 100 + Number(subject), { subject })
    await server.fill(user, { INBOX: ['0', '1', '2'].map(raw), Work: [raw('3')] })
    return OnlineAccount.connect(service, server, user)
  }

  test('a session shows the mailbox at once, brings it up to date, and the last one takes the connection along', async () => {
    const mine = await account()
    expect(mine.wire.isOpen).toBe(false)
    const left = (await mine.currentAsOf()) ?? ''
    expect(Date.now() - Date.parse(left)).toBeLessThan(10_000)
    await mine.other.append('INBOX', mail(made * 100 + 50, { subject: 'meanwhile' }))
    await sleep(1_500)
    expect(mine.wire.isOpen).toBe(false)

    const opened = await mine.openSession()
    expect(opened.errors).toEqual([])
    expect(subjects(opened.account?.messages.nodes ?? [])).toEqual(['0', '1', '2', '3'])
    expect(opened.account?.currentAsOf).toBe(left)
    await until(async () => (await mine.shown('INBOX')).length === 4)
    await until(async () => Date.parse((await mine.currentAsOf()) ?? '') > Date.parse(left))
    // another client's session shares the connection
    const other = await mine.openSession()
    expect(await mine.closeSession(opened.session?.id ?? '')).toMatchObject({ session: null, errors: [] })
    await mine.other.append('INBOX', mail(made * 100 + 51, { subject: 'live' }))
    await until(async () => (await mine.shown('INBOX')).length === 5)
    expect(mine.wire.asked).toHaveLength(3)
    await mine.closeSession(other.session?.id ?? '')
    await mine.untilState('NO_SESSION')
    await until(() => !mine.wire.isOpen)
    expect((await mine.closeSession(other.session?.id ?? '')).errors[0]?.__typename).toBe('SessionNotFound')
    await mine.end()
  })

  test('of several changes in one request each shows what it has led to', async () => {
    const mine = await account()
    await mine.session()
    const [{ id } = { id: '' }] = await mine.shown('INBOX')
    const change = (input: object) => ({ messageIds: [id], add: [], remove: [], ...input })
    const payload = '{ messages { flags mailbox { unreadCount } } operation { state } }'
    const answer = await service.ask(
      `mutation ($read: ChangeFlagsInput!, $unread: ChangeFlagsInput!, $gone: DeleteMessagesInput!) {
        read: changeFlags(input: $read) ${payload}
        unread: changeFlags(input: $unread) ${payload}
        gone: deleteMessages(input: $gone) { messages { id } deletedIds }
      }`,
      {
        read: change({ add: ['\\Seen'] }),
        unread: change({ remove: ['\\Seen'] }),
        gone: { messageIds: [id], forGood: true },
      },
    )
    expect(answer).toMatchObject({
      read: { messages: [{ flags: ['\\Seen'], mailbox: { unreadCount: 2 } }], operation: { state: 'APPLIED' } },
      unread: { messages: [{ flags: [], mailbox: { unreadCount: 3 } }], operation: { state: 'APPLIED' } },
      gone: { messages: [], deletedIds: [id] },
    })
    await mine.end()
  })

  test('a change is done on the server when the answer comes', async () => {
    const mine = await account()
    await mine.session()
    const [zero, one, two] = await mine.shown('INBOX')
    const flagged = await mine.flags([zero?.id ?? '', one?.id ?? ''], ['\\Flagged', 'work'])
    expect(flagged.operation).toMatchObject({ state: 'APPLIED', appliedCount: 2 })
    expect(flagged.messages?.map(({ flags }) => flags)).toEqual([
      ['\\Flagged', 'work'],
      ['\\Flagged', 'work'],
    ])
    const moved = await mine.move([zero?.id ?? ''], 'Work')
    expect(moved.operation?.state).toBe('APPLIED')
    expect(moved.messages?.[0]).toMatchObject({ id: zero?.id, mailbox: { path: 'Work' } })
    expect((await mine.copy([two?.id ?? ''], 'Work')).operation?.state).toBe('APPLIED')
    expect((await mine.append('Work', mail(made * 100 + 60, { subject: 'made' }))).operation?.state).toBe('APPLIED')
    expect((await mine.delete([one?.id ?? ''])).operation?.state).toBe('APPLIED')
    expect((await mine.delete([two?.id ?? ''], true)).operation?.state).toBe('APPLIED')
    expect((await mine.create('New')).operation?.state).toBe('APPLIED')
    // as it is on the server at that moment
    expect(await mine.onServer('INBOX')).toEqual([])
    expect(subjects(await mine.onServer('Work'))).toEqual(['0', '2', '3', 'made'])
    expect((await mine.onServer('Work'))[0]?.flags).toEqual(['\\Flagged', 'work'])
    expect(subjects(await mine.onServer('Trash'))).toEqual(['1'])
    expect(await mine.onServer('New')).toEqual([])
    await mine.end()
  })

  test('of a large message only what is asked for comes from the server, and none of it is written to disk', async () => {
    const user = `online${++made}`
    const content = Buffer.concat([Buffer.from('unmistakablyattached'), Buffer.alloc(900_000, made)])
    const raw = mail(made * 100, { body: 'unmistakablywritten', attachment: { name: 'large.bin', content } })
    const bare = [
      'Subject: bare',
      'MIME-Version: 1.0',
      'Content-Type: application/octet-stream',
      'Content-Disposition: attachment; filename="bare.bin"',
      'Content-Transfer-Encoding: base64',
      '',
      'QUJD',
      '',
    ].join('\r\n')
    await server.fill(user, { INBOX: [raw], Work: [bare] })
    const mine = await OnlineAccount.connect(service, server, user)
    const query = 'query ($id: ID!) { account(id: $id) { messages { nodes { rawUrl attachments { filename url } } } } }'
    type Found = {
      account: { messages: { nodes: { rawUrl: string; attachments: { filename: string; url: string }[] }[] } }
    }
    const { account: found } = await service.ask<Found>(query, { id: mine.id })
    const of = (name: string) => found.messages.nodes.find(({ attachments }) => attachments[0]?.filename === name)
    const message = of('large.bin')
    const [attachment] = message?.attachments ?? []
    expect(attachment?.filename).toBe('large.bin')
    expect((await service.fetch(message?.rawUrl ?? '')).status).toBe(409)
    await mine.session()
    const said = () => mine.wire.said.join('').length

    const before = said()
    const range = await service.fetch(message?.rawUrl ?? '', { headers: { range: 'bytes=10-29' } })
    expect(range.status).toBe(206)
    expect(range.headers.get('content-range')).toBe(`bytes 10-29/${raw.length}`)
    expect(await range.text()).toBe(raw.slice(10, 30))
    const last = await service.fetch(message?.rawUrl ?? '', { headers: { range: 'bytes=-9' } })
    expect(await last.text()).toBe(raw.slice(-9))
    expect((await service.fetch(message?.rawUrl ?? '', { headers: { range: 'bytes=9999999-' } })).status).toBe(416)
    expect(said() - before).toBeLessThan(10_000)

    const whole = await service.fetch(attachment?.url ?? '')
    expect(whole.headers.get('content-disposition')).toContain('large.bin')
    expect(Buffer.from(await whole.arrayBuffer()).equals(content)).toBe(true)
    expect((await service.fetch((attachment?.url ?? '').replace(/\d+$/, '7'))).status).toBe(404)
    expect(mine.wire.asked.join('')).toMatch(/BODY\.PEEK\[2\]/i)
    expect(said() - before).toBeLessThan(1_300_000)
    expect(await (await service.fetch(of('bare.bin')?.attachments[0]?.url ?? '')).text()).toBe('ABC')
    expect(await (await service.fetch(message?.rawUrl ?? '')).text()).toBe(raw)
    for (const words of ['unmistakablyattached', 'unmistakablywritten'])
      expect(execFileSync('sh', ['-c', `grep -rl ${words} ${service.folder} || true`]).toString()).toBe('')
    await mine.end()
  })

  test('a message that is larger than memory is to hold comes piece by piece, as fast as it is read', async () => {
    const user = `online${++made}`
    const content = randomBytes(40 * 1024 ** 2)
    const raw = mail(made * 100, { subject: 'huge', body: 'the body of it', attachment: { name: 'huge.bin', content } })
    await server.fill(user, { INBOX: [raw] })
    const mine = await OnlineAccount.connect(service, server, user)
    await mine.session()
    const query = `query ($id: ID!) { account(id: $id) { messages { nodes {
      rawUrl content { text } attachments { url } } } } }`
    type Found = { rawUrl: string; content: { text: string }; attachments: { url: string }[] }
    const asked = await service.ask<{ account: { messages: { nodes: Found[] } } }>(query, { id: mine.id })
    const [message] = asked.account.messages.nodes
    const pieces = () => mine.wire.asked.join('').match(/BODY\.PEEK\[[\d.]*\]<\d+\.1048576>/g)?.length ?? 0

    expect(message?.content.text).toContain('the body of it')
    // for which none of the attachment was needed
    expect(pieces()).toBe(0)

    const before = pieces()
    const headers = { authorization: `Bearer ${service.token}` }
    const [response] = (await once(get(`${service.url}${message?.rawUrl}`, { headers }), 'response')) as [
      IncomingMessage,
    ]
    // not read yet: what lies in sockets on the way is some of them
    await sleep(1_000)
    expect(pieces() - before).toBeLessThan(45)
    expect((await buffer(response)).equals(Buffer.from(raw))).toBe(true)
    expect(pieces() - before).toBeGreaterThan(50)

    const attachment = await service.fetch(message?.attachments[0]?.url ?? '')
    expect(Buffer.from(await attachment.arrayBuffer()).equals(content)).toBe(true)
    const range = await service.fetch(message?.rawUrl ?? '', { headers: { range: 'bytes=1000-4000000' } })
    expect(range.headers.get('content-length')).toBe('3999001')
    expect(Buffer.from(await range.arrayBuffer()).equals(Buffer.from(raw).subarray(1_000, 4_000_001))).toBe(true)
    // each at its own pace
    const both = await Promise.all([0, 1].map(async () => (await service.fetch(message?.rawUrl ?? '')).text()))
    expect(both.every((each) => each === raw)).toBe(true)
    // never more of it at once
    expect(mine.wire.asked.join('')).not.toMatch(/BODY\.PEEK\[(2)?\](?!<)/)
    await mine.end()
  })

  test('a large body that comes slowly, or a search, holds up no change', async () => {
    const user = `online${++made}`
    const large = mail(made * 100, { subject: 'large', attachment: { name: 'a', content: Buffer.alloc(100_000, 7) } })
    await server.fill(user, { INBOX: [large, mail(made * 100 + 1, { subject: 'small' })] })
    const mine = await OnlineAccount.connect(service, server, user)
    await mine.session()
    const query = 'query ($id: ID!) { account(id: $id) { messages { nodes { subject rawUrl } } } }'
    type Found = { account: { messages: { nodes: { subject: string; rawUrl: string }[] } } }
    const { account: found } = await service.ask<Found>(query, { id: mine.id })
    const urlOf = (subject: string) => found.messages.nodes.find((each) => each.subject === subject)?.rawUrl ?? ''
    mine.wire.answering = (command) => (/^UID FETCH .*BODY/.test(command) ? 'hold answer' : null)
    const reading = service.fetch(urlOf('large')).then(({ status }) => status)
    await until(() => mine.wire.struck)
    mine.wire.answering = () => null
    const { id } = await mine.message('small')
    expect((await mine.flags([id], ['\\Flagged'])).operation?.state).toBe('APPLIED')
    expect(await (await service.fetch(urlOf('small'))).text()).toContain('small')
    expect((await mine.move([id], (await mine.create('New')).mailbox?.path ?? '')).operation?.state).toBe('APPLIED')
    // without a connection to fetch it by, nobody waits on
    mine.wire.cut()
    expect([200, 503]).toContain(await reading)
    await mine.end()
  })

  test('the server is searched, in the bodies as well, and what it finds are the messages of the index', async () => {
    const user = `online${++made}`
    const raw = (number: number, body: string) => mail(made * 100 + number, { subject: `s${number}`, body })
    await server.fill(user, {
      INBOX: [raw(0, 'an unmistakable haystack'), raw(1, 'nothing of that'), raw(2, 'a Größenwahn of needles')],
      Work: [raw(3, 'the other unmistakable one')],
    })
    const mine = await OnlineAccount.connect(service, server, user)
    const search = async (wanted: object, more: object = {}) => {
      const query = `query ($input: SearchServerInput!) { searchServer(input: $input) {
        messages { subject } total errors { __typename } } }`
      type Payload = { messages: { subject: string }[]; total: number; errors: { __typename: string }[] }
      const input = { accountId: mine.id, search: wanted, ...more }
      const { searchServer: found } = await service.ask<{ searchServer: Payload }>(query, { input })
      return (
        found.errors[0]?.__typename ?? { subjects: found.messages.map(({ subject }) => subject), total: found.total }
      )
    }
    expect(await search({ body: 'unmistakable' })).toBe('NoSession')
    await mine.session()
    // newest first: those of a mailbox are a minute apart
    expect(await search({ body: 'unmistakable' })).toMatchObject({ total: 2 })
    expect(await search({ body: 'unmistakable' }, { mailboxId: await mine.mailbox('Work') })).toEqual({
      subjects: ['s3'],
      total: 1,
    })
    expect(await search({ text: 'größenwahn' })).toEqual({ subjects: ['s2'], total: 1 })
    expect(await search({ subject: 's', isUnread: true }, { first: 1 })).toMatchObject({ total: 4 })
    expect(await search({ subject: 's', isFlagged: true })).toEqual({ subjects: [], total: 0 })
    expect(await search({ largerThan: 100_000 })).toEqual({ subjects: [], total: 0 })
    const sorted = async (key: string, descending = false) => search({ subject: 's' }, { orderBy: { key, descending } })
    expect(await sorted('SUBJECT')).toEqual({ subjects: ['s0', 's1', 's2', 's3'], total: 4 })
    expect(await sorted('SUBJECT', true)).toEqual({ subjects: ['s3', 's2', 's1', 's0'], total: 4 })
    expect(await sorted('DATE', true)).toEqual({ subjects: ['s3', 's2', 's1', 's0'], total: 4 })
    for (const key of ['ARRIVAL', 'FROM', 'SIZE']) expect(await sorted(key)).toMatchObject({ total: 4 })
    expect(await search({})).toBe('InvalidSettings')
    expect(await search({ body: 'two\nlines' })).toBe('InvalidSettings')
    mine.wire.isDown = true
    mine.wire.cut()
    await mine.untilState('DISCONNECTED')
    expect(await search({ body: 'unmistakable' })).toBe('NoConnection')
    await mine.end()
  })

  test('a conversation is shown across mailboxes', async () => {
    const user = `online${++made}`
    const id = (number: number) => `<thread${made}.${number}@example.org>`
    // some servers have a thread end where the subject changes
    const of = (number: number, more: object, subject = number === 0 ? 'talk' : 'Re: talk') =>
      mail(made * 100 + number, { subject, messageId: id(number), ...more })
    await server.fill(user, {
      INBOX: [of(0, {}), of(2, { references: `${id(0)} ${id(1)}`, inReplyTo: id(1) }), of(4, {}, 'apart')],
      Work: [of(1, { references: id(0), inReplyTo: id(0) }), of(3, { references: `${id(1)} ${id(2)}` })],
    })
    const mine = await OnlineAccount.connect(service, server, user)
    type Named = { id: string; messageIdHeader: string }
    const list = 'query ($id: ID!) { account(id: $id) { messages { nodes { id messageIdHeader } } } }'
    const { account: found } = await service.ask<{ account: { messages: { nodes: Named[] } } }>(list, { id: mine.id })
    const query = 'query ($id: ID!) { thread(messageId: $id) { messageIdHeader } }'
    // one that was written here: the server has not told of its thread
    await mine.session()
    const reply = mail(made * 100 + 5, { subject: 'Re: talk', messageId: id(5), inReplyTo: id(3), references: id(3) })
    const { messages: written } = await mine.append('Work', reply)
    found.messages.nodes.push({ id: written?.[0]?.id ?? '', messageIdHeader: id(5) })
    for (const message of found.messages.nodes) {
      const { thread } = await service.ask<{ thread: Named[] }>(query, { id: message.id })
      const named = thread.map(({ messageIdHeader }) => messageIdHeader).sort()
      expect(named).toEqual(message.messageIdHeader === id(4) ? [id(4)] : [0, 1, 2, 3, 5].map(id))
    }
    await mine.end()
  })

  test('without a session, and without a connection, a change is refused, and nothing is pending', async () => {
    const mine = await account()
    const { id } = await mine.message('1')
    const flag = async () =>
      (await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: ['\\Flagged'] })).errors[0]
    expect((await flag())?.__typename).toBe('NoSession')
    await mine.session()
    mine.wire.isDown = true
    mine.wire.cut()
    await mine.untilState('DISCONNECTED')
    expect((await flag())?.__typename).toBe('NoConnection')
    expect((await mine.state()).operations.nodes).toEqual([])
    expect((await mine.message('1')).flags).toEqual([])
    // asked for as the connection is being made, and it cannot be
    mine.wire.isDown = false
    await mine.syncNow()
    await mine.untilState('CONNECTED')
    mine.wire.isDown = true
    mine.wire.cut()
    const answers = await Promise.all([flag(), flag(), flag()])
    for (const answer of answers) expect(['NoConnection', undefined]).toContain(answer?.__typename)
    await mine.settled()
    expect((await mine.message('1')).flags).toEqual([])
    expect((await mine.onServer('INBOX')).every(({ flags }) => flags.length === 0)).toBe(true)
    await mine.end()
  })

  test('an answer that does not come makes the outcome unknown, and what became of it shows later', async () => {
    for (const [how, state] of [
      ['hold answer', 'APPLIED'],
      ['hold', 'REJECTED'],
    ] as const) {
      const mine = await account()
      await mine.session()
      mine.wire.answering = (command) => (/^UID STORE/.test(command) ? how : null)
      const { id } = await mine.message('1')
      const asked = await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: ['\\Flagged'] })
      expect(asked.errors[0]?.__typename).toBe('OutcomeUnknown')
      expect(asked.operation?.state).toBe('SENT')
      mine.wire.answering = () => null
      mine.wire.cut()
      const [operation] = await mine.settled()
      expect(operation).toMatchObject({ state, reason: state === 'APPLIED' ? null : 'NO_CONNECTION' })
      expect((await mine.message('1')).flags).toEqual(state === 'APPLIED' ? ['\\Flagged'] : [])
      await mine.end()
    }
  })
})

test('a session that is not used ends by itself, and one that is goes on', async () => {
  const { start } = SERVERS[0] as (typeof SERVERS)[number]
  const server = await start()
  await server.fill('idle', { INBOX: [mail(1, { subject: '1' })] })
  const mine = await OnlineAccount.connect(service, server, 'idle')
  expect((await mine.openSession(5)).errors[0]?.__typename).toBe('InvalidSettings')
  const { session } = await mine.openSession(10)
  const expires = Date.parse(session?.expiresAt ?? '')
  await mine.untilState('CONNECTED')
  // used again and again, it is there beyond the time for which it was opened
  while (Date.now() < expires + 1_000) {
    const kept = (await mine.keepSession(session?.id ?? '')).session
    expect(Date.parse(kept?.expiresAt ?? '')).toBeGreaterThan(Date.now())
    await sleep(1_000)
  }
  expect((await mine.state()).connection.state).toBe('CONNECTED')
  await until(async () => (await mine.state()).connection.state === 'NO_SESSION')
  expect((await mine.keepSession(session?.id ?? '')).errors[0]?.__typename).toBe('SessionNotFound')
  await mine.end()
  await server.stop()
}, 40_000)

test('an account without a session is looked at from time to time, so that its quota is known', async () => {
  const { start } = SERVERS[0] as (typeof SERVERS)[number]
  const server = await start()
  const own = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500', MAILFOLD_ONLINE_INTERVAL: '2' })
  await server.fill('seldom', { INBOX: [mail(1, { subject: '1' })] })
  const mine = await OnlineAccount.connect(own, server, 'seldom')
  await mine.other.append('INBOX', mail(2, { subject: '2' }))
  await until(async () => (await mine.shown('INBOX')).length === 2)
  await mine.untilState('NO_SESSION')
  const query = 'query ($id: ID!) { account(id: $id) { maildrop { messages } } }'
  await until(async () => {
    const { account } = await own.ask<{ account: { maildrop: { messages: number } | null } }>(query, { id: mine.id })
    return account.maildrop?.messages === 2
  })
  const { id } = await mine.message('2')
  const refused = await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: ['\\Seen'] })
  expect(refused.errors[0]?.__typename).toBe('NoSession')
  await mine.end()
  await own.stop()
  await server.stop()
})
