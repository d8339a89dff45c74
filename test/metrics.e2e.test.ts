/* What an operator sees: metrics for Prometheus, which say nothing of whose mail it is. */
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

/** Every sample of the text format, by its name and labels. */
async function samples(): Promise<Map<string, number>> {
  const response = await service.fetch('/metrics')
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

test('connections, accounts, events, operations, jobs, queues and subscribers are counted', async () => {
  await dovecot.fill('mabel', { INBOX: [mail(1, { subject: 'first' }), mail(2)] })
  const before = await samples()
  expect(before.get('mailfold_connections{model="DISCONNECTED"}')).toBe(0)
  const account = await service.connect({
    ...{ host: '127.0.0.1', port: dovecot.imapPort, security: 'PLAINTEXT', username: 'mabel', password: PASSWORD },
  })
  await service.synced(account)
  await until(async () => (await samples()).get('mailfold_accounts{model="DISCONNECTED",state="CONNECTED"}') === 1)
  const socket = service.socket()
  const query = 'subscription ($id: ID!) { changes(accountId: $id) { ... on Change { version } } }'
  const handlers = { next: () => undefined, error: () => undefined, complete: () => undefined }
  const end = socket.subscribe({ query, variables: { id: account } }, handlers)
  await until(async () => (await samples()).get('mailfold_followers') === 1)

  const now = await samples()
  expect(now.get('mailfold_connections{model="DISCONNECTED"}')).toBe(1)
  expect(now.get('mailfold_connections{model="ONLINE"}')).toBe(0)
  expect(now.get('mailfold_sync_lag_seconds{model="DISCONNECTED"}')).toBeLessThan(30)
  expect(now.get('mailfold_events_total{type="MessageAdded"}')).toBe(2)
  expect(now.get('mailfold_queue_jobs{queue="disconnected.s00",state="failed"}')).toBe(0)
  expect(now.get('mailfold_queue_age_seconds{queue="disconnected.s00"}')).toBeLessThan(30)
  const jobs = 'mailfold_job_seconds_count{queue="disconnected.s00",job="sync",result="done"}'
  expect(now.get(jobs)).toBeGreaterThan(0)
  expect(now.get('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0)
  end()
  void socket.dispose()
  await until(async () => (await samples()).get('mailfold_followers') === 0)
})

test('an operation is counted by its outcome', async () => {
  await dovecot.fill('norma', { INBOX: [mail(3, { subject: 'read me' })] })
  const online = await OnlineAccount.connect(service, dovecot, 'norma')
  await online.session()
  const applied = async () => (await samples()).get('mailfold_operations_total{outcome="APPLIED"}') ?? 0
  const before = await applied()
  await online.flags([(await online.message('read me')).id], ['\\Seen'])
  expect(await applied()).toBe(before + 1)
  expect((await samples()).get('mailfold_connections{model="ONLINE"}')).toBe(1)
  await online.end()
})

test('they need the token, and name nobody', async () => {
  expect((await fetch(`${service.url}/metrics`)).status).toBe(401)
  const wrong = await fetch(`${service.url}/metrics`, { headers: { authorization: 'Bearer wrong' } })
  expect(wrong.status).toBe(401)
  const text = await (await service.fetch('/metrics')).text()
  expect(text).not.toMatch(/mabel|norma|127\.0\.0\.1|localhost|[0-9a-f]{8}-[0-9a-f]{4}-/)
})
