import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import {
  ImapFlow,
  type FetchMessageObject,
  type FetchQueryObject,
  type ListResponse,
  type MailboxObject,
  type SearchObject,
} from 'imapflow'
import { encodePath, formatMessageResponse } from 'imapflow/lib/tools.js'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed } from '../../mailbox/failures.js'
import { normaliseFlags, type Flags } from '../../mailbox/flags.js'
import type { ListedMailbox } from '../../mailbox/mailbox-list.js'
import type { Defect, MessageData } from '../../mailbox/message.js'
import type { ReportedPlace, SyncAbilities } from '../../mailbox/sync-plan.js'
import { formatUidSet, parseUidSet, uidSetOf, uidsOf, withoutUids, type UidSet } from '../../mailbox/uid-set.js'
import type { Logger } from '../../platform/logs.js'
import { inSpan } from '../../platform/traces.js'
import { nameForTls, resolveServer, type DialPolicy } from '../dial.js'
import { takenOver } from '../network-failure.js'
import { failureOfError } from './failure-of-error.js'
import { CAREFUL_QUERIES, messageDataOf, METADATA_QUERY } from './message-data.js'

/** A mailbox as the server lists it, with where it stands. */
export type MailboxReport = { listed: ListedMailbox; place: ReportedPlace | null }

/** A message's flags as reported, found by UID. */
export type FlagsReport = { uid: number; flags: Flags; modseq: string | null }

/** What changed in a mailbox since a modseq: pieces of flags, then what vanished and how far this reaches. */
export type ChangesReport = { vanished: UidSet; highestModseq: string | null }

/** Of the time that a server may take to answer, what IDLE goes on for until it is begun anew: that proves the connection alive. */
const IDLE_PART = 0.75

// A hostile server's bounds: what one line, literal or answer may hold.
const LIMITS = { maxLineLength: 8 * 1024 ** 2, maxLiteralSize: 32 * 1024 ** 2, maxResponseSize: 64 * 1024 ** 2 }

/**
 * One authenticated IMAP connection: asks, and reports what the server says, in the mailbox's own terms. It decides
 * nothing. Every call rejects with ServerFailed.
 *
 * `signal` is emitted with a mailbox's path when the server says, unasked, that something is new there, and with null
 * when the list of mailboxes is; `closed` once, when the connection is gone.
 */
export class ImapConnection extends EventEmitter<{ signal: [path: string | null]; closed: [] }> {
  private vanished: number[] = []
  private collecting = false
  private notifies = false
  private mayGoOn = () => true

  private constructor(
    private readonly client: ImapFlow,
    readonly server: ServerSettings,
  ) {
    super()
    client.on('close', () => this.emit('closed'))
    client.on('exists', ({ path }) => this.emit('signal', path))
    client.on('flags', ({ path }) => this.emit('signal', path))
    client.on('expunge', ({ path, uid, vanished }) => {
      if (vanished && uid) this.vanished.push(uid)
      if (!this.collecting) this.emit('signal', path)
    })
    this.hearNotifications()
  }

  /** Connects and logs in. @param secret the password, or the access token for XOAUTH2. @throws ServerFailed, of every kind */
  static async open(
    server: ServerSettings,
    secret: string,
    policy: DialPolicy,
    logger: Logger,
  ): Promise<ImapConnection> {
    const address = await resolveServer(server, policy)
    const servername = nameForTls(server.host)
    const client = new ImapFlow({
      host: address,
      servername,
      port: server.port,
      secure: server.security === 'IMPLICIT_TLS',
      doSTARTTLS: server.security === 'IMPLICIT_TLS' ? undefined : server.security === 'STARTTLS',
      auth:
        server.authentication === 'XOAUTH2'
          ? { user: server.username, accessToken: secret }
          : { user: server.username, pass: secret },
      qresync: true,
      disableAutoIdle: true,
      clientInfo: { name: 'Mailfold' },
      tls: { secureContext: policy.secureContext },
      connectionTimeout: policy.connectTimeout,
      greetingTimeout: policy.connectTimeout,
      socketTimeout: policy.answerTimeout,
      // before the time-out: at that imapflow ends IDLE for a NOOP, and does not begin it again
      maxIdleTime: policy.answerTimeout * IDLE_PART,
      logger: false,
      ...LIMITS,
    })
    client.on('error', (error) => logger.debug({ host: server.host, error: error.message }, 'connection failed'))
    try {
      await client.connect()
    } catch (error) {
      client.close()
      throw new ServerFailed(failureOfConnect(error, server))
    }
    return new ImapConnection(client, server)
  }

