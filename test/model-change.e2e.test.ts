/* An account is worked with in another way: what is dropped is named, and what is nowhere but here is not lost unasked. */
import { execFileSync } from 'node:child_process'
import { Dovecot } from './support/dovecot.ts'
import { uuidOf } from './support/installation.ts'
import { mail } from './support/mail.ts'
import { OfflineAccount } from './support/maildrop.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const NOTHING = {
  ...{ waitingOperations: 0, onlyHereMessages: 0, givingWayMessages: 0, dropMessages: 0, dropBytes: 0 },
  ...{ uploadMessages: 0, uploadBytes: 0, fetchMessages: 0, fetchBytes: 0 },
}

type Payload = {
  account: { model: string } | null
  preview: typeof NOTHING | null
  errors: { __typename: string; operations?: number; messages?: number }[]
}

class Changing {
  readonly mine: OnlineAccount
  constructor(mine: OnlineAccount) {
    this.mine = mine
  }

  static async connect(): Promise<Changing> {
    const user = `change${++made}`
    const raws = [0, 1, 2].map((number) =>
      mail(made * 100 + number, { subject: String(number), body: `wordsof${made}` }),
    )
    await dovecot.fill(user, { INBOX: raws, Work: [] })
    return new Changing(await OnlineAccount.connect(service, dovecot, user))
  }

  preview(model: string): Promise<Payload> {
    return this.ask('query', 'previewModelChange', model, false)
  }

  change(model: string, confirmed = false): Promise<Payload> {
    return this.ask('mutation', 'changeModel', model, confirmed)
  }

  private async ask(kind: string, field: string, model: string, confirmed: boolean): Promise<Payload> {
    const query = `${kind} ($input: ChangeModelInput!) { ${field}(input: $input) {
      account { model } preview { ${Object.keys(NOTHING).join(' ')} }
      errors { __typename ... on WouldBeLost { operations messages } } } }`
    const input = { accountId: this.mine.id, model, confirmed }
    return (await service.ask<Record<string, Payload>>(query, { input }))[field] as Payload
  }

  async select(keep: string): Promise<void> {
    const query = 'mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }'
    await service.ask(query, { input: { accountId: this.mine.id, selection: { keep } } })
  }

  async copied(): Promise<number> {
    const query = 'query ($id: ID!) { account(id: $id) { selectedContents { messagesHere } } }'
    type Answer = { account: { selectedContents: { messagesHere: number } | null } }
    return (await service.ask<Answer>(query, { id: this.mine.id })).account.selectedContents?.messagesHere ?? 0
  }
}

/** How many files on disk have a word in them. */
const files = (word: string) => {
  return Number(execFileSync('sh', ['-c', `grep -rl ${word} ${service.folder}/blobs | wc -l`]))
}

test('from ONLINE to DISCONNECTED and back: the mail stays the same, and what was copied is dropped, as foretold', async () => {
  const changing = await Changing.connect()
  const { mine } = changing
  const words = `wordsof${made}`
  const before = (await mine.state()).messages.nodes.map(({ id }) => id)
  expect(await changing.preview('DISCONNECTED')).toEqual({ account: { model: 'ONLINE' }, preview: NOTHING, errors: [] })
  await mine.session()
  expect(await changing.change('DISCONNECTED')).toMatchObject({ account: { model: 'DISCONNECTED' }, errors: [] })
  await mine.untilState('CONNECTED')
  expect((await mine.openSession()).errors[0]?.__typename).toBe('ModelNotPossible')
  await changing.select('WHOLE')
  await until(async () => (await changing.copied()) === 3)
  expect(files(words)).toBe(3)
  await mine.goOffline()
  const flagged = await mine.flags([before[0] ?? ''], ['\\Flagged'])
  expect(flagged.operation?.state).toBe('PENDING')
  await mine.upload()

  const preview = await changing.preview('ONLINE')
  expect(preview.preview).toMatchObject({ ...NOTHING, dropMessages: 3, dropBytes: expect.any(Number) as number })
  expect(await changing.change('ONLINE')).toMatchObject({
    account: { model: 'ONLINE' },
    errors: [],
    preview: preview.preview,
  })
  await mine.untilState('NO_SESSION')
  await until(() => files(words) === 0)
  expect((await mine.state()).messages.nodes.map(({ id }) => id)).toEqual(before)
  await mine.session()
  expect((await mine.flags([before[1] ?? ''], ['\\Seen'])).operation?.state).toBe('APPLIED')
  expect(await mine.onServer('INBOX')).toEqual([
    { subject: '0', flags: expect.any(Array) as string[] },
    { subject: '1', flags: expect.any(Array) as string[] },
    { subject: '2', flags: expect.any(Array) as string[] },
  ])
  await mine.end()
})

