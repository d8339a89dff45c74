/* Of which messages a DISCONNECTED account has the raw messages here: set, previewed, copied in the background. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Progress = { messages: number; bytes: number; messagesHere: number; bytesHere: number }
type Preview = { indexMessages: number; leaveMessages: number } & {
  fetchMessages: number
  fetchBytes: number
  dropMessages: number
  dropBytes: number
}

class Selecting {
  readonly mine: DisconnectedAccount
  constructor(mine: DisconnectedAccount) {
    this.mine = mine
  }

  /** 6 messages in INBOX and 4 in Work, months ago. */
  static async connect(): Promise<Selecting> {
    const user = `select${++made}`
    const base = made * 1_000
    const folder = dovecot.mailOf(user)
    await fillMaildir(
      folder,
      null,
      6,
      (number) => mail(base + number, { subject: `in ${number}` }),
      0,
      () => '',
    )
    await fillMaildir(
      folder,
      'Work',
      4,
      (number) => mail(base + 100 + number, { subject: `work ${number}` }),
      0,
      () => '',
    )
    return new Selecting(await DisconnectedAccount.connect(service, dovecot, user))
  }

  async set(selection: object | null, path?: string): Promise<string[]> {
    const query = `mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }`
    const input = await this.input(selection, path)
    type Answer = { setSelection: { errors: { __typename: string }[] } }
    return (await service.ask<Answer>(query, { input })).setSelection.errors.map((error) => error.__typename)
  }

  async preview(selection: object | null, path?: string): Promise<Preview | string> {
    const query = `query ($input: SetSelectionInput!) { previewSelection(input: $input) {
      preview { indexMessages leaveMessages fetchMessages fetchBytes dropMessages dropBytes } errors { __typename } } }`
    type Answer = { previewSelection: { preview: Preview | null; errors: { __typename: string }[] } }
    const { preview, errors } = (await service.ask<Answer>(query, { input: await this.input(selection, path) }))
      .previewSelection
    return preview ?? errors[0]?.__typename ?? ''
  }

  private async input(selection: object | null, path?: string): Promise<object> {
    return { accountId: this.mine.id, mailboxId: path === undefined ? null : await this.mine.mailbox(path), selection }
  }

  async progress(): Promise<Progress> {
    const query = `query ($id: ID!) { account(id: $id) { selectedContents { messages bytes messagesHere bytesHere } } }`
    return (await service.ask<{ account: { selectedContents: Progress } }>(query, { id: this.mine.id })).account
      .selectedContents
  }

  async untilHere(count: number): Promise<void> {
    await until(async () => {
      const { messages, messagesHere } = await this.progress()
      return messages === count && messagesHere === count
    })
  }
}

test('whole messages are copied in the background, and can be read without a connection, byte for byte', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  expect(await selecting.progress()).toEqual({ messages: 0, bytes: 0, messagesHere: 0, bytesHere: 0 })
  const preview = (await selecting.preview({ keep: 'WHOLE' })) as Preview
  expect(preview).toMatchObject({ fetchMessages: 10, dropMessages: 0, dropBytes: 0 })
  expect(await selecting.set({ keep: 'WHOLE' })).toEqual([])
  await selecting.untilHere(10)
  expect(await selecting.progress()).toMatchObject({ bytes: preview.fetchBytes, bytesHere: preview.fetchBytes })
  await mine.goOffline()
  for (const { id, subject } of (await mine.state()).messages.nodes) {
    const number = Number(subject.split(' ')[1]) + made * 1_000 + (subject.startsWith('work') ? 100 : 0)
    const raw = Buffer.from(await (await service.fetch(`/messages/${uuidOf(id)}/raw`)).arrayBuffer())
    expect([subject, sha256(raw)]).toEqual([subject, sha256(mail(number, { subject }))])
  }
  // what comes later is copied as well
  await mine.goOnline()
  await mine.other.append('INBOX', mail(99_000 + made, { subject: 'later' }))
  await selecting.untilHere(11)
  await mine.end()
})