  /** What the server can do, in its own words. */
  get capabilities(): string[] {
    return [...this.client.capabilities.keys()]
  }

  /** Whether the server offers something, by its name among the capabilities. */
  offers(capability: string): boolean {
    return this.client.capabilities.has(capability)
  }

  /** What the server calls itself (RFC 2971), null where it doesn't. */
  get serverName(): string | null {
    const { name, version } = (this.client.serverInfo ?? {}) as { name?: string; version?: string }
    return name ? [name, version].filter(Boolean).join(' ') : null
  }

  get abilities(): SyncAbilities {
    return { condstore: this.client.enabled.has('CONDSTORE'), qresync: this.client.enabled.has('QRESYNC') }
  }

  /** Path of the selected mailbox, null where none is. */
  get selected(): string | null {
    return this.client.mailbox ? this.client.mailbox.path : null
  }

  /** UIDVALIDITY of the selected mailbox as it was when it was selected, null where none is. */
  get selectedUidValidity(): string | null {
    return this.client.mailbox ? this.client.mailbox.uidValidity.toString() : null
  }

  /** All mailboxes with where they stand, in one round trip where the server has LIST-STATUS (RFC 5819). */
  async listMailboxes(): Promise<MailboxReport[]> {
    const statusQuery = { messages: true, uidNext: true, uidValidity: true, highestModseq: this.abilities.condstore }
    const listed = await this.ask('LIST', () => this.client.list({ statusQuery }))
    return listed.map(reportOf)
  }

  /** Whether a mailbox is there, asked by its name: a list may leave out one that is. A refusal to say counts as yes. */
  async hasMailbox(path: string): Promise<boolean> {
    try {
      await this.client.status(path, { messages: true })
      return true
    } catch (error) {
      if ((error as { code?: string }).code === 'NotFound') return false
      throw this.failed(error, 'STATUS')
    }
  }

  /** Selects a mailbox and says where it stands. @param readOnly by EXAMINE, which changes nothing (RFC 9051 §6.3.3) */
  async select(path: string, readOnly = false): Promise<ReportedPlace> {
    const mailbox = await this.ask('SELECT', () => this.client.mailboxOpen(path, { readOnly }))
    this.vanished = []
    return placeOf(mailbox)
  }

  /** Has the server tell of what is new in the selected mailbox (RFC 9051 §6.1.2). */
  async noop(): Promise<void> {
    await this.ask('NOOP', () => this.client.noop())
  }

  /** How many messages the selected mailbox has now. */
  get exists(): number {
    return this.client.mailbox ? this.client.mailbox.exists : 0
  }

  /** Every UID of the selected mailbox. */
  allUids(): Promise<UidSet> {
    return this.search({ all: true })
  }

  /** Which of the given UIDs the selected mailbox still has. */
  present(uids: UidSet): Promise<UidSet> {
    return this.search({ uid: formatUidSet(uids) })
  }

  /** UIDs of the selected mailbox from a given one up. */
  async uidsFrom(uid: number): Promise<UidSet> {
    const found = await this.search({ uid: `${uid}:*` })
    // n:* also finds the last message when its UID is below n (RFC 9051 §9, seq-range)
    return uid > 1 ? withoutUids(found, [[1, uid - 1]]) : found
  }

  /** Metadata of all messages from a UID up, in one round trip: for when they are known to be few. */
  async messagesFrom(uid: number): Promise<MessageData[]> {
    const found: MessageData[] = []
    for await (const message of this.stream(`${uid}:*`, METADATA_QUERY)) {
      if (message.uid >= uid && isWhole(message)) found.push(messageDataOf(message))
    }
    return found
  }

  /** Metadata of given messages, newest first. Those that are gone are missing; those that cannot be read are marked. */
  async messages(uids: UidSet): Promise<MessageData[]> {
    const found: MessageData[] = []
    const wanted = new Set(uidsOf(uids))
    const take = (message: FetchMessageObject, defects: readonly Defect[] = []) => {
      // deleted from the wanted ones as they come: what a server tells unasked, or twice, is not taken
      if (isWhole(message) && wanted.delete(message.uid)) found.push(messageDataOf(message, defects))
    }
    for await (const message of this.stream(formatUidSet(uids), METADATA_QUERY)) take(message)
    for (const { query, defect } of CAREFUL_QUERIES) {
      if (wanted.size === 0) break
      for await (const message of this.stream(formatUidSet(uidSetOf(wanted)), query)) take(message, [defect])
    }
    return found.sort((one, other) => other.uid - one.uid)
  }

