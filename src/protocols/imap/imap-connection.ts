import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import {
  type ImapFlow,
  type FetchMessageObject,
  type FetchQueryObject,
  type MailboxObject,
  type SearchObject,
} from 'imapflow'
import { encodePath, formatMessageResponse } from 'imapflow/lib/tools.js'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { isRefusal, ServerFailed } from '../../mailbox/failures.js'
import type { Flags } from '../../mailbox/flags.js'
import type { Defect, MessageData } from '../../mailbox/message.js'
import { clean } from '../../mailbox/message-bounds.js'
import type { Namespaces } from '../../mailbox/namespaces.js'
import type { ReportedPlace, SyncAbilities } from '../../mailbox/sync-plan.js'
import {
  formatUidSet,
  joinUids,
  parseUidSet,
  uidCount,
  uidSetOf,
  uidsOf,
  withoutUids,
  type UidSet,
} from '../../mailbox/uid-set.js'
import type { Logger } from '../../platform/logs.js'
import { inSpan } from '../../platform/traces.js'
import type { DialPolicy } from '../dial.js'
import { takenOver } from '../network-failure.js'
import { loginSecrets, SecretsTold } from '../secrets-told.js'
import { AnswerWatch } from './answer-watch.js'
import { failureOfError } from './failure-of-error.js'
import { listIn, placeOf, takeNamespaces, type MailboxReport } from './listing.js'
import { login } from './login.js'
import { CAREFUL_QUERIES, flagsOf, isAnswerTo, messageDataOf, METADATA_QUERY, unknownMessage } from './message-data.js'
import { readAgain, secondLookAt, type Looks } from './second-look.js'
import { hearNotifications, hearVanished, NOTIFY_ALL } from './unasked-answers.js'

/** A message's flags as reported, found by UID. */
export type FlagsReport = { uid: number; flags: Flags; modseq: string | null }

/** What changed in a mailbox since a modseq: pieces of flags, then what vanished and how far this reaches. */
export type ChangesReport = { vanished: UidSet; highestModseq: string | null }

/** Messages of a mailbox that are believed; a server that tells of more is broken or hostile. */
const MOST_MESSAGES = 10_000_000
/** The highest UID that there can be (RFC 9051 §2.3.1.1). */
const HIGHEST_UID = 4_294_967_295
/** Capabilities that are kept, and characters of each. */
const MOST_CAPABILITIES = 300
const LONGEST_WORD = 200
/** How often one command's answers may tell of the same message. */
const MOST_REPEATS = 3
/** Runs of UIDs that a server may say have vanished, before they are asked for. */
const MOST_RUNS = 100_000

/**
 * One authenticated IMAP connection: asks, and reports what the server says, in the mailbox's own terms. It decides
 * nothing. Every call rejects with ServerFailed.
 *
 * `signal` is emitted with a mailbox's path when the server says, unasked, that something is new there, and with null
 * when the list of mailboxes is; `closed` once, when the connection is gone.
 */
export class ImapConnection extends EventEmitter<{ signal: [path: string | null]; closed: [] }> {
  private vanished: UidSet = []
  private collecting = false
  private notifies = false
  private mayGoOn = () => true
  /** what the server said of the selected mailbox when it was selected */
  private atSelect: { exists: number; uidNext: number | null } = { exists: 0, uidNext: null }
  /** whether the server has refused MOVE without a reason, though it offers it */
  refusesMove = false
  /** what imapflow said last of the connection itself */
  private lastError: unknown = null
  private readonly watcher: AnswerWatch
  /** messages that the selected mailbox has and that no list of its UIDs gave, when all were asked for last */
  private unlistedCount = 0
  /** where the server keeps mailboxes (RFC 2342); null where it has not told that */
  readonly namespaces: Namespaces | null

  private constructor(
    private readonly client: ImapFlow,
    readonly server: ServerSettings,
    answerTimeout: number,
    private readonly secrets: SecretsTold,
    unparsed: { heard: () => void },
  ) {
    super()
    this.namespaces = takeNamespaces(client)
    const { socket } = client as unknown as { socket: Socket }
    this.watcher = new AnswerWatch(socket, answerTimeout, () => client.close())
    unparsed.heard = () => this.watcher.couldNotParse()
    client.on('close', () => this.emit('closed'))
    client.on('error', (error) => (this.lastError = error))
    client.on('exists', ({ path }) => this.emit('signal', path))
    client.on('flags', ({ path }) => this.emit('signal', path))
    client.on('expunge', ({ path }) => {
      if (!this.collecting) this.emit('signal', path)
    })
    hearNotifications(client, (path) => this.emit('signal', path))
    hearVanished(client, (path, gone) => this.tookVanished(path, gone))
  }

