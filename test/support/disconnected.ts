import type { ImapFlow } from 'imapflow'
import { PASSWORD, type MailServer } from './imap-server.ts'
import { Service, until } from './service.ts'
import { Wire } from './wire.ts'

/** A message as a client sees it. */
export type SeenMessage = {
  id: string
  uid: number | null
  subject: string
  flags: string[]
  origin: string
  mailbox: { id: string; path: string }
  pendingOperations: { id: string; kind: string }[]
}

/** An operation as a client sees it. */
export type SeenOperation = {
  id: string
  kind: string
  state: string
  reason: string | null
  messageCount: number
  appliedCount: number
  rejectedCount: number
  supersededCount: number
  offers: string[]
  rejections: { messageId: string; reason: string }[]
}

const OPERATION = `id kind state reason messageCount appliedCount rejectedCount supersededCount offers
  rejections { messageId reason }`

const STATE = `query ($id: ID!) { account(id: $id) {
  connection { state reason offlineUntil } conflictPolicy
  mailboxes { id path messageCount unreadCount isPending isSubscribed }
  messages(first: 500) { nodes { id uid subject flags origin mailbox { id path } pendingOperations { id kind } } }
  operations(first: 100) { nodes { ${OPERATION} } }
} }`

/** An account as a client sees it. */
export type SeenAccount = {
  connection: { state: string; reason: string | null; offlineUntil: string | null }
  conflictPolicy: string
  mailboxes: {
    id: string
    path: string
    messageCount: number
    unreadCount: number
    isPending: boolean
    isSubscribed: boolean
  }[]
  messages: { nodes: SeenMessage[] }
  operations: { nodes: SeenOperation[] }
}

/** What no server may have, since the wire could not read what is said. */
const UNREADABLE = ['COMPRESS=DEFLATE']

type Payload = {
  operation: SeenOperation | null
  messages?: SeenMessage[]
  mailbox?: { id: string; path: string } | null
  errors: { __typename: string; message: string }[]
}

/** Connects an account to a server behind a wire, and waits until all its mail has been read. */
export async function connectThroughWire(
  service: Service,
  server: Pick<MailServer, 'imapPort'>,
  username: string,
  model: 'ONLINE' | 'DISCONNECTED',
  hidden: readonly string[] = [],
): Promise<{ id: string; wire: Wire }> {
  const wire = await Wire.to(server.imapPort, [...UNREADABLE, ...hidden])
  const input = { host: '127.0.0.1', port: wire.port, security: 'PLAINTEXT', username, password: PASSWORD, model }
  const id = await service.connect(input)
  await service.synced(id)
  return { id, wire }
}

/** A DISCONNECTED account, worked with by public clients only, behind a wire that can be cut; and another client on the server. */
export class DisconnectedAccount {
  readonly service: Service
  readonly id: string
  readonly wire: Wire
  /** another client on the same mailboxes */
  other: ImapFlow
  private readonly connectOther: () => Promise<ImapFlow>

  protected constructor(
    service: Service,
    id: string,
    wire: Wire,
    other: ImapFlow,
    connectOther: () => Promise<ImapFlow>,
  ) {
    this.service = service
    this.id = id
    this.wire = wire
    this.other = other
    this.connectOther = connectOther
  }

  /** The other client, connected again where its server has ended the connection (Cyrus does, now and then). */
  async connectedOther(): Promise<ImapFlow> {
    if (!this.other.usable) this.other = await this.connectOther()
    return this.other
  }

  /** Connects one, and waits until all its mail has been read. @param hidden capabilities that the server seems not to have */
  static async connect(
    service: Service,
    server: Pick<MailServer, 'imapPort' | 'client'>,
    username: string,
    hidden: readonly string[] = [],
  ): Promise<DisconnectedAccount> {
    const { id, wire } = await connectThroughWire(service, server, username, 'DISCONNECTED', hidden)
    const connectOther = () => server.client(username)
    return new DisconnectedAccount(service, id, wire, await connectOther(), connectOther)
  }

  async state(): Promise<SeenAccount> {
    return (await this.service.ask<{ account: SeenAccount }>(STATE, { id: this.id })).account
  }

  /** The messages that are shown in a mailbox, by subject. */
  async shown(path: string): Promise<SeenMessage[]> {
    const { messages } = await this.state()
    const found = messages.nodes.filter((message) => message.mailbox.path === path)
    return found.sort((one, other) => (one.subject < other.subject ? -1 : 1))
  }

  /** A message that is shown, by its subject. */
  async message(subject: string): Promise<SeenMessage> {
    const found = (await this.state()).messages.nodes.find((message) => message.subject === subject)
    if (!found) throw new Error(`there is no message ${subject}`)
    return found
  }

  /** A message's raw content. */
  async read(messageId: string): Promise<Buffer> {
    const { message } = await this.service.ask<{ message: { rawUrl: string } }>(
      'query ($id: ID!) { message(id: $id) { rawUrl } }',
      { id: messageId },
    )
    return Buffer.from(await (await this.service.fetch(message.rawUrl)).arrayBuffer())
  }

  /** A mailbox's id. */
  async mailbox(path: string): Promise<string> {
    const found = (await this.state()).mailboxes.find((mailbox) => mailbox.path === path)
    if (!found) throw new Error(`there is no mailbox ${path}`)
    return found.id
  }

