import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What becomes of a session that goes through the wire, at an offset of what the server says. */
export type Fault = { at: number; how: 'cut' | 'hold' }

/** A wire to a server, which can be cut, or held, at any byte of what the server says. */
export class Wire {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  readonly port: number
  /** what the server said in each session, as one text of single bytes */
  readonly said: string[] = []
  /** what the client said in each */
  readonly asked: string[] = []
  /** of the next session */
  private fault: Fault | null = null
  /** whether the fault has come about */
  struck = false

  /** whether no session can be begun */
  isDown = false
  /**
   * What is answered to an IMAP command in the server's place: the text after the tag. `hold` keeps it, `hold answer` what
   * the server says to it, until the wire is cut; `cut` has the wire cut when the server answers; null leaves it to the server.
   */
  answering: (command: string) => string | null = () => null
  /** What happens elsewhere before an IMAP command goes on to the server; null for nothing. */
  meanwhile: (command: string) => Promise<void> | null = () => null
  /** What is made of what the server says, a packet at a time; null for nothing. */
  rewriting: ((said: string) => string) | null = null
  /** Lines of the server's that are taken out of what it says; null for none. */
  unlisted: RegExp | null = null
  private readonly hidden: readonly string[]

  private constructor(server: Server, port: number, hidden: readonly string[]) {
    this.server = server
    this.port = port
    this.hidden = hidden
  }

  /** @param hidden capabilities that an IMAP server is made to seem not to have */
  static async to(targetPort: number, hidden: readonly string[] = []): Promise<Wire> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const wire = new Wire(server, (server.address() as { port: number }).port, hidden)
    server.on('connection', (client) => {
      if (wire.isDown) client.destroy()
      else wire.join(client, connect({ port: targetPort, host: '127.0.0.1', noDelay: true }))
    })
    return wire
  }

  /** Whether a session goes through it now. */
  get isOpen(): boolean {
    return this.sockets.size > 0
  }

  /** Has the next session broken. */
  arm(fault: Fault): void {
    this.fault = fault
    this.struck = false
  }

  /** Cuts every session that is open, and those that are held. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  stop(): void {
    this.cut()
    this.server.close()
  }

  private join(client: Socket, target: Socket): void {
    const session = this.said.push('') - 1
    this.asked.push('')
    const { fault } = this
    this.fault = null
    let passed = 0
    let heldTag: string | null = null
    let isToBeCut = false
    for (const socket of [client, target]) {
      this.sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.sockets.delete(socket)
        client.destroy()
        target.destroy()
      })
    }
    client.on('data', (data: Buffer) => {
      const text = data.toString('latin1')
      this.asked[session] += text
      const [, tag = '', command = ''] = /^(\S+) ([^\r\n]*)\r\n/.exec(text) ?? []
      const answer = command === '' ? null : this.answering(command)
      const meanwhile = command === '' ? null : this.meanwhile(command)
      if (meanwhile) void meanwhile.then(() => target.write(data))
      else if (answer === null) target.write(data)
      else if (answer === 'hold') this.struck = true
      else if (answer === 'hold answer' || answer === 'cut') {
        heldTag = tag
        isToBeCut = answer === 'cut'
        target.write(data)
      } else client.write(`${tag} ${answer}\r\n`)
    })
    target.on('data', (heard: Buffer) => {
      const data = this.withoutUnlisted(this.hidden.length > 0 ? this.withoutHidden(heard) : heard)
      const told = data.toString('latin1')
      this.said[session] += told
      if (heldTag !== null) {
        if (!told.startsWith(`${heldTag} `) && !told.includes(`\n${heldTag} `)) return
        this.struck = true
        if (isToBeCut) this.cut()
        return
      }
      if (!fault || passed + data.length < fault.at) {
        passed += data.length
        client.write(data)
        return
      }
      target.pause()
      client.write(data.subarray(0, fault.at - passed), () => void this.strike(fault, client, target))
    })
  }

  private withoutUnlisted(data: Buffer): Buffer {
    const { unlisted, rewriting } = this
    if (rewriting) data = Buffer.from(rewriting(data.toString('latin1')), 'latin1')
    if (!unlisted) return data
    const lines = data.toString('latin1').split('\r\n')
    return Buffer.from(lines.filter((line) => !unlisted.test(line)).join('\r\n'), 'latin1')
  }

  /** The lists of capabilities come whole in one packet, and before any message does. */
  private withoutHidden(data: Buffer): Buffer {
    const text = data.toString('latin1')
    if (!/CAPABILITY /.test(text)) return data
    const names = this.hidden.map((name) => name.replace(/[+]/g, '\\+')).join('|')
    const list = /(\[CAPABILITY |\* CAPABILITY )([^\]\r\n]*)/g
    const without = (_whole: string, begin: string, offered: string) =>
      begin +
      offered
        .split(' ')
        .filter((name) => !new RegExp(`^(?:${names})$`, 'i').test(name))
        .join(' ')
    return Buffer.from(text.replace(list, without), 'latin1')
  }

  private async strike({ how }: Fault, client: Socket, target: Socket): Promise<void> {
    if (how === 'cut') {
      // what was passed on is read before the end is
      client.end()
      await sleep(5)
      client.destroy()
      target.destroy()
    }
    this.struck = true
  }
}

/** The ends of the answers in what a server said: after each of them, and in the middle of each. */
export function stepsOf(said: string, protocol: 'POP3' | 'IMAP'): number[] {
  const answer = protocol === 'POP3' ? /^(?:\+OK|-ERR)[^\r\n]*\r\n/gm : /^[A-Z0-9]+ (?:OK|NO|BAD)[^\r\n]*\r\n/gm
  const ends = [...said.matchAll(answer)].map((match) =>
    // a POP3 answer of several lines ends where the next one begins
    protocol === 'POP3' ? match.index : match.index + match[0].length,
  )
  const whole = [...new Set([...ends, said.length])].filter((end) => end > 0).sort((one, other) => one - other)
  const middles = whole.map((end, index) => Math.floor((end + (whole[index - 1] ?? 0)) / 2))
  return [...new Set([...whole, ...middles])].filter((at) => at > 0).sort((one, other) => one - other)
}
