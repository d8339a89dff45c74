import { spawn } from 'node:child_process'
import { PASSWORD } from '../test/support/imap-server.ts'

/** As many connections of imapflow, idle in INBOX, and nothing else. */
const PROGRAM = `
import { ImapFlow } from 'imapflow'
const [port, count, user, secure] = process.argv.slice(1)
const clients = []
const report = () => { global.gc(); process.stdout.write(process.memoryUsage().rss + '\\n') }
report()
for (let number = 0; number < Number(count); number++) {
  const security = secure === 'true' ? { secure: true, tls: { rejectUnauthorized: false } } : { secure: false, doSTARTTLS: false }
  const client = new ImapFlow({ host: '127.0.0.1', port: Number(port), ...security, auth: { user: user + number, pass: '${PASSWORD}' }, logger: false })
  await client.connect()
  await client.mailboxOpen('INBOX')
  client.idle().catch(() => undefined)
  clients.push(client)
}
await new Promise((done) => setTimeout(done, 3000))
report()
process.exit(0)
`

/**
 * The reference for memory: bare imapflow clients in a process of their own.
 *
 * @param user what their names begin with; a number follows
 * @returns resident bytes of the process without connections, and with all of them
 */
export async function bareClients(
  port: number,
  count: number,
  user: string,
  secure: boolean,
): Promise<{ empty: number; full: number }> {
  const given = [port, count, user, secure].map(String)
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', PROGRAM, ...given])
  let said = ''
  child.stdout.on('data', (data: Buffer) => (said += data.toString()))
  await new Promise((done) => child.once('close', done))
  const [empty = 0, full = 0] = said.trim().split('\n').map(Number)
  return { empty, full }
}