  /** Asks for something; the payload, whatever its errors. */
  async asked(field: string, type: string, input: object): Promise<Payload> {
    const isOfMailbox = /Mailbox$/.test(field)
    const isOfMessages = /Messages?$|^changeFlags$/.test(field)
    const of = isOfMailbox
      ? 'mailbox { id path }'
      : isOfMessages
        ? 'messages { id uid subject flags mailbox { id path } }'
        : ''
    const query = `mutation ($input: ${type}!) { ${field}(input: $input) {
      operation { ${OPERATION} } ${of} errors { __typename ... on UserError { message } } } }`
    const { [field]: payload } = await this.service.ask<Record<string, Payload>>(query, { input })
    return payload as Payload
  }

  /** Asks for something that has to be possible. @returns the operation's id, with what it is about */
  async ask(field: string, type: string, input: object): Promise<Payload & { id: string }> {
    const payload = await this.asked(field, type, input)
    if (payload.errors.length > 0 || !payload.operation) throw new Error(JSON.stringify(payload))
    return { ...payload, id: payload.operation.id }
  }

  flags(messageIds: string[], add: string[], remove: string[] = []) {
    return this.ask('changeFlags', 'ChangeFlagsInput', { messageIds, add, remove })
  }

  async move(messageIds: string[], path: string) {
    return this.ask('moveMessages', 'MoveMessagesInput', { messageIds, mailboxId: await this.mailbox(path) })
  }

  async copy(messageIds: string[], path: string) {
    return this.ask('copyMessages', 'CopyMessagesInput', { messageIds, mailboxId: await this.mailbox(path) })
  }

  delete(messageIds: string[], forGood = false) {
    return this.ask('deleteMessages', 'DeleteMessagesInput', { messageIds, forGood })
  }

  async append(path: string, raw: string, more: object = {}) {
    const input = { mailboxId: await this.mailbox(path), raw: Buffer.from(raw).toString('base64'), ...more }
    return this.ask('appendMessage', 'AppendMessageInput', input)
  }

  create(path: string) {
    return this.ask('createMailbox', 'CreateMailboxInput', { accountId: this.id, path })
  }

  async undo(operationId: string): Promise<{ operation: SeenOperation | null; errors: { __typename: string }[] }> {
    type Undone = { undoOperation: { operation: SeenOperation | null; errors: { __typename: string }[] } }
    const query = `mutation ($id: ID!) { undoOperation(operationId: $id) { operation { ${OPERATION} }
      errors { __typename } } }`
    return (await this.service.ask<Undone>(query, { id: operationId })).undoOperation
  }

  /** What a client does about a rejected operation. */
  async answer(operationId: string, answer: string): Promise<Payload> {
    return this.asked('answerOperation', 'AnswerOperationInput', { operationId, answer })
  }

  async setPolicy(policy: string): Promise<void> {
    await this.set('setConflictPolicy', 'SetConflictPolicyInput!', 'input', { accountId: this.id, policy })
  }

  /** Says that it wants no connection, without waiting until there is none. */
  requestOffline(): Promise<void> {
    return this.set('goOffline', 'GoOfflineInput!', 'input', { accountId: this.id })
  }

  async goOffline(): Promise<void> {
    await this.requestOffline()
    await until(() => !this.wire.isOpen)
  }

  async goOnline(): Promise<void> {
    await this.set('goOnline', 'ID!', 'accountId', this.id)
  }

  async syncNow(): Promise<void> {
    await this.service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id: this.id })
  }

  private async set(field: string, type: string, name: string, value: unknown): Promise<void> {
    const query = `mutation ($value: ${type}) { ${field}(${name}: $value) { errors { __typename } } }`
    const { [field]: payload } = await this.service.ask<Record<string, { errors: object[] }>>(query, { value })
    if (!payload || payload.errors.length > 0) throw new Error(JSON.stringify(payload))
  }

  /** Waits until no operation waits for its outcome. */
  async settled(within?: number): Promise<SeenOperation[]> {
    let operations: SeenOperation[] = []
    await until(async () => {
      operations = (await this.state()).operations.nodes
      return !operations.some(({ state }) => state === 'PENDING' || state === 'SENT')
    }, within).catch((error: Error) => {
      throw new Error(`${error.message}; ${JSON.stringify(operations)}; ${this.service.said()}`)
    })
    return operations
  }

  /** Goes online, and waits until no operation waits for its outcome. */
  async upload(): Promise<SeenOperation[]> {
    await this.goOnline()
    return this.settled()
  }

  async operation(id: string): Promise<SeenOperation> {
    const query = `query ($id: ID!) { operation(id: $id) { ${OPERATION} } }`
    return (await this.service.ask<{ operation: SeenOperation }>(query, { id })).operation
  }

  /** What the server has in a mailbox: subjects with their flags, by subject. */
  async onServer(path: string): Promise<{ subject: string; flags: string[] }[]> {
    const other = await this.connectedOther()
    const lock = await other.getMailboxLock(path)
    try {
      await other.noop()
      const found: { subject: string; flags: string[] }[] = []
      if (other.mailbox && other.mailbox.exists > 0)
        for await (const { envelope, flags } of other.fetch('1:*', { envelope: true, flags: true }))
          found.push({
            subject: envelope?.subject ?? '',
            flags: [...(flags ?? [])].filter((flag) => flag !== '\\Recent').sort(),
          })
      return found.sort((one, other) => (one.subject < other.subject ? -1 : 1))
    } finally {
      lock.release()
    }
  }

  /** Has it forgotten, so that nobody tries to reach its server any more. */
  async end(): Promise<void> {
    const query = 'mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { errors { __typename } } }'
    await this.service.ask(query, { input: { id: this.id, requestedBy: 'the test' } })
    this.other.close()
    this.wire.stop()
  }
}
