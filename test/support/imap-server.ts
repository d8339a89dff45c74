import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ImapFlow } from 'imapflow'

/** Every user of every server may log in with it. */
export const PASSWORD = 'correct-horse'

/** Ports that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

/** Waits until a server greets whoever connects. */
export async function answers(port: number): Promise<void> {
  for (let tried = 0; tried < 500; tried++) {
    const up = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('data', () => (socket.destroy(), done(true)))
      socket.once('error', () => done(false))
      socket.once('close', () => done(false))
    })
    if (up) return
    await sleep(20)
  }
  throw new Error(`nobody answers on port ${port}`)
}

/** A mail client on somebody's mailbox, to change things as its user would. */
export async function imapClient(port: number, user: string): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user, pass: PASSWORD },
    logger: false,
    disableAutoIdle: true,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
