import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../../mailbox/failures.js'
import { clean } from '../../mailbox/message-bounds.js'
import { groupsOf } from '../../mailbox/groups.js'
import { resolveServer, type DialPolicy } from '../dial.js'
import { takenOver } from '../network-failure.js'
import { loginSecrets, SecretsTold } from '../secrets-told.js'
import { AnswerLost, AnswerReader } from './answer-reader.js'
import { failureOfPop3, failureOfRefusal, refusalOf } from './pop3-failures.js'
import { dial, secured } from './pop3-socket.js'

/** Commands that are under way at once where the server takes several (RFC 2449 §6.6, PIPELINING). */
const PIPELINED = 64
/** Messages of a maildrop whose list is taken in; a server that goes on and on is hostile. */
const MOST_MESSAGES = 1_000_000
/** Lines of a list beyond the messages that the server has counted (STAT): some may have come meanwhile. */
const MORE_MESSAGES = 10_000
const MOST_CAPABILITIES = 100
/** Characters of a unique-id (RFC 1939 §7 allows 70, of the range below). */
const LONGEST_NAME = 500
/** Bytes of a command line (RFC 2449 §4); a login that is longer goes in two. */
const LONGEST_COMMAND = 255
const CRLF = Buffer.from('\r\n')

/** Whether a server says of a refused login that it is the way of logging in that it does not have, and not the password that is wrong. */
const saysNoMechanism = (said: string) =>
  /mechanism|unsupported|not (supported|available|implemented)|unknown command/i.test(said)

/** Whether a login came about; false where the server refused it in such a way that another may. */
async function isDone(login: Promise<unknown>, mayTryAgain: (said: string) => boolean = () => true): Promise<boolean> {
  try {
    await login
    return true
  } catch (error) {
    const { failure } = error instanceof ServerFailed ? error : { failure: null }
    if (failure?.kind === 'LoginRefused' && mayTryAgain(failure.serverSaid)) return false
    throw error
  }
}

/** A message in the maildrop: its number in this session, its bytes as stated, and its unique-id, null where it has none that can be kept. */
type Pop3Message = { number: number; size: number; uidl: string | null }

/** A message as it comes: its number in this session, its bytes, or why it does not come. */
export type ComingMessage = { number: number; content: AsyncIterable<Buffer> } | { number: number; refused: string }

/**
 * One POP3 session in its TRANSACTION state (RFC 1939): asks, and gives what the server holds, byte for byte. It decides
 * nothing. Every call rejects with ServerFailed.
 */
export class Pop3Connection {
  private hasRefusedApop = false
  private caps: string[] = []
  /** bytes of each message, as the server states them */
  private sizes = new Map<number, number>()
  /** whether all messages so far were as long as the server said, but for an end of line that POP3 makes it add */
  private countsExactly = true
  private over = false
  /** messages in the maildrop, as the server has counted them */
  private counted = MOST_MESSAGES
  private secrets: SecretsTold
  private mayGoOn: () => boolean = () => true

  private constructor(
    private readonly server: ServerSettings,
    private socket: Socket,
    private reader: AnswerReader,
    private readonly policy: DialPolicy,
    private readonly secret: string,
  ) {
    this.secrets = new SecretsTold(loginSecrets(server.username, secret))
  }

  /** Connects and logs in. @param secret the password, or the access token for XOAUTH2. @throws ServerFailed, of every kind */
  static async open(server: ServerSettings, secret: string, policy: DialPolicy): Promise<Pop3Connection> {
    return Pop3Connection.begin(server, secret, policy, true)
  }

