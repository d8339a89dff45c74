import type { Redis } from 'ioredis'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { OwnServices } from './support/own-services.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let own: OwnServices
let service: Service
let redis: Redis

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('erna'), null, 700, (number) => mail(number))
  own = await OwnServices.start()
  redis = own.redis()
  service = await Service.start({ ...own.environment, MAILFOLD_TLS_CA: dovecot.authorityFile })
})

afterAll(async () => {
  await service?.stop()
  redis?.disconnect()
  await own?.stop()
  await dovecot?.stop()
})

test('with a Postgres and a Redis of one’s own, a mailbox is synced and stays current, also when Redis loses everything', async () => {
  const account = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'erna',
    password: PASSWORD,
  })
  await service.synced(account)
  expect((await redis.keys('bull:disconnected.s00:*')).length).toBeGreaterThan(0)
  const subjects = async () => {
    const query = 'query ($id: ID!) { account(id: $id) { messages(first: 3) { nodes { subject } } } }'
    type Found = { account: { messages: { nodes: { subject: string }[] } } }
    return (await service.ask<Found>(query, { id: account })).account.messages.nodes.map((node) => node.subject)
  }
  await dovecot.deliver('erna', mail(9_000, { subject: 'by way of Redis' }))
  await until(async () => (await subjects()).includes('by way of Redis'))
  await redis.flushall()
  await dovecot.deliver('erna', mail(9_001, { subject: 'after the flood' }))
  await until(async () => (await subjects()).includes('after the flood'))
})

test('after Redis has lost everything, the regular checks go on within a minute', async () => {
  const checks = () => redis.zrange('bull:housekeeping:repeat', 0, -1)
  await until(async () => (await checks()).includes('sweep 0'))
  await redis.flushall()
  expect(await checks()).toEqual([])
  await until(async () => (await checks()).length === 1)
  const done = async () => {
    const text = await (await service.fetch('/metrics')).text()
    return Number(/^mailfold_job_seconds_count\{queue="housekeeping".*\} (\d+)$/m.exec(text)?.[1])
  }
  const before = await done()
  await until(async () => (await done()) > before + 1)
})

test('a job that fails for good is shown to operators, who have it tried again or let go of it', async () => {
  type Failed = { failedJobs: { queue: string; name: string; reason: string; attempts: number; accountId: string }[] }
  const failed = async () =>
    (await service.ask<Failed>('{ failedJobs(first: 10) { queue name reason attempts accountId } }')).failedJobs
  const { accounts } = await service.ask<{ accounts: { id: string }[] }>('{ accounts { id } }')
  expect(await failed()).toEqual([])
  const database = own.database()
  await database.query('alter table accounts rename to accounts_away')
  await until(async () => (await failed()).some(({ name }) => name === 'sweep'))
  await database.query('alter table accounts_away rename to accounts')
  await database.end()
  for (const each of await failed()) {
    expect(each).toMatchObject({ attempts: 3, reason: expect.stringContaining('"accounts" does not exist') as string })
    expect([null, accounts[0]?.id]).toContain(each.accountId)
  }
  const settle = async (field: string) =>
    (await service.ask<Record<string, { count: number }>>(`mutation { ${field} { count } }`))[field]?.count ?? 0
  expect(await settle('retryFailedJobs')).toBeGreaterThan(0)
  await until(async () => (await failed()).length === 0)
  expect(await settle('discardFailedJobs')).toBe(0)
})