test('a selection is narrowed by the number of newest, age, size, and flags; a mailbox may have its own', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  const large = mail(98_000 + made, { subject: 'large' }) + 'x'.repeat(200_000)
  await mine.other.append('Work', large)
  await mine.other.mailboxOpen('INBOX')
  await mine.other.messageFlagsAdd('1', ['\\Flagged'])
  await until(async () => (await mine.state()).messages.nodes.some(({ flags }) => flags.includes('\\Flagged')))
  await until(async () => (await mine.shown('Work')).length === 5)
  const count = async (selection: object, path?: string) =>
    ((await selecting.preview(selection, path)) as Preview).fetchMessages
  expect(await count({ keep: 'WHOLE' })).toBe(11)
  expect(await count({ keep: 'WHOLE', newest: 2 })).toBe(4)
  expect(await count({ keep: 'WHOLE', newest: 2 }, 'INBOX')).toBe(2)
  expect(await count({ keep: 'WHOLE', maxBytes: 100_000 })).toBe(10)
  expect(await count({ keep: 'WHOLE', flags: ['\\flagged', '$Work'] })).toBe(1)
  expect(await count({ keep: 'WHOLE', days: 1 }, 'Work')).toBe(1)
  expect(await selecting.preview({ keep: 'WHOLE', newest: 0 })).toBe('InvalidSettings')
  expect(await selecting.set({ keep: 'HEADERS', days: 3 })).toEqual(['InvalidSettings'])

  expect(await selecting.set({ keep: 'WHOLE', newest: 1 }, 'Work')).toEqual([])
  await selecting.untilHere(1)
  expect(await selecting.set({ keep: 'WHOLE', flags: ['\\Flagged'] })).toEqual([])
  await selecting.untilHere(2)
  // the mailbox as its account again
  expect(await selecting.set(null, 'Work')).toEqual([])
  await selecting.untilHere(1)
  const dropped = async () => ((await selecting.preview({ keep: 'HEADERS' })) as Preview).dropMessages
  await until(async () => (await dropped()) === 1)
  await mine.end()
})

/** How many raw messages of the account's are on disk. */
const blobs = () =>
  Number(execFileSync('sh', ['-c', `grep -rlE '<m${made}[01]0[0-9]@' ${service.folder}/blobs | wc -l`]))

type Seen = { version: number; messages: { nodes: { id: string; flags: string[] }[] } }

/** An account's messages, now or at a version. */
async function seen(id: string, asOf: { version: number } | null = null): Promise<Seen> {
  const query = `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) {
    version messages(first: 20) { nodes { id: presentId flags } } } }`
  return (await service.ask<{ account: Seen }>(query, { id, asOf })).account
}

/** Whether a message was here or not, from one change of that to the next. */
async function changesOf(id: string): Promise<boolean[]> {
  const query = `query ($id: ID!) { message(id: $id) { history(first: 50) { nodes {
    ... on MessageContentChange { isHere } } } } }`
  type Found = { message: { history: { nodes: { isHere?: boolean }[] } } }
  return (await service.ask<Found>(query, { id })).message.history.nodes.flatMap(({ isHere }) => isHere ?? [])
}

test('what a narrower selection leaves out is dropped, on disk as well, but for what is kept and what is under way', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  await selecting.set({ keep: 'WHOLE' })
  await selecting.untilHere(10)
  const kept = await mine.message('in 0')
  const input = { messageIds: [kept.id] }
  expect((await mine.asked('keepOffline', 'KeepOfflineInput', input)).errors).toEqual([])
  expect(blobs()).toBe(10)
  await mine.goOffline()
  const flagged = await mine.message('in 1')
  await mine.flags([flagged.id], ['\\Flagged'])
  // INBOX: the newest two are selected, one is kept, one is under way
  const narrower = { keep: 'WHOLE', newest: 2 }
  const preview = (await selecting.preview(narrower)) as Preview
  expect(preview).toMatchObject({ fetchMessages: 0, dropMessages: 4 })
  expect(await selecting.set(narrower)).toEqual([])
  // without a connection nothing goes that could be had from nowhere else
  expect(blobs()).toBe(10)
  const shownBefore = await seen(mine.id)
  await mine.upload()
  await until(() => blobs() === 5)
  for (const subject of ['in 1', 'in 2', 'in 3', 'work 0', 'work 1'])
    expect([subject, await changesOf((await mine.message(subject)).id)]).toEqual([subject, [true, false]])
  expect(await changesOf(kept.id)).toEqual([true])
  // what there was, and when, can be seen as before; the content comes from the server again
  const { id } = await mine.message('in 2')
  const raw = await (await service.fetch(`/messages/${uuidOf(id)}/raw`)).text()
  expect(raw).toBe(mail(made * 1_000 + 2, { subject: 'in 2' }))
  expect(await seen(mine.id, { version: shownBefore.version })).toEqual(shownBefore)
  await mine.end()
})

test('a message outside of the selection can be kept here, and no longer', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  const { id } = await mine.message('in 3')
  const keep = (input: object) => mine.asked('keepOffline', 'KeepOfflineInput', input)
  expect((await keep({ messageIds: [id] })).errors).toEqual([])
  await selecting.untilHere(1)
  expect((await keep({ messageIds: [id], keep: false })).errors).toEqual([])
  expect(await selecting.progress()).toMatchObject({ messages: 0 })
  expect((await keep({ matching: { accountId: mine.id, filter: { isUnread: true } } })).errors).toEqual([])
  await selecting.untilHere(10)
  await mine.end()
})