  /** @param mayApop whether APOP is tried; some servers end the connection when they refuse it */
  private static async begin(
    server: ServerSettings,
    secret: string,
    policy: DialPolicy,
    mayApop: boolean,
  ): Promise<Pop3Connection> {
    const address = await resolveServer(server, policy)
    const socket = await dial(server, address, policy)
    const reader = new AnswerReader(socket, policy.connectTimeout)
    const connection = new Pop3Connection(server, socket, reader, policy, secret)
    let spoke = false
    // each answer has a time-out of its own; this one is for the whole
    let isLate = false
    const deadline = setTimeout(() => {
      isLate = true
      connection.drop()
    }, policy.connectTimeout + policy.answerTimeout)
    try {
      const greeting = await connection.reader.line()
      const refusal = refusalOf(connection.told(greeting))
      if (refusal === undefined) throw new AnswerLost('the greeting is none of POP3')
      spoke = true
      if (refusal) throw new ServerFailed(failureOfRefusal(refusal, 'the connection', server.host, true))
      connection.caps = await connection.askCapabilities()
      if (server.security === 'STARTTLS') await connection.startTls()
      await connection.logIn(mayApop ? (/<[^<>\s]+@[^<>\s]+>/.exec(greeting)?.[0] ?? null) : null)
      connection.reader.release()
      connection.reader = new AnswerReader(connection.socket, policy.answerTimeout)
      connection.caps = await connection.askCapabilities()
      return connection
    } catch (error) {
      connection.drop()
      const { host, port } = server
      if (isLate && spoke) throw new ServerFailed({ kind: 'ConnectionTimedOut', host, port })
      const failure = failureOfPop3(error, server, spoke)
      if (connection.hasRefusedApop && failure.kind === 'ConnectionLost')
        return await Pop3Connection.begin(server, secret, policy, false)
      throw new ServerFailed(failure)
    } finally {
      clearTimeout(deadline)
    }
  }

  /** What the server can do, in its own words (RFC 2449). */
  get capabilities(): string[] {
    return this.caps
  }

  /** The bytes of all messages together (RFC 1939 §5, STAT); null where the server says what is no number. */
  async bytes(): Promise<number | null> {
    return wholeNumber((await this.ask('STAT')).split(' ')[2])
  }

  /**
   * The messages by their numbers, each with its bytes (LIST), and its unique-id where the server gives any (UIDL); and how many messages the server counts
   * (STAT) beside those. One that only UIDL names is a message as well.
   */
  async list(): Promise<{ messages: Pop3Message[]; unlisted: number }> {
    return this.failing(async () => {
      const offersUidl = this.can('UIDL') || this.caps.length === 0
      this.send(['STAT'])
      const counted = wholeNumber((await this.status('STAT')).split(' ')[1])
      this.counted = counted ?? MOST_MESSAGES
      this.send(['LIST', ...(offersUidl && this.can('PIPELINING') ? ['UIDL'] : [])])
      this.sizes = new Map()
      await this.status('LIST')
      for await (const pairs of this.pairs())
        for (const [number, size] of pairs) this.sizes.set(number, wholeNumber(size) ?? 0)
      const names = offersUidl ? await this.uniqueIds() : new Map<number, string>()
      const named = [...names.keys()].filter((number) => number > 0 && number <= (counted ?? 0))
      const numbers = [...new Set([...this.sizes.keys(), ...named])].sort((one, other) => one - other)
      const messages = numbers.map((number) => {
        return { number, size: this.sizes.get(number) ?? 0, uidl: names.get(number) ?? null }
      })
      return { messages, unlisted: Math.max(0, (counted ?? 0) - messages.length) }
    })
  }

  /** The headers of messages, up to and with the empty line, in the order asked for (RFC 1939 §7, TOP). */
  async *headers(numbers: readonly number[]): AsyncGenerator<ComingMessage> {
    for await (const message of this.come(numbers, (number) => `TOP ${number} 0`)) {
      if ('refused' in message) yield message
      else yield { number: message.number, content: message.bytes }
    }
  }

  /** Whole messages, in the order asked for (RETR). Each is to be read, or left, before the next one is asked for. */
  async *contents(numbers: readonly number[]): AsyncGenerator<ComingMessage> {
    for await (const message of this.come(numbers, (number) => `RETR ${number}`)) {
      if ('refused' in message) yield message
      else yield { number: message.number, content: this.withoutAddedEnd(message.number, message.bytes) }
    }
  }

  /** Marks messages for deletion at the end of the session (DELE). @returns those that the server marked */
  async delete(numbers: readonly number[]): Promise<number[]> {
    return this.failing(async () => {
      const marked: number[] = []
      for (const group of groupsOf(numbers, this.window)) {
        this.send(group.map((number) => `DELE ${number}`))
        for (const number of group) if ((await this.answer()).refusal === null) marked.push(number)
      }
      return marked
    })
  }

  /** Takes back every mark (RSET). */
  async reset(): Promise<void> {
    await this.ask('RSET')
  }

  /** Ends the session. When this resolves, the server has said that what was marked is deleted (RFC 1939 §6). */
  async quit(): Promise<void> {
    try {
      await this.ask('QUIT')
    } finally {
      this.drop()
    }
  }

  /** Has the connection end before anything more is said over it once it may not be used any more. What was marked is not deleted then. */
  guard(mayGoOn: () => boolean): void {
    this.mayGoOn = mayGoOn
  }

