/*
 * Many idle accounts, by TLS, on two workers: memory and processor time for each, beside bare imapflow clients, and how long it takes until the accounts of
 * a worker that was killed are connected again.
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
const STEPS = given.length > 0 ? given : [100, 400, 800]
/** Seconds for which idle accounts are looked at. */
const IDLE = 60
/** Connections that are begun at once. */
const AT_ONCE = 8

const megabytes = async ({ pid }: Service) =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
const sumOf = async (workers: readonly Service[], of: (worker: Service) => Promise<number>) =>
  (await Promise.all(workers.map(of))).reduce((sum, each) => sum + each, 0)

await allowNotifications()
const dovecot = await Dovecot.start()
const most = Math.max(...STEPS)
for (let number = 0; number < most; number++) await dovecot.fill(`many${number}`, { INBOX: [mail(number)] })
const reference = await bareClients(dovecot.imapsPort, most, 'many', true)
const bare = (reference.full - reference.empty) / most / 1024
const installation = await Installation.start({
  MAILFOLD_SHARDS: '16',
  MAILFOLD_LEASE: '15000',
  MAILFOLD_CHECK_INTERVAL: '30000',
  MAILFOLD_TLS_CA: dovecot.authorityFile,
})
try {
  const workers = await installation.addMany('worker', 2)
  const api = await installation.add(['api'])
  await until(async () => [...(await installation.holders()).values()].join() === '8,8', 120_000)
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
  console.log(
    `idle accounts by TLS on two workers that need ${empty.toFixed(0)} MB without any; a bare imapflow client needs ${bare.toFixed(0)} KB`,
  )
  table(['accounts', 'MB of both', 'KB for one more', '/ imapflow', '% of a core', '% for one'], rows)
  const [killed] = workers
  const took = performance.now()
  await killed?.end('SIGKILL')
  await until(
    async () => (await installation.holders()).size === 1 && [...(await installation.holders()).values()][0] === 16,
    60_000,
  )
  const taken = performance.now() - took
  await untilConnected(most, workers.slice(1))
  console.log(
    `a worker was killed: its shards were taken over after ${(taken / 1_000).toFixed(1)} s, and its accounts connected after ${((performance.now() - took) / 1_000).toFixed(1)} s`,
  )
} finally {
  await installation.stop()
  await dovecot.stop()
}
process.exit(0)

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
    return [...text.matchAll(/^mailfold_connections\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
  }
  await until(async () => (await sumOf(workers, held)) === accounts, 600_000)
}
