/* Servers that keep the mailboxes of a user below a prefix (RFC 2342): paths are told with it, and taken with it or without. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

/** The namespace of the user as Courier and many hosts have it, and one that is shared by all beside it. */
const PREFIXED = `
namespace inbox {
  prefix = INBOX.
  separator = .
}
namespace public {
  type = public
  separator = .
  prefix = Public.
  location = maildir:~/public
  list = yes
  subscriptions = no
}`
/** The same, of a user without a mailbox for Trash. */
const WITHOUT_TRASH = `${PREFIXED}
namespace inbox {
  mailbox Trash {
    auto = no
  }
}`

let service: Service
let users = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
})

type Model = 'DISCONNECTED' | 'ONLINE'
const MODELS: Model[] = ['DISCONNECTED', 'ONLINE']

async function begin(server: Dovecot, model: Model): Promise<DisconnectedAccount> {
  const user = `prefixed${++users}`
  await server.fill(user, { INBOX: [mail(users * 10, { subject: 'm' }), mail(users * 10 + 1, { subject: 'n' })] })
  if (model === 'DISCONNECTED') return DisconnectedAccount.connect(service, server, user)
  const mine = await OnlineAccount.connect(service, server, user)
  await mine.session()
  return mine
}

async function pathsAt(mine: DisconnectedAccount): Promise<string[]> {
  return (await (await mine.connectedOther()).list()).map(({ path }) => path)
}

async function paths(mine: DisconnectedAccount): Promise<string[]> {
  return (await mine.state()).mailboxes.map(({ path }) => path)
}

async function applied(mine: DisconnectedAccount, asked: Promise<{ id: string }>): Promise<void> {
  const { id } = await asked
  await mine.settled()
  expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', reason: null })
}

const rename = async (mine: DisconnectedAccount, from: string, path: string) =>
  mine.ask('renameMailbox', 'RenameMailboxInput', { mailboxId: await mine.mailbox(from), path })

describe.each(MODELS)('with the prefix INBOX. (%s)', (model) => {
  let server: Dovecot
  beforeAll(async () => {
    server = await Dovecot.start(PREFIXED)
  })
  afterAll(() => server?.stop())

  test('the namespaces are told', async () => {
    const mine = await begin(server, model)
    const query = `query ($id: ID!) { account(id: $id) {
      namespaces { personal { prefix delimiter } otherUsers { prefix } shared { prefix delimiter } } } }`
    const { account } = await service.ask<{ account: object }>(query, { id: mine.id })
    expect(account).toEqual({
      namespaces: {
        personal: [{ prefix: 'INBOX.', delimiter: '.' }],
        otherUsers: [],
        shared: [{ prefix: 'Public.', delimiter: '.' }],
      },
    })
    await mine.end()
  })

  test.each(['New', 'INBOX.New', 'inbox.New'])('%s is made, renamed and deleted', async (wanted) => {
    const mine = await begin(server, model)
    const created = mine.create(wanted)
    expect((await created).mailbox?.path).toBe('INBOX.New')
    await applied(mine, created)
    expect(await pathsAt(mine)).toContain('INBOX.New')
    const again = await mine.asked('createMailbox', 'CreateMailboxInput', { accountId: mine.id, path: 'New' })
    expect(again.errors).toMatchObject([{ __typename: 'MailboxExists' }])
    await applied(mine, mine.create('New.Below'))
    const renamed = rename(mine, 'INBOX.New', wanted.replace('New', 'Other'))
    expect((await renamed).mailbox?.path).toBe('INBOX.Other')
    await applied(mine, renamed)
    expect(await pathsAt(mine)).toEqual(expect.arrayContaining(['INBOX.Other', 'INBOX.Other.Below']))
    await applied(mine, mine.move([(await mine.message('m')).id], 'INBOX.Other'))
    expect(await mine.onServer('INBOX.Other')).toMatchObject([{ subject: 'm' }])
    const mailboxId = await mine.mailbox('INBOX.Other.Below')
    await applied(mine, mine.ask('deleteMailbox', 'DeleteMailboxInput', { mailboxId }))
    expect(await pathsAt(mine)).not.toContain('INBOX.Other.Below')
    await mine.end()
  })

  test('mailboxes that are shared are there under their own prefix', async () => {
    const mine = await begin(server, model)
    await applied(mine, mine.create('Public.Team'))
    expect(await paths(mine)).toContain('Public.Team')
    await applied(mine, mine.append('Public.Team', mail(9000 + users, { subject: 'for all' })))
    const query = `query ($id: ID!) { account(id: $id) { mailboxes { path namespace isPending } } }`
    await until(async () => {
      const { account } = await service.ask<{ account: { mailboxes: { path: string; namespace: string }[] } }>(query, {
        id: mine.id,
      })
      return account.mailboxes.some(({ path, namespace }) => path === 'Public.Team' && namespace === 'SHARED')
    })
    await mine.end()
  })
})

describe.each(MODELS)('with the prefix INBOX. and without Trash (%s)', (model) => {
  test('it is made below the prefix', async () => {
    const server = await Dovecot.start(WITHOUT_TRASH)
    const mine = await begin(server, model)
    expect(await paths(mine)).not.toContain('INBOX.Trash')
    await applied(mine, mine.delete([(await mine.message('m')).id]))
    expect(await mine.onServer('INBOX.Trash')).toMatchObject([{ subject: 'm' }])
    expect((await mine.shown('INBOX.Trash')).map(({ subject }) => subject)).toEqual(['m'])
    await mine.end()
    await server.stop()
  })
})