test('what waits, and what is nowhere but here, is not lost unless that is confirmed', async () => {
  const changing = await Changing.connect()
  const { mine } = changing
  await changing.change('DISCONNECTED')
  await mine.untilState('CONNECTED')
  await mine.goOffline()
  const { id } = await mine.message('1')
  await mine.flags([id], ['\\Flagged'])
  await mine.append('Work', mail(made * 100 + 50, { subject: 'a draft' }))
  const lost = { __typename: 'WouldBeLost', operations: 2, messages: 1 }
  expect((await changing.preview('ONLINE')).preview).toMatchObject({ waitingOperations: 2, onlyHereMessages: 1 })
  expect(await changing.change('ONLINE')).toEqual({ account: null, preview: null, errors: [lost] })
  expect((await mine.shown('Work')).map(({ subject }) => subject)).toEqual(['a draft'])
  // with the server away
  mine.wire.isDown = true
  expect((await changing.change('ONLINE', true)).errors).toEqual([])
  await mine.untilState('NO_SESSION')
  for (const operation of (await mine.state()).operations.nodes)
    expect(operation).toMatchObject({ state: 'REJECTED', reason: 'NO_CONNECTION' })
  expect(await mine.shown('Work')).toEqual([])
  expect((await mine.message('1')).flags).toEqual([])
  mine.wire.isDown = false
  await mine.session()
  expect(await mine.onServer('Work')).toEqual([])
  await mine.end()
})

test('what is not given is as its default says, also when the same query comes again', async () => {
  const changing = await Changing.connect()
  const query = 'query ($input: ChangeModelInput!) { previewModelChange(input: $input) { errors { __typename } } }'
  for (let time = 0; time < 3; time++)
    expect(await service.ask(query, { input: { accountId: changing.mine.id, model: 'ONLINE' } })).toEqual({
      previewModelChange: { errors: [] },
    })
  expect(await changing.change('ONLINE')).toMatchObject({ account: { model: 'ONLINE' }, errors: [] })
  await changing.mine.end()
})

/** A DISCONNECTED account with changes that the server was not told of, and its ids by subject. */
async function withChanges(): Promise<{ changing: Changing; ids: Map<string, string> }> {
  const changing = await Changing.connect()
  const { mine } = changing
  await changing.change('DISCONNECTED')
  await mine.untilState('CONNECTED')
  await mine.goOffline()
  await mine.flags([(await mine.message('1')).id], ['\\Flagged', '$Later'])
  await mine.move([(await mine.message('2')).id], 'Work')
  await mine.append('Work', mail(made * 100 + 50, { subject: 'a draft', body: `wordsof${made}` }))
  return { changing, ids: await idsOf(mine) }
}

async function idsOf(mine: OnlineAccount): Promise<Map<string, string>> {
  return new Map((await mine.state()).messages.nodes.map(({ subject, id }) => [subject, id]))
}

/** The number that each worker of an account has to know to write. */
async function fenceOf(id: string): Promise<string | undefined> {
  const database = await service.database()
  try {
    const { rows } = await database.query<{ fence: string }>('select fence from streams where account_id = $1', [
      uuidOf(id),
    ])
    return rows[0]?.fence
  } finally {
    await database.end()
  }
}

const places = async (mine: OnlineAccount) =>
  (await mine.state()).messages.nodes
    .map(({ subject, mailbox, flags }) => [subject, mailbox.path, ...[...flags].sort()].join(' '))
    .sort()

const SHOWN = ['0 INBOX', '1 INBOX $Later \\Flagged', '2 Work', 'a draft Work']

test('from DISCONNECTED to OFFLINE: all stays as it is shown, nothing comes twice, and what was not here is fetched', async () => {
  const { changing, ids } = await withChanges()
  const { mine } = changing
  const words = `wordsof${made}`
  mine.wire.isDown = true
  expect((await changing.preview('OFFLINE')).preview).toMatchObject({ waitingOperations: 3, fetchMessages: 3 })
  const lost = { __typename: 'WouldBeLost', operations: 3, messages: 0 }
  expect((await changing.change('OFFLINE')).errors).toEqual([lost])
  expect(await changing.change('OFFLINE', true)).toMatchObject({ account: { model: 'OFFLINE' }, errors: [] })
  for (const operation of (await mine.state()).operations.nodes)
    expect(operation).toMatchObject({ state: 'SUPERSEDED', reason: 'MODEL_CHANGED' })
  expect(await places(mine)).toEqual(SHOWN)
  expect(files(words)).toBe(1)

  mine.wire.isDown = false
  await mine.syncNow()
  await until(() => files(words) === 4)
  await dovecot.deliver(`change${made}`, mail(made * 100 + 60, { subject: 'news' }))
  await mine.syncNow()
  await until(async () => (await idsOf(mine)).has('news'))
  expect(await places(mine)).toEqual([...SHOWN, 'news INBOX'])
  const now = await idsOf(mine)
  expect([...ids].map(([subject]) => now.get(subject))).toEqual([...ids.values()])
  expect((await mine.onServer('INBOX')).map(({ subject, flags }) => [subject, ...flags])).toEqual([
    ['0'],
    ['1'],
    ['2'],
    ['news'],
  ])
  expect(await mine.onServer('Work')).toEqual([])
  await mine.end()
})

