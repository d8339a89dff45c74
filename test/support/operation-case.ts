import type { OperationKind, ServerChange } from '../../src/mailbox/operation.js'
import { DisconnectedAccount } from './disconnected.ts'
import type { MailServer } from './imap-server.ts'
import { mail } from './mail.ts'
import type { Service } from './service.ts'

let users = 0

/** An account with message m in Home, and mailboxes Work, Else and Empty. */
export class OperationCase {
  readonly mine: DisconnectedAccount
  readonly user: string

  /** what the server seems to lack */
  readonly hidden: readonly string[]

  private readonly server: MailServer

  private constructor(mine: DisconnectedAccount, user: string, server: MailServer, hidden: readonly string[]) {
    this.mine = mine
    this.user = user
    this.server = server
    this.hidden = hidden
  }

  static async begin(service: Service, server: MailServer, hidden: readonly string[] = []): Promise<OperationCase> {
    const user = `case${++users}`
    // every mailbox has something of its own, by which it is told again when it is renamed
    await server.fill(user, {
      Home: [mail(5000 + users, { subject: 'm' })],
      Work: [mail(9000 + users * 10, { subject: 'Work' })],
      Else: [mail(9001 + users * 10, { subject: 'Else' })],
      Empty: [],
    })
    const mine = await DisconnectedAccount.connect(service, server, user, hidden)
    return new OperationCase(mine, user, server, hidden)
  }

  /** The command that carries an operation out here. */
  command(kind: OperationKind): RegExp {
    if (kind === 'MOVE' && this.hidden.includes('MOVE')) return COMMANDS.COPY
    if (kind === 'DELETE' && this.hidden.includes('UIDPLUS')) return COMMANDS.CHANGE_FLAGS
    return COMMANDS[kind]
  }

  /** Has the other client log in again: its server was killed, perhaps. */
  async reconnect(): Promise<void> {
    this.mine.other = await this.server.client(this.user)
  }

  /** Asks for an operation of a kind. @returns its id */
  async ask(kind: OperationKind): Promise<string> {
    const { mine } = this
    const m = (await mine.message('m')).id
    switch (kind) {
      case 'CHANGE_FLAGS':
        return (await mine.flags([m], ['work'])).id
      case 'MOVE':
        return (await mine.move([m], 'Work')).id
      case 'DELETE':
        return (await mine.delete([m], true)).id
      case 'COPY':
        return (await mine.copy([m], 'Work')).id
      case 'APPEND':
        return (await mine.append('Work', mail(6000, { subject: 'new' }))).id
      case 'CREATE_MAILBOX':
        return (await mine.create('New')).id
      case 'RENAME_MAILBOX': {
        const input = { mailboxId: await mine.mailbox('Home'), path: 'House' }
        return (await mine.ask('renameMailbox', 'RenameMailboxInput', input)).id
      }
      case 'DELETE_MAILBOX': {
        const input = { mailboxId: await mine.mailbox('Empty') }
        return (await mine.ask('deleteMailbox', 'DeleteMailboxInput', input)).id
      }
      default: {
        const input = { mailboxId: await mine.mailbox('Empty'), subscribed: true }
        return (await mine.ask('subscribeMailbox', 'SubscribeMailboxInput', input)).id
      }
    }
  }