  /** Connects and logs in. @param secret the password, or the access token for XOAUTH2. @throws ServerFailed, of every kind */
  static async open(
    server: ServerSettings,
    secret: string,
    policy: DialPolicy,
    logger: Logger,
  ): Promise<ImapConnection> {
    const secrets = new SecretsTold(loginSecrets(server.username, secret))
    const unparsed = { heard: () => undefined as void }
    const client = await login({ server, secret, secrets, policy, logger, unparsed: () => unparsed.heard() })
    return new ImapConnection(client, server, policy.answerTimeout, secrets, unparsed)
  }

  /** What the server can do, in its own words. */
  get capabilities(): string[] {
    const all = [...this.client.capabilities.keys()].slice(0, MOST_CAPABILITIES)
    return all.map((each) => this.told(each))
  }

  /** What the server says, as it may be kept: bounded, storable, and without the secrets of the login. */
  private told(text: string): string {
    return clean(this.secrets.hide(text).slice(0, LONGEST_WORD))
  }

  /** How many of the server's answers could not be parsed. */
  get unparsed(): number {
    return this.watcher.unparsed
  }

  /** Whether the server offers something, by its name among the capabilities. */
  offers(capability: string): boolean {
    return this.client.capabilities.has(capability)
  }

  /** What the server calls itself (RFC 2971), null where it doesn't. */
  get serverName(): string | null {
    const { name, version } = (this.client.serverInfo ?? {}) as { name?: string; version?: string }
    return name ? this.told([name, version].filter(Boolean).join(' ')) : null
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
    const reports = await listIn(this.client, (list) => this.ask('LIST', list), statusQuery, this.namespaces)
    // there is always an INBOX (RFC 9051 §5.1)
    if (reports.length === 0) throw this.refused('LIST', 'it lists no mailbox')
    return reports
  }