test('from OFFLINE to DISCONNECTED: what is only here is uploaded, and everything keeps its id', async () => {
  const { changing, ids } = await withChanges()
  const { mine } = changing
  await changing.change('OFFLINE', true)
  await mine.syncNow()
  await until(() => files(`wordsof${made}`) === 4)
  const list = 'mutation ($input: CreateMailboxInput!) { createMailbox(input: $input) { errors { __typename } } }'
  await service.ask(list, { input: { accountId: mine.id, path: 'Only here' } })
  await mine.asked('moveMessages', 'MoveMessagesInput', {
    messageIds: [ids.get('0')],
    mailboxId: await mine.mailbox('Only here'),
  })
  const shown = await places(mine)
  expect(shown).toEqual(['0 Only here', ...SHOWN.slice(1)])

  mine.wire.isDown = true
  const preview = await changing.preview('DISCONNECTED')
  expect(preview.preview).toMatchObject({ ...NOTHING, uploadMessages: 1, uploadBytes: expect.any(Number) as number })
  expect(await changing.change('DISCONNECTED')).toMatchObject({ account: { model: 'DISCONNECTED' }, errors: [] })
  expect(await places(mine)).toEqual(shown)
  mine.wire.isDown = false
  for (const operation of await mine.upload()) expect(operation.state).toMatch(/APPLIED|SUPERSEDED/)
  expect(await mine.onServer('INBOX')).toEqual([{ subject: '1', flags: ['$Later', '\\Flagged'] }])
  expect((await mine.onServer('Work')).map(({ subject }) => subject)).toEqual(['2', 'a draft'])
  expect((await mine.onServer('Only here')).map(({ subject }) => subject)).toEqual(['0'])
  await service.synced(mine.id)
  await other(mine, 'Work', (client) => client.messageFlagsAdd('1:*', ['\\Answered']))
  await until(async () => (await mine.shown('Work')).every(({ flags }) => flags.includes('\\Answered')))
  expect(await idsOf(mine)).toEqual(ids)
  expect((await mine.state()).mailboxes.map(({ path }) => path).sort()).toEqual([
    'Drafts',
    'INBOX',
    'Junk',
    'Only here',
    'Sent',
    'Trash',
    'Work',
  ])
  await mine.end()
})

test('from ONLINE to OFFLINE and back: what is only here is named, and dropped when that is confirmed', async () => {
  const changing = await Changing.connect()
  const { mine } = changing
  const words = `wordsof${made}`
  const ids = await idsOf(mine)
  expect((await changing.preview('OFFLINE')).preview).toMatchObject({
    ...NOTHING,
    fetchMessages: 3,
    fetchBytes: expect.any(Number) as number,
  })
  await mine.session()
  expect(await changing.change('OFFLINE')).toMatchObject({ account: { model: 'OFFLINE' }, errors: [] })
  await until(() => files(words) === 3)
  await mine.asked('appendMessage', 'AppendMessageInput', {
    mailboxId: await mine.mailbox('Work'),
    raw: Buffer.from(mail(made * 100 + 50, { subject: 'a draft', body: words })).toString('base64'),
  })
  await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: [ids.get('1')], add: ['\\Flagged'] })
  expect(files(words)).toBe(4)

  mine.wire.isDown = true
  const lost = { __typename: 'WouldBeLost', operations: 0, messages: 2 }
  expect((await changing.preview('ONLINE')).preview).toMatchObject({
    onlyHereMessages: 1,
    givingWayMessages: 1,
    dropMessages: 3,
  })
  // core 11: a change that is refused throws out no sync that is under way
  const fence = await fenceOf(mine.id)
  for (let time = 0; time < 3; time++) expect((await changing.change('ONLINE')).errors).toEqual([lost])
  expect(await fenceOf(mine.id)).toBe(fence)
  expect(files(words)).toBe(4)
  expect((await changing.change('ONLINE', true)).errors).toEqual([])
  await until(() => files(words) === 3)
  expect(await places(mine)).toEqual(['0 INBOX', '1 INBOX \\Flagged', '2 INBOX'])
  mine.wire.isDown = false
  await mine.session()
  expect(await places(mine)).toEqual(['0 INBOX', '1 INBOX', '2 INBOX'])
  await until(() => files(words) === 0)
  expect(await idsOf(mine)).toEqual(ids)
  expect(await mine.onServer('Work')).toEqual([])
  expect((await mine.flags([ids.get('2') ?? ''], ['\\Seen'])).operation?.state).toBe('APPLIED')
  await mine.end()
})

