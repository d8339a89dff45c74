import fc from 'fast-check'
import { DisconnectedAccount } from './support/disconnected.ts'
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { LACKING, SERVERS } from './support/mail-servers.ts'
import { Service, until } from './support/service.ts'

/** Histories, some of them at once; the long form is `MAILFOLD_CASES=1000 npm test -- test/disconnected-random`. */
const CASES = Number(process.env['MAILFOLD_CASES'] ?? 40)
const AT_ONCE = 8
/** One kill of the service in so many histories; it meets those that go on at the same time. */
const KILLED_EACH = 25

let service: Service
let made = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
})

/** How often the service was killed, and when it is there again. */
let kills = 0
let there: Promise<unknown> = Promise.resolve()

/** Kills the service and starts it again: whatever was under way ends somewhere in the middle. */
function kill(): void {
  kills++
  there = service.end('SIGKILL').then(() => service.launch())
}

/** Asks, and asks again where the service was killed meanwhile. */
async function steady<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const before = kills
    await there
    try {
      return await ask()
    } catch (error) {
      if (kills === before) throw error
    }
  }
}

const PATHS = ['INBOX', 'Work', 'Else'] as const

const subjectOf = (index: number, number: number) => `${index} ${number}`

/** Makes a user with a few messages in each mailbox. */
async function fill(server: MailServer, user: string, first: number): Promise<void> {
  const messages = PATHS.map((path, index) => {
    const raws = [0, 1].map((number) => mail(first + index * 10 + number, { subject: subjectOf(index, number) }))
    return [path, raws] as const
  })
  await server.fill(user, Object.fromEntries(messages))
}

type Step = readonly [kind: number, one: number, other: number]

const step: fc.Arbitrary<Step> = fc.tuple(fc.nat(14), fc.nat(100), fc.nat(100))

/** An account, another client, and a connection that breaks, doing what numbers say. */
class Random {
  readonly mine: DisconnectedAccount
  /** subjects of messages that somebody has asked to go for good */
  readonly goes = new Set<string>()
  readonly subjects = new Set<string>()
  /** subjects of messages that another client has moved, once for each time */
  readonly moved: string[] = []

  constructor(mine: DisconnectedAccount) {
    this.mine = mine
  }

  /** A step of which the answer is lost when the service is killed may have been done, or not: it is not taken again. */
  async take(step: Step): Promise<void> {
    await there
    const before = kills
    await this.taken(step).catch((error: unknown) => {
      if (kills === before) throw error
    })
    await there
  }

  private async taken([kind, one, other]: Step): Promise<void> {
    const { mine } = this
    const path = PATHS[other % 3] ?? 'INBOX'
    if (kind === 0) return mine.wire.cut()
    if (kind === 1) return mine.goOffline()
    if (kind === 2) return mine.goOnline()
    if (kind === 14) return this.select(path, one % 3 ? 'NONE' : 'HEADERS')
    if (kind <= 5) return this.others(one % 4, one, path)
    const shown = (await mine.state()).messages.nodes
    const some = shown.filter((_, index) => (index + one) % 3 === 0)
    const messages = some.map(({ id }) => id)
    if (kind === 6) await this.append(path, one)
    else if (messages.length === 0) return
    else if (kind <= 8)
      await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: messages, add: [FLAGS[one % 3]] })
    else if (kind === 9)
      await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: messages, remove: [FLAGS[one % 3]] })
    else if (kind <= 11)
      await mine.asked('moveMessages', 'MoveMessagesInput', {
        messageIds: messages,
        mailboxId: await mine.mailbox(path),
      })
    else if (kind === 12) {
      this.goes.add(some[0]?.subject ?? '')
      await mine.asked('deleteMessages', 'DeleteMessagesInput', { messageIds: messages.slice(0, 1), forGood: true })
    } else {
      const [last] = (await mine.state()).operations.nodes.filter(({ state }) => state === 'PENDING')
      if (last) await mine.undo(last.id)
    }
  }

  /** Leaves a mailbox out of the index, or takes it in. */
  async select(path: string, keep: string): Promise<void> {
    const { mine } = this
    const input = { accountId: mine.id, mailboxId: await mine.mailbox(path), selection: { keep } }
    const query = 'mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }'
    expect(await service.ask(query, { input })).toEqual({ setSelection: { errors: [] } })
  }

  private async append(path: string, one: number): Promise<void> {
    const subject = `made ${one} ${++made}`
    this.subjects.add(subject)
    // it may be undone again
    this.goes.add(subject)
    await this.mine.append(path, mail(50_000 + made, { subject }))
  }

  private async others(action: number, one: number, path: string): Promise<void> {
    const other = await this.mine.connectedOther()
    const from = PATHS[one % 3] ?? 'INBOX'
    const lock = await other.getMailboxLock(from)
    try {
      const exists = other.mailbox ? other.mailbox.exists : 0
      const which = String((one % Math.max(1, exists)) + 1)
      if (action === 0 || exists === 0) {
        const subject = `new ${++made}`
        this.subjects.add(subject)
        await other.append(from, mail(60_000 + made, { subject }))
      } else if (action === 1) await other.messageFlagsAdd(which, [FLAGS[one % 3] ?? ''])
      else if (action === 2 && path !== from) {
        const found = await other.fetchOne(which, { envelope: true })
        if (found) this.moved.push(found.envelope?.subject ?? '')
        await other.messageMove(which, path)
      } else if (action === 3) {
        const found = await other.fetchOne(which, { envelope: true })
        if (found) this.goes.add(found.envelope?.subject ?? '')
        await other.messageDelete(which)
      }
    } finally {
      lock.release()
    }
  }
}

