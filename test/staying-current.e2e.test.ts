import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ImapFlow } from 'imapflow'
import type { Client } from 'graphql-ws'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let users = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({
    MAILFOLD_TLS_CA: dovecot.authorityFile,
    MAILFOLD_CHECK_INTERVAL: '1000',
    MAILFOLD_ANSWER_TIMEOUT: '2000',
  })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Change = {
  __typename: string
  type: string
  version: number
  messageId?: string
  mailboxId?: string
  origin?: string
  subject?: string
  flags?: string[]
  path?: string
  movedFrom?: string
  copyOf?: string
}

const CHANGES = `subscription ($id: ID!, $after: String) { changes(accountId: $id, after: $after) {
  __typename ... on Change { type version } ... on MailboxChange { mailboxId path }
  ... on MessageAddedChange { messageId mailboxId origin subject flags movedFrom copyOf }
  ... on MessageFlagsChange { messageId mailboxId flags } ... on MessageExpungedChange { messageId mailboxId }
} }`

/** An account that is in sync, with a second client on its mailbox, and everything that is told of it from then on. */
class Watched {
  readonly changes: Change[] = []
  readonly other: ImapFlow
  readonly user: string
  readonly id: string
  private readonly socket: Client

  private constructor(user: string, id: string, other: ImapFlow) {
    this.user = user
    this.id = id
    this.other = other
    this.socket = service.socket()
  }

  static async begin(server: { host: string; port: number; security: string }): Promise<Watched> {
    const user = `user${++users}`
    // UIDs that differ from sequence numbers, and two of everything
    await fillMaildir(dovecot.mailOf(user), null, 12, (number) => mail(100 * users + number))
    await fillMaildir(dovecot.mailOf(user), 'Projects', 3, (number) => mail(100 * users + 50 + number))
    const other = await dovecot.client(user)
    await other.mailboxOpen('INBOX')
    await other.messageDelete('2:3', { uid: true })
    const id = await service.connect({ ...server, username: user, password: PASSWORD })
    await service.synced(id)
    const watched = new Watched(user, id, other)
    const cursor = (
      await service.ask<{ account: { cursor: string } }>('query ($id: ID!) { account(id: $id) { cursor } }', { id })
    ).account.cursor
    void watched.listen(cursor)
    return watched
  }

  private async listen(after: string): Promise<void> {
    const results = this.socket.iterate<{ changes: Change }>({ query: CHANGES, variables: { id: this.id, after } })
    try {
      for await (const { data } of results) if (data) this.changes.push(data.changes)
    } catch {
      // the test is over
    }
  }

  /** Waits for changes of the given kinds. */
  async told(wanted: (change: Change) => boolean, count = 1): Promise<Change[]> {
    await until(() => this.changes.filter(wanted).length >= count).catch((error: Error) => {
      throw new Error(`${error.message}; told was ${JSON.stringify(this.changes)}; ${service.said()}`)
    })
    return this.changes.filter(wanted)
  }

  async mailbox(path: string): Promise<{ id: string; messageCount: number; unreadCount: number } | undefined> {
    const query = 'query ($id: ID!) { account(id: $id) { mailboxes { id path messageCount unreadCount } } }'
    type Found = { account: { mailboxes: { id: string; path: string; messageCount: number; unreadCount: number }[] } }
    const { account } = await service.ask<Found>(query, { id: this.id })
    return account.mailboxes.find((mailbox) => mailbox.path === path)
  }

  async uids(path: string): Promise<number[]> {
    const mailbox = await this.mailbox(path)
    const query = 'query ($id: ID!) { mailbox(id: $id) { messages(first: 500) { nodes { uid } } } }'
    const { mailbox: found } = await service.ask<{ mailbox: { messages: { nodes: { uid: number }[] } } }>(query, {
      id: mailbox?.id,
    })
    return found.messages.nodes.map((node) => node.uid).sort((one, other) => one - other)
  }

  end(): void {
    void this.socket.dispose()
    this.other.close()
  }
}

const arrivedAs = (subject: string) => (change: Change) =>
  change.__typename === 'MessageAddedChange' && change.subject === subject

const kinds = ['every extension', 'none'] as const