  /** Metadata of one message on which the ordinary way has failed: only what cannot be hostile. */
  async messageCarefully(uid: number): Promise<MessageData[]> {
    const found: MessageData[] = []
    const { query, defect } = CAREFUL_QUERIES.at(-1) as (typeof CAREFUL_QUERIES)[number]
    for await (const message of this.stream(String(uid), query)) found.push(messageDataOf(message, [defect]))
    return found
  }

  /** Flags of the given messages, or of all, or of those changed since a modseq, in pieces. */
  async *flags(range: string, pieceSize: number, changedSince?: string): AsyncGenerator<FlagsReport[]> {
    let piece: FlagsReport[] = []
    for await (const message of this.stream(range, { uid: true, flags: true }, changedSince)) {
      piece.push(flagsReportOf(message))
      if (piece.length < pieceSize) continue
      yield piece
      piece = []
    }
    if (piece.length > 0) yield piece
  }

  /**
   * What changed since a modseq: flags as they come, in pieces; then, by QRESYNC (RFC 7162 §3.2.6), what vanished.
   *
   * @param upTo the highest UID that may have been there: `*` is the highest that still is (RFC 9051 §9), and what vanished
   * above it would not be told
   * @param report takes a piece of changed flags
   */
  async changesSince(
    modseq: string,
    upTo: number,
    pieceSize: number,
    report: (piece: FlagsReport[]) => Promise<void>,
  ): Promise<ChangesReport> {
    this.collecting = true
    let highest = BigInt(modseq)
    try {
      for await (const piece of this.flags(`1:${upTo}`, pieceSize, modseq)) {
        for (const each of piece)
          if (each.modseq !== null && BigInt(each.modseq) > highest) highest = BigInt(each.modseq)
        await report(piece)
      }
      const vanished = uidSetOf(this.vanished)
      this.vanished = []
      return { vanished, highestModseq: highest.toString() }
    } finally {
      this.collecting = false
    }
  }

  /** The whole message, byte for byte, as a stream. @throws ServerFailed, null when the message is gone */
  async raw(uid: number, maxBytes: number): Promise<Readable | null> {
    const found = await this.ask('FETCH', () => this.client.download(String(uid), undefined, { uid: true, maxBytes }))
    const content = 'content' in found && found.content ? found.content : null
    if (!content) return null
    // imapflow leaves a stream open of which the connection has ended
    const lost = () =>
      content.destroy(
        new ServerFailed({ kind: 'ConnectionLost', host: this.server.host, reason: 'it ended in a message' }),
      )
    this.once('closed', lost)
    content.once('close', () => this.off('closed', lost))
    return content
  }

  /**
   * Has the server tell of news: of all mailboxes by NOTIFY (RFC 5465) where it can, of the selected one by IDLE
   * (RFC 2177). Returns at once; the next request ends the waiting by itself.
   */
  async watch(path: string): Promise<void> {
    if (this.selected !== path) await this.select(path)
    if (this.client.capabilities.has('NOTIFY') && !this.notifies) {
      this.notifies = true
      // a server may offer NOTIFY and refuse this set of events: then it is watched like one without
      this.notifies = await this.execute('NOTIFY', NOTIFY_ALL).then(
        () => true,
        () => false,
      )
    }
    this.client.idle().catch(() => undefined)
  }

  /** Ends IDLE (RFC 2177), where it goes on, without waiting for that: something is about to be asked. */
  rouse(): void {
    this.endIdle().catch(() => undefined)
  }

  /** Whether the server tells of news in every mailbox, not only in the selected one. */
  get watchesAll(): boolean {
    return this.notifies
  }

  /** Ends the connection politely, or, after a second, without asking. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.client.close(), 1000)
    await this.client.logout().catch(() => undefined)
    clearTimeout(timer)
    this.client.close()
  }

  /** Ends the connection at once: it is not trusted to answer any more. */
  drop(): void {
    this.client.close()
  }

