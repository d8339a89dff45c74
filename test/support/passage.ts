import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** What becomes of the connections once the passage has struck. */
export type Fault = 'slow' | 'silent' | 'gone'

/** A way to a database or a Redis that gets slow, falls silent or ends at a moment that the test chooses. */
export class Passage {
  private readonly sockets = new Set<Socket>()
  private fault: Fault | null = null
  private count = -1
  private readonly server: Server
  readonly port: number

  private constructor(server: Server) {
    this.server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async to(port: number): Promise<Passage> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const passage = new Passage(server)
    server.on('connection', (near) => passage.join(near, connect({ port, host: '127.0.0.1', noDelay: true })))
    return passage
  }

  /** Packets that the client has sent since it first said the word. */
  get sent(): number {
    return Math.max(0, this.count)
  }

  /**
   * @param word counting begins at the packet that has it
   * @param at the packet at which the fault begins
   * @param struck called then
   */
  arm(word: string, at: number, fault: Fault, struck: () => void): void {
    this.heard = (packet) => {
      if (this.count < 0 && !packet.includes(word)) return
      if (++this.count !== at) return
      this.fault = fault
      if (fault === 'gone') this.end()
      struck()
    }
  }

  private heard: (packet: Buffer) => void = () => undefined

  /** Ends all connections, and takes no more. */
  end(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        this.sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (packet: Buffer) => {
      this.heard(packet)
      this.pass(packet, far)
    })
    far.on('data', (packet: Buffer) => this.pass(packet, near))
  }

  /** A slow passage keeps the order: each packet waits as long as any other. */
  private pass(packet: Buffer, to: Socket): void {
    if (this.fault === 'silent' || this.fault === 'gone') return
    if (this.fault === 'slow') setTimeout(() => to.write(packet), 100)
    else to.write(packet)
  }
}
