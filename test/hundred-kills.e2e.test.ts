/* Four workers and two API processes, of which one after the other is killed, stopped or ended, and what they stand on as well. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Crowd, type Member } from './support/crowd.ts'
import { Dovecot } from './support/dovecot.ts'
import { Follower } from './support/follower.ts'
import { Installation, uuidOf } from './support/installation.ts'
import { randomFrom } from './support/mail.ts'
import { mailfold, until, type Service } from './support/service.ts'

/** A hundred in the long form: MAILFOLD_KILLS=100. */
const KILLS = Number(process.env['MAILFOLD_KILLS'] ?? 8)
const SEED = Number(process.env['MAILFOLD_SEED'] ?? 100)

let dovecot: Dovecot
let installation: Installation

beforeEach(async () => {
  dovecot = await Dovecot.start()
})

afterEach(async () => {
  await installation?.stop()
  await dovecot?.stop()
})

/** One that goes and comes back, by chance. */
class Chaos {
  readonly done: string[] = []
  private readonly away = new Map<Service, Promise<void>>()

  constructor(
    private readonly workers: Service[],
    private readonly apis: Service[],
    private readonly random: () => number,
    private readonly redis: boolean,
  ) {}

  /** A process that answers clients, most likely. */
  api = (): Service => {
    const there = this.apis.filter((each) => !this.away.has(each))
    return (there[Math.floor(this.random() * there.length)] ?? this.apis[0]) as Service
  }

  async strike(): Promise<void> {
    const kind = this.random()
    if (kind < 0.08) return this.of('Postgres', () => installation.own.restartPostgres())
    if (kind < 0.14 && this.redis) return this.of('Redis', () => installation.own.restartRedis())
    if (kind < 0.22 && this.redis) return this.of('Redis emptied', () => this.emptyRedis())
    const all = [...this.workers, ...this.apis].filter((each) => !this.away.has(each))
    const victim = all[Math.floor(this.random() * all.length)]
    // not both of those that answer clients at once
    if (!victim || (this.apis.includes(victim) && this.apis.some((each) => this.away.has(each)))) return this.strike()
    const how = kind < 0.6 ? 'SIGKILL' : kind < 0.85 ? 'SIGSTOP' : 'SIGTERM'
    this.done.push(`${how} ${this.apis.includes(victim) ? 'API' : 'worker'}`)
    const back = how === 'SIGSTOP' ? this.pause(victim) : this.end(victim, how)
    this.away.set(
      victim,
      back.finally(() => this.away.delete(victim)),
    )
  }

  /** Waits until all are back. */
  async over(): Promise<void> {
    await Promise.all(this.away.values())
  }

  private async of(what: string, strike: () => Promise<void>): Promise<void> {
    this.done.push(what)
    await strike()
  }

  private async emptyRedis(): Promise<void> {
    const redis = installation.own.redis()
    await redis.flushall()
    redis.disconnect()
  }

  private async end(victim: Service, signal: NodeJS.Signals): Promise<void> {
    await victim.end(signal)
    // Postgres may be on its way
    for (let tries = 0; tries < 60; tries++) {
      const isUp = await victim.launch().then(
        () => true,
        () => false,
      )
      if (isUp) return
      await sleep(500)
    }
    throw new Error(`a process does not start any more: ${victim.said()}`)
  }

  private async pause(victim: Service): Promise<void> {
    process.kill(victim.pid, 'SIGSTOP')
    await sleep(500 + this.random() * 4_500)
    process.kill(victim.pid, 'SIGCONT')
  }
}