  /** Ends the connection at once; nothing that was marked is deleted. */
  drop(): void {
    this.over = true
    this.socket.destroy()
  }

  private get window(): number {
    return this.can('PIPELINING') ? PIPELINED : 1
  }

  private can(capability: string): boolean {
    return this.caps.some((each) => each.split(' ')[0]?.toUpperCase() === capability)
  }

  private send(commands: readonly string[]): void {
    if (commands.some((command) => /[\r\n]/.test(command))) throw new Error('a command has to be one line')
    if (!this.mayGoOn()) {
      this.drop()
      throw takenOver(this.server.host)
    }
    this.socket.write(commands.map((command) => `${command}\r\n`).join(''))
  }

  /** A status line, and the refusal in it: null for `+OK`. */
  private async answer() {
    const line = this.told(await this.reader.line())
    const refusal = refusalOf(line)
    if (refusal === undefined) throw new AnswerLost(`the server said neither +OK nor -ERR: ${line.slice(0, 100)}`)
    return { line, refusal }
  }

  /** @returns the status line. @throws ServerFailed when it was refused */
  private async status(command: string, isLogin = false): Promise<string> {
    const { line, refusal } = await this.answer()
    if (refusal) throw new ServerFailed(failureOfRefusal(refusal, command, this.server.host, isLogin))
    return line
  }

  private ask(command: string): Promise<string> {
    return this.failing(() => {
      this.send([command])
      return this.status(command)
    })
  }