test('a copy that is cut off goes on from there, newest first, and nothing comes twice', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  await mine.other.mailboxCreate('Else')
  // each is fetched alone, as it is large
  for (let number = 0; number < 5; number++) {
    const body = 'y'.repeat(1_200_000 + number)
    await mine.other.append(
      'Else',
      mail(97_000 + number, { subject: `large ${number}` }) + body,
      [],
      new Date(2020, number),
    )
  }
  await until(async () =>
    (await mine.state()).mailboxes.some(({ path, messageCount }) => path === 'Else' && messageCount === 5),
  )
  await selecting.set({ keep: 'WHOLE' }, 'Else')
  await until(async () => (await selecting.progress()).messagesHere >= 2)
  mine.wire.cut()
  await selecting.untilHere(5)
  const uids = [...mine.wire.asked.join('').matchAll(/UID FETCH (\d+) [^\r]*BODY\.PEEK\[\]<0/g)].map(([, uid]) =>
    Number(uid),
  )
  const first = [...new Set(uids)]
  expect(first).toEqual([...first].sort((one, other) => other - one))
  // the one that was under way when the connection was cut may have been asked for again
  expect(uids.length).toBeLessThanOrEqual(first.length + 2)
  await mine.end()
})

/** What becomes of messages from now on: origins of those that are added, and of each that is expunged whether it only leaves the index. */
function following(id: string) {
  const origins: string[] = []
  const leftOut: boolean[] = []
  const socket = service.socket()
  const query = `subscription ($id: ID!) { changes(accountId: $id) {
    ... on MessageAddedChange { origin } ... on MessageExpungedChange { isLeftOut } } }`
  type Data = { changes: { origin?: string; isLeftOut?: boolean } }
  socket.subscribe<Data>(
    { query, variables: { id } },
    {
      next: ({ data }) => {
        origins.push(...[data?.changes.origin ?? []].flat())
        leftOut.push(...[data?.changes.isLeftOut ?? []].flat())
      },
      error: () => undefined,
      complete: () => undefined,
    },
  )
  return { origins, leftOut, end: () => socket.dispose() }
}

const idsOf = (messages: readonly { id: string }[]) => messages.map(({ id }) => id)

test('a mailbox can be left out of the index, with what is here of it, and taken in again: its messages are the same', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  await selecting.set({ keep: 'WHOLE' })
  await selecting.untilHere(10)
  const before = await mine.shown('Work')
  const { version } = await seen(mine.id)
  const told = following(mine.id)
  const none = { fetchMessages: 0, fetchBytes: 0, indexMessages: 0, leaveMessages: 4, dropMessages: 4 }
  expect(await selecting.preview({ keep: 'NONE' }, 'Work')).toMatchObject(none)
  expect(await selecting.set({ keep: 'NONE', newest: 1 }, 'Work')).toEqual(['InvalidSettings'])
  expect(await selecting.set({ keep: 'NONE' }, 'Work')).toEqual([])
  await until(async () => (await mine.shown('Work')).length === 0)
  await until(() => blobs() === 6)
  await until(() => told.leftOut.length === 4)
  expect(told).toMatchObject({ origins: [], leftOut: [true, true, true, true] })
  // what comes meanwhile is not looked at, and nothing is amiss
  await mine.other.append('Work', mail(96_000 + made, { subject: 'work later' }))
  await mine.other.append('INBOX', mail(96_100 + made, { subject: 'in later' }))
  await until(async () => (await mine.shown('INBOX')).length === 7)
  expect(await mine.shown('Work')).toEqual([])
  expect(await mine.onServer('Work')).toHaveLength(5)
  await service.synced(mine.id)
  const environment = { MAILFOLD_DATA: service.folder, MAILFOLD_LOG_LEVEL: 'error' }
  expect(await mailfold(['check', mine.id, '--json'], environment)).toMatchObject({ code: 0 })
  // as it was, it can be seen
  expect((await seen(mine.id, { version })).messages.nodes).toHaveLength(10)

  expect(await selecting.preview(null, 'Work')).toMatchObject({ indexMessages: 4, leaveMessages: 0 })
  expect(await selecting.set({ keep: 'HEADERS' }, 'Work')).toEqual([])
  await until(async () => (await mine.shown('Work')).length === 5)
  const after = await mine.shown('Work')
  expect(idsOf(after.slice(0, 4))).toEqual(idsOf(before))
  expect(after.map(({ origin }) => origin)).not.toContain('ARRIVED')
  await told.end()
  await mine.end()
})

