import { DisconnectedAccount } from './support/disconnected.ts'
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { LACKING, SERVERS } from './support/mail-servers.ts'
import { mailfold, Service, until } from './support/service.ts'

let service: Service
let server: MailServer
let users = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_ANSWER_TIMEOUT: '5000' })
})

afterAll(async () => {
  await service?.stop()
})

/** An account with messages "0", "1" and so on in INBOX, and an empty mailbox Work. */
async function account(messages = 4, hidden: readonly string[] = []): Promise<DisconnectedAccount> {
  const user = `user${++users}`
  const raws = Array.from({ length: messages }, (_, number) => mail(1000 * users + number, { subject: String(number) }))
  await server.fill(user, { INBOX: raws, Work: [] })
  return DisconnectedAccount.connect(service, server, user, hidden)
}

const idOf = async (mine: DisconnectedAccount, subject: string) => (await mine.message(subject)).id

/** What is tried as one server lacks it; the last lacks everything that a server can do without. */
const ALL_LACKING = [
  ...LACKING,
  ['QRESYNC', 'CONDSTORE', 'ENABLE', 'UIDPLUS', 'MOVE', 'LIST-STATUS', 'ESEARCH', 'NOTIFY', 'BINARY'],
]

describe.each(SERVERS)('on $name', ({ start }) => {
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  test.each(ALL_LACKING.map((hidden) => [hidden.join(', ') || 'nothing', hidden] as const))(
    'flags, moves, copies, deletions and drafts are shown at once, pending, and come to a server that lacks %s at the next connection',
    async (_, hidden) => {
      const mine = await account(6, hidden)
      // without UIDPLUS single messages can only be marked
      const marked = hidden.includes('UIDPLUS') ? [{ subject: '4', flags: ['\\Deleted'] }] : []
      const left =
        hidden.includes('UIDPLUS') && hidden.includes('MOVE')
          ? ['1', '3'].map((subject) => ({ subject, flags: ['\\Deleted'] }))
          : []
      await mine.goOffline()
      const read = await mine.flags([await idOf(mine, '0')], ['\\Seen', 'work'])
      const moved = await mine.move([await idOf(mine, '1')], 'Work')
      const copied = await mine.copy([await idOf(mine, '2')], 'Work')
      const deleted = await mine.delete([await idOf(mine, '3')])
      const gone = await mine.delete([await idOf(mine, '4')], true)
      const draft = await mine.append('Drafts', mail(77, { subject: 'draft' }), { flags: ['\\Draft', '\\Seen'] })
      const shown = (await mine.state()).messages.nodes
      expect(shown.map(({ subject, mailbox }) => `${mailbox.path} ${subject}`).sort()).toEqual([
        'Drafts draft',
        'INBOX 0',
        'INBOX 2',
        'INBOX 5',
        'Trash 3',
        'Work 1',
        'Work 2',
      ])
      expect(shown.find(({ subject }) => subject === '1')?.pendingOperations).toMatchObject([{ kind: 'MOVE' }])
      expect(await mine.onServer('Work')).toEqual([])

      await mine.upload()
      for (const { id } of [read, moved, copied, deleted, gone, draft])
        expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', appliedCount: 1 })
      const inInbox = [
        { subject: '0', flags: ['\\Seen', 'work'] },
        { subject: '2', flags: [] },
        { subject: '5', flags: [] },
        ...marked,
        ...left,
      ]
      expect(await mine.onServer('INBOX')).toEqual(inInbox.sort((one, other) => (one.subject < other.subject ? -1 : 1)))
      expect(await mine.onServer('Work')).toEqual([
        { subject: '1', flags: [] },
        { subject: '2', flags: [] },
      ])
      expect(await mine.onServer('Trash')).toEqual([{ subject: '3', flags: [] }])
      expect(await mine.onServer('Drafts')).toEqual([{ subject: 'draft', flags: ['\\Draft', '\\Seen'] }])
      const after = (await mine.state()).messages.nodes
      expect(after.map(({ id }) => id).sort()).toEqual(shown.map(({ id }) => id).sort())
      expect(after.every(({ uid, pendingOperations }) => uid !== null && pendingOperations.length === 0)).toBe(true)
      await mine.end()
    },
  )

  test('what is asked for while there is a connection is done at once', async () => {
    const mine = await account()
    const read = await mine.flags([await idOf(mine, '0')], ['\\Seen'])
    await until(async () => (await mine.operation(read.id)).state === 'APPLIED')
    expect((await mine.onServer('INBOX'))[0]).toEqual({ subject: '0', flags: ['\\Seen'] })
    await mine.end()
  })

  const ids = async (mine: DisconnectedAccount, ...subjects: string[]) =>
    Promise.all(subjects.map((subject) => idOf(mine, subject)))

  test('what cancels out is not sent, and what is alike goes in one command', async () => {
    const mine = await account(40)
    await mine.goOffline()
    const subjects = Array.from({ length: 40 }, (_, number) => String(number))
    const all = await ids(mine, ...subjects)
    const [first = '', second = '', ...rest] = all
    const read = await mine.flags([first], ['\\Seen'])
    const unread = await mine.flags([first], [], ['\\Seen'])
    const there = await mine.move([second], 'Work')
    const back = await mine.move([second], 'INBOX')
    const many = await mine.flags(rest, ['\\Seen'])
    for (const id of rest.slice(0, 10)) await mine.flags([id], ['\\Flagged'])
    const steps = 'query ($id: ID!) { account(id: $id) { nextUpload { kind mailboxId messageCount add remove } } }'
    const store = { kind: 'STORE', mailboxId: await mine.mailbox('INBOX'), remove: [] }
    expect(await service.ask(steps, { id: mine.id })).toEqual({
      account: {
        nextUpload: expect.arrayContaining([
          { ...store, messageCount: 28, add: ['\\Seen'] },
          { ...store, messageCount: 10, add: ['\\Flagged', '\\Seen'] },
        ]) as object,
      },
    })
    const before = mine.wire.asked.length
    await mine.upload()
    const asked = mine.wire.asked.slice(before).join('')
    expect(asked.match(/UID STORE/g)).toHaveLength(2)
    expect(asked).not.toMatch(/UID (MOVE|COPY)/)
    for (const { id } of [read, unread, there, back])
      expect(await mine.operation(id)).toMatchObject({ state: 'SUPERSEDED', reason: 'ALREADY_SO' })
    expect(await mine.operation(many.id)).toMatchObject({ state: 'APPLIED', appliedCount: 38 })
    const onServer = await mine.onServer('INBOX')
    expect(onServer.filter(({ flags }) => flags.includes('\\Flagged'))).toHaveLength(10)
    expect(onServer.filter(({ flags }) => flags.includes('\\Seen'))).toHaveLength(38)
    await mine.end()
  })

  test('where a server has no CONDSTORE, its answers to STORE say what has become of flags', async () => {
    const mine = await account(4, ['QRESYNC', 'CONDSTORE'])
    await mine.goOffline()
    await mine.flags(await ids(mine, '0', '1'), ['\\Flagged'])
    const { length } = mine.wire.asked
    const operations = await mine.upload()
    expect(operations.map(({ state }) => state)).toEqual(['APPLIED'])
    const asked = mine.wire.asked.slice(length).join('')
    // until everything is checked the next time
    const [, behind = ''] = /UID STORE([^]*?)(?:LIST|$)/.exec(asked) ?? []
    expect(behind).toContain('+FLAGS (')
    expect(behind).not.toContain('FETCH')
    expect((await mine.message('1')).flags).toEqual(['\\Flagged'])
    await mine.end()
  })

  test('one operation on all that a filter matches', async () => {
    const mine = await account(30)
    await mine.goOffline()
    const mailboxId = await mine.mailbox('INBOX')
    const matching = { accountId: mine.id, mailboxId, filter: { isUnread: true } }
    const read = await mine.ask('changeFlags', 'ChangeFlagsInput', { matching, add: ['\\Seen'] })
    expect(read.operation?.messageCount).toBe(30)
    expect(await mine.asked('changeFlags', 'ChangeFlagsInput', { matching, add: ['\\Seen'] })).toMatchObject({
      operation: { state: 'SUPERSEDED', reason: 'ALREADY_SO' },
    })
    await mine.upload()
    expect(await mine.operation(read.id)).toMatchObject({ state: 'APPLIED', appliedCount: 30 })
    await mine.end()
  })

  test('an operation can be undone while the server was not told, the later one first', async () => {
    const mine = await account()
    await mine.goOffline()
    const before = (await mine.state()).messages.nodes
    const moved = await mine.move(await ids(mine, '0'), 'Work')
    const again = await mine.move(await ids(mine, '0'), 'Trash')
    const flagged = await mine.flags(await ids(mine, '0', '1'), ['\\Flagged'])
    const gone = await mine.delete(await ids(mine, '2'), true)
    const copied = await mine.copy(await ids(mine, '3'), 'Work')
    const draft = await mine.append('Drafts', mail(78, { subject: 'draft' }))
    const made = await mine.create('Made')
    expect(await mine.undo(moved.id)).toMatchObject({ errors: [{ __typename: 'LaterOperation' }] })
    for (const { id } of [again, moved, flagged, gone, copied, draft, made])
      expect(await mine.undo(id)).toMatchObject({ operation: { state: 'UNDONE' }, errors: [] })
    expect(await mine.undo(moved.id)).toMatchObject({ errors: [{ __typename: 'OperationNotPending' }] })
    const after = await mine.state()
    const withoutOrigin = (messages: typeof before) => messages.map((message) => ({ ...message, origin: null }))
    expect(withoutOrigin(after.messages.nodes)).toEqual(withoutOrigin(before))
    expect(after.mailboxes.map(({ path }) => path)).not.toContain('Made')
    const sessions = mine.wire.asked.length
    await mine.upload()
    expect(mine.wire.asked.slice(sessions).join('')).not.toMatch(/UID (STORE|MOVE|COPY|EXPUNGE)|APPEND|CREATE/)
    await mine.end()
  })

  test('moves of what was just moved, changes in a mailbox that was just made, and a draft that is replaced again', async () => {
    const mine = await account()
    await mine.goOffline()
    await mine.create('Made')
    await mine.move(await ids(mine, '0'), 'Work')
    await mine.move(await ids(mine, '0'), 'Made')
    await mine.flags(await ids(mine, '0'), ['\\Flagged'])
    await mine.move(await ids(mine, '1'), 'Made')
    await mine.delete(await ids(mine, '1'), true)
    const first = await mine.append('Drafts', mail(79, { subject: 'first' }), { flags: ['\\Draft'] })
    const second = await mine.append('Drafts', mail(80, { subject: 'second' }), {
      flags: ['\\Draft'],
      replaces: first.messages?.[0]?.id,
    })
    await mine.append('Drafts', mail(81, { subject: 'third' }), {
      flags: ['\\Draft'],
      replaces: second.messages?.[0]?.id,
    })
    const operations = await mine.upload()
    expect(operations.filter(({ state }) => state !== 'APPLIED' && state !== 'SUPERSEDED')).toEqual([])
    expect(await mine.onServer('Made')).toEqual([{ subject: '0', flags: ['\\Flagged'] }])
    expect(await mine.onServer('Drafts')).toEqual([{ subject: 'third', flags: ['\\Draft'] }])
    expect((await mine.onServer('INBOX')).map(({ subject }) => subject)).toEqual(['2', '3'])
    const third = await mine.message('third')
    await mine.goOffline()
    await mine.append('Drafts', mail(82, { subject: 'fourth' }), { flags: ['\\Draft'], replaces: third.id })
    await mine.upload()
    expect(await mine.onServer('Drafts')).toEqual([{ subject: 'fourth', flags: ['\\Draft'] }])
    await mine.end()
  })

  test.each([
    ['From: "Ada <ada@example.org>', 'Message-ID: <1@example.org>'],
    ['From: Jos=?utf-8?B?w6k=?= <jose@example.es>', 'To: a b c', 'Message-ID: <2@example.org>'],
    ['From: ada@example.org', 'Date: the day before yesterday', 'Message-ID: 3@example.org (a comment)'],
    ['From: "Ada <ada@example.org>', 'To: <<<>>>, "'],
  ])(
    'what was uploaded and not confirmed is found again, however the server reads its header: %s',
    async (...header) => {
      const mine = await account()
      mine.wire.struck = false
      mine.wire.answering = (command) => (command.startsWith('APPEND') ? 'hold answer' : null)
      const raw = [...header, 'Subject: odd', '', 'Hello.', ''].join('\r\n')
      const { id } = await mine.append('Drafts', raw)
      await until(() => mine.wire.struck)
      mine.wire.answering = () => null
      mine.wire.cut()
      await mine.settled()
      expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED' })
      expect(await mine.onServer('Drafts')).toHaveLength(1)
      expect(await mine.shown('Drafts')).toMatchObject([{ origin: 'APPENDED' }])
      await mine.end()
    },
  )

  test('what was made here and moved by others stays the same message', async () => {
    const mine = await account()
    const raw = mail(83, { subject: 'plain', from: 'bob@example.net', to: 'ada@example.org' })
    const { messages } = await mine.append('Drafts', raw)
    await mine.settled()
    await mine.other.mailboxOpen('Drafts')
    await mine.other.messageMove('1', 'Work')
    await until(async () => (await mine.shown('Work')).some(({ subject }) => subject === 'plain'))
    expect((await mine.message('plain')).id).toBe(messages?.[0]?.id)
    await mine.end()
  })

  test('mailboxes are made, renamed with those below, subscribed to and deleted', async () => {
    const mine = await account()
    await mine.create('Projects')
    await mine.create('Projects/2026')
    await mine.settled()
    await mine.goOffline()
    await mine.move(await ids(mine, '0'), 'Projects/2026')
    await mine.ask('renameMailbox', 'RenameMailboxInput', { mailboxId: await mine.mailbox('Projects'), path: 'Ideas' })
    await mine.ask('deleteMailbox', 'DeleteMailboxInput', { mailboxId: await mine.mailbox('Work') })
    await mine.ask('subscribeMailbox', 'SubscribeMailboxInput', {
      mailboxId: await mine.mailbox('Junk'),
      subscribed: true,
    })
    const paths = (await mine.state()).mailboxes.map(({ path }) => path)
    expect(paths).toEqual(['INBOX', 'Drafts', 'Ideas', 'Ideas/2026', 'Junk', 'Sent', 'Trash'])
    const operations = await mine.upload()
    expect(operations.filter(({ state }) => state !== 'APPLIED')).toEqual([])
    const onServer = await mine.other.list()
    expect(onServer.map(({ path }) => path).sort()).toEqual([...paths].sort())
    expect(onServer.find(({ path }) => path === 'Junk')?.subscribed).toBe(true)
    // a subscription goes along with a name
    const subscribed = onServer.filter(({ path }) => path.startsWith('Ideas')).map((each) => each.subscribed)
    expect(subscribed).toEqual([true, true])
    expect(await mine.onServer('Ideas/2026')).toEqual([{ subject: '0', flags: [] }])
    expect((await mine.state()).mailboxes.some(({ isPending }) => isPending)).toBe(false)
    await mine.end()
  })

  test('bad input gets a typed error and changes nothing', async () => {
    const mine = await account()
    const [id = ''] = await ids(mine, '0')
    const Work = await mine.mailbox('Work')
    const cases: [string, string, object, string][] = [
      ['changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: ['\\Recent'] }, 'InvalidSettings'],
      ['changeFlags', 'ChangeFlagsInput', { messageIds: [], add: ['a'] }, 'InvalidSettings'],
      ['moveMessages', 'MoveMessagesInput', { messageIds: [id], mailboxId: missing('Mailbox') }, 'MailboxNotFound'],
      ['moveMessages', 'MoveMessagesInput', { messageIds: [missing('Message')], mailboxId: Work }, 'MessageNotFound'],
      ['createMailbox', 'CreateMailboxInput', { accountId: mine.id, path: 'a//b' }, 'InvalidSettings'],
      ['createMailbox', 'CreateMailboxInput', { accountId: mine.id, path: 'Work' }, 'MailboxExists'],
      [
        'renameMailbox',
        'RenameMailboxInput',
        { mailboxId: await mine.mailbox('INBOX'), path: 'x' },
        'MailboxProtected',
      ],
      ['renameMailbox', 'RenameMailboxInput', { mailboxId: Work, path: 'Work/below' }, 'InvalidSettings'],
      ['deleteMailbox', 'DeleteMailboxInput', { mailboxId: await mine.mailbox('INBOX') }, 'MailboxProtected'],
      [
        'answerOperation',
        'AnswerOperationInput',
        { operationId: missing('Operation'), answer: 'RETRY' },
        'OperationNotFound',
      ],
    ]
    for (const [field, type, input, error] of cases)
      expect([field, (await mine.asked(field, type, input)).errors]).toMatchObject([field, [{ __typename: error }]])
    expect((await mine.state()).operations.nodes).toEqual([])
    const both = await service.answer(
      'mutation ($input: ChangeFlagsInput!) { changeFlags(input: $input) { errors { __typename } } }',
      { input: { messageIds: [id], matching: { accountId: mine.id } } },
    )
    expect(both.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT')
    await mine.end()
  })

  const missing = (type: string) => Buffer.from(`${type}:00000000-0000-7000-8000-000000000000`).toString('base64url')

  test('after a long absence, with half of the messages gone and others moved, what is shown is right, and only what changed was fetched', async () => {
    const mine = await account(400)
    const first = mine.wire.said.join('').length
    await mine.goOffline()
    const kept = await ids(mine, '1', '2', '395')
    await mine.flags(kept, ['\\Flagged'])
    const lock = await mine.other.getMailboxLock('INBOX')
    await mine.other.messageDelete('201:390', { uid: true })
    await mine.other.messageMove('2,100:104', 'Work', { uid: true })
    await mine.other.messageFlagsAdd('150:160', ['\\Seen'], { uid: true })
    lock.release()
    await mine.other.append('INBOX', mail(4_000_000 + users, { subject: 'new' }), [])
    const before = mine.wire.said.length
    await mine.upload()
    await until(async () => (await mine.state()).mailboxes.find(({ path }) => path === 'INBOX')?.messageCount === 205)
    const { messages } = await mine.state()
    const there = [...(await mine.onServer('INBOX')), ...(await mine.onServer('Work'))]
    const line = ({ subject, flags }: { subject: string; flags: string[] }) => `${subject} ${[...flags].sort().join()}`
    expect(messages.nodes.map(line).sort()).toEqual(there.map(line).sort())
    expect((await mine.message('1')).id).toBe(kept[0])
    expect((await mine.message('1')).mailbox.path).toBe('Work')
    expect(mine.wire.said.slice(before).join('').length).toBeLessThan(first / 5)
    await mine.end()
  })

  test('mailfold check says whether what is recorded is what the server has, and where not', async () => {
    const mine = await account(5)
    const checked = async () => {
      const environment = { MAILFOLD_DATA: service.folder, MAILFOLD_LOG_LEVEL: 'error' }
      const { code, stdout } = await mailfold(['check', mine.id, '--json'], environment)
      const lines = stdout.trim().split('\n')
      return { code, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
    }
    expect(await checked()).toMatchObject({ code: 0, lines: [{ differing: 0 }] })
    await mine.goOffline()
    // what waits is no difference: the server's side is compared
    await mine.move(await ids(mine, '0'), 'Work')
    const lock = await mine.other.getMailboxLock('INBOX')
    await mine.other.messageDelete('1', { uid: true })
    await mine.other.messageFlagsAdd('2', ['\\Flagged'], { uid: true })
    lock.release()
    await mine.other.append('INBOX', mail(8_000_000 + users, { subject: 'new' }))
    expect((await checked()).lines).toMatchObject([
      { kind: 'FLAGS', path: 'INBOX', uid: 2, recorded: [], server: ['\\Flagged'] },
      { kind: 'NOT_RECORDED', path: 'INBOX', uid: 6 },
      { kind: 'NOT_ON_SERVER', path: 'INBOX', uid: 1 },
      { differing: 3 },
    ])
    await mine.end()
  })

  test('a connection that breaks while a new message is fetched costs the message nothing', async () => {
    const mine = await account(2)
    let isHeld = false
    mine.wire.answering = (command) => (!isHeld && /^UID FETCH 3:\*/.test(command) ? ((isHeld = true), 'hold') : null)
    await mine.other.append('INBOX', mail(9_000_000 + users, { subject: 'whole' }))
    await until(() => mine.wire.struck)
    mine.wire.cut()
    await until(async () => (await mine.state()).messages.nodes.length === 3)
    const { messages } = await mine.state()
    expect(messages.nodes.map(({ subject }) => subject).sort()).toEqual(['0', '1', 'whole'])
    await mine.end()
  })

  test('when most of a mailbox is gone from the server at once, a client is asked before it is gone here', async () => {
    const mine = await account(150)
    const inbox = async () => {
      const query = 'query ($id: ID!) { mailbox(id: $id) { messageCount heldDeletion } }'
      type Found = { mailbox: { messageCount: number; heldDeletion: number } }
      return (await service.ask<Found>(query, { id: await mine.mailbox('INBOX') })).mailbox
    }
    const id = await idOf(mine, '149')
    const lock = await mine.other.getMailboxLock('INBOX')
    await mine.other.messageDelete('1:120', { uid: true })
    await until(async () => (await inbox()).heldDeletion === 120)
    expect(await inbox()).toEqual({ messageCount: 150, heldDeletion: 120 })
    // what is not held goes on
    await mine.other.messageFlagsAdd('150', ['\\Flagged'], { uid: true })
    await until(async () => (await mine.message('149')).flags.includes('\\Flagged'))
    expect((await inbox()).messageCount).toBe(150)
    await service.ask('mutation ($id: ID!) { confirmDeletion(mailboxId: $id) { errors { __typename } } }', {
      id: await mine.mailbox('INBOX'),
    })
    await until(async () => (await inbox()).messageCount === 30)
    expect((await inbox()).heldDeletion).toBe(0)
    expect((await mine.message('149')).id).toBe(id)
    lock.release()
    await mine.end()
  })

  test('what others move is no deletion, nor is what a client has asked for', async () => {
    const mine = await account(150)
    const lock = await mine.other.getMailboxLock('INBOX')
    await mine.other.messageMove('1:120', 'Trash', { uid: true })
    lock.release()
    await until(async () => (await mine.shown('Trash')).length === 120)
    await until(async () => (await mine.shown('INBOX')).length === 30)
    const query = 'mutation ($id: ID!) { emptyTrash(accountId: $id) { deleted errors { __typename } } }'
    expect(await service.ask(query, { id: mine.id })).toEqual({ emptyTrash: { deleted: 120, errors: [] } })
    await mine.settled()
    expect(await mine.onServer('Trash')).toEqual([])
    const held = 'query ($id: ID!) { account(id: $id) { mailboxes { heldDeletion } } }'
    const { account: found } = await service.ask<{ account: { mailboxes: { heldDeletion: number }[] } }>(held, {
      id: mine.id,
    })
    expect(found.mailboxes.every(({ heldDeletion }) => heldDeletion === 0)).toBe(true)
    await mine.end()
  })

  test('a client that would delete most of a mailbox for good has to say that it is meant', async () => {
    const mine = await account(150)
    await mine.goOffline()
    const matching = { accountId: mine.id, mailboxId: await mine.mailbox('INBOX') }
    expect(
      (await mine.asked('deleteMessages', 'DeleteMessagesInput', { matching, forGood: true })).errors,
    ).toMatchObject([{ __typename: 'MassDeletion' }])
    expect(await mine.shown('INBOX')).toHaveLength(150)
    await mine.ask('deleteMessages', 'DeleteMessagesInput', { matching, forGood: true, confirmed: true })
    await mine.upload()
    expect(await mine.onServer('INBOX')).toEqual([])
    await mine.end()
  })
})
