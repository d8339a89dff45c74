/* Names that mean the same in another case, and mailboxes that are not the user's own: each operation has one outcome, soon. */
import { Cyrus } from './support/cyrus.ts'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { Service, until } from './support/service.ts'

let service: Service
let users = 0

/** A namespace of mailboxes that are shared by all. @param listed whether LIST gives them along with the user's own */
const shared = (listed: string) => `
namespace public {
  type = public
  separator = /
  prefix = Public/
  location = maildir:~/public
  list = ${listed}
  subscriptions = no
}`

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
})

const MAILBOXES =
  'query ($id: ID!) { account(id: $id) { mailboxes { path namespace attributes isPending isSubscribed } } }'
type Listed = { path: string; namespace: string; attributes: string[]; isPending: boolean; isSubscribed: boolean }

async function begin(server: MailServer): Promise<DisconnectedAccount> {
  const user = `named${++users}`
  await server.fill(user, { Home: [mail(users * 10, { subject: 'first' }), mail(users * 10 + 1, { subject: 'm' })] })
  return DisconnectedAccount.connect(service, server, user)
}

async function listed(mine: DisconnectedAccount, path: RegExp): Promise<Listed[]> {
  const { account } = await service.ask<{ account: { mailboxes: Listed[] } }>(MAILBOXES, { id: mine.id })
  return account.mailboxes.filter((mailbox) => path.test(mailbox.path))
}

async function outcome(mine: DisconnectedAccount, asked: Promise<{ id: string }>): Promise<string> {
  const { id } = await asked
  await mine.settled()
  return (await mine.operation(id)).state
}

describe.each<[string, () => Promise<MailServer>]>([
  ['Dovecot', () => Dovecot.start()],
  ['Cyrus', () => Cyrus.start()],
])('on %s', (_, start) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  test('INBOX is INBOX in any case, also as the first part of a path', async () => {
    const mine = await begin(server)
    const created = await mine.create('iNbOx/Case')
    expect(created.mailbox?.path).toBe('INBOX/Case')
    await mine.settled()
    const { state, reason } = await mine.operation(created.id)
    // a server may have no mailboxes below INBOX
    expect(['APPLIED', 'REJECTED']).toContain(state)
    if (state === 'REJECTED') expect(reason).not.toBeNull()
    expect(await listed(mine, /^inbox.case$/i)).toMatchObject([{ path: 'INBOX/Case', isPending: false }])
    expect(
      (await mine.asked('createMailbox', 'CreateMailboxInput', { accountId: mine.id, path: 'inbox/Case' })).errors,
    ).toMatchObject([{ __typename: 'MailboxExists' }])
    const renamed = await mine.ask('renameMailbox', 'RenameMailboxInput', {
      mailboxId: await mine.mailbox('Home'),
      path: 'inBOX/House',
    })
    expect(renamed.mailbox?.path).toBe('INBOX/House')
    await mine.settled()
    expect(await listed(mine, /house|home/i)).toHaveLength(1)
    await mine.end()
  })

  test('system flags are the same in any case, and what is no flag is refused', async () => {
    const mine = await begin(server)
    const { id } = await mine.message('m')
    expect(await outcome(mine, mine.flags([id], ['\\seen', '\\FLAGGED', '\\answereD', '\\dRAFT']))).toBe('APPLIED')
    const flags = ['\\Answered', '\\Draft', '\\Flagged', '\\Seen']
    expect((await mine.message('m')).flags).toEqual(flags)
    expect((await mine.onServer('Home')).find(({ subject }) => subject === 'm')?.flags).toEqual(flags)
    expect(await outcome(mine, mine.flags([id], ['\\SEEN'], ['\\flagged']))).toBe('APPLIED')
    expect((await mine.message('m')).flags).toEqual(['\\Answered', '\\Draft', '\\Seen'])
    for (const flag of ['\\recent', '\\Recent', '\\other', 'two words', '', 'a(b'])
      expect(
        (await mine.asked('changeFlags', 'ChangeFlagsInput', { messageIds: [id], add: [flag] })).errors,
      ).toMatchObject([{ __typename: 'InvalidSettings' }])
    await mine.end()
  })

  test('a mailbox that the list leaves out is there, by its name', async () => {
    const mine = await begin(server)
    await mine.goOffline()
    const created = mine.create('Quiet')
    await created
    mine.wire.unlisted = /^\* (LIST|LSUB|STATUS) .*Quiet/
    await mine.goOnline()
    expect(await outcome(mine, created)).toBe('APPLIED')
    expect(await listed(mine, /Quiet/)).toMatchObject([{ isPending: false, isSubscribed: true }])
    const mailboxId = await mine.mailbox('Quiet')
    const unsubscribed = mine.ask('subscribeMailbox', 'SubscribeMailboxInput', { mailboxId, subscribed: false })
    expect(await outcome(mine, unsubscribed)).toBe('APPLIED')
    expect(await outcome(mine, mine.append('Quiet', mail(users * 10 + 5, { subject: 'put' })))).toBe('APPLIED')
    expect((await mine.onServer('Quiet')).map(({ subject }) => subject)).toEqual(['put'])
    await mine.end()
  })

  test('a mailbox that the server would not make is kept, and nothing of it is pending', async () => {
    const mine = await begin(server)
    mine.wire.answering = (command) => (/^CREATE/.test(command) ? 'NO not today' : null)
    expect(await outcome(mine, mine.create('Refused'))).toBe('REJECTED')
    expect(await listed(mine, /Refused/)).toMatchObject([{ isPending: false }])
    await mine.end()
  })
})

describe.each(['no', 'children', 'yes'])('where a shared namespace is listed: %s', (list) => {
  let server: Dovecot
  beforeAll(async () => {
    server = await Dovecot.start(shared(list))
  })
  afterAll(() => server?.stop())

  test('its mailboxes are shown and told as such, and what is asked of them comes to an outcome', async () => {
    const user = `named${++users}`
    await server.fill(user, { Home: [mail(users, { subject: 'm' })] })
    const other = await server.client(user)
    await other.mailboxCreate('Public/Team')
    await other.append('Public/Team', mail(5000 + users, { subject: 'for all' }))
    await other.logout()
    const mine = await DisconnectedAccount.connect(service, server, user)
    await until(async () => (await listed(mine, /^Public\/Team$/)).length === 1)
    expect(await listed(mine, /^(Public\/Team|Home)$/)).toMatchObject([
      { path: 'Home', namespace: 'PERSONAL' },
      { path: 'Public/Team', namespace: 'SHARED' },
    ])
    await until(async () => (await mine.shown('Public/Team')).length === 1)
    expect(await outcome(mine, mine.create('Public/Team/Sub'))).toBe('APPLIED')
    await mine.syncNow()
    await until(async () => (await listed(mine, /Sub$/)).some(({ namespace }) => namespace === 'SHARED'))
    const mailboxId = await mine.mailbox('Public/Team/Sub')
    const renamed = mine.ask('renameMailbox', 'RenameMailboxInput', { mailboxId, path: 'Public/Team/Next' })
    expect(await outcome(mine, renamed)).toBe('APPLIED')
    const unsubscribed = mine.ask('subscribeMailbox', 'SubscribeMailboxInput', { mailboxId, subscribed: false })
    expect(await outcome(mine, unsubscribed)).toBe('APPLIED')
    expect(await outcome(mine, mine.ask('deleteMailbox', 'DeleteMailboxInput', { mailboxId }))).toBe('APPLIED')
    expect(await listed(mine, /Sub|Next/)).toEqual([])
    await mine.end()
  })
})
