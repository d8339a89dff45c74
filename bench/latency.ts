/*
 * From a message's delivery to the subscriber's receipt, beside a raw IDLE socket on the same mailbox.
 * npm run bench:latency [deliveries]
 */
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { mail } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { Service } from '../test/support/service.ts'
import { percentile, table } from './measure.ts'
import { RawImap } from './raw-imap.ts'

const DELIVERIES = Number(process.argv[2] ?? 200)
const SUBSCRIPTION = 'subscription ($id: ID!) { messageArrived(accountId: $id) { subject } }'

const dovecot = await Dovecot.start()
const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
try {
  await fillMaildir(dovecot.mailOf('bench'), null, 1_000, (number) => mail(number))
  const account = await service.connect({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    security: 'PLAINTEXT',
    username: 'bench',
    password: PASSWORD,
  })
  await service.synced(account)
  const raw = await RawImap.open(dovecot.imapPort, 'bench')
  await raw.send('SELECT INBOX')
  let rawHeard: (() => void) | null = null
  raw.onUnasked = (text) => {
    if (text.includes('EXISTS')) rawHeard?.()
  }
  raw.idle()
  let subscriberHeard: (() => void) | null = null
  const socket = service.socket()
  const listen = async () => {
    for await (const _ of socket.iterate({ query: SUBSCRIPTION, variables: { id: account } })) subscriberHeard?.()
  }
  void listen()
  await new Promise((done) => setTimeout(done, 1_000))

  const rawTimes: number[] = []
  const times: number[] = []
  for (let delivery = 0; delivery < DELIVERIES; delivery++) {
    const began = performance.now()
    const since = (heard: number[]) => () => heard.push(performance.now() - began)
    const toRaw = new Promise<void>((done) => (rawHeard = () => (since(rawTimes)(), (rawHeard = null), done())))
    const toSubscriber = new Promise<void>(
      (done) => (subscriberHeard = () => (since(times)(), (subscriberHeard = null), done())),
    )
    await dovecot.deliver('bench', mail(50_000 + delivery))
    await Promise.all([toRaw, toSubscriber])
    // Dovecot gathers for half a second from the first change on, and what one session does is a change to the other:
    // both sessions' timers have to have run out before the next delivery
    await new Promise((done) => setTimeout(done, 700 + Math.random() * 200))
  }
  const behind = times.map((time, at) => time - (rawTimes[at] ?? NaN))
  const row = (label: string, values: number[]) => [
    label,
    ...[0.5, 0.9, 0.99, 1].map((share) => percentile(values, share)),
  ]
  console.log(`${DELIVERIES} deliveries; milliseconds`)
  table(
    ['', 'p50', 'p90', 'p99', 'max'],
    [row('raw IDLE socket', rawTimes), row('subscriber', times), row('subscriber behind raw socket', behind)],
  )
  console.log(
    `ratio of the medians, raw socket = 1: ${(percentile(times, 0.5) / percentile(rawTimes, 0.5)).toFixed(2)}`,
  )
  raw.close()
  void socket.dispose()
} finally {
  await service.stop()
  await dovecot.stop()
}
process.exit(0)
