import { connect, createServer, type Socket } from 'node:net'

/** A wire to a port on which everything takes its time, each way, and nothing else is changed. */
export class SlowWire {
  /** milliseconds each way */
  delay = 0
  /** what clients said, as one text of single bytes */
  asked = ''
  private readonly sockets = new Set<Socket>()
  private readonly close: () => void
  readonly port: number

  private constructor(port: number, close: () => void) {
    this.port = port
    this.close = close
  }

  static async to(targetPort: number): Promise<SlowWire> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const wire = new SlowWire((server.address() as { port: number }).port, () => server.close())
    server.on('connection', (client) =>
      wire.join(client, connect({ port: targetPort, host: '127.0.0.1', noDelay: true })),
    )
    return wire
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy()
    this.close()
  }

  private join(client: Socket, target: Socket): void {
    const pass = (to: Socket, data: Buffer) => {
      if (this.delay === 0) to.write(data)
      else setTimeout(() => to.write(data), this.delay)
    }
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
      this.asked += data.toString('latin1')
      pass(target, data)
    })
    target.on('data', (data: Buffer) => pass(client, data))
  }
}