test('what the server is about to delete, or has deleted, for an OFFLINE account is uploaded, and not taken for gone', async () => {
  const changing = await Changing.connect()
  const { mine } = changing
  await changing.change('OFFLINE')
  await until(() => files(`wordsof${made}`) === 3)
  const query =
    'mutation ($input: SetDeletionPolicyInput!) { setDeletionPolicy(input: $input) { errors { __typename } } }'
  await service.ask(query, { input: { accountId: mine.id, policy: { kind: 'AT_ONCE' } } })
  await mine.syncNow()
  await until(async () => (await mine.onServer('INBOX')).length === 0)
  const ids = await idsOf(mine)
  await until(async () => (await changing.preview('DISCONNECTED')).preview?.uploadMessages === 3)
  await changing.change('DISCONNECTED')
  await mine.upload()
  expect((await mine.onServer('INBOX')).map(({ subject }) => subject)).toEqual(['0', '1', '2'])
  expect(await idsOf(mine)).toEqual(ids)
  // to OFFLINE again: nothing is deleted from the server before that is asked for anew
  await changing.change('OFFLINE')
  await mine.syncNow()
  const policy = 'query ($id: ID!) { account(id: $id) { deletionPolicy { kind } } }'
  expect(JSON.stringify(await service.ask(policy, { id: mine.id }))).toContain('NEVER')
  expect((await mine.onServer('INBOX')).length).toBe(3)
  await mine.end()
})

test('messages get the numbers of the server again, whatever numbers they had here', async () => {
  const changing = await Changing.connect()
  const { mine } = changing
  await changing.change('OFFLINE')
  await until(() => files(`wordsof${made}`) === 3)
  // here they are numbered one after the other, there with gaps
  for (const number of [4, 5, 6, 7]) {
    await mine.other.append('INBOX', mail(made * 100 + number, { subject: String(number) }))
    if (number % 2) continue
    await mine.other.mailboxOpen('INBOX')
    await mine.other.messageDelete({ subject: String(number) })
  }
  await mine.syncNow()
  await until(async () => (await idsOf(mine)).has('7'))
  const ids = await idsOf(mine)
  expect([...ids.keys()].sort()).toEqual(['0', '1', '2', '5', '7'])
  expect((await changing.change('DISCONNECTED')).errors).toEqual([])
  await mine.untilState('CONNECTED')
  await mine.flags([...ids.values()], ['$Here'])
  await mine.settled()
  expect((await mine.onServer('INBOX')).every(({ flags }) => flags.includes('$Here'))).toBe(true)
  const uids = (await mine.shown('INBOX')).map(({ subject, uid }) => [subject, uid])
  expect(uids).toEqual([
    ['0', 1],
    ['1', 2],
    ['2', 3],
    ['5', 5],
    ['7', 7],
  ])
  expect(await idsOf(mine)).toEqual(ids)
  await mine.end()
})

test('an account over POP3 stays OFFLINE, and says why', async () => {
  const user = `change${++made}`
  await dovecot.fill(user, { INBOX: [mail(made)] })
  const account = await OfflineAccount.connect(service, 'POP3', { port: dovecot.pop3Port, username: user })
  const query = `mutation ($input: ChangeModelInput!) { changeModel(input: $input) { errors { __typename ... on UserError { message } } } }`
  const answer = await service.ask<{ changeModel: { errors: { __typename: string; message: string }[] } }>(query, {
    input: { accountId: account.id, model: 'ONLINE', confirmed: true },
  })
  expect(answer.changeModel.errors[0]).toMatchObject({ __typename: 'ModelNotPossible' })
  expect(answer.changeModel.errors[0]?.message).toContain('POP3')
})

async function other(
  mine: OnlineAccount,
  path: string,
  work: (client: OnlineAccount['other']) => Promise<unknown>,
): Promise<void> {
  const lock = await mine.other.getMailboxLock(path)
  await work(mine.other).finally(() => lock.release())
}
