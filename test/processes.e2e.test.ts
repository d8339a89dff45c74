/* Several processes of one installation: which does the work of which account, what they tell each other, and what becomes of it when one goes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Service, mailfold, until } from './support/service.ts'
import { Dovecot } from './support/dovecot.ts'
import { Installation, uuidOf } from './support/installation.ts'
import { mail } from './support/mail.ts'
import { OnlineAccount } from './support/online.ts'
import { DisconnectedAccount } from './support/disconnected.ts'

let dovecot: Dovecot
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
})
afterAll(() => dovecot?.stop())

describe.each([
  ['Redis', {}],
  ['Postgres', { REDIS_URL: '' }],
])('with the queues on %s', (_, environment) => {
  let installation: Installation
  let apis: Service[]
  let workers: Service[]

  beforeAll(async () => {
    installation = await Installation.start({ ...environment, MAILFOLD_CHECK_INTERVAL: '1000' })
    workers = await installation.addMany('worker', 2)
    apis = await installation.addMany('api', 2)
    await until(async () => [...(await installation.holders()).values()].join() === '4,4')
  })
  afterAll(() => installation?.stop())

  const api = (index: number) => apis[index] as Service
  const holder = async (account: string) => {
    const address = await installation.holderOf(account)
    const found = workers.find(({ url }) => url === address)
    if (!found) throw new Error(`${address} is no worker`)
    return found
  }
  const user = async () => {
    const name = `of-many-${++made}`
    await dovecot.fill(name, {
      INBOX: ['0', '1', '2'].map((subject) => mail(made * 100 + Number(subject), { subject })),
    })
    return name
  }

  test('shards are shared out, and each worker is ready; an API process answers clients, a worker does not', async () => {
    expect([...(await installation.holders()).keys()].sort()).toEqual(workers.map(({ url }) => url).sort())
    for (const each of [...apis, ...workers]) expect((await each.fetch('/health/ready')).status).toBe(200)
    expect((await api(0).answer('{ __typename }')).data).toEqual({ __typename: 'Query' })
    expect((await (workers[0] as Service).fetch('/graphql', { method: 'POST' })).status).toBe(404)
    expect(await (await (workers[0] as Service).fetch('/metrics')).text()).toContain(
      'mailfold_queue_jobs{queue="offline.s0',
    )
  })

  test('what a worker records, subscribers of every API process have at once, each event once', async () => {
    const mine = await DisconnectedAccount.connect(api(0), dovecot, await user())
    const query = `subscription ($id: ID!) { changes(accountId: $id) { ... on Change { version type } } }`
    type Seen = { version: number; type: string; at: number }
    const seen = apis.map(() => [] as Seen[])
    const sockets = apis.map((each) => each.socket())
    sockets.forEach((socket, index) =>
      socket.subscribe<{ changes: Omit<Seen, 'at'> }>(
        { query, variables: { id: mine.id } },
        {
          next: ({ data }) => data && seen[index]?.push({ ...data.changes, at: performance.now() }),
          error: () => undefined,
          complete: () => undefined,
        },
      ),
    )
    await sleep(500)
    for (let turn = 0; turn < 5; turn++)
      await mine.other.append('INBOX', mail(made * 100 + 10 + turn, { subject: `n${turn}` }))
    const arrived = (index: number) => seen[index]?.filter(({ type }) => type === 'MessageAdded') ?? []
    await until(() => arrived(0).length === 5 && arrived(1).length === 5)
    for (const [turn, { version }] of arrived(0).entries()) expect(arrived(1)[turn]?.version).toBe(version)
    // wake-ups were heard: a process that has to look for itself does so every two seconds
    const apart = arrived(0).map(({ at }, turn) => Math.abs((arrived(1)[turn]?.at ?? 0) - at))
    expect(apart.sort((one, other) => one - other)[1]).toBeLessThan(1_000)
    for (const events of seen) {
      const versions = events.map(({ version }) => version)
      expect(versions).toEqual(versions.map((__, index) => (versions[0] ?? 0) + index))
    }
    for (const socket of sockets) await socket.dispose()
    await mine.end()
  })

  test('an ONLINE account is worked with through a process that has not its connection: changes, a body, a search', async () => {
    const mine = await OnlineAccount.connect(api(1), dovecot, await user())
    await mine.session()
    const message = await mine.message('1')
    const read = `mutation ($input: ChangeFlagsInput!) { changeFlags(input: $input) { operation { state } errors { __typename } } }`
    const input = { messageIds: [message.id], add: ['\\Seen'] }
    expect(await api(1).ask(read, { input })).toEqual({ changeFlags: { operation: { state: 'APPLIED' }, errors: [] } })
    const body = `query ($id: ID!) { node(id: $id) { ... on Message { content { text } } } }`
    type Body = { node: { content: { text: string } } }
    expect((await api(0).ask<Body>(body, { id: message.id })).node.content.text.length).toBeGreaterThan(10)
    const part = await api(1).fetch(`/messages/${uuidOf((await mine.message('2')).id)}/raw`, {
      headers: { range: 'bytes=0-9' },
    })
    expect([part.status, (await part.arrayBuffer()).byteLength]).toEqual([206, 10])
    const search = `query ($input: SearchServerInput!) { searchServer(input: $input) { total errors { __typename ... on UserError { message } } } }`
    const asked = { accountId: mine.id, search: { subject: '2', since: '2001-01-01T00:00:00Z' } }
    expect(await api(0).ask(search, { input: asked })).toEqual({ searchServer: { total: 1, errors: [] } })
    await mine.end()
  })

  test('a worker that was stopped for a while finds its accounts taken, and can write no more', async () => {
    const mine = await DisconnectedAccount.connect(api(0), dovecot, await user())
    const stopped = await holder(mine.id)
    process.kill(stopped.pid, 'SIGSTOP')
    await until(async () => ![null, stopped.url].includes(await installation.holderOf(mine.id)))
    await mine.other.append('INBOX', mail(made * 100 + 20, { subject: 'while it stood' }))
    await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'while it stood'))
    const before = await fenceOf(installation, mine.id)
    process.kill(stopped.pid, 'SIGCONT')
    // it has its part again, one shard after the other; nothing was done twice, and nothing was left undone
    await until(async () => [...(await installation.holders()).values()].join() === '4,4')
    await mine.other.append('INBOX', mail(made * 100 + 21, { subject: 'afterwards' }))
    await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'afterwards'))
    expect((await mine.shown('INBOX')).map(({ subject }) => subject).sort()).toEqual(
      ['0', '1', '2', 'afterwards', 'while it stood'].sort(),
    )
    expect(await fenceOf(installation, mine.id)).toBeGreaterThanOrEqual(before)
    await mine.end()
  })

  test('the shards of a worker that was killed are taken over, and those of one that ends at once', async () => {
    const mine = await DisconnectedAccount.connect(api(0), dovecot, await user())
    const killed = await holder(mine.id)
    await killed.end('SIGKILL')
    await until(async () => ![null, killed.url].includes(await installation.holderOf(mine.id)))
    const other = await holder(mine.id)
    await mine.other.append('INBOX', mail(made * 100 + 30, { subject: 'taken over' }))
    await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'taken over'))
    await killed.launch()
    await until(async () => [...(await installation.holders()).values()].join() === '4,4')
    expect(await other.end('SIGTERM')).toMatchObject({ code: 0 })
    expect([...(await installation.holders()).keys()]).not.toContain(other.url)
    await until(async () => (await installation.holders()).get(killed.url) === 8)
    await other.launch()
    await until(async () => (await installation.holders()).size === 2)
    await mine.end()
  })

  test('how many shards there are is changed while work goes on', async () => {
    const mine = await DisconnectedAccount.connect(api(0), dovecot, await user())
    const { code, stdout } = await mailfold(['shards', '3', '--json'], {
      ...installation.own.environment,
      NODE_OPTIONS: '',
    })
    expect([code, JSON.parse(stdout)]).toEqual([0, { shards: 3 }])
    await mine.other.append('INBOX', mail(made * 100 + 40, { subject: 'of three' }))
    await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'of three'))
    await until(async () => [...(await installation.holders()).values()].reduce((sum, each) => sum + each) === 3)
    await mailfold(['shards', '8'], { ...installation.own.environment, NODE_OPTIONS: '' })
    await until(async () => [...(await installation.holders()).values()].join() === '4,4')
    await mine.end()
  })

  test('an account that is forgotten through one process has its connection ended in another', async () => {
    const name = await user()
    const mine = await DisconnectedAccount.connect(api(0), dovecot, name)
    expect(mine.wire.isOpen).toBe(true)
    await api(1).ask(
      'mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { errors { __typename } } }',
      {
        input: { id: mine.id, requestedBy: 'a test' },
      },
    )
    await until(() => !mine.wire.isOpen)
    await mine.end()
  })

  test('whoever is stopped says first that clients are to go elsewhere, and tells those that are there', async () => {
    const leaving = await installation.add(['api'], { MAILFOLD_DRAIN_DELAY: '1000' })
    const socket = leaving.socket()
    const closed = new Promise<number>((resolve) => socket.on('closed', (event) => resolve((event as CloseEvent).code)))
    const query = 'subscription ($id: ID!) { changes(accountId: $id) { __typename } }'
    const mine = await DisconnectedAccount.connect(api(0), dovecot, await user())
    socket.subscribe(
      { query, variables: { id: mine.id } },
      { next: () => undefined, error: () => undefined, complete: () => undefined },
    )
    await until(() => new Promise<boolean>((resolve) => socket.on('opened', () => resolve(true))))
    const end = leaving.end('SIGTERM')
    await sleep(300)
    expect((await leaving.fetch('/health/ready')).status).toBe(503)
    expect((await leaving.fetch('/health/live')).status).toBe(200)
    // "service restart": clients of graphql-ws connect again
    expect(await closed).toBe(1012)
    expect(await end).toMatchObject({ code: 0 })
    await mine.end()
  })
})

async function fenceOf({ database }: Installation, account: string): Promise<number> {
  const { rows } = await database.query<{ fence: string }>('select fence from streams where account_id = $1', [
    uuidOf(account),
  ])
  return Number(rows[0]?.fence)
}

test('a Redis that is away for longer than a lease costs neither lease nor connection', async () => {
  const installation = await Installation.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_LEASE: '1000' })
  try {
    const both = await installation.add(['api', 'worker'])
    const user = `of-many-${++made}`
    await dovecot.fill(user, { INBOX: [mail(made * 100, { subject: 'first' })] })
    const mine = await DisconnectedAccount.connect(both, dovecot, user)
    await until(async () => (await mine.shown('INBOX')).length === 1)
    const tokens = async () =>
      (await installation.database.query<{ token: string }>('select token from shards order by shard')).rows
    const before = await tokens()
    const logins = await dovecot.logins(user)
    await installation.own.stopRedis()
    for (let turn = 0; turn < 20; turn++) {
      await sleep(200)
      expect([...(await installation.holders()).values()]).toEqual([8])
    }
    await installation.own.startRedis()
    await dovecot.deliver(user, mail(made * 100 + 1, { subject: 'second' }))
    await until(async () => (await mine.shown('INBOX')).length === 2)
    expect(await tokens()).toEqual(before)
    expect(await dovecot.logins(user)).toBe(logins)
    await mine.end()
  } finally {
    await installation.stop()
  }
})
