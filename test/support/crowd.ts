import { setTimeout as sleep } from 'node:timers/promises'
import type { Dovecot } from './dovecot.ts'
import { PASSWORD } from './imap-server.ts'
import { mail } from './mail.ts'
import type { Service } from './service.ts'

/** An account of a crowd, with what has to be true of it in the end. */
export type Member = {
  user: string
  model: 'DISCONNECTED' | 'ONLINE' | 'OFFLINE'
  id: string
  /** subjects of what was delivered to it */
  delivered: Set<string>
  /** subjects of what was appended here: true where the API has said so, false where its answer was lost */
  appended: Map<string, boolean>
  /** messages that were flagged, by subject; as above */
  flagged: Map<string, boolean>
}

type Payload = { operation: { state: string } | null; errors: { __typename: string }[] }
type Shown = {
  account: null | { messages: { nodes: { id: string; subject: string }[] }; mailboxes: { id: string; path: string }[] }
}

const SHOWN = `query ($id: ID!) { account(id: $id) {
  mailboxes { id path } messages(first: 30) { nodes { id subject } } } }`

/** Many accounts on one server, to which mail comes and of which mail is changed, without a pause. */
export class Crowd {
  readonly members: Member[] = []
  private subjects = 0

  constructor(
    private readonly dovecot: Dovecot,
    private readonly random: () => number,
    /** any process that answers clients */
    private readonly api: () => Service,
  ) {}

  /** Connects an account with three messages. */
  async join(model: Member['model']): Promise<void> {
    const user = `crowd${this.members.length}`
    const raws = [0, 1, 2].map(() => this.message())
    await this.dovecot.fill(user, { INBOX: raws.map(({ raw }) => raw) })
    const protocol = model === 'OFFLINE' ? 'POP3' : 'IMAP'
    const port = model === 'OFFLINE' ? this.dovecot.pop3Port : this.dovecot.imapPort
    const server = { host: '127.0.0.1', port, security: 'PLAINTEXT', username: user, password: PASSWORD }
    const id = await this.api().connect({ model, protocol, ...server })
    const delivered = new Set(raws.map(({ subject }) => subject))
    this.members.push({ user, model, id, delivered, appended: new Map(), flagged: new Map() })
    if (model === 'ONLINE')
      await this.api().ask(
        'mutation ($input: OpenSessionInput!) { openSession(input: $input) { errors { __typename } } }',
        {
          input: { accountId: id, idleSeconds: 3_600 },
        },
      )
  }

  /** Has mail come until the signal aborts. */
  async deliver(pause: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const member = this.any(this.members)
      const { subject, raw } = this.message()
      await this.dovecot.deliver(member.user, raw)
      member.delivered.add(subject)
      await sleep(pause)
    }
  }

  /** Changes mail by the API until the signal aborts. */
  async change(pause: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const member = this.any(this.members)
      if (member.model === 'OFFLINE') {
        await this.collect(member).catch(() => undefined)
        continue
      }
      const shown = await this.api()
        .answer<Shown>(SHOWN, { id: member.id })
        .catch(() => null)
      if (shown?.data?.account) await this.changeOne(member, shown.data.account)
      await sleep(pause)
    }
  }

  /** Has an OFFLINE account's mail collected now. */
  async collect({ id }: Member): Promise<void> {
    await this.api().ask('mutation ($id: ID!) { syncNow(accountId: $id) { account { id } } }', { id })
  }

  private async changeOne(member: Member, { messages, mailboxes }: NonNullable<Shown['account']>): Promise<void> {
    const fresh = messages.nodes.find(({ subject }) => member.delivered.has(subject) && !member.flagged.has(subject))
    const inbox = mailboxes.find(({ path }) => path === 'INBOX')
    if (member.model === 'DISCONNECTED' && inbox && this.random() < 0.4) {
      const { subject, raw } = this.message()
      const input = { mailboxId: inbox.id, raw: Buffer.from(raw).toString('base64') }
      member.appended.set(subject, await this.isDone('appendMessage', 'AppendMessageInput', input, member))
    } else if (fresh) {
      const input = { messageIds: [fresh.id], add: ['\\Flagged'] }
      member.flagged.set(fresh.subject, await this.isDone('changeFlags', 'ChangeFlagsInput', input, member))
    }
  }

  /** Whether what was asked for has to be so in the end: an ONLINE account's change when it was done, another one's when it was taken. */
  private async isDone(field: string, type: string, input: object, { model }: Member): Promise<boolean> {
    const query = `mutation ($input: ${type}!) { ${field}(input: $input) { operation { state } errors { __typename } } }`
    const answer = await this.api()
      .answer<Record<string, Payload>>(query, { input })
      .catch(() => null)
    const payload = answer?.data?.[field]
    if (!payload?.operation || payload.errors.length > 0) return false
    return model === 'DISCONNECTED' || payload.operation.state === 'APPLIED'
  }

  private message(): { subject: string; raw: string } {
    const subject = `of the crowd ${++this.subjects}`
    return { subject, raw: mail(100_000 + this.subjects, { subject }) }
  }

  private any<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T
  }
}
