/*
 * New mail to many subscribers over two API processes, beside imapflow's IDLE on the same mailboxes.
 * npm run bench:fanout [subscribers] [accounts]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { Installation } from '../test/support/installation.ts'
import { mail } from '../test/support/mail.ts'
import { until } from '../test/support/service.ts'
import { allowNotifications, percentile, table } from './measure.ts'

const [SUBSCRIBERS = 1_000, ACCOUNTS = 200] = process.argv.slice(2).map(Number)
/** Accounts on which a bare client waits as well. */
const BESIDE = 20
/** Milliseconds between two deliveries. */
const APART = 25
/** Subscriptions that share a socket, as those of one client do. */
const SHARED = 10

const QUERY = `subscription ($id: ID!) { messageArrived(accountId: $id) { messageId subject } }`

await allowNotifications()
const dovecot = await Dovecot.start()
const installation = await Installation.start({ MAILFOLD_CHECK_INTERVAL: '30000', MAILFOLD_LEASE: '15000' })
try {
  const workers = await installation.addMany('worker', 2)
  const apis = await installation.addMany('api', 2)
  const [api] = apis
  if (!api) throw new Error('there is no API')
  await until(async () => (await installation.holders()).size === workers.length, 120_000)
  const ids: string[] = []
  for (let number = 0; number < ACCOUNTS; number++) {
    await dovecot.fill(`fan${number}`, { INBOX: [mail(number)] })
    const server = { host: '127.0.0.1', port: dovecot.imapPort, security: 'PLAINTEXT', password: PASSWORD }
    ids.push(await api.connect({ ...server, username: `fan${number}` }))
  }
  for (const id of ids) await api.synced(id)

  /** when each account's message was handed to the server, and when each of its subscribers had it */
  const sent = new Map<number, number>()
  const had = new Map<string, number[]>()
  const bare: number[] = []
  const sockets = Array.from({ length: Math.ceil(SUBSCRIBERS / SHARED) }, (_, index) => apis[index % 2]?.socket())
  for (let subscriber = 0; subscriber < SUBSCRIBERS; subscriber++) {
    const account = subscriber % ACCOUNTS
    const times: number[] = []
    had.set(`${subscriber} of ${account}`, times)
    sockets[Math.floor(subscriber / SHARED)]?.subscribe(
      { query: QUERY, variables: { id: ids[account] } },
      { next: () => times.push(performance.now()), error: () => undefined, complete: () => undefined },
    )
  }
  const clients = await Promise.all(
    Array.from({ length: Math.min(BESIDE, ACCOUNTS) }, async (_, account) => {
      const client = await dovecot.client(`fan${account}`)
      await client.mailboxOpen('INBOX')
      client.on('exists', () => bare.push(performance.now() - (sent.get(account) ?? NaN)))
      client.idle().catch(() => undefined)
      return client
    }),
  )
  await sleep(3_000)
  for (let account = 0; account < ACCOUNTS; account++) {
    sent.set(account, performance.now())
    await dovecot.deliver(`fan${account}`, mail(10_000 + account, { subject: 'to all of them' }))
    await sleep(APART)
  }
  await until(() => [...had.values()].every(({ length }) => length > 0), 60_000)
  await sleep(2_000)
  const times = [...had].map(([name, [at = NaN]]) => at - (sent.get(Number(name.split(' ').at(-1))) ?? NaN))
  const doubled = [...had.values()].filter(({ length }) => length !== 1).length
  console.log(
    `${SUBSCRIBERS} subscribers of ${ACCOUNTS} accounts on two API processes, two workers; from the delivery on, milliseconds`,
  )
  table(
    ['', 'p50', 'p99', 'p50 / imapflow', 'p99 / imapflow'],
    [
      ['imapflow, IDLE', percentile(bare, 0.5), percentile(bare, 0.99), 1, 1],
      [
        'subscribers',
        ...[0.5, 0.99].map((share) => percentile(times, share)),
        ...[0.5, 0.99].map((share) => percentile(times, share) / percentile(bare, share)),
      ],
    ],
  )
  console.log(`subscribers that were told another number of times than once: ${doubled}`)
  for (const client of clients) client.close()
  for (const socket of sockets) await socket?.dispose()
} finally {
  await installation.stop()
  await dovecot.stop()
}
process.exit(0)