const FLAGS = ['\\Seen', '\\Flagged', 'work']

async function run(
  server: MailServer,
  steps: readonly Step[],
  hidden: readonly string[],
  policy: string,
): Promise<void> {
  const user = `random${++made}`
  await fill(server, user, made * 100)
  const mine = await steady(() => DisconnectedAccount.connect(service, server, user, hidden))
  try {
    await steady(() => mine.setPolicy(policy))
    const random = new Random(mine)
    for (const each of steps) await random.take(each)
    await steady(() => mine.goOnline())
    await steady(() => mine.syncNow())
    for (const path of PATHS) await steady(() => random.select(path, 'HEADERS'))
    const operations = await steady(() => mine.settled())
    for (const { state } of operations) expect(['APPLIED', 'SUPERSEDED', 'REJECTED', 'UNDONE']).toContain(state)

    const line = (path: string, subject: string, flags: string[]) => `${path}: ${subject} ${[...flags].sort().join()}`
    const sides = async () => {
      await mine.syncNow()
      const { messages } = await mine.state()
      // without UIDPLUS what is deleted stays, marked; where somebody else's change comes first by policy, it is shown so
      const isMarked = (flags: string[]) => hidden.includes('UIDPLUS') && flags.includes('\\Deleted')
      const shown = messages.nodes.flatMap(({ mailbox, subject, flags }) =>
        isMarked(flags) ? [] : [line(mailbox.path, subject, flags)],
      )
      const there: string[] = []
      for (const path of [...PATHS, 'Trash'])
        for (const { subject, flags } of await mine.onServer(path))
          if (!isMarked(flags)) there.push(line(path, subject, flags))
      return { shown: shown.sort(), there: there.sort() }
    }
    let last = await steady(sides)
    await steady(() =>
      until(async () => {
        last = await sides()
        return JSON.stringify(last.shown) === JSON.stringify(last.there)
      }),
    ).catch(() => expect(last.shown).toEqual(last.there))
    const subjects = last.there.map((one) => one.replace(/^\w+: (.*) \S*$/, '$1'))
    const sent = [0, 1, 2].flatMap((index) => [0, 1].map((number) => subjectOf(index, number)))
    for (const subject of [...sent, ...random.subjects]) {
      const times = subjects.filter((one) => one === subject).length
      // without MOVE a message is copied first, and somebody may move the one that is then to go
      const twice = hidden.includes('MOVE') ? random.moved.filter((one) => one === subject).length : 0
      if (!random.subjects.has(subject) && !random.goes.has(subject)) expect(times).toBeGreaterThan(0)
      expect({ subject, times }).toEqual({ subject, times: Math.min(times, 1 + twice) })
    }
  } finally {
    await steady(() => mine.end())
  }
}

/** What servers lack in a history; without MOVE and UIDPLUS what is moved is only marked. */
const HIDDEN = [...LACKING, ['MOVE', 'UIDPLUS']]

describe.each(SERVERS)('on $name', ({ start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  test('the newest message, expunged while there was no connection, goes here as well', async () => {
    const user = `random${++made}`
    await fill(server, user, made * 100)
    const mine = await DisconnectedAccount.connect(service, server, user)
    await mine.goOffline()
    await mine.other.mailboxOpen('Else')
    await mine.other.messageDelete('2')
    await mine.goOnline()
    await until(async () => (await mine.shown('Else')).length === 1)
    await mine.end()
  })

  test('whatever client, another client and the connection do: in the end all agree, and nothing is lost or doubled', async () => {
    const histories = fc.sample(
      fc.record({
        steps: fc.array(step, { minLength: 3, maxLength: 14 }),
        hidden: fc.constantFrom(...HIDDEN),
        policy: fc.constantFrom('ASK', 'CLIENT_WINS', 'SERVER_WINS'),
      }),
      CASES,
    )
    let at = 0
    const work = async () => {
      for (let history = histories[at++]; history; history = histories[at++]) {
        if (at % KILLED_EACH === 0) setTimeout(kill, 300)
        const { steps, hidden, policy } = history
        await run(server, steps, hidden, policy).catch((error: Error) => {
          throw new Error(`${JSON.stringify(history)}: ${error.message}`, { cause: error })
        })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }, 3_600_000)
})
