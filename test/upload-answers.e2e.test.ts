/* What a server says OK to is not told again, whatever it makes of it and whatever breaks afterwards. */
import { DisconnectedAccount } from './support/disconnected.ts'
import { PASSWORD } from './support/imap-server.ts'
import { headerItem, ScriptedImap } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

let service: Service

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500', MAILFOLD_HOST_LOGINS: '100000' })
})

afterAll(async () => {
  await service?.stop()
})

/** What a server makes of a message that is put onto it. */
type Rewriting = { header?: string; messageId?: string; internalDate?: string; subject?: string }

type Stored = { uid: number; subject: string; messageId: string | null; date: string; size: number; flags: string }

/** An IMAP4rev1 server without extensions that changes what is put onto it, and may break off after it said OK. */
class Rewriter {
  readonly commands: string[] = []
  readonly stored: Stored[] = []
  readonly mailboxes = new Set(['INBOX', 'Drafts'])
  readonly subscribed = new Set<string>()
  /** the command after whose OK the connection ends, once */
  cutAfter: RegExp | null = null
  /** a command that gets OK, and nothing is done */
  ignored: RegExp | null = null
  server!: ScriptedImap
  private selected = ''

  static async start(rewriting: Rewriting): Promise<Rewriter> {
    const rewriter = new Rewriter()
    rewriter.server = await ScriptedImap.start((command, say) => rewriter.answer(command, say, rewriting))
    return rewriter
  }

  asked(pattern: RegExp): number {
    return this.commands.filter((command) => pattern.test(command)).length
  }

  private answer(command: string, say: (line: string) => void, rewriting: Rewriting): string | null {
    this.commands.push(command)
    if (this.cutAfter?.test(command)) {
      this.cutAfter = null
      // what follows the OK on the same connection is never answered
      setImmediate(() => setImmediate(() => this.server.cut()))
    }
    if (this.ignored?.test(command)) return 'OK done'
    const unquoted = (name: string) => name.replace(/"/g, '')
    const drafts = this.stored
    const at = (path: string) => (path === 'Drafts' ? drafts : [])
    const name = unquoted(command.split(' ')[1] ?? '')
    if (/^CAPABILITY/i.test(command)) say('* CAPABILITY IMAP4rev1 IDLE')
    else if (/^LIST "" ""/i.test(command)) say('* LIST (\\Noselect) "/" ""')
    else if (/^LIST/i.test(command)) for (const path of this.mailboxes) say(`* LIST () "/" ${path}`)
    else if (/^LSUB/i.test(command)) for (const path of this.subscribed) say(`* LSUB () "/" ${path}`)
    else if (/^STATUS/i.test(command)) {
      if (!this.mailboxes.has(name)) return 'NO [NONEXISTENT] there is none'
      say(`* STATUS ${name} (MESSAGES ${at(name).length} UIDNEXT ${at(name).length + 101} UIDVALIDITY 9)`)
    } else if (/^(SELECT|EXAMINE)/i.test(command)) {
      if (!this.mailboxes.has(name)) return 'NO [NONEXISTENT] there is none'
      this.selected = name
      const count = at(name).length
      for (const line of [`${count} EXISTS`, 'OK [UIDVALIDITY 9] valid', `OK [UIDNEXT ${count + 101}] next`])
        say(`* ${line}`)
      say('* FLAGS (\\Seen \\Draft \\Flagged \\Deleted)')
    } else if (/^UID SEARCH/i.test(command)) {
      const from = Number(/UID (\d+):/.exec(command)?.[1] ?? 1)
      const uids = at(this.selected).map(({ uid }) => uid)
      say(`* SEARCH ${uids.filter((uid) => uid >= from).join(' ')}`)
    } else if (/^UID FETCH/i.test(command)) {
      for (const [index, each] of at(this.selected).entries()) {
        const { uid, flags, date, size, subject, messageId } = each
        const header = headerItem({ Subject: subject, 'Message-ID': messageId })
        const items = [`UID ${uid} FLAGS (${flags}) INTERNALDATE "${date}" RFC822.SIZE ${size}`]
        if (/HEADER\.FIELDS/i.test(command))
          items.push(header, 'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1 NIL NIL NIL NIL)')
        say(`* ${index + 1} FETCH (${items.join(' ')})`)
      }
    } else if (/^APPEND/i.test(command)) {
      const [, flags = '', date = '', raw = ''] = /\(([^)]*)\) "([^"]*)" \{\d+\+?\}\r\n([^]*)$/.exec(command) ?? []
      this.stored.push({
        uid: this.stored.length + 101,
        subject: rewriting.subject ?? /^Subject: (.*)\r$/m.exec(raw)?.[1] ?? '',
        messageId: rewriting.messageId ?? /^Message-ID: (.*)\r$/im.exec(raw)?.[1] ?? null,
        date: rewriting.internalDate ?? date,
        size: raw.length + (rewriting.header?.length ?? 0),
        flags,
      })
    } else if (/^CREATE/i.test(command)) this.mailboxes.add(name)
    else if (/^SUBSCRIBE/i.test(command)) this.subscribed.add(name)
    else if (/^UNSUBSCRIBE/i.test(command)) this.subscribed.delete(name)
    else if (/^RENAME/i.test(command)) {
      this.mailboxes.delete(name)
      this.mailboxes.add(unquoted(command.split(' ')[2] ?? ''))
    } else if (/^DELETE/i.test(command)) this.mailboxes.delete(name)
    else if (/^IDLE/i.test(command)) {
      say('+ idling')
      return null
    }
    return 'OK done'
  }
}

