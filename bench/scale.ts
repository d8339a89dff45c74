/*
 * Many idle accounts by TLS: memory and processor time for each on one worker, beside bare imapflow clients; how long one, two and four workers take until
 * all are connected; and how long it takes until the accounts of a worker that was killed are.
 * npm run bench:scale [accounts…]
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { Installation } from '../test/support/installation.ts'
import { mail } from '../test/support/mail.ts'
import { until, type Service } from '../test/support/service.ts'
import { bareClients } from './bare-clients.ts'
import { allowNotifications, cpuSeconds, table } from './measure.ts'

const given = process.argv.slice(2).map(Number)
const STEPS = given.length > 0 ? given : [100, 400, 2_000]
const WORKERS = [1, 2, 4]
/** Seconds for which idle accounts are looked at. */
const IDLE = 60
/** Connections that are begun at once. */
const AT_ONCE = 8

const megabytes = async ({ pid }: Service) =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
const sumOf = async (workers: readonly Service[], of: (worker: Service) => Promise<number>) =>
  sum(await Promise.all(workers.map(of)))

await allowNotifications()
const most = Math.max(...STEPS)
// a process for each connection, beside Dovecot's own
const dovecot = await Dovecot.start(`
default_client_limit = ${most * 4}
service imap {
  process_limit = ${most + 1_000}
}
`)
for (let number = 0; number < most; number++) await dovecot.fill(`many${number}`, { INBOX: [mail(number)] })
const referred = Math.min(most, 1_000)
const reference = await bareClients(dovecot.imapsPort, referred, 'many', true)
const bare = (reference.full - reference.empty) / referred / 1024
const installation = await Installation.start({
  MAILFOLD_SHARDS: '16',
  MAILFOLD_LEASE: '15000',
  MAILFOLD_CHECK_INTERVAL: '30000',
  MAILFOLD_TLS_CA: dovecot.authorityFile,
})
try {
  let workers = await installation.addMany('worker', 1)
  const api = await installation.add(['api'])
  await shared(16)
  await sleep(5_000)
  let before = { accounts: 0, memory: await sumOf(workers, megabytes) }
  const empty = before.memory
  const rows: (string | number)[][] = []
  for (const accounts of STEPS) {
    await connectUpTo(api, before.accounts, accounts)
    await untilConnected(accounts, workers)
    await sleep(10_000)
    const [began, spent] = [performance.now(), await sumOf(workers, ({ pid }) => cpuSeconds(pid))]
    await sleep(IDLE * 1_000)
    const cpu = (await sumOf(workers, ({ pid }) => cpuSeconds(pid))) - spent
    const memory = await sumOf(workers, megabytes)
    const each = ((memory - before.memory) / (accounts - before.accounts)) * 1024
    const share = (cpu / ((performance.now() - began) / 1_000)) * 100
    rows.push([String(accounts), memory, each, each / bare, share, share / accounts])
    before = { accounts, memory }
  }
  const sizes = `${empty.toFixed(0)} MB without any; a bare imapflow client needs ${bare.toFixed(0)} KB`
  console.log(`idle accounts by TLS on one worker that needs ${sizes}`)
  table(['accounts', 'MB', 'KB for one more', '/ imapflow', '% of a core', '% for one'], rows)

  const starts: (string | number)[][] = []
  for (const count of WORKERS) {
    await Promise.all(workers.map((worker) => worker.end('SIGTERM')))
    const began = performance.now()
    workers = await installation.addMany('worker', count)
    await untilConnected(most, workers)
    const took = (performance.now() - began) / 1_000
    starts.push([String(count), took, most / took])
  }
  console.log(`${most} accounts, from the start of the workers until all are connected and looked at`)
  table(['workers', 'seconds', 'accounts a second'], starts)

  await shared(16 / workers.length)
  const [killed, ...others] = workers
  const began = performance.now()
  const since = () => ((performance.now() - began) / 1_000).toFixed(1)
  await killed?.end('SIGKILL')
  await until(async () => (await holding()).length === others.length && sum(await holding()) === 16, 60_000)
  const taken = since()
  await untilConnected(most, others)
  console.log(
    `one of ${workers.length} was killed: its shards were taken over after ${taken} s, its accounts connected after ${since()} s`,
  )
} finally {
  await installation.stop()
  await dovecot.stop()
}
process.exit(0)

/** How many shards each worker holds. */
async function holding(): Promise<number[]> {
  return [...(await installation.holders()).values()]
}

/** Waits until each worker has as many shards. */
async function shared(each: number): Promise<void> {
  await until(
    async () => (await holding()).length === 16 / each && (await holding()).every((held) => held === each),
    300_000,
  )
}

async function connectUpTo(api: Service, from: number, to: number): Promise<void> {
  let next = from
  const connect = async () => {
    for (let number = next++; number < to; number = next++)
      await api.connect({ host: 'localhost', port: dovecot.imapsPort, username: `many${number}`, password: PASSWORD })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, connect))
}

/** Waits until all have a connection, as the workers themselves count them. */
async function untilConnected(accounts: number, workers: readonly Service[]): Promise<void> {
  const held = async (worker: Service) => {
    const text = await (await worker.fetch('/metrics')).text()
    return sum([...text.matchAll(/^mailfold_connections\{.*\} (\d+)$/gm)].map(([, count]) => Number(count)))
  }
  await until(async () => (await sumOf(workers, held)) === accounts, 3_600_000)
}
