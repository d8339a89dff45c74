/* Each change of an ONLINE account, when the server is gone, slow, does not allow it, or has the message no longer; and who sees it. */
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { SERVERS } from './support/mail-servers.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

let service: Service
let made = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_OPERATION_TIMEOUT: '700' })
})

afterAll(() => service?.stop())

/** The message that is changed, the mailbox that it is in, and another one. */
type Place = { subject: string; path: string; other: string }
const INBOX: Place = { subject: '1', path: 'INBOX', other: 'Work' }
const WORK: Place = { subject: '2', path: 'Work', other: 'INBOX' }

/** A change: what asks for it, and the commands by which the server is told of it. */
type Change = { field: string; input: string; asks: (mine: OnlineAccount, on: Place) => Promise<object>; told: RegExp }

const one = async (mine: OnlineAccount, { subject }: Place) => ({ messageIds: [(await mine.message(subject)).id] })

const OF_MESSAGES: Change[] = [
  {
    field: 'changeFlags',
    input: 'ChangeFlagsInput',
    asks: async (mine, on) => ({ ...(await one(mine, on)), add: ['\\Flagged'] }),
    told: /^UID STORE/,
  },
  {
    field: 'moveMessages',
    input: 'MoveMessagesInput',
    asks: async (mine, on) => ({ ...(await one(mine, on)), mailboxId: await mine.mailbox(on.other) }),
    told: /^UID (MOVE|COPY)/,
  },
  {
    field: 'copyMessages',
    input: 'CopyMessagesInput',
    asks: async (mine, on) => ({ ...(await one(mine, on)), mailboxId: await mine.mailbox(on.other) }),
    told: /^UID COPY/,
  },
  {
    field: 'deleteMessages',
    input: 'DeleteMessagesInput',
    asks: async (mine, on) => ({ ...(await one(mine, on)), forGood: true }),
    told: /^UID (STORE|EXPUNGE)/,
  },
]

const OTHERS: Change[] = [
  {
    field: 'appendMessage',
    input: 'AppendMessageInput',
    asks: async (mine, on) => ({
      mailboxId: await mine.mailbox(on.path),
      raw: Buffer.from(mail(90_000 + ++made, { subject: 'appended' })).toString('base64'),
    }),
    told: /^APPEND/,
  },
  {
    field: 'createMailbox',
    input: 'CreateMailboxInput',
    asks: async (mine) => ({ accountId: mine.id, path: 'Made' }),
    told: /^CREATE/,
  },
  {
    field: 'renameMailbox',
    input: 'RenameMailboxInput',
    asks: async (mine) => ({ mailboxId: await mine.mailbox('Empty'), path: 'Renamed' }),
    told: /^RENAME/,
  },
  {
    field: 'deleteMailbox',
    input: 'DeleteMailboxInput',
    asks: async (mine) => ({ mailboxId: await mine.mailbox('Empty') }),
    told: /^DELETE/,
  },
  {
    field: 'subscribeMailbox',
    input: 'SubscribeMailboxInput',
    asks: async (mine) => ({ mailboxId: await mine.mailbox('Empty'), subscribed: true }),
    told: /^SUBSCRIBE/,
  },
]

const create = OTHERS.find(({ field }) => field === 'createMailbox') as Change

const ALL = [...OF_MESSAGES, ...OTHERS].map((change) => [change.field, change] as const)

const line = ({ subject, mailbox, flags }: { subject: string; mailbox: { path: string }; flags: string[] }) =>
  `${mailbox.path} ${subject} ${flags.join()}`

/** What is shown, in one form. */
async function shown(mine: OnlineAccount): Promise<string[]> {
  const { mailboxes, messages } = await mine.state()
  return [...mailboxes.map(({ path, isSubscribed }) => `${path} ${isSubscribed}`), ...messages.nodes.map(line)].sort()
}