test.each([
  ['Redis', {}],
  ['Postgres', { REDIS_URL: '' }],
])(
  'queues on %s: whoever goes, every message is there once, every operation has one outcome, and subscribers have each event once',
  async (queues, environment) => {
    const random = randomFrom(SEED)
    installation = await Installation.start({
      ...environment,
      MAILFOLD_SHARDS: '16',
      MAILFOLD_CHECK_INTERVAL: '3000',
      MAILFOLD_OPERATION_TIMEOUT: '3000',
    })
    const workers = await installation.addMany('worker', 4)
    const apis = await installation.addMany('api', 2)
    const chaos = new Chaos(workers, apis, random, queues === 'Redis')
    const crowd = new Crowd(dovecot, random, chaos.api)
    for (let number = 0; number < 50; number++)
      await crowd.join(number % 5 === 3 ? 'OFFLINE' : number % 5 === 4 ? 'ONLINE' : 'DISCONNECTED')
    const followers = crowd.members.filter((_, index) => index % 5 !== 1).map(({ id }) => new Follower(id, chaos.api))
    const following = followers.map((follower) => follower.follow())
    const load = new AbortController()
    const loading = [crowd.deliver(60, load.signal), crowd.change(40, load.signal), crowd.change(40, load.signal)]
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(300 + random() * 900)
      await chaos.strike()
    }
    await chaos.over()
    load.abort()
    await Promise.all(loading)

    const story = chaos.done.join(', ')
    for (const member of crowd.members) if (member.model === 'OFFLINE') await crowd.collect(member)
    await quiet()
    for (const member of crowd.members)
      expect([member.user, story, await faults(member)]).toEqual([member.user, story, []])
    expect(await interleaved()).toEqual([])
    expect(await unsettled()).toEqual([])
    const { rows } = await installation.database.query<{ account_id: string; version: string }>(
      'select account_id, version from streams',
    )
    const versions = new Map(rows.map((row) => [row.account_id, Number(row.version)]))
    for (const { account, told } of followers) {
      await until(() => told.length >= (versions.get(uuidOf(account)) ?? Infinity))
      expect(told.map(({ version }) => version)).toEqual(told.map((_, index) => index + 1))
    }
    const settings = { ...installation.own.environment, NODE_OPTIONS: '' }
    const verified = await mailfold(['verify'], settings)
    expect([verified.code, verified.stdout.slice(-500)]).toEqual([0, expect.any(String)])
    for (const follower of followers) follower.stop()
    await Promise.all([...apis, ...workers].map((each) => each.end('SIGTERM')))
    await Promise.all(following)
  },
  1_200_000,
)

/** Waits until nothing is on its way any more. */
async function quiet(): Promise<void> {
  const settled = async () => {
    const waiting = await installation.database.query(
      `select from operations where state in ('PENDING', 'SENT') limit 1`,
    )
    return waiting.rowCount === 0
  }
  await until(settled)
  let last = ''
  let since = performance.now()
  await until(async () => {
    const { rows } = await installation.database.query<{ sum: string }>('select sum(version) from streams')
    if (rows[0]?.sum !== last) [last, since] = [rows[0]?.sum ?? '', performance.now()]
    return performance.now() - since > 8_000
  })
}

/** What of an account is not as it has to be. */
async function faults({ user, model, id, delivered, appended, flagged }: Member): Promise<string[]> {
  const { rows } = await installation.database.query<{ subject: string; flags: string[] }>(
    `select subject, flags from messages where account_id = $1`,
    [uuidOf(id)],
  )
  const there = await onServer(user)
  const found: string[] = []
  for (const [place, subjects] of [
    ['here', rows.map(({ subject }) => subject)],
    ['on the server', there.map(({ subject }) => subject)],
  ] as const) {
    const counts = Map.groupBy(subjects, (subject) => subject)
    for (const [subject, { length }] of counts) if (length > 1) found.push(`${subject} is ${length} times ${place}`)
    for (const subject of delivered)
      if (!counts.has(subject)) found.push(`${subject} was delivered and is not ${place}`)
    if (model === 'OFFLINE') continue
    for (const [subject, isSure] of appended)
      if (isSure && !counts.has(subject)) found.push(`${subject} was appended and is not ${place}`)
    const known = new Set([...delivered, ...appended.keys()])
    for (const subject of subjects)
      if (!known.has(subject)) found.push(`${subject} is ${place}, and nobody knows of it`)
  }
  for (const [subject, isSure] of flagged)
    for (const [place, messages] of [
      ['here', rows],
      ['on the server', there],
    ] as const) {
      const isFlagged = messages.find((message) => message.subject === subject)?.flags.includes('\\Flagged')
      if (isSure && !isFlagged) found.push(`${subject} was flagged and is not ${place}`)
    }
  return found
}

/** INBOX as another client sees it. */
async function onServer(user: string): Promise<{ subject: string; flags: string[] }[]> {
  const client = await dovecot.client(user)
  await client.mailboxOpen('INBOX', { readOnly: true })
  const all = await client.fetchAll('1:*', { envelope: true, flags: true })
  await client.logout()
  return all.map(({ envelope, flags }) => ({ subject: envelope?.subject ?? '', flags: [...(flags ?? [])] }))
}

/** Appends of workers that came after those of one who had the account later. */
async function interleaved(): Promise<object[]> {
  const { rows } = await installation.database.query<object>(
    `select * from (
       select account_id, last_version, fence, max(fence) over (partition by account_id order by last_version) as latest from appends
       where fence is not null
     ) as each where fence < latest`,
  )
  return rows
}

/** Operations that have another number of outcomes than one. */
async function unsettled(): Promise<object[]> {
  const { rows } = await installation.database.query<object>(
    `select requested.data->>'operationId' as operation, count(settled.*) as outcomes
     from events as requested left join events as settled
       on settled.account_id = requested.account_id and settled.type = 'OperationSettled'
         and settled.data->>'operationId' = requested.data->>'operationId' and settled.data->>'outcome' is not null
     where requested.type = 'OperationRequested' group by 1 having count(settled.*) <> 1`,
  )
  return rows
}