  /** Whether a mailbox is there, asked by its name: a list may leave out one that is. A refusal to say counts as yes. */
  async hasMailbox(path: string): Promise<boolean> {
    try {
      await this.watcher.asked(() => this.client.status(path, { messages: true }))
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
    const place = placeOf(mailbox, this.server.host)
    this.atSelect = { exists: this.exists, uidNext: place.uidNext }
    return place
  }

  /** Has the server tell of what is new in the selected mailbox (RFC 9051 §6.1.2). */
  async noop(): Promise<void> {
    await this.ask('NOOP', () => this.client.noop())
  }

  /** How many messages the selected mailbox has now. */
  get exists(): number {
    return this.client.mailbox ? this.client.mailbox.exists : 0
  }

  /**
   * Every UID of the selected mailbox. A SEARCH that gives another number of messages than the mailbox has (EXISTS) is not believed: then each message is
   * asked for its UID. `unlisted` says how many are missing even so.
   */
  async allUids(): Promise<UidSet> {
    const found = await this.search({ all: true })
    if (uidCount(found) === this.exists && !this.hasFromNowhere(found)) {
      this.unlistedCount = 0
      return found
    }
    const fetched: number[] = []
    if (this.exists > 0) for await (const { uid } of this.stream('1:*', { uid: true })) if (uid) fetched.push(uid)
    const isDoubtful = this.hasFromNowhere(found)
    const listed = isDoubtful ? withoutUids(found, [[this.atSelect.uidNext ?? 1, HIGHEST_UID]]) : found
    const all = joinUids(listed, uidSetOf(fetched))
    this.unlistedCount = Math.max(0, this.exists - uidCount(all))
    return all
  }

  /** Whether UIDs are above the mailbox's UIDNEXT although no message has come: what is found is not what is there. */
  private hasFromNowhere(found: UidSet): boolean {
    const { exists, uidNext } = this.atSelect
    return uidNext !== null && exists === this.exists && (found.at(-1)?.[1] ?? 0) >= uidNext
  }

  /** How many messages the server counts in the selected mailbox without giving their UIDs; as of the last time that all UIDs were asked for. */
  get unlisted(): number {
    return this.unlistedCount
  }

  /** Which of the given UIDs the selected mailbox still has. */
  async present(uids: UidSet): Promise<UidSet> {
    const found = await this.search({ uid: formatUidSet(uids) })
    // what a server names beside those that were asked about is not taken
    return withoutUids(uids, withoutUids(uids, found))
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
    const looks: Looks = new Map()
    for await (const message of this.stream(`${uid}:*`, METADATA_QUERY))
      if (message.uid >= uid && isAnswerTo(METADATA_QUERY, message)) found.push(this.dataOf(message, [], looks))
    return this.lookAgain(found, looks)
  }

  /**
   * Metadata of given messages, newest first. Those that are gone are missing. One that the server still lists, and of which nothing that it says can be
   * read, is there with its UID and the defect UNREADABLE.
   */
  async messages(uids: UidSet): Promise<MessageData[]> {
    const found: MessageData[] = []
    const looks: Looks = new Map()
    const wanted = new Set(uidsOf(uids))
    const isOne = wanted.size === 1
    const ask = (query: FetchQueryObject, defects: readonly Defect[]) =>
      take(query, defects).catch((error: unknown) => {
        // of one that the server will not bring, it may bring less
        if (!isOne || !isRefusal(error)) throw error
      })
    const take = async (query: FetchQueryObject, defects: readonly Defect[]) => {
      if (wanted.size === 0) return
      for await (const message of this.stream(formatUidSet(uidSetOf(wanted)), query))
        // deleted from the wanted ones as they come: what a server tells unasked, or twice, is not taken
        if (isAnswerTo(query, message) && wanted.delete(message.uid)) found.push(this.dataOf(message, defects, looks))
    }
    await ask(METADATA_QUERY, [])
    for (const { query, defects } of CAREFUL_QUERIES) await ask(query, defects)
    if (wanted.size > 0) found.push(...(await this.unreadable(uidSetOf(wanted))))
    return (await this.lookAgain(found, looks)).sort((one, other) => other.uid - one.uid)
  }

  private lookAgain(messages: readonly MessageData[], looks: Looks): Promise<MessageData[]> {
    return readAgain(messages, looks, (uids, query) => this.stream(formatUidSet(uidSetOf(uids)), query))
  }

  /** Metadata of one message on which the ordinary way has failed: only what cannot be hostile. */
  async messageCarefully(uid: number): Promise<MessageData[]> {
    const found: MessageData[] = []
    const { query, defects } = CAREFUL_QUERIES.at(-2) as (typeof CAREFUL_QUERIES)[number]
    for await (const message of this.stream(String(uid), query))
      if (message.uid === uid && found.length === 0) found.push(this.dataOf(message, defects, new Map()))
    return found.length > 0 ? found : this.unreadable([[uid, uid]])
  }

  /** Those of some messages that the server still lists, with nothing known of them but that. */
  private async unreadable(uids: UidSet): Promise<MessageData[]> {
    return uidsOf(await this.present(uids)).map((uid) => unknownMessage(uid, this.identityOf(uid)))
  }

  /** @param looks where it is noted that the message is to be looked at again */
  private dataOf(message: FetchMessageObject, defects: readonly Defect[], looks: Looks): MessageData {
    const data = messageDataOf(message, defects, this.identityOf(message.uid))
    const look = secondLookAt(data, message.headers)
    if (look) looks.set(message.uid, look)
    return data
  }

  /** What tells a message apart of which nothing else is known. */
  private identityOf(uid: number): string {
    return [this.selected, this.selectedUidValidity, uid].join('\n')
  }

  /** Flags of the given messages, or of all, or of those changed since a modseq, in pieces. */
  async *flags(range: string, pieceSize: number, changedSince?: string): AsyncGenerator<FlagsReport[]> {
    // what is told twice counts as it was told last
    let piece = new Map<number, FlagsReport>()
    const repeats = new Map<number, number>()
    for await (const message of this.stream(range, { uid: true, flags: true }, changedSince)) {
      if (!message.uid || message.flags === undefined) continue
      if (piece.has(message.uid)) this.repeated(repeats, message.uid)
      piece.set(message.uid, flagsReportOf(message))
      if (piece.size < pieceSize) continue
      yield [...piece.values()]
      piece = new Map()
    }
    if (piece.size > 0) yield [...piece.values()]
  }

  private repeated(repeats: Map<number, number>, uid: number): void {
    const count = (repeats.get(uid) ?? 0) + 1
    repeats.set(uid, count)
    if (count > MOST_REPEATS) this.watcher.giveUp('the server tells of the same message again and again')
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
      const { vanished } = this
      this.vanished = []
      return { vanished, highestModseq: highest.toString() }
    } finally {
      this.collecting = false
    }
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
    // one unasked answer for each message, and as many again, are no flood
    let left = 10_000 + 3 * this.exists
    let isAsking = true
    this.watcher.begin(true)
    try {
      for await (const message of this.client.fetch(range, query, { uid: true, ...since })) {
        if (--left < 0) this.watcher.giveUp('the server answers with more messages than there are')
        this.watcher.rest()
        isAsking = false
        yield message
        this.watcher.begin(true)
        isAsking = true
      }
    } catch (error) {
      throw this.failed(error, 'FETCH')
    } finally {
      if (isAsking) this.watcher.rest()
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

  private tookVanished(path: string, gone: UidSet): void {
    this.vanished = joinUids(this.vanished, gone)
    if (this.vanished.length > MOST_RUNS) this.watcher.giveUp('the server tells without an end of what vanished')
    if (!this.collecting) this.emit('signal', path)
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
        return await this.watcher.asked(() => request(this.client), CARRIES_MAIL.has(command))
      } catch (error) {
        throw this.failed(error, command)
      }
    })
  }

  /** UIDs that match, as runs by ESEARCH (RFC 4731) where the server has it: a million UIDs are then a short line. */
  async search(query: SearchObject): Promise<UidSet> {
    const found = await this.ask('SEARCH', () => this.client.search(query, { uid: true, returnOptions: ['ALL'] }))
    const granted = this.granted('SEARCH', found)
    const uids = Array.isArray(granted) ? uidSetOf(granted) : parseUidSet(granted.all ?? '')
    if (uidCount(uids) > Math.min(MOST_MESSAGES, this.exists * 2 + 10_000))
      throw this.refused('SEARCH', 'it finds more messages than the mailbox has')
    return uids
  }

  /** A refusal is an error, never "nothing": imapflow answers a refused SEARCH with false. */
  private granted<T>(command: string, answer: T | false | undefined): T {
    if (answer) return answer
    throw this.refused(command, 'the server refused')
  }

  /** The failure of a command whose answer cannot be used. @param serverSaid why, in one sentence */
  refused(command: string, serverSaid: string): ServerFailed {
    return new ServerFailed({ kind: 'CommandRefused', host: this.server.host, command, serverSaid, code: null })
  }

  /** Why the connection was ended from here, for what the server does; null where it was not. */
  get broken(): ServerFailed | null {
    const { reason } = this.watcher
    return reason === null ? null : new ServerFailed({ kind: 'ConnectionLost', host: this.server.host, reason })
  }

  private failed(error: unknown, command: string): ServerFailed {
    if (this.broken) return this.broken
    // asked after the end, imapflow says only that there is no connection
    if ((error as { code?: string }).code === 'NoConnection') error = this.lastError ?? new Error('the server ended it')
    const failure = failureOfError(error, this.server, this.secrets)
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

  /** The same for a command that has the server tell of flags in the selected mailbox, by UID. @returns the answer that completes it */
  async executeForFlags(
    command: string,
    attributes: readonly unknown[],
    report: (flags: FlagsReport) => void,
  ): Promise<ImapAnswer> {
    const answers: ImapAnswer[] = []
    const completed = await this.execute(command, attributes, {
      untagged: 'FETCH',
      take: (answer) => answers.push(answer),
    })
    for (const answer of answers) {
      const told = await formatMessageResponse(answer as never, this.client.mailbox as MailboxObject)
      if (told.uid && told.flags) report(flagsReportOf(told))
    }
    return completed
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
}

/** An answer of the server, parsed by imapflow; its response code, where it has one, is the section of the first attribute. */
export type ImapAnswer = { attributes?: { value?: unknown; section?: { value?: unknown }[] }[] }

type ImapResponse = { response: ImapAnswer; next(): void }

/** Commands of which the answer, or what is sent, is mail. */
const CARRIES_MAIL: ReadonlySet<string> = new Set(['FETCH', 'APPEND'])

function flagsReportOf({ uid, flags, modseq }: FetchMessageObject): FlagsReport {
  return { uid, flags: flagsOf(flags), modseq: modseq?.toString() ?? null }
}