describe.each(SERVERS)('on $name', ({ name, start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start(true)
  })
  afterAll(() => server?.stop())

  async function account(): Promise<OnlineAccount> {
    const user = `outcome${++made}`
    const raw = (subject: string) => mail(made * 100 + Number(subject), { subject })
    await server.fill(user, { INBOX: ['0', '1'].map(raw), Work: [raw('2')], Empty: [] })
    const mine = await OnlineAccount.connect(service, server, user)
    await mine.session()
    return mine
  }

  test.each(ALL)('%s: refused when the server is gone, and nothing is other than before', async (_, change) => {
    const mine = await account()
    const before = await shown(mine)
    const input = await change.asks(mine, INBOX)
    mine.wire.isDown = true
    mine.wire.cut()
    await mine.untilState('DISCONNECTED')
    const { errors } = await mine.asked(change.field, change.input, input)
    expect(errors.map((error) => error.__typename)).toEqual(['NoConnection'])
    expect(await shown(mine)).toEqual(before)
    expect((await mine.state()).operations.nodes).toEqual([])
    await mine.end()
  })

  test.each(ALL)(
    '%s: lost on its way, it is not done later on, and nothing is other than before',
    async (_, change) => {
      const mine = await account()
      const before = await shown(mine)
      const input = await change.asks(mine, INBOX)
      mine.wire.answering = (command) => (change.told.test(command) ? 'hold' : null)
      const asked = mine.asked(change.field, change.input, input)
      await until(() => mine.wire.struck)
      mine.wire.cut()
      mine.wire.answering = () => null
      const { errors } = await asked
      expect(['NoConnection', 'OutcomeUnknown']).toContain(errors[0]?.__typename)
      const [operation] = await mine.settled()
      expect(operation).toMatchObject({ state: 'REJECTED', reason: 'NO_CONNECTION' })
      await until(async () => JSON.stringify(await shown(mine)) === JSON.stringify(before)).catch(async () =>
        expect(await shown(mine)).toEqual(before),
      )
      await mine.end()
    },
  )

  test.each(ALL)('%s: of a slow server the outcome is unknown, and shows when it is known', async (_, change) => {
    const mine = await account()
    const input = await change.asks(mine, INBOX)
    mine.wire.answering = (command) => (change.told.test(command) ? 'hold answer' : null)
    const { errors, operation } = await mine.asked(change.field, change.input, input)
    expect(errors.map((error) => error.__typename)).toEqual(['OutcomeUnknown'])
    expect(operation?.state).toBe('SENT')
    mine.wire.answering = () => null
    mine.wire.cut()
    const [settled] = await mine.settled()
    // a deletion that is cut off between its two commands has done nothing yet
    const isHalf = change.field === 'deleteMessages'
    expect(isHalf ? ['APPLIED', 'REJECTED'] : ['APPLIED']).toContain(settled?.state)
    await mine.end()
  })

  test('what a user may not do is refused with that reason, and nothing is other than before', async () => {
    const mine = await account()
    // to see and read, and no more (RFC 4314)
    const user = `outcome${made}`
    await server.allow(user, 'Work', 'lr')
    await server.allow(user, 'Empty', 'lr')
    const sessions = mine.wire.asked.length
    mine.wire.cut()
    await until(() => mine.wire.asked.length > sessions)
    await mine.untilState('CONNECTED')
    const before = await shown(mine)
    const isAsBefore = async () => JSON.stringify(await shown(mine)) === JSON.stringify(before)
    for (const change of [...OF_MESSAGES.filter(({ field }) => field !== 'copyMessages'), OTHERS[0] as Change]) {
      const { operation } = await mine.asked(change.field, change.input, await change.asks(mine, WORK))
      expect([change.field, operation?.state, operation?.reason]).toEqual([change.field, 'REJECTED', 'NO_PERMISSION'])
      // what was made here and refused is dropped a moment later
      await until(isAsBefore)
    }
    const below: Change = { ...create, asks: async ({ id }) => ({ accountId: id, path: 'Empty/Made' }) }
    // Cyrus lets owners make, rename and delete mailboxes whatever the rights say
    const ofMailboxes = [below, ...OTHERS.filter(({ field }) => /^(rename|delete)Mailbox/.test(field))]
    for (const change of name === 'Cyrus' ? [] : ofMailboxes) {
      const { operation } = await mine.asked(change.field, change.input, await change.asks(mine, WORK))
      expect([change.field, operation?.state, operation?.reason]).toEqual([change.field, 'REJECTED', 'NO_PERMISSION'])
      await until(isAsBefore)
    }
    await mine.end()
  })

  test('what there is no room for is refused with that reason, and nothing is other than before', async () => {
    const mine = await account()
    const large = mail(made * 100 + 80, { subject: 'large', body: 'x'.repeat(40_000) })
    const fits = await mine.append('Work', large)
    expect(fits.operation?.state).toBe('APPLIED')
    const before = await shown(mine)
    const copied = await mine.copy([(await mine.message('large')).id], 'INBOX')
    const appended = await mine.append('INBOX', mail(made * 100 + 81, { body: 'y'.repeat(40_000) }))
    for (const { operation } of [copied, appended])
      expect(operation).toMatchObject({ state: 'REJECTED', reason: 'OVER_QUOTA' })
    await until(async () => JSON.stringify(await shown(mine)) === JSON.stringify(before))
    await mine.end()
  })

  test('what is gone on the server is said to be', async () => {
    for (const change of OF_MESSAGES) {
      const mine = await account()
      const input = await change.asks(mine, INBOX)
      const lock = await mine.other.getMailboxLock('INBOX')
      await mine.other.messageDelete({ subject: '1' })
      lock.release()
      const { operation, errors } = await mine.asked(change.field, change.input, input)
      // it may be known already, or be found out by what is asked
      if (errors.length > 0) expect(errors[0]?.__typename).toMatch(/MessageNotFound|OutcomeUnknown/)
      await mine.settled()
      const ended = operation && (await mine.operation(operation.id))
      if (ended) expect(['MESSAGE_GONE', null]).toContain(ended.reason)
      await until(async () => !(await mine.state()).messages.nodes.some(({ subject }) => subject === '1'))
      await mine.end()
    }
  })

  test('two sessions and another client: each sees what the others do, in one order', async () => {
    const mine = await account()
    await mine.openSession()
    const seen: string[][] = [[], []]
    const sockets = seen.map((told) => {
      const socket = service.socket()
      const query = `subscription ($id: ID!) { changes(accountId: $id) { ... on Change { version type } } }`
      socket.subscribe<{ changes: { version: number; type: string } }>(
        { query, variables: { id: mine.id } },
        {
          next: ({ data }) => told.push(`${data?.changes.version} ${data?.changes.type}`),
          error: () => undefined,
          complete: () => undefined,
        },
      )
      return socket
    })
    const [zero, first] = await mine.shown('INBOX')
    // each change of another client is seen; how soon, bench:latency tells
    for (const flag of ['$One', '$Two', '$Three', '$Four', '$Five']) {
      const lock = await mine.other.getMailboxLock('INBOX')
      await mine.other.messageFlagsAdd({ subject: '1' }, [flag]).finally(() => lock.release())
      const told = [seen[0]?.length ?? 0, seen[1]?.length ?? 0]
      await until(() => seen.every((each, index) => each.length > (told[index] ?? 0)))
    }
    await mine.flags([zero?.id ?? ''], ['\\Seen'])
    await mine.other.append('INBOX', mail(made * 100 + 70, { subject: 'by another' }))
    await mine.move([first?.id ?? ''], 'Work')
    await mine.other.mailboxOpen('INBOX')
    await mine.other.messageFlagsAdd({ subject: '0' }, ['\\Answered'])
    await until(async () => {
      const inbox = await mine.shown('INBOX')
      const isFlagged = inbox.some(({ subject, flags }) => subject === '0' && flags.includes('\\Answered'))
      return isFlagged && inbox.some(({ subject }) => subject === 'by another')
    })
    const { account: now } = await service.ask<{ account: { version: number } }>(
      'query ($id: ID!) { account(id: $id) { version } }',
      { id: mine.id },
    )
    await until(() => seen.every((told) => Number(told.at(-1)?.split(' ')[0]) > now.version - 1))
    const [one = [], other = []] = seen.map((told) => told.filter((each) => Number(each.split(' ')[0]) <= now.version))
    expect(one.slice(-Math.min(one.length, other.length))).toEqual(other.slice(-Math.min(one.length, other.length)))
    expect(one.length).toBeGreaterThan(5)
    for (const socket of sockets) void socket.dispose()
    await mine.end()
  })

  test(`${name}: a mailbox is opened read-only by another, and changed here all the same`, async () => {
    const mine = await account()
    await mine.other.mailboxOpen('INBOX', { readOnly: true })
    expect((await mine.flags([(await mine.message('1')).id], ['\\Seen'])).operation?.state).toBe('APPLIED')
    await mine.end()
  })
})
