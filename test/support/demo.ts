/*
 * npm run demo: Mailfold and a local Dovecot with a generated mailbox, for who has no mailbox at hand. A new message is
 * delivered now and then, so that subscriptions show something. Ctrl-C ends both.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Dovecot } from './dovecot.ts'
import { PASSWORD } from './imap-server.ts'
import { mail, variedMail } from './mail.ts'
import { fillMaildir } from './maildir.ts'
import { mailfold } from './service.ts'

const MESSAGES = 3_000
const PAUSE = 10_000

const dovecot = await Dovecot.start()
await fillMaildir(dovecot.mailOf('demo'), null, MESSAGES, variedMail)
await fillMaildir(dovecot.mailOf('demo'), 'Work/2026', 400, (number) => variedMail(10_000 + number))
await fillMaildir(dovecot.mailOf('demo'), 'Sent', 200, (number) =>
  mail(20_000 + number, { from: 'Demo <demo@example.org>' }),
)

const data = await mkdtemp(join(tmpdir(), 'mailfold-demo-'))
const environment = { ...process.env, MAILFOLD_DATA: data, MAILFOLD_TLS_CA: dovecot.authorityFile }
const main = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url))
const service = spawn(main, ['start'], { env: environment, stdio: 'inherit', detached: true })
const ended = new Promise<void>((done) => service.once('exit', () => done()))

let over = false
async function end(): Promise<void> {
  if (over) return
  over = true
  service.kill('SIGTERM')
  await ended
  await dovecot.stop()
  await rm(data, { recursive: true, force: true })
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end())
void ended.then(end)

const port = process.env['MAILFOLD_PORT'] ?? '4000'
const isReady = () =>
  fetch(`http://127.0.0.1:${port}/health/ready`).then(
    (response) => response.ok,
    () => false,
  )
while (!over && !(await isReady())) await new Promise((done) => setTimeout(done, 100))

const address = `imaps://demo@localhost:${dovecot.imapsPort}`
const connected = await mailfold(['connect', address, '--model', 'disconnected', '--json'], environment, PASSWORD)
if (connected.code !== 0) {
  console.error(connected.stderr)
  await end()
}
console.log(`
The demo's mailbox is connected, with ${MESSAGES + 600} messages. A message arrives every ${PAUSE / 1000} s.
Look at it in a browser: http://127.0.0.1:${port}/graphiql (token: ${(await readFile(join(data, 'token'), 'utf8')).trim()})
See events as they come:  MAILFOLD_DATA=${data} npx mailfold tail
Ctrl-C ends it.`)

for (let number = 100_000; !over; number++) {
  await new Promise((done) => setTimeout(done, PAUSE))
  if (!over) await dovecot.deliver('demo', variedMail(number)).catch(() => undefined)
}
