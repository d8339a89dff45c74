import type { ChildProcess } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ImapFlow } from 'imapflow'

/** Every user of every server may log in with it. */
export const PASSWORD = 'correct-horse'

/** A real server, whatever its make, with what a test needs of it that no client may do. */
export type MailServer = {
  readonly imapPort: number
  /** Another mail client, to change things as its user would. */
  client(user: string): Promise<ImapFlow>
  /** Makes a user with mailboxes, by their paths, and raw messages in them, without flags, before anybody looks. */
  fill(user: string, mailboxes: Readonly<Record<string, readonly string[]>>): Promise<void>
  /** Says what a user may do with a mailbox of theirs (RFC 4314). */
  allow(user: string, path: string, rights: string): Promise<void>
  /** Has a mailbox numbered anew: its UIDVALIDITY is another. */
  renumber(user: string, path: string): Promise<void>
  /** Ends it as if its machine had lost power, and every connection with it. */
  kill(): Promise<void>
  /** Starts it again on the same mail and port. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** When the messages of a filled mailbox came, by their places in it: a minute apart. */
export const arrivalOf = (index: number) => new Date(Date.UTC(2026, 0, 1) + index * 60_000)

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

/** Kills a server that leads a process group, and all of that: sessions outlive a master that is asked to end. */
export async function killGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done))
  if (child.pid) process.kill(-child.pid, 'SIGKILL')
  await ended
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