  private async failing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw new ServerFailed(failureOfPop3(error, this.server, true))
    }
  }

  private async askCapabilities(): Promise<string[]> {
    this.send(['CAPA'])
    // a server of before RFC 2449 refuses it
    if ((await this.answer()).refusal) return []
    const caps: string[] = []
    let count = 0
    for await (const lines of this.reader.lines()) {
      count += lines.length
      if (count > 100 * MOST_CAPABILITIES) throw new AnswerLost('the list of capabilities has no end')
      caps.push(...lines.slice(0, MOST_CAPABILITIES - caps.length).map((line) => this.told(line).slice(0, 200)))
    }
    return caps
  }

  /** What the server says, as it may be kept: storable, and without the secrets of the login. */
  private told(text: string): string {
    return clean(this.secrets.hide(text))
  }

  private async startTls(): Promise<void> {
    const { host, port } = this.server
    const notOffered: ServerFailure = { kind: 'TlsNotOffered', host, port }
    if (!this.can('STLS')) throw new ServerFailed(notOffered)
    this.send(['STLS'])
    if ((await this.answer()).refusal) throw new ServerFailed(notOffered)
    // what came in plain text behind the answer may be anybody's
    if (this.reader.release()) throw new ServerFailed(notOffered)
    this.socket = await secured(this.socket, this.server, this.policy)
    this.reader = new AnswerReader(this.socket, this.policy.connectTimeout)
    this.caps = await this.askCapabilities()
  }

  private async logIn(timestamp: string | null): Promise<void> {
    const { server, secret } = this
    const { username, authentication, security } = server
    const mechanisms =
      this.caps
        .find((each) => /^SASL /i.test(each))
        ?.toUpperCase()
        .split(' ') ?? []
    if (authentication === 'XOAUTH2')
      return this.authenticate('XOAUTH2', `user=${username}\u0001auth=Bearer ${secret}\u0001\u0001`)
    // where nothing protects the password, APOP at least does not show it
    if (timestamp !== null && security === 'PLAINTEXT') {
      const digest = createHash('md5')
        .update(timestamp + secret)
        .digest('hex')
      this.secrets = new SecretsTold([...loginSecrets(username, secret), digest])
      this.send([`APOP ${username} ${digest}`])
      // a server may offer it whose users have no secret for it
      if (await isDone(this.status('APOP', true))) return
      this.hasRefusedApop = true
    }
    if (mechanisms.includes('PLAIN')) {
      const plain = this.authenticate('PLAIN', `\u0000${username}\u0000${secret}`)
      if (await isDone(plain, saysNoMechanism)) return
    }
    this.send([`USER ${username}`])
    await this.status('USER', true)
    this.send([`PASS ${secret}`])
    await this.status('PASS', true)
  }

  /** SASL with one response (RFC 5034): with the command where it fits, else after the server has asked for it. */
  private async authenticate(mechanism: string, response: string): Promise<void> {
    const encoded = Buffer.from(response).toString('base64')
    const whole = `AUTH ${mechanism} ${encoded}`
    const fits = whole.length + CRLF.length <= LONGEST_COMMAND
    this.send([fits ? whole : `AUTH ${mechanism}`])
    let line = await this.reader.line()
    if (!fits && line.startsWith('+ ')) {
      this.send([encoded])
      line = await this.reader.line()
    }
    // a refused token is explained first, and the explanation wants an answer
    if (line.startsWith('+ ')) {
      this.send([''])
      line = await this.reader.line()
    }
    line = this.told(line)
    const refusal = refusalOf(line)
    if (refusal === null) return
    throw new ServerFailed(
      failureOfRefusal(refusal ?? { code: '', said: line.slice(0, 500) }, 'AUTH', this.server.host, true),
    )
  }

  /** UIDL, which a server may not have (RFC 1939 §7 leaves it open). */
  private async uniqueIds(): Promise<Map<number, string>> {
    if (!this.can('PIPELINING')) this.send(['UIDL'])
    const names = new Map<number, string>()
    if ((await this.answer()).refusal) return names
    for await (const pairs of this.pairs())
      for (const [number, name] of pairs)
        // a name that is none, or that cannot be kept, tells no message again: its header does
        if (/^[\x21-\x7e]+$/.test(name) && name.length <= LONGEST_NAME) names.set(number, name)
    return names
  }

  private async *pairs(): AsyncGenerator<[number: number, value: string][]> {
    let count = 0
    for await (const lines of this.reader.lines()) {
      count += lines.length
      if (count > Math.min(this.counted + MORE_MESSAGES, MOST_MESSAGES)) throw new AnswerLost('the list has no end')
      yield lines.flatMap((line): [number, string][] => {
        const [, number, value] = /^\s*(\d{1,10})\s+(\S+)/.exec(line) ?? []
        return number !== undefined && value !== undefined ? [[Number(number), value]] : []
      })
    }
  }

  /** Asks for multi-line answers, several ahead where the server takes them. */
  private async *come(
    numbers: readonly number[],
    command: (number: number) => string,
  ): AsyncGenerator<{ number: number; bytes: AsyncGenerator<Buffer> } | { number: number; refused: string }> {
    let asked = 0
    const askAhead = (until: number) => {
      const ahead = numbers.slice(asked, Math.min(until, numbers.length))
      asked += ahead.length
      if (ahead.length > 0) this.send(ahead.map(command))
    }
    let left = 0
    try {
      for (const [index, number] of numbers.entries()) {
        // in halves of the window, so that few writes carry many commands
        if (asked - index <= this.window / 2) askAhead(index + this.window)
        left = asked - index
        const { refusal } = await this.failing(() => this.answer())
        if (refusal) {
          left--
          yield { number, refused: refusal.said }
          continue
        }
        let isWhole = false
        const bytes = this.messageBytes(() => (isWhole = true))
        yield { number, bytes }
        for await (const _ of bytes);
        if (!isWhole) throw this.lost('a message was left in the middle')
        left--
      }
    } finally {
      // answers that nobody reads would be taken for those of the next command
      if (left > 0 && !this.over) this.drop()
    }
  }

  private lost(reason: string): ServerFailed {
    return new ServerFailed({ kind: 'ConnectionLost', host: this.server.host, reason })
  }

  private async *messageBytes(ended: () => void): AsyncGenerator<Buffer> {
    try {
      yield* this.reader.bytes()
      ended()
    } catch (error) {
      throw new ServerFailed(failureOfPop3(error, this.server, true))
    }
  }

  /**
   * A multi-line answer ends with an end of line (RFC 1939 §3): where the message has none, the server adds one, which its
   * stated size does not count. It is taken off again, unless the server is one that counts otherwise.
   */
  private async *withoutAddedEnd(number: number, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const stated = this.sizes.get(number) ?? NaN
    let count = 0
    let held: Buffer = Buffer.alloc(0)
    for await (const chunk of bytes) {
      count += chunk.length
      const both = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      if (both.length > CRLF.length) yield both.subarray(0, -CRLF.length)
      held = both.subarray(-CRLF.length)
    }
    const isAdded = count === stated + CRLF.length && held.equals(CRLF)
    if (!isAdded && count !== stated) this.countsExactly = false
    if (held.length > 0 && !(isAdded && this.countsExactly)) yield held
  }
}

/** A number as a server writes it; null for what is none, or larger than any can be. */
function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
