import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import Pop3Command from 'node-pop3'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail, variedMail } from './support/mail.ts'
import { OfflineAccount, onServer, sha256, untilOnServer, type Collecting, type Seen } from './support/maildrop.ts'
import { fillMaildir } from './support/maildir.ts'
import { ScriptedPop3 } from './support/scripted-pop3.ts'
import { CONNECT, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_HOST_LOGINS: '10000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const portOf = (protocol: Collecting) => (protocol === 'POP3' ? dovecot.pop3Port : dovecot.imapPort)
const bySubject = (messages: Seen[], subject: string) => messages.find((message) => message.subject === subject) as Seen

describe.each<Collecting>(['POP3', 'IMAP'])('an account that is collected over %s', (protocol) => {
  const user = `all-${protocol.toLowerCase()}`
  let account: OfflineAccount

  test('has every message, whole, and the server keeps them', async () => {
    await fillMaildir(dovecot.mailOf(user), null, 40, variedMail)
    account = await OfflineAccount.connect(service, protocol, { port: portOf(protocol), username: user })
    const wanted = Array.from({ length: 40 }, (_, number) => sha256(Buffer.from(variedMail(number))))
    expect(await account.contents()).toEqual(wanted.sort())
    expect(await onServer(dovecot, user)).toBe(40)
    const { messages, mailboxes } = await account.state()
    expect(new Set(messages.nodes.map(({ origin }) => origin))).toEqual(new Set(['EXISTING']))
    expect(mailboxes.map(({ path }) => path)).toEqual(['INBOX', 'Drafts', 'Sent', 'Trash'])
  })

  test('brings new mail once, and tells of it', async () => {
    const client = service.socket()
    const told: string[] = []
    const query = 'subscription ($id: ID!) { messageArrived(accountId: $id) { subject origin } }'
    const following = (async () => {
      for await (const { data } of client.iterate<{ messageArrived: { subject: string } }>({
        query,
        variables: { id: account.id },
      }))
        told.push(data?.messageArrived.subject ?? '')
    })().catch(() => undefined)
    await dovecot.deliver(user, mail(500, { subject: 'new here' }))
    await until(async () => {
      await account.syncNow()
      return told.length > 0
    })
    await account.syncNow()
    await until(async () => (await account.state()).maildrop?.messages === 41)
    expect(told).toEqual(['new here'])
    expect((await account.state()).messages.nodes).toHaveLength(41)
    await client.dispose()
    await following
  })

  test('is worked on here at once, and nothing of it reaches the server', async () => {
    const messages = (await account.state()).messages.nodes
    const [one, two, three] = [messages[3], messages[7], messages[11]] as [Seen, Seen, Seen]
    const flags = await account.change<{ messages: Seen[] }>(
      'changeFlags',
      'ChangeFlagsInput',
      { messageIds: [one.id, two.id], add: ['\\Seen', '$Work'], remove: ['\\Flagged'] },
      'messages { id flags isUnread }',
    )
    expect(flags.messages.map((message) => message.flags)).toEqual([
      ['$Work', '\\Seen'],
      ['$Work', '\\Seen'],
    ])
    const { mailbox } = await account.change<{ mailbox: { id: string; path: string } }>(
      'createMailbox',
      'CreateMailboxInput',
      { accountId: account.id, path: 'Projects/Mail' },
      'mailbox { id path }',
    )
    await account.change(
      'moveMessages',
      'MoveMessagesInput',
      { messageIds: [two.id], mailboxId: mailbox.id },
      'messages { id }',
    )
    await account.change('deleteMessages', 'DeleteMessagesInput', { messageIds: [three.id] }, 'deletedIds')
    const now = await account.state()
    expect(now.messages.nodes.find(({ id }) => id === two.id)?.mailbox.path).toBe('Projects/Mail')
    expect(now.messages.nodes.find(({ id }) => id === three.id)?.mailbox.path).toBe('Trash')
    expect(now.messages.nodes).toHaveLength(41)
    await account.change(
      'renameMailbox',
      'RenameMailboxInput',
      { mailboxId: mailbox.id, path: 'Done' },
      'mailbox { path }',
    )
    const refused = await service.ask<{ deleteMailbox: { errors: object[] } }>(
      'mutation ($input: DeleteMailboxInput!) { deleteMailbox(input: $input) { errors { __typename ... on MailboxNotEmpty { messages } } } }',
      { input: { mailboxId: mailbox.id } },
    )
    expect(refused.deleteMailbox.errors).toEqual([{ __typename: 'MailboxNotEmpty', messages: 1 }])
    const emptied = await service.ask<{ emptyTrash: { deleted: number } }>(
      'mutation ($id: ID!) { emptyTrash(accountId: $id) { deleted errors { __typename } } }',
      { id: account.id },
    )
    expect(emptied.emptyTrash.deleted).toBe(1)
    await account.syncNow()
    await until(async () => (await account.state()).maildrop?.messages === 41)
    expect((await account.state()).messages.nodes).toHaveLength(40)
    expect(await onServer(dovecot, user)).toBe(41)
    expect(await dovecot.doveadm('search', '-u', user, 'KEYWORD', '$Work')).toBe('')
  })

  test('deletes there what is deleted for good here, when that is its policy, and no more than it said', async () => {
    expect(await account.setPolicy({ kind: 'WHEN_DELETED_HERE' })).toMatchObject({ messages: 1 })
    await account.syncNow()
    await untilOnServer(dovecot, user, 40)
    expect(await account.setPolicy({ kind: 'NEVER' })).toEqual({ messages: 0, bytes: 0 })
  })

  test('deletes the oldest when the quota passes, down to the chosen level', async () => {
    await until(async () => {
      await account.syncNow()
      return (await account.state()).maildrop?.messages === 40
    })
    const bytes = (await account.state()).maildrop?.bytes ?? 0
    await account.setCollection({ limit: Math.round(bytes / 0.95) })
    const preview = await account.setPolicy({ kind: 'WHEN_QUOTA_PASSES', percent: 90, downTo: 50 })
    expect(preview.messages).toBeGreaterThan(5)
    expect(preview.messages).toBeLessThan(35)
    await account.syncNow()
    await untilOnServer(dovecot, user, 40 - preview.messages)
    // the newest are those that are left
    const left = await dovecot.doveadm('fetch', '-u', user, 'hdr.subject', 'mailbox', 'INBOX')
    expect(left).toContain('new here')
    await account.syncNow()
    await until(async () => ((await account.state()).maildrop?.messages ?? 0) === 40 - preview.messages)
    expect(await onServer(dovecot, user)).toBe(40 - preview.messages)
    expect((await account.state()).messages.nodes).toHaveLength(40)
  })

  test('deletes at once what is durable here, and nothing of which the content is lost', async () => {
    await account.setPolicy({ kind: 'NEVER' })
    await dovecot.deliver(user, mail(600, { subject: 'to be lost' }))
    await dovecot.deliver(user, mail(601, { subject: 'to be kept' }))
    await until(async () => {
      await account.syncNow()
      return (await account.state()).messages.nodes.some(({ subject }) => subject === 'to be kept')
    })
    const lost = await account.contentOf(bySubject((await account.state()).messages.nodes, 'to be lost'))
    const path = join(service.folder, 'blobs', lost.slice(0, 2), lost)
    await rename(path, `${path}.away`)
    const before = await onServer(dovecot, user)
    expect(await account.setPolicy({ kind: 'AT_ONCE' })).toMatchObject({ messages: before })
    await account.syncNow()
    await untilOnServer(dovecot, user, 1)
    expect(await dovecot.doveadm('fetch', '-u', user, 'hdr.subject', 'mailbox', 'INBOX')).toContain('to be lost')
    const copies = async () => {
      const query = 'query ($id: ID!) { account(id: $id) { messages(first: 100) { nodes { subject serverCopy } } } }'
      type Answer = { account: { messages: { nodes: { subject: string; serverCopy: string }[] } } }
      const { nodes } = (await service.ask<Answer>(query, { id: account.id })).account.messages
      return new Map(nodes.map(({ subject, serverCopy }) => [subject, serverCopy]))
    }
    await until(async () => (await copies()).get('to be kept') === 'GONE')
    expect((await copies()).get('to be lost')).toBe('THERE')
    await rename(`${path}.away`, path)
    await account.syncNow()
    await untilOnServer(dovecot, user, 0)
    expect((await account.state()).messages.nodes).toHaveLength(42)
  })
})

describe('connecting over POP3', () => {
  const settings = () => ({
    protocol: 'POP3',
    model: 'OFFLINE',
    host: 'localhost',
    username: 'tls',
    password: PASSWORD,
  })
  const connect = async (input: object) => {
    type Answer = { connectAccount: { account: object | null; errors: { __typename: string }[] } }
    const { connectAccount } = await service.ask<Answer>(CONNECT, { input: { ...settings(), ...input } })
    return connectAccount.account ? 'connected' : connectAccount.errors[0]?.__typename
  }

  test.each<[string, () => object, string]>([
    ['TLS', () => ({ port: dovecot.pop3sPort }), 'connected'],
    ['STLS', () => ({ port: dovecot.pop3Port, security: 'STARTTLS' }), 'connected'],
    ['a wrong password', () => ({ port: dovecot.pop3sPort, password: 'wrong', username: 'other' }), 'LoginRefused'],
    [
      'a host that the certificate is not for',
      () => ({ port: dovecot.pop3sPort, host: Dovecot.plainAddress }),
      'TlsNotTrusted',
    ],
    ['TLS where there is none', () => ({ port: dovecot.pop3Port, username: 'none' }), 'TlsNotOffered'],
    ['the port of another protocol', () => ({ port: dovecot.imapPort, security: 'PLAINTEXT' }), 'ProtocolNotSpoken'],
    ['a model that POP3 cannot serve', () => ({ port: dovecot.pop3sPort, model: 'ONLINE' }), 'ModelNotPossible'],
    ['a line break in the user name', () => ({ port: dovecot.pop3sPort, username: 'a\r\nDELE 1' }), 'InvalidSettings'],
  ])('with %s', async (_, input, outcome) => {
    expect(await connect(input())).toBe(outcome)
  })
})

describe('two collectors of one maildrop', () => {
  test('one waits until the other has left it, and both have everything', async () => {
    await fillMaildir(dovecot.mailOf('shared'), null, 5, variedMail)
    const account = await OfflineAccount.connect(service, 'POP3', { port: dovecot.pop3Port, username: 'shared' })
    await dovecot.deliver('shared', mail(700, { subject: 'for both' }))
    const other = new Pop3Command({ host: '127.0.0.1', port: dovecot.pop3Port, user: 'shared', password: PASSWORD })
    expect(await other.UIDL()).toHaveLength(6)
    await account.syncNow()
    await until(async () => (await account.state()).connection.state === 'THROTTLED')
    expect((await account.state()).connection.reason).toMatch(/IN-USE/)
    expect((await account.state()).messages.nodes).toHaveLength(5)
    await other.QUIT()
    await until(async () => (await account.state()).messages.nodes.length === 6)
    expect((await account.state()).connection.state).toBe('CONNECTED')
    expect(await onServer(dovecot, 'shared')).toBe(6)
  })
})

describe('over IMAP', () => {
  const connect = (user: string, more: object = {}) =>
    OfflineAccount.connect(service, 'IMAP', { port: dovecot.imapPort, username: user, ...more })
  const countOf = async (account: OfflineAccount) => (await account.state()).messages.nodes.length

  test('nothing goes along that another client has marked for deletion', async () => {
    await fillMaildir(dovecot.mailOf('marked'), null, 6, variedMail)
    const account = await connect('marked')
    const other = await dovecot.client('marked')
    await other.mailboxOpen('INBOX')
    await other.messageFlagsAdd('2,5', ['\\Deleted'], { uid: true })
    const messageIds = (await account.state()).messages.nodes
      .filter((_, index) => index !== 4 && index !== 1)
      .map(({ id }) => id)
    await account.change('deleteMessages', 'DeleteMessagesInput', { messageIds, forGood: true }, 'deletedIds')
    expect(await account.setPolicy({ kind: 'WHEN_DELETED_HERE' })).toMatchObject({ messages: 4 })
    await account.syncNow()
    await untilOnServer(dovecot, 'marked', 2)
    await other.noop()
    expect(await other.search({ deleted: true }, { uid: true })).toEqual([2, 5])
    await other.logout()
  })

  test('deleting can be a move to Trash', async () => {
    await fillMaildir(dovecot.mailOf('trash'), null, 3, variedMail)
    const account = await connect('trash')
    await account.setCollection({ removal: 'MOVE_TO_TRASH' })
    await account.setPolicy({ kind: 'AT_ONCE' })
    await account.syncNow()
    await untilOnServer(dovecot, 'trash', 0)
    expect(await dovecot.doveadm('mailbox', 'status', '-u', 'trash', 'messages', 'Trash')).toContain('messages=3')
    expect(await countOf(account)).toBe(3)
  })

  test('a mailbox that is numbered anew, and mail that is moved there, come once', async () => {
    await fillMaildir(dovecot.mailOf('renumbered'), null, 5, variedMail)
    await fillMaildir(dovecot.mailOf('renumbered'), 'Work', 2, (number) => variedMail(50 + number))
    const account = await connect('renumbered')
    await account.setCollection({ mailboxes: ['inbox', 'Work', 'Not there'] })
    await until(async () => (await countOf(account)) === 7)
    await dovecot.doveadm('mailbox', 'update', '-u', 'renumbered', '--uid-validity', '1234567', 'INBOX')
    const other = await dovecot.client('renumbered')
    await other.mailboxOpen('INBOX')
    await other.messageMove('1', 'Work')
    await other.logout()
    await dovecot.deliver('renumbered', mail(950, { subject: 'really new' }))
    await until(async () => {
      await account.syncNow()
      return (await countOf(account)) >= 8
    })
    await account.syncNow()
    await until(async () => (await account.state()).maildrop?.messages === 8)
    expect(await countOf(account)).toBe(8)
    expect(await account.setPolicy({ kind: 'AT_ONCE' })).toMatchObject({ messages: 8 })
  })

  test('a server that cannot delete single messages is not asked to', async () => {
    await fillMaildir(dovecot.mailOf('plain'), null, 3, variedMail)
    const account = await connect('plain', { host: Dovecot.plainAddress })
    await expect(account.setPolicy({ kind: 'AT_ONCE' })).rejects.toThrow(/UIDPLUS/)
    expect((await account.state()).deletionPolicy.kind).toBe('NEVER')
    expect(await countOf(account)).toBe(3)
  })

  test.each([
    [{ kind: 'AFTER_DAYS', days: 0 }, /days/],
    [{ kind: 'WHEN_QUOTA_PASSES', percent: 50, downTo: 60 }, /downTo/],
    [{ kind: 'WHEN_QUOTA_PASSES', percent: 50 }, /limit/],
    [{ kind: 'AFTER_DAYS' }, /needs/],
    [{ kind: 'NEVER', days: 4 }, /other fields/],
  ])('the policy %j is refused', async (policy, why) => {
    const account = (await service.ask<{ accounts: { id: string }[] }>('{ accounts { id } }')).accounts.at(-1)
    const query =
      'mutation ($input: SetDeletionPolicyInput!) { setDeletionPolicy(input: $input) { errors { ... on UserError { message } } } }'
    const answer = await service.answer(query, { input: { accountId: account?.id, policy } })
    expect(JSON.stringify(answer)).toMatch(why)
  })
})

describe('the runs of an account', () => {
  test('are never two at a time, and none is lost that was asked for meanwhile', async () => {
    let most = 0
    const server = await ScriptedPop3.start()
    const account = await OfflineAccount.connect(service, 'POP3', { port: server.port, username: 'ada' })
    let inside = 0
    server.manner = {
      answer: (command, socket) => {
        if (command !== 'STAT') return null
        most = Math.max(most, ++inside)
        setTimeout(() => {
          inside--
          socket.write('+OK 0 0\r\n')
        }, 300)
        return []
      },
    }
    await account.syncNow()
    await until(() => inside === 1)
    server.held = [{ uidl: 'late', raw: Buffer.from(mail(1, { subject: 'late' })) }]
    for (let times = 0; times < 5; times++) await account.syncNow()
    await until(async () => (await account.state()).messages.nodes.length === 1)
    expect(most).toBe(1)
    server.stop()
  })

  test('that were missed are made up once', async () => {
    const server = await ScriptedPop3.start()
    const account = await OfflineAccount.connect(service, 'POP3', { port: server.port, username: 'ada' })
    await until(() => server.last('QUIT').length > 0)
    const sessions = server.asked.length
    const database = await service.database()
    const accountId = Buffer.from(account.id, 'base64url').toString().split(':')[1]
    // as after hours in which the service did not run
    await database.query(`update schedule set due_at = due_at - interval '5 hours' where account_id = $1`, [accountId])
    await until(() => server.asked.length > sessions)
    const waits = async () => {
      const sql = 'select extract(epoch from due_at - now())::float as wait from schedule where account_id = $1'
      return (await database.query<{ wait: number }>(sql, [accountId])).rows[0]?.wait ?? 0
    }
    await until(async () => (await waits()) > 8 * 60)
    expect(await waits()).toBeLessThan(11 * 60)
    await database.end()
    await until(() => server.last('QUIT').length > 0)
    expect(server.asked).toHaveLength(sessions + 1)
    server.stop()
  })
})

describe('the level of a maildrop', () => {
  test('is warned of once at each level that it passes', async () => {
    const user = 'filling'
    await fillMaildir(dovecot.mailOf(user), null, 10, variedMail)
    const account = await OfflineAccount.connect(service, 'POP3', { port: dovecot.pop3Port, username: user })
    const bytes = (await account.state()).maildrop?.bytes ?? 0
    const told: { level: number; isWarning: boolean }[] = []
    const client = service.socket()
    const query = 'subscription ($id: ID!) { maildropWarning(accountId: $id) { level isWarning bytes limit } }'
    const following = (async () => {
      for await (const { data } of client.iterate<{ maildropWarning: (typeof told)[0] }>({
        query,
        variables: { id: account.id },
      }))
        if (data) told.push(data.maildropWarning)
    })().catch(() => undefined)
    await account.setCollection({ limit: bytes * 2, warnAt: [50, 60, 90] })
    await until(() => told.length === 1)
    for (const number of [1, 2])
      await dovecot.deliver(user, mail(800 + number, { subject: `large ${number}`, body: 'x'.repeat(bytes * 0.3) }))
    await until(async () => {
      await account.syncNow()
      return told.length >= 2
    })
    await account.syncNow()
    await until(async () => (await account.state()).maildrop?.messages === 12)
    expect(told.map(({ level }) => level)).toEqual([50, 60])
    expect(told.every(({ isWarning }) => isWarning)).toBe(true)
    await client.dispose()
    await following
  })
})