/** Connects an account to a server that needs no user. */
async function connected(rewriter: Rewriter): Promise<DisconnectedAccount> {
  const client = async () => ({ close: () => undefined }) as never
  return DisconnectedAccount.connect(service, { imapPort: rewriter.server.port, client }, `user ${PASSWORD.length}`)
}

const DRAFT = 'From: me@example.org\r\nSubject: draft\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\nhello\r\n'

describe.each<[string, Rewriting]>([
  ['adds a header line', { header: 'X-Filtered: yes\r\n' }],
  ['adds a Message-ID', { header: 'Message-ID: <new@server>\r\n', messageId: '<new@server>' }],
])('a server without UIDPLUS that %s', (_, rewriting) => {
  test.each([
    ['is there', null],
    ['ends right after the OK', /^APPEND/],
    ['ends when the mailbox is looked at', /^UID FETCH .*HEADER\.FIELDS/],
  ])('gets a message once where the connection %s, and it is found again', async (_, cut) => {
    const rewriter = await Rewriter.start(rewriting)
    const mine = await connected(rewriter)
    await until(async () => (await mine.state()).mailboxes.length === 2)
    rewriter.cutAfter = cut
    const { id } = await mine.append('Drafts', DRAFT)
    const shown = await mine.message('draft')
    await mine.settled()
    expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', reason: null })
    await until(async () => (await mine.message('draft')).uid === 101)
    expect((await mine.shown('Drafts')).map(({ id }) => id)).toEqual([shown.id])
    expect(rewriter.asked(/^APPEND/)).toBe(1)
    await mine.end()
    rewriter.server.stop()
  })
})

test('a message that cannot be told again among those of its mailbox is applied, once, and its UID is not known', async () => {
  const rewriter = await Rewriter.start({
    header: 'X-Filtered: yes\r\n',
    internalDate: '01-Jan-2020 00:00:00 +0000',
    subject: '[external] draft',
  })
  const mine = await connected(rewriter)
  const { id } = await mine.append('Drafts', DRAFT)
  await mine.settled()
  expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', reason: null, offers: [] })
  const shown = await mine.message('draft')
  expect(shown).toMatchObject({ uid: null, mailbox: { path: 'Drafts' }, pendingOperations: [] })
  // the server is told nothing of a message that it cannot be told of
  const flagged = await mine.flags([shown.id], ['\\Flagged'])
  await mine.settled()
  expect(await mine.operation(flagged.id)).toMatchObject({ state: 'REJECTED', reason: 'MESSAGE_GONE' })
  expect((await mine.message('draft')).flags).toEqual([])
  const moved = await mine.move([shown.id], 'INBOX')
  await mine.settled()
  expect(await mine.operation(moved.id)).toMatchObject({ state: 'REJECTED', reason: 'MESSAGE_GONE' })
  expect((await mine.message('draft')).mailbox.path).toBe('Drafts')
  const deleted = await mine.delete([shown.id], true)
  await mine.settled()
  expect(await mine.operation(deleted.id)).toMatchObject({ state: 'SUPERSEDED', reason: 'MESSAGE_GONE' })
  expect((await mine.shown('Drafts')).map(({ subject, uid }) => `${subject} ${uid}`)).toEqual(['[external] draft 101'])
  expect(rewriter.asked(/^APPEND/)).toBe(1)
  await mine.end()
  rewriter.server.stop()
})

test.each([
  ['create', /^CREATE/, /^CREATE/],
  ['rename', /^RENAME/, /^RENAME/],
  ['rename, and take the subscription along', /^SUBSCRIBE/, /^RENAME/],
])('the connection ends after the OK to %s: it is not told again', async (_, cut, told) => {
  const rewriter = await Rewriter.start({})
  rewriter.subscribed.add('Drafts')
  const mine = await connected(rewriter)
  await until(async () =>
    (await mine.state()).mailboxes.some(({ path, isSubscribed }) => path === 'Drafts' && isSubscribed),
  )
  rewriter.cutAfter = cut
  const { id } =
    told.source === '^CREATE'
      ? await mine.create('New')
      : await mine.ask('renameMailbox', 'RenameMailboxInput', { mailboxId: await mine.mailbox('Drafts'), path: 'New' })
  await mine.settled()
  expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', reason: null })
  expect(rewriter.asked(told)).toBe(1)
  await until(() => rewriter.subscribed.has('New'))
  const { mailboxes } = await mine.state()
  expect(mailboxes.find(({ path }) => path === 'New')).toMatchObject({ isSubscribed: true, isPending: false })
  await mine.end()
  rewriter.server.stop()
})