describe.each(kinds)('on a server with %s', (kind) => {
  const which = kinds.indexOf(kind)
  let watched: Watched

  beforeAll(async () => {
    const tls = { host: 'localhost', port: dovecot.imapsPort, security: 'IMPLICIT_TLS' }
    const plain = { host: Dovecot.plainAddress, port: dovecot.imapPort, security: 'PLAINTEXT' }
    watched = await Watched.begin(kind === 'none' ? plain : tls)
  })

  afterAll(() => watched.end())

  test('the first sync announces nothing as new mail', async () => {
    expect(await watched.uids('INBOX')).toEqual([1, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect(watched.changes.filter((change) => change.origin === 'ARRIVED')).toEqual([])
  })

  test('a message that arrives is told once', async () => {
    await dovecot.deliver(watched.user, mail(9000 + which, { subject: 'fresh' }))
    expect(await watched.told(arrivedAs('fresh'))).toMatchObject([{ origin: 'ARRIVED' }])
  })

  test('a message in another mailbox than INBOX is told as well', async () => {
    await watched.other.append('Junk', mail(9010 + which, { subject: 'in junk' }))
    await watched.told(arrivedAs('in junk'))
  })

  test('flags that another client sets are told with what results', async () => {
    await watched.other.mailboxOpen('INBOX')
    await watched.other.messageFlagsAdd('5', ['\\Seen', '\\Flagged', 'todo'], { uid: true })
    const changes = await watched.told((change) => change.type === 'MessageFlagsChanged')
    expect(changes[0]?.flags).toEqual(['\\Flagged', '\\Seen', 'todo'])
    const before = (await watched.mailbox('INBOX'))?.unreadCount ?? 0
    await watched.other.messageFlagsRemove('5', ['\\Seen'], { uid: true })
    await until(async () => (await watched.mailbox('INBOX'))?.unreadCount === before + 1)
  })

  test('a message that another client expunges goes', async () => {
    await watched.other.mailboxOpen('INBOX')
    await watched.other.messageDelete('7', { uid: true })
    await watched.told((change) => change.type === 'MessageExpunged')
    expect(await watched.uids('INBOX')).not.toContain(7)
  })

  test('a message that is moved keeps its id, and is not new', async () => {
    await watched.other.mailboxOpen('INBOX')
    await watched.other.messageMove('9', 'Projects', { uid: true })
    const [moved] = await watched.told((change) => change.type === 'MessageMoved')
    expect(moved).toMatchObject({ origin: 'MOVED', mailboxId: (await watched.mailbox('Projects'))?.id })
    await until(async () => !(await watched.uids('INBOX')).includes(9))
  })

  test('a message that is moved into a mailbox that was just made keeps its id as well, and what else is there is old mail', async () => {
    const { other } = watched
    await other.mailboxCreate('Fresh')
    await other.append('Fresh', mail(9_900 + which, { subject: 'was there before' }))
    await other.mailboxOpen('INBOX')
    await other.messageMove('4:5', 'Fresh', { uid: true })
    await until(async () => (await watched.mailbox('Fresh'))?.messageCount === 3)
    const fresh = (await watched.mailbox('Fresh'))?.id
    const into = watched.changes.filter((change) => 'origin' in change && change.mailboxId === fresh)
    expect(into.map(({ type, origin }) => [type, origin]).sort()).toEqual([
      // whichever of the two was seen first, the mailbox or the message in it
      ['MessageAdded', expect.stringMatching(/EXISTING|ARRIVED/) as string],
      ['MessageMoved', 'MOVED'],
      ['MessageMoved', 'MOVED'],
    ])
    await until(async () => !(await watched.uids('INBOX')).includes(4))
  })

  test('a message that is copied is a copy, and one that is uploaded again is that', async () => {
    await watched.other.mailboxOpen('INBOX')
    await watched.other.messageCopy('10', 'Projects', { uid: true })
    const copies = await watched.told((change) => change.origin === 'COPIED')
    expect(copies[0]?.copyOf).toBeTruthy()
    const { content } = await watched.other.download('11', undefined, { uid: true })
    await watched.other.append('Projects', await buffer(content as Readable), [], new Date('2020-05-05T05:05:05Z'))
    await watched.told((change) => change.origin === 'UPLOADED_AGAIN')
  })

  test('mailboxes are created, renamed and deleted', async () => {
    await watched.other.mailboxCreate('Plans')
    await watched.told((change) => change.type === 'MailboxDiscovered' && change.path === 'Plans')
    await watched.other.append('Plans', mail(9030 + which, { subject: 'a plan' }))
    await watched.told(arrivedAs('a plan'))
    await watched.other.mailboxRename('Plans', 'Old plans')
    await watched.told((change) => change.type === 'MailboxRenamed' && change.path === 'Old plans')
    expect((await watched.mailbox('Old plans'))?.messageCount).toBe(1)
    await watched.other.mailboxDelete('Old plans')
    await watched.told((change) => change.type === 'MailboxDeleted' && change.path === 'Old plans')
    expect(await watched.mailbox('Old plans')).toBeUndefined()
  })

  test('a mailbox that is numbered anew gives one reset: its messages stay what they are, and none is announced', async () => {
    const inbox = await watched.mailbox('INBOX')
    const query = 'query ($id: ID!) { mailbox(id: $id) { messages(first: 500) { nodes { id } } } }'
    type Found = { mailbox: { messages: { nodes: { id: string }[] } } }
    const ids = async () =>
      (await service.ask<Found>(query, { id: inbox?.id })).mailbox.messages.nodes.map((node) => node.id).sort()
    const before = await ids()
    const told = watched.changes.length
    // an old server that was restored from its files alone: Dovecot makes a new UIDVALIDITY
    await watched.other.mailboxOpen('Projects')
    await dovecot.kill()
    for (const name of [
      'dovecot-uidlist',
      'dovecot.index',
      'dovecot.index.log',
      'dovecot.index.cache',
      'dovecot.list.index',
      'dovecot.list.index.log',
      'dovecot-uidvalidity',
    ]) {
      await rm(`${dovecot.mailOf(watched.user)}/${name}`, { force: true })
    }
    await dovecot.restart()
    await watched.told((change) => change.type === 'MailboxReset' && change.mailboxId === inbox?.id)
    await service.synced(watched.id)
    expect(await ids()).toEqual(before)
    const since = watched.changes.slice(told)
    expect(since.filter((change) => change.type === 'MailboxReset' && change.mailboxId === inbox?.id)).toHaveLength(1)
    expect(
      since.filter((change) => change.__typename === 'MessageAddedChange' && change.mailboxId === inbox?.id),
    ).toEqual([])
    watched.other.close()
    Object.assign(watched, { other: await dovecot.client(watched.user) })
    await dovecot.deliver(watched.user, mail(9050 + which, { subject: 'after the reset' }))
    expect(await watched.told(arrivedAs('after the reset'))).toMatchObject([{ origin: 'ARRIVED' }])
  })

  test('after the server was away, the connection comes back by itself, with what happened meanwhile', async () => {
    await dovecot.kill()
    const state = async () =>
      (
        await service.ask<{ account: { connection: { state: string } } }>(
          'query ($id: ID!) { account(id: $id) { connection { state } } }',
          { id: watched.id },
        )
      ).account.connection.state
    await until(async () => (await state()) === 'DISCONNECTED')
    await dovecot.restart()
    await dovecot.deliver(watched.user, mail(9040 + which, { subject: 'while you were away' }))
    await watched.told(arrivedAs('while you were away'))
    expect(await state()).toBe('CONNECTED')
  })

  test('the versions of all that was told have no gap', () => {
    const versions = watched.changes.map((change) => change.version)
    expect(versions).toEqual(versions.map((_, index) => (versions[0] ?? 0) + index))
  })
})

test('a server that has had nothing to say for a while still tells of new mail at once', async () => {
  const quiet = await Service.start({ MAILFOLD_CHECK_INTERVAL: '600000', MAILFOLD_ANSWER_TIMEOUT: '2000' })
  try {
    await dovecot.fill('quiet', { INBOX: [mail(1, { subject: 'first' })] })
    const mine = await DisconnectedAccount.connect(quiet, dovecot, 'quiet')
    for (let turn = 0; turn < 3; turn++) {
      await sleep(2_300)
      await dovecot.deliver('quiet', mail(10 + turn, { subject: `after a pause ${turn}` }))
      await until(async () => (await mine.shown('INBOX')).length === 2 + turn)
    }
    await mine.end()
  } finally {
    await quiet.stop()
  }
})

test('a service that was killed holds its accounts again as soon as it is back', async () => {
  const killed = await Service.start({ MAILFOLD_LEASE: '25000' })
  try {
    await dovecot.fill('killed', { INBOX: [mail(1, { subject: 'first' })] })
    const mine = await DisconnectedAccount.connect(killed, dovecot, 'killed')
    await killed.end('SIGKILL')
    await dovecot.deliver('killed', mail(2, { subject: 'came while it was away' }))
    await killed.launch()
    // before the lease of the process that was killed runs out
    await until(async () => (await mine.shown('INBOX')).length === 2, 20_000)
    await mine.end()
  } finally {
    await killed.stop()
  }
})
