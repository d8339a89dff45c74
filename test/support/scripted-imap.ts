import { createServer, type Server, type Socket } from 'node:net'

/** Answers a command, given without its tag and with its literals inside: what it says first, then its result ("OK done"); null for none. */
export type Script = (command: string, say: (line: string) => void) => string | null | Promise<string | null>

/** An IMAP server that does what it is told to: for what real ones never do, or not ten thousand times. */
export class ScriptedImap {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private isHanging = false
  private dripping: NodeJS.Timeout | undefined
  readonly port: number
  /** connections that were made so far */
  connections = 0

  private constructor(server: Server, port: number) {
    this.server = server
    this.port = port
  }

  /** @param greeting what it says first */
  static async start(script: Script, greeting = '* OK ready'): Promise<ScriptedImap> {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => undefined)
      scripted.sockets.add(socket)
      socket.once('close', () => scripted.sockets.delete(socket))
      scripted.connections++
      if (scripted.isHanging) return void socket.resume()
      socket.write(`${greeting}\r\n`)
      const lines = new CommandLines(() => socket.write('+ go on\r\n'))
      let idle: string | undefined
      socket.on('data', (data: Buffer) => {
        for (const line of lines.take(data)) {
          const [tag, ...words] = line.split(' ')
          const command = words.join(' ')
          if (/^IDLE/i.test(command)) idle = tag
          // DONE has no tag of its own: it is answered with that of IDLE (RFC 2177)
          const answering = line === 'DONE' ? idle : tag
          const answer = (result: string | null) => {
            if (result !== null) socket.write(`${answering} ${result}\r\n`)
            if (/^LOGOUT/i.test(command)) socket.end()
          }
          const result = script(line === 'DONE' ? line : command, (text) => socket.write(`${text}\r\n`))
          if (result instanceof Promise) void result.then(answer)
          else answer(result)
        }
      })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const scripted = new ScriptedImap(server, (server.address() as { port: number }).port)
    return scripted
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  /** From now on says a byte on each connection now and then, beside what it answers. @param interval milliseconds; 0 for no more */
  drip(interval: number): void {
    clearInterval(this.dripping)
    if (interval > 0)
      this.dripping = setInterval(() => {
        for (const socket of this.sockets) socket.write('*')
      }, interval)
  }

  /** Ends all connections, and from now on accepts new ones and says nothing on them. */
  hang(): void {
    this.isHanging = true
    for (const socket of this.sockets) socket.destroy()
  }

  stop(): void {
    clearInterval(this.dripping)
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

/** Cuts what a client says into commands; a literal (RFC 9051 §4.3) is part of its command, as single bytes. */
class CommandLines {
  private rest = ''
  private command = ''
  private literal = 0
  private readonly goOn: () => void

  constructor(goOn: () => void) {
    this.goOn = goOn
  }

  take(data: Buffer): string[] {
    this.rest += data.toString('latin1')
    const commands: string[] = []
    for (;;) {
      if (this.literal > 0) {
        const part = this.rest.slice(0, this.literal)
        this.command += part
        this.literal -= part.length
        this.rest = this.rest.slice(part.length)
        if (this.literal > 0) return commands
      }
      const end = this.rest.indexOf('\r\n')
      if (end < 0) return commands
      const line = this.rest.slice(0, end)
      this.rest = this.rest.slice(end + 2)
      this.command += line
      const [, size, isUnasked] = /\{(\d+)(\+?)\}$/.exec(line) ?? []
      if (size !== undefined) {
        this.literal = Number(size)
        this.command += '\r\n'
        if (!isUnasked) this.goOn()
        continue
      }
      commands.push(this.command)
      this.command = ''
    }
  }
}

/** The item of a FETCH answer that has fields of a header, by their names; a field that is null is missing. */
export function headerItem(fields: Readonly<Record<string, string | null>>): string {
  const names = Object.keys(fields).join(' ').toUpperCase()
  const lines = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\r\n`]))
  const header = `${lines.join('')}\r\n`
  return `BODY[HEADER.FIELDS (${names})] {${Buffer.byteLength(header, 'latin1')}}\r\n${header}`
}

/** Answers like a small, honest server with one mailbox that holds the given FETCH answers. */
export function honest(command: string, say: (line: string) => void, messages: readonly string[] = []): string | null {
  const count = messages.length
  if (/^CAPABILITY/i.test(command)) say('* CAPABILITY IMAP4rev1 IDLE')
  // the hierarchy's delimiter is asked for with an empty name (RFC 9051 §6.3.9)
  else if (/^LIST "" ""/i.test(command)) say('* LIST (\\Noselect) "/" ""')
  else if (/^(LIST|LSUB)/i.test(command)) say(`* ${command.slice(0, 4).toUpperCase()} () "/" INBOX`)
  else if (/^STATUS/i.test(command)) say(`* STATUS INBOX (MESSAGES ${count} UIDNEXT ${count + 1} UIDVALIDITY 9)`)
  else if (/^(SELECT|EXAMINE)/i.test(command)) {
    for (const line of [
      `${count} EXISTS`,
      'OK [UIDVALIDITY 9] valid',
      `OK [UIDNEXT ${count + 1}] next`,
      'FLAGS (\\Seen)',
    ])
      say(`* ${line}`)
  } else if (/^UID SEARCH/i.test(command)) say(`* SEARCH ${messages.map((_, index) => index + 1).join(' ')}`)
  else if (/^UID FETCH/i.test(command)) {
    const plain = (uid: number) =>
      `* ${uid} FETCH (UID ${uid} FLAGS (\\Seen) INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 10)`
    messages.forEach((line, index) => say(/HEADER\.FIELDS/i.test(command) ? line : plain(index + 1)))
  } else if (/^IDLE/i.test(command)) {
    say('+ idling')
    return null
  }
  return 'OK done'
}