  /** Messages by UID with whatever of them is asked for. One request at a time: read to the end before the next. */
  async *stream(range: string, query: FetchQueryObject, changedSince?: string) {
    const since = changedSince === undefined ? {} : { changedSince: BigInt(changedSince) }
    try {
      yield* this.client.fetch(range, query, { uid: true, ...since })
    } catch (error) {
      throw this.failed(error, 'FETCH')
    }
  }

  /**
   * Has the connection end before anything more is said over it once it may not be used any more: a process that was stopped for a while would else
   * go on in the middle of a command that another process has given meanwhile.
   */
  guard(mayGoOn: () => boolean): void {
    this.mayGoOn = mayGoOn
    const { socket } = this.client as unknown as { socket: Socket }
    // before imapflow reads it, and answers
    socket.prependListener('data', () => {
      if (!mayGoOn()) socket.destroy()
    })
  }

  private checkGuard(): void {
    if (this.mayGoOn()) return
    this.drop()
    throw takenOver(this.server.host)
  }

  /** Makes a request of imapflow's. @param command what it is called if it fails */
  async ask<T>(command: string, request: (client: ImapFlow) => Promise<T>): Promise<T> {
    this.checkGuard()
    return inSpan(`IMAP ${command}`, { 'server.address': this.server.host }, async () => {
      try {
        return await request(this.client)
      } catch (error) {
        throw this.failed(error, command)
      }
    })
  }

  /** UIDs that match, as runs by ESEARCH (RFC 4731) where the server has it: a million UIDs are then a short line. */
  async search(query: SearchObject): Promise<UidSet> {
    const found = await this.ask('SEARCH', () => this.client.search(query, { uid: true, returnOptions: ['ALL'] }))
    const granted = this.granted('SEARCH', found)
    return Array.isArray(granted) ? uidSetOf(granted) : parseUidSet(granted.all ?? '')
  }

  /** A refusal is an error, never "nothing": imapflow answers a refused SEARCH with false. */
  private granted<T>(command: string, answer: T | false | undefined): T {
    if (answer) return answer
    throw new ServerFailed({
      kind: 'CommandRefused',
      host: this.server.host,
      command,
      serverSaid: 'the server refused',
    })
  }

  private failed(error: unknown, command: string): ServerFailed {
    const failure = failureOfError(error, this.server)
    return new ServerFailed(failure.kind === 'CommandRefused' ? { ...failure, command } : failure)
  }

  /**
   * Sends a command that imapflow has no method for, or one that does not say why it was refused; its own door for that is
   * not among its public types.
   *
   * @param told takes the untagged answers of a name
   * @returns the answer that completes it
   */
  async execute(
    command: string,
    attributes: readonly unknown[],
    told?: { untagged: string; take: (answer: ImapAnswer) => void },
  ): Promise<ImapAnswer> {
    const client = this.client as unknown as {
      exec(command: string, attributes: readonly unknown[], options?: object): Promise<ImapResponse>
    }
    // imapflow's own methods do that by themselves
    await this.endIdle()
    const options = told && { untagged: { [told.untagged]: async (answer: ImapAnswer) => told.take(answer) } }
    const response = await this.ask(command, () => client.exec(command, attributes, options))
    response.next()
    return response.response
  }

  private async endIdle(): Promise<void> {
    const { preCheck } = this.client as unknown as { preCheck: false | (() => Promise<void>) }
    if (preCheck) await preCheck()
  }

  /** The same for a command that has the server tell of flags in the selected mailbox, by UID. */
  async executeForFlags(
    command: string,
    attributes: readonly unknown[],
    report: (flags: FlagsReport) => void,
  ): Promise<void> {
    const answers: ImapAnswer[] = []
    await this.execute(command, attributes, { untagged: 'FETCH', take: (answer) => answers.push(answer) })
    for (const answer of answers) {
      const told = await formatMessageResponse(answer as never, this.client.mailbox as MailboxObject)
      if (told.uid && told.flags) report(flagsReportOf(told))
    }
  }

  /** A mailbox's path as it goes over the wire: in modified UTF-7 (RFC 3501 §5.1.3) where the server wants that. */
  encoded(path: string): string {
    return encodePath(this.client, path)
  }

  /** The flags that can be set for good in the selected mailbox (PERMANENTFLAGS, RFC 9051 §7.1); null where it did not say. */
  get permanentFlags(): Flags | null {
    const { mailbox } = this.client
    return mailbox && mailbox.permanentFlags ? [...mailbox.permanentFlags] : null
  }

