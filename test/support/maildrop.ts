import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Dovecot } from './dovecot.ts'
import { PASSWORD } from './imap-server.ts'
import { Service, until } from './service.ts'

/** A protocol by which mail is collected. */
export type Collecting = 'POP3' | 'IMAP'

const STATE = `query ($id: ID!) { account(id: $id) {
  connection { state reason throttledUntil } progress { isComplete } deletionPolicy { kind }
  maildrop { messages bytes limit level }
  mailboxes { id path messageCount unreadCount }
  messages(first: 500) { nodes { id subject rawUrl flags origin size mailbox { path } } }
} }`

/** A message of an account, as a client sees it. */
export type Seen = {
  id: string
  subject: string
  rawUrl: string
  flags: string[]
  origin: string
  size: number
  mailbox: { path: string }
}

/** An account's state, as a client sees it. */
export type State = {
  connection: { state: string; reason: string | null; throttledUntil: string | null }
  progress: { isComplete: boolean }
  deletionPolicy: { kind: string }
  maildrop: { messages: number; bytes: number; limit: number | null; level: number } | null
  mailboxes: { id: string; path: string; messageCount: number; unreadCount: number }[]
  messages: { nodes: Seen[] }
}

/** An OFFLINE account, worked with by public clients only. */
export class OfflineAccount {
  readonly service: Service
  readonly id: string

  private constructor(service: Service, id: string) {
    this.service = service
    this.id = id
  }

  /** Connects one; waits until its first run is through. */
  static async connect(
    service: Service,
    protocol: Collecting,
    server: { host?: string; port: number; security?: string; username: string },
  ): Promise<OfflineAccount> {
    const settings = { host: '127.0.0.1', security: 'PLAINTEXT', password: PASSWORD, ...server }
    const account = new OfflineAccount(service, await service.connect({ model: 'OFFLINE', protocol, ...settings }))
    await service.synced(account.id)
    return account
  }

  async state(): Promise<State> {
    return (await this.service.ask<{ account: State }>(STATE, { id: this.id })).account
  }

  /** Has a run begun now. */
  async syncNow(): Promise<void> {
    await this.service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id: this.id })
  }

  /** A mutation of the shape that all have. @returns its payload, which has no errors */
  async change<Payload>(field: string, type: string, input: object, selection: string): Promise<Payload> {
    const query = `mutation ($input: ${type}!) {
      ${field}(input: $input) { ${selection} errors { __typename ... on UserError { message } } } }`
    const { [field]: payload } = await this.service.ask<Record<string, { errors: object[] }>>(query, { input })
    if (!payload || payload.errors.length > 0) throw new Error(JSON.stringify(payload))
    return payload as Payload
  }

  async setPolicy(policy: object): Promise<{ messages: number; bytes: number }> {
    type Payload = { preview: { messages: number; bytes: number } }
    const input = { accountId: this.id, policy }
    return (
      await this.change<Payload>('setDeletionPolicy', 'SetDeletionPolicyInput', input, 'preview { messages bytes }')
    ).preview
  }

  async setCollection(settings: object): Promise<void> {
    await this.change('setCollection', 'SetCollectionInput', { accountId: this.id, ...settings }, 'account { id }')
  }

  async forget(): Promise<void> {
    await this.change('forgetAccount', 'ForgetAccountInput', { id: this.id, requestedBy: 'a test' }, 'forgottenId')
  }

  /** SHA-256 of every message's raw content, sorted. */
  async contents(): Promise<string[]> {
    const { messages } = await this.state()
    return (await Promise.all(messages.nodes.map((message) => this.contentOf(message)))).sort()
  }

  async contentOf({ rawUrl }: Pick<Seen, 'rawUrl'>): Promise<string> {
    const response = await this.service.fetch(rawUrl)
    if (!response.ok) throw new Error(`${rawUrl}: ${response.status}`)
    return sha256(Buffer.from(await response.arrayBuffer()))
  }
}

export const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex')

/** How many messages a user's INBOX holds on the server, by the files of its Maildir. */
export async function onServer(dovecot: Dovecot, user: string): Promise<number> {
  const files = await Promise.all(['cur', 'new'].map((name) => readdir(join(dovecot.mailOf(user), name))))
  return files.flat().length
}

/** Waits until a server's INBOX holds so many messages. */
export async function untilOnServer(dovecot: Dovecot, user: string, count: number): Promise<void> {
  await until(async () => (await onServer(dovecot, user)) === count)
}
