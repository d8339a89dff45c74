import { connect, type Socket } from 'node:net'
import { PASSWORD } from '../test/support/imap-server.ts'

/** The floor: a socket that sends IMAP commands and throws the answers away. */
export class RawImap {
  private readonly socket: Socket
  private waiting: { tag: string; done: () => void }[] = []
  private tail = ''
  private tags = 0
  /** called with what comes while nothing is waited for */
  onUnasked: (text: string) => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      if (this.waiting.length === 0) this.onUnasked(data.toString('latin1'))
      // only the ends of what comes are looked at: tags stand at the beginnings of lines
      this.tail = (this.tail + data.toString('latin1')).slice(-Math.max(200, data.length))
      for (let next = this.waiting[0]; next && this.tail.includes(`${next.tag} OK`); next = this.waiting[0]) {
        this.waiting.shift()
        next.done()
      }
    })
  }

  static async open(port: number, user: string): Promise<RawImap> {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    await new Promise((done) => socket.once('data', done))
    const raw = new RawImap(socket)
    await raw.send(`LOGIN ${user} ${PASSWORD}`)
    return raw
  }

  /** Sends a command; resolves with its OK. Commands may be sent before earlier ones are answered. */
  send(command: string): Promise<void> {
    const tag = `r${++this.tags}x`
    const answered = new Promise<void>((done) => this.waiting.push({ tag, done }))
    this.socket.write(`${tag} ${command}\r\n`)
    return answered
  }

  /** Begins to idle; what is told comes to onUnasked. */
  idle(): void {
    this.socket.write('idle IDLE\r\n')
  }

  close(): void {
    this.socket.destroy()
  }
}
