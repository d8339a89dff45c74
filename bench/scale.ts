/*
 * Many idle accounts by TLS: memory and processor time for each on one worker, beside bare imapflow clients; how long one, two and four workers take until
 * all are connected, and how many they bring up to date in a second; how long it takes until the accounts of a worker that was killed are connected; and
 * until what one process has recorded is told by another.
 * npm run bench:scale [accounts…]
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { Installation } from '../test/support/installation.ts'
import { mail } from '../test/support/mail.ts'
import { until, type Service } from '../test/support/service.ts'
import { bareClients } from './bare-clients.ts'
import { allowNotifications, cpuSeconds, percentile, seconds, table } from './measure.ts'

const given = process.argv.slice(2).map(Number)
const STEPS = given.length > 0 ? given : [100, 400, 2_000]
const WORKERS = [1, 2, 4]
/** Seconds for which idle accounts are looked at. */
const IDLE = 60
/** Changes of which it is measured when another process tells of them. */
const TOLD = 300
/** Requests that are made at once. */
const some = pLimit(8)

const megabytes = async ({ pid }: Service) =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
const sumOf = async (workers: readonly Service[], of: (worker: Service) => Promise<number>) =>
  sum(await Promise.all(workers.map(of)))

/** Of the accounts that are connected. */
const ids: string[] = []

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
    await sleep(5_000)
    starts.push([String(count), took, most / took, most / (await seconds(() => syncAll(api, workers)))])
  }
  console.log(
    `${most} accounts, from the start of the workers until all are connected and looked at; then each is synced once more`,
  )
  table(['workers', 'seconds', 'accounts a second', 'syncs a second'], starts)

  const told = await tellings(api, await installation.add(['api']))
  console.log(`from a request on, ${TOLD} of them, one after the other; milliseconds`)
  table(
    ['', 'p50', 'p99'],
    Object.entries(told).map(([what, times]) => [what, percentile(times, 0.5), percentile(times, 0.99)]),
  )

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
  const server = { host: 'localhost', port: dovecot.imapsPort, password: PASSWORD }
  const numbers = Array.from({ length: to - from }, (_, index) => from + index)
  ids.push(...(await some.map(numbers, (number) => api.connect({ ...server, username: `many${number}` }))))
}

/** Has every account brought up to date, and waits until that is done. */
async function syncAll(api: Service, workers: readonly Service[]): Promise<void> {
  const done = (worker: Service) => metricOf(worker, /^mailfold_job_seconds_count\{.*job="sync now".*\} (\d+)$/gm)
  const before = await sumOf(workers, done)
  await some.map(ids, (id) =>
    api.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id }),
  )
  await until(async () => (await sumOf(workers, done)) - before >= ids.length, 600_000)
}

/** Milliseconds until an API process answers that it has recorded a change, and until another one has told a subscriber of it. */
async function tellings(
  api: Service,
  other: Service,
): Promise<Record<'answered' | 'told by another process', number[]>> {
  const [id] = ids
  await api.ask('mutation ($id: ID!) { goOffline(input: { accountId: $id }) { errors { __typename } } }', { id })
  const query = `query ($id: ID!) { account(id: $id) { messages(first: 1) { nodes { id } } } }`
  type Found = { account: { messages: { nodes: { id: string }[] } } }
  const messageIds = (await api.ask<Found>(query, { id })).account.messages.nodes.map((message) => message.id)
  const socket = other.socket()
  let hear: (at: number) => void = () => undefined
  socket.subscribe(
    { query: 'subscription ($id: ID!) { changes(accountId: $id) { __typename } }', variables: { id } },
    { next: () => hear(performance.now()), error: (error) => console.error(error), complete: () => undefined },
  )
  await sleep(2_000)
  const times: { answered: number[]; told: number[] } = { answered: [], told: [] }
  for (let turn = 0; turn < TOLD; turn++) {
    const began = performance.now()
    const heard = new Promise<number>((resolve) => (hear = resolve))
    const input = { messageIds, [turn % 2 === 0 ? 'add' : 'remove']: ['\\Flagged'] }
    await api.ask('mutation ($input: ChangeFlagsInput!) { changeFlags(input: $input) { errors { __typename } } }', {
      input,
    })
    times.answered.push(performance.now() - began)
    times.told.push((await heard) - began)
    // what else there is to tell of it is told by then
    await sleep(20)
  }
  await socket.dispose()
  await api.ask('mutation ($id: ID!) { goOnline(accountId: $id) { errors { __typename } } }', { id })
  return { answered: times.answered, 'told by another process': times.told }
}

async function metricOf(worker: Service, line: RegExp): Promise<number> {
  const text = await (await worker.fetch('/metrics')).text()
  return sum([...text.matchAll(line)].map(([, count]) => Number(count)))
}

/** Waits until all have a connection, as the workers themselves count them. */
async function untilConnected(accounts: number, workers: readonly Service[]): Promise<void> {
  const held = (worker: Service) => metricOf(worker, /^mailfold_connections\{.*\} (\d+)$/gm)
  await until(async () => (await sumOf(workers, held)) === accounts, 3_600_000)
}