  /** Has the server change, or refuse. */
  async change(kind: OperationKind, change: ServerChange): Promise<void> {
    const { other, wire } = this.mine
    const isOfMessages = !kind.includes('MAILBOX') && kind !== 'SUBSCRIBE'
    const goesInto = kind === 'MOVE' || kind === 'COPY' || kind === 'APPEND'
    const own = isOfMessages ? 'Home' : kind === 'RENAME_MAILBOX' ? 'Home' : 'Empty'
    // ImapFlow answers what did not come about with false
    const on = async (work: () => Promise<unknown>) => {
      const lock = await other.getMailboxLock('Home')
      const done = await work().finally(() => lock.release())
      if (!done) throw new Error(`the other client could not bring about ${change}`)
    }
    const answered = (answer: string) => {
      wire.answering = (command) => (this.command(kind).test(command) ? answer : null)
    }
    switch (change) {
      case 'MESSAGE_GONE':
        return on(() => other.messageDelete('1:*'))
      case 'MOVED_ELSEWHERE':
        return on(() => other.messageMove('1:*', 'Else'))
      case 'FLAGS_CHANGED':
        return on(() => other.messageFlagsAdd('1:*', ['\\Flagged']))
      case 'MAILBOX_RENAMED':
        return void (await other.mailboxRename(own, 'Otherwise'))
      case 'MAILBOX_DELETED':
        return void (await other.mailboxDelete(goesInto ? 'Work' : own))
      case 'MAILBOX_EXISTS':
        return void (await other.mailboxCreate(kind === 'CREATE_MAILBOX' ? 'New' : 'House'))
      case 'MAILBOX_NOT_EMPTY':
        return void (await other.append('Empty', mail(7000, { subject: 'late' })))
      case 'UIDVALIDITY_CHANGED':
        return this.server.renumber(this.user, goesInto && kind !== 'MOVE' ? 'Work' : own)
      case 'NO_PERMISSION':
        return answered('NO [NOPERM] not for you')
      case 'OVER_QUOTA':
        return answered('NO [OVERQUOTA] no room')
      case 'KEYWORD_NOT_ALLOWED':
        // seen and deleted may be set, and nothing else
        return this.allow('Home', 'lrst')
      case 'SERVER_REFUSED':
        // where MOVE is refused, COPY is tried
        wire.answering = (command) =>
          this.command(kind).test(command) || (kind === 'MOVE' && /^UID COPY/.test(command)) ? 'NO not today' : null
        return
      case 'NO_ANSWER': {
        let isCut = false
        wire.answering = (command) => (!isCut && this.command(kind).test(command) ? ((isCut = true), 'cut') : null)
      }
    }
  }

  /** What its user may do with a mailbox (RFC 4314). */
  allow(mailbox: string, rights: string): Promise<void> {
    return this.server.allow(this.user, mailbox, rights)
  }

  /** What is shown, and what the server has: mailboxes, and what is in them. */
  async sides(): Promise<{ shown: string[]; there: string[] }> {
    const { messages, mailboxes } = await this.mine.state()
    const line = (path: string, subject: string, flags: string[]) => `${path}: ${subject} ${[...flags].sort().join()}`
    const shown = messages.nodes.map(({ subject, flags, mailbox }) => line(mailbox.path, subject, flags))
    const there: string[] = []
    const listed = await this.mine.other.list()
    for (const { path } of listed)
      for (const { subject, flags } of await this.mine.onServer(path))
        // without UIDPLUS what is deleted stays, marked
        if (!(this.hidden.includes('UIDPLUS') && flags.includes('\\Deleted'))) there.push(line(path, subject, flags))
    shown.push(...mailboxes.map(({ path, isSubscribed }) => `${path} ${String(isSubscribed)}`))
    there.push(...listed.map(({ path, subscribed }) => `${path} ${String(subscribed === true)}`))
    return { shown: shown.sort(), there: there.sort() }
  }
}

/** The commands that carry an operation out. */
export const COMMANDS: { readonly [Kind in OperationKind]: RegExp } = {
  CHANGE_FLAGS: /^UID STORE/,
  MOVE: /^UID MOVE/,
  DELETE: /^UID EXPUNGE/,
  COPY: /^UID COPY/,
  APPEND: /^APPEND/,
  CREATE_MAILBOX: /^CREATE/,
  RENAME_MAILBOX: /^RENAME/,
  DELETE_MAILBOX: /^DELETE/,
  SUBSCRIBE: /^SUBSCRIBE/,
}
