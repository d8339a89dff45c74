import { createServer, type Server, type Socket } from 'node:net'

/** A message of the scripted maildrop. */
export type Held = { uidl: string; raw: Buffer }

/** How the server is; everything that is not given is as a plain, honest server of RFC 1939 has it. */
export type Manner = {
  caps?: string[] | null
  /** the unique-id that a message has in a session; null for a server without UIDL */
  uidl?: ((message: Held, session: number) => string) | null
  top?: boolean
  greeting?: string
  /** answers a command in its own way: lines to say, or null to do as usual */
  answer?: (command: string, socket: Socket) => string[] | null
  /** what is stated as a message's size */
  size?: (message: Held) => number
  /** pieces in which bytes are sent */
  piece?: number
}

const USUAL = ['TOP', 'UIDL', 'PIPELINING', 'USER', 'RESP-CODES']

/** A POP3 server that does what it is told to: for what real ones do somewhere, and Dovecot does not. */
export class ScriptedPop3 {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  readonly port: number
  manner: Manner
  held: Held[]
  /** commands of each session */
  readonly asked: string[][] = []

  private constructor(server: Server, port: number, manner: Manner, held: Held[]) {
    this.server = server
    this.port = port
    this.manner = manner
    this.held = held
  }

  static async start(manner: Manner = {}, held: Held[] = []): Promise<ScriptedPop3> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const pop3 = new ScriptedPop3(server, (server.address() as { port: number }).port, manner, held)
    server.on('connection', (socket) => pop3.session(socket))
    return pop3
  }

  /** Commands of the last session whose verb is the given one. */
  last(verb: string): string[] {
    return (this.asked.at(-1) ?? []).filter((command) => command.startsWith(verb))
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }

  private session(socket: Socket): void {
    this.sockets.add(socket)
    const commands: string[] = []
    const number = this.asked.push(commands)
    const marked = new Set<Held>()
    const drop = [...this.held]
    socket.on('error', () => undefined)
    socket.write(`${this.manner.greeting ?? '+OK ready'}\r\n`)
    let rest = ''
    let sending: Promise<void> = Promise.resolve()
    socket.on('data', (data: Buffer) => {
      const lines = (rest + data.toString('latin1')).split('\r\n')
      rest = lines.pop() ?? ''
      for (const command of lines) {
        commands.push(command)
        sending = sending.then(() => this.answer(command, socket, drop, marked, number))
      }
    })
  }

  private async answer(
    command: string,
    socket: Socket,
    drop: Held[],
    marked: Set<Held>,
    session: number,
  ): Promise<void> {
    const own = this.manner.answer?.(command, socket)
    if (own) return void socket.write(own.map((line) => `${line}\r\n`).join(''), 'latin1')
    const say = (...lines: string[]) => void socket.write(lines.map((line) => `${line}\r\n`).join(''), 'latin1')
    const [verb, argument] = command.split(' ')
    const message = drop[Number(argument) - 1]
    const size = this.manner.size ?? ((held: Held) => held.raw.length)
    const { caps = USUAL, uidl = (held: Held) => held.uidl, top = true } = this.manner
    switch (verb) {
      case 'CAPA':
        return caps === null ? say('-ERR what?') : say('+OK', ...caps, '.')
      case 'STAT':
        return say(`+OK ${drop.length} ${drop.reduce((sum, held) => sum + size(held), 0)}`)
      case 'LIST':
        return say('+OK', ...drop.map((held, index) => `${index + 1} ${size(held)}`), '.')
      case 'UIDL':
        if (uidl === null) return say('-ERR what?')
        return say('+OK', ...drop.map((held, index) => `${index + 1} ${uidl(held, session)}`), '.')
      case 'TOP':
      case 'RETR':
        if (!message || marked.has(message) || (verb === 'TOP' && !top)) return say('-ERR no such message')
        say(`+OK ${size(message)} octets`)
        return this.send(socket, verb === 'TOP' ? headerOf(message.raw) : message.raw)
      case 'DELE':
        if (!message) return say('-ERR no such message')
        marked.add(message)
        return say('+OK')
      case 'RSET':
        marked.clear()
        return say('+OK')
      case 'QUIT':
        this.held = this.held.filter((held) => !marked.has(held))
        say('+OK')
        return void socket.end()
      default:
        return say('+OK')
    }
  }

  /** A multi-line answer: dots doubled, ended by the mark, a line end before it where there is none. */
  private async send(socket: Socket, raw: Buffer): Promise<void> {
    const bytes = sentFormOf(raw)
    const piece = this.manner.piece ?? bytes.length
    for (let at = 0; at < bytes.length; at += piece) {
      socket.write(bytes.subarray(at, at + piece))
      if (piece < bytes.length) await new Promise((done) => setImmediate(done))
    }
  }
}

const sentForms = new WeakMap<Buffer, Buffer>()

/** Made once: for a large message it takes longer than clients wait, on a busy machine. */
function sentFormOf(raw: Buffer): Buffer {
  const known = sentForms.get(raw)
  if (known) return known
  const text = raw.toString('latin1')
  const stuffed = text.replace(/(^|\r\n)\./g, '$1..')
  const end = text.endsWith('\r\n') || text === '' ? '' : '\r\n'
  const form = Buffer.from(`${stuffed}${end}.\r\n`, 'latin1')
  sentForms.set(raw, form)
  return form
}

function headerOf(raw: Buffer): Buffer {
  const end = raw.indexOf('\r\n\r\n')
  return end < 0 ? raw : raw.subarray(0, end + 4)
}