test('what is put into a mailbox that is left out reaches the server, and is shown until then', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  await selecting.set({ keep: 'NONE' }, 'Work')
  await until(async () => (await mine.shown('Work')).length === 0)
  await mine.goOffline()
  const [moved, copied] = [await mine.message('in 1'), await mine.message('in 2')]
  await mine.move([moved.id], 'Work')
  await mine.copy([copied.id], 'Work')
  await mine.append('Work', mail(95_000 + made, { subject: 'made here' }))
  expect((await mine.shown('Work')).map(({ subject }) => subject)).toEqual(['in 1', 'in 2', 'made here'])
  await mine.upload()
  for (const { state } of (await mine.state()).operations.nodes) expect(state).toBe('APPLIED')
  expect((await mine.onServer('Work')).map(({ subject }) => subject).sort()).toEqual(
    ['work 0', 'work 1', 'work 2', 'work 3', 'in 1', 'in 2', 'made here'].sort(),
  )
  await until(async () => (await mine.shown('Work')).length === 0)
  // moved to where it is seen, it is the same message
  const lock = await mine.other.getMailboxLock('Work')
  await mine.other.messageMove({ subject: 'in 1' }, 'INBOX')
  lock.release()
  await until(async () => (await mine.shown('INBOX')).some(({ id }) => id === moved.id))
  await mine.end()
})

test('an account may leave out all mailboxes but some; one in which a message is kept stays until that is over', async () => {
  const selecting = await Selecting.connect()
  const { mine } = selecting
  const { id } = await mine.message('work 2')
  const keep = (kept: boolean) => mine.asked('keepOffline', 'KeepOfflineInput', { messageIds: [id], keep: kept })
  expect((await keep(true)).errors).toEqual([])
  await selecting.untilHere(1)
  await selecting.set({ keep: 'HEADERS' }, 'INBOX')
  expect(await selecting.set({ keep: 'NONE' })).toEqual([])
  await mine.other.mailboxCreate('Later')
  await mine.other.append('Later', mail(94_000 + made))
  await until(async () => (await mine.state()).mailboxes.some(({ path }) => path === 'Later'))
  await service.synced(mine.id)
  expect(await mine.shown('Later')).toEqual([])
  expect(await mine.shown('Work')).toHaveLength(4)
  await keep(false)
  await mine.syncNow()
  await until(async () => (await mine.shown('Work')).length === 0)
  expect(await mine.shown('INBOX')).toHaveLength(6)
  await mine.end()
})

test('OFFLINE and ONLINE accounts have no selection', async () => {
  const user = `select${++made}`
  await fillMaildir(dovecot.mailOf(user), null, 1, (number) => mail(number))
  const server = { host: '127.0.0.1', port: dovecot.imapPort, security: 'PLAINTEXT', username: user }
  const id = await service.connect({ ...server, password: PASSWORD, model: 'ONLINE' })
  await service.synced(id)
  for (const [kind, field] of [
    ['mutation', 'setSelection'],
    ['query', 'previewSelection'],
  ] as const) {
    const query = `${kind} ($input: SetSelectionInput!) { ${field}(input: $input) { errors { __typename } } }`
    const input = { accountId: id, selection: { keep: 'WHOLE' } }
    expect(await service.ask(query, { input })).toEqual({ [field]: { errors: [{ __typename: 'ModelNotPossible' }] } })
  }
})

const uuidOf = (id: string) => Buffer.from(id, 'base64url').toString().replace('Message:', '')
const sha256 = (raw: string | Buffer) => createHash('sha256').update(raw).digest('hex')

test('a body that a client asks for while its account is being read for the first time stays when that is through', async () => {
  const user = `select${++made}`
  await fillMaildir(dovecot.mailOf(user), null, 2_500, (number) => mail(made * 10_000 + number))
  const server = {
    host: '127.0.0.1',
    port: dovecot.imapPort,
    security: 'PLAINTEXT',
    username: user,
    password: PASSWORD,
  }
  const id = await service.connect(server)
  const newest = async () => (await seen(id)).messages.nodes[0]?.id
  await until(async () => (await newest()) !== undefined)
  const asked = (await newest()) ?? ''
  expect((await service.fetch(`/messages/${uuidOf(asked)}/raw`)).status).toBe(200)
  await service.synced(id)
  const other = await dovecot.client(user)
  await other.append('INBOX', mail(made * 10_000 + 9_999, { subject: 'afterwards' }))
  await other.logout()
  await until(async () => (await newest()) !== asked)
  expect(await changesOf(asked)).toEqual([true])
})