  /** Whether nothing can be changed in the selected mailbox. */
  get isReadOnly(): boolean {
    return this.client.mailbox ? this.client.mailbox.readOnly === true : false
  }

  /**
   * imapflow hands untagged STATUS and LIST answers only to the command that asked. Those that NOTIFY brings come when
   * nobody asked, so its table of untagged handlers, which has no public door, gets two entries more.
   */
  private hearNotifications(): void {
    const { untaggedHandlers } = this.client as unknown as {
      untaggedHandlers: Record<string, (untagged: UntaggedStatus) => void>
    }
    untaggedHandlers['STATUS'] = ({ attributes }) => {
      const path = attributes?.[0]?.value
      this.emit('signal', typeof path === 'string' && /^[\x20-\x25\x27-\x7e]+$/.test(path) ? path : null)
    }
    untaggedHandlers['LIST'] = () => this.emit('signal', null)
  }
}

/** An answer of the server, parsed by imapflow; its response code, where it has one, is the section of the first attribute. */
export type ImapAnswer = { attributes?: { value?: unknown; section?: { value?: unknown }[] }[] }

type ImapResponse = { response: ImapAnswer; next(): void }

type UntaggedStatus = { attributes?: { value?: unknown }[] }

const atom = (value: string) => ({ type: 'ATOM' as const, value })

const MESSAGE_EVENTS = [atom('MessageNew'), atom('MessageExpunge'), atom('FlagChange')]

const NOTIFY_ALL = [
  atom('SET'),
  [atom('SELECTED'), MESSAGE_EVENTS],
  [atom('PERSONAL'), [...MESSAGE_EVENTS, atom('MailboxName'), atom('SubscriptionChange')]],
]

/** A flag that changes meanwhile comes as a FETCH answer of its own, between those that were asked for (RFC 9051 §7.5.2). */
function isWhole(message: FetchMessageObject): boolean {
  return message.internalDate !== undefined
}

function flagsReportOf({ uid, flags, modseq }: FetchMessageObject): FlagsReport {
  return { uid, flags: normaliseFlags(flags ?? []), modseq: modseq?.toString() ?? null }
}

function placeOf(mailbox: MailboxObject): ReportedPlace {
  return {
    uidValidity: mailbox.uidValidity.toString(),
    uidNext: mailbox.uidNext || null,
    highestModseq: mailbox.highestModseq?.toString() ?? null,
    messages: mailbox.exists,
  }
}

function reportOf(entry: ListResponse): MailboxReport {
  const { status } = entry
  const place = status?.uidValidity
    ? {
        uidValidity: status.uidValidity.toString(),
        uidNext: status.uidNext ?? null,
        highestModseq: status.highestModseq?.toString() ?? null,
        messages: status.messages ?? null,
      }
    : null
  const attributes = [...entry.flags]
    .filter((flag) => !/^\\(Has(No)?Children|Subscribed|Marked|Unmarked)$/i.test(flag))
    .sort()
  const listed = {
    path: entry.path,
    delimiter: entry.delimiter || null,
    attributes,
    specialUse: entry.specialUse ?? null,
    subscribed: entry.subscribed === true,
    selectable: !attributes.some((flag) => /^\\(NoSelect|NonExistent)$/i.test(flag)),
    objectId: (status as { mailboxId?: string } | undefined)?.mailboxId ?? null,
    uidValidity: place?.uidValidity ?? null,
    messages: place?.messages ?? null,
  }
  return { listed, place }
}

/** Until the login is through, silence and gibberish mean that something else lives on the port. */
function failureOfConnect(error: unknown, server: ServerSettings) {
  const failure = failureOfError(error, server)
  const code = (error as { code?: string }).code ?? ''
  if (failure.kind !== 'ConnectionLost') return failure
  if (/TIMEOUT$/.test(code) && code !== 'GREETING_TIMEOUT')
    return { kind: 'ConnectionTimedOut', host: server.host, port: server.port } as const
  const gibberish =
    /^(GREETING_TIMEOUT|ParserError|InvalidResponse|UnexpectedTag|MissingTag|LineTooLarge|ClosedAfterConnect)/.test(
      code,
    )
  return gibberish ? ({ kind: 'ProtocolNotSpoken', host: server.host, port: server.port } as const) : failure
}
