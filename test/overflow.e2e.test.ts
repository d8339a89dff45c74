/* Mail that stays on a server which fills up: warned of in time, foretold, and what to delete. */
import { execFileSync } from 'node:child_process'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

const LIMIT = 2_000 * 1_024

const QUOTA = `
  protocol imap {
    mail_plugins = quota imap_quota
  }
  plugin {
    quota = count:User quota
    quota_vsizes = yes
    quota_rule = *:storage=2000K
    quota_grace = 0
  }`

let dovecot: Dovecot
let service: Service
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start(QUOTA)
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Maildrop = { messages: number; bytes: number; limit: number | null; level: number; warnAt: number[] }
type Group = { kind: string; messageCount: number; bytes: number; messages: { nodes: { subject: string }[] } }

class Filling {
  readonly mine: OnlineAccount
  constructor(mine: OnlineAccount) {
    this.mine = mine
  }

  static async connect(): Promise<Filling> {
    const user = `full${++made}`
    await dovecot.fill(user, { INBOX: [mail(made * 1_000, { subject: 'first' })] })
    const filling = new Filling(await OnlineAccount.connect(service, dovecot, user))
    await filling.mine.session()
    return filling
  }

  /** Has another client put a message there, of so many KiB. */
  async add(path: string, subject: string, kib: number, flags: string[] = [], number = ++made): Promise<void> {
    const head = mail(10_000 + number, { subject })
    const line = 'x'.repeat(62) + '\r\n'
    await this.mine.other.append(path, head + line.repeat(kib * 16), flags)
  }

  async maildrop(): Promise<Maildrop | null> {
    const query = `query ($id: ID!) { account(id: $id) { maildrop { messages bytes limit level warnAt } } }`
    return (await service.ask<{ account: { maildrop: Maildrop | null } }>(query, { id: this.mine.id })).account.maildrop
  }

  async untilMessages(count: number): Promise<Maildrop> {
    let found: Maildrop | null = null
    await until(async () => {
      found = await this.maildrop()
      return found?.messages === count
    }).catch(async (error: Error) => {
      const { mailboxes, messages } = await this.mine.state()
      const all = mailboxes.map(({ path, messageCount }) => `${path} ${messageCount}`)
      const told = { found, all, subjects: messages.nodes.map(({ subject }) => subject) }
      throw new Error(`${count} messages are not measured: ${JSON.stringify(told)}; ${service.said()}`, {
        cause: error,
      })
    })
    return found as unknown as Maildrop
  }

  async groups(minBytes: number): Promise<Map<string, Group>> {
    const query = `query ($id: ID!, $minBytes: Float!) { account(id: $id) { deletionCandidates(minBytes: $minBytes) {
      kind messageCount bytes messages(first: 10) { nodes { subject } } } } }`
    type Answer = { account: { deletionCandidates: Group[] } }
    const { account } = await service.ask<Answer>(query, { id: this.mine.id, minBytes })
    return new Map(account.deletionCandidates.map((group) => [group.kind, group]))
  }

  /** Deletes a group as it was seen. */
  async delete(kind: string, minBytes: number, seen: { messageCount: number; bytes: number }) {
    const query = `mutation ($input: DeleteCandidatesInput!) { deleteCandidates(input: $input) {
      operation { state appliedCount } errors { __typename ... on CandidatesChanged { messages bytes } } } }`
    type Payload = {
      operation: { state: string; appliedCount: number } | null
      errors: { __typename: string; messages?: number; bytes?: number }[]
    }
    const { messageCount, bytes } = seen
    const input = { accountId: this.mine.id, kind, minBytes, messageCount, bytes }
    return (await service.ask<{ deleteCandidates: Payload }>(query, { input })).deleteCandidates
  }
}

test('a mailbox that fills up is warned of at each level, in order and once; what it would be too much for is refused', async () => {
  const filling = await Filling.connect()
  const { mine } = filling
  const setting = { accountId: mine.id, warnAt: [50, 80, 95] }
  await service.ask(
    'mutation ($input: SetCollectionInput!) { setCollection(input: $input) { errors { __typename } } }',
    {
      input: setting,
    },
  )
  const levels: number[] = []
  const socket = service.socket()
  socket.subscribe<{ maildropWarning: { level: number } }>(
    { query: `subscription ($id: ID!) { maildropWarning(accountId: $id) { level } }`, variables: { id: mine.id } },
    {
      next: ({ data }) => levels.push(data?.maildropWarning.level ?? 0),
      error: () => undefined,
      complete: () => undefined,
    },
  )
  expect(await filling.untilMessages(1)).toMatchObject({ limit: LIMIT, level: 0, warnAt: [50, 80, 95] })
  for (const [number, kib] of [900, 200, 400, 100, 320].entries()) {
    await filling.add('INBOX', `large ${number}`, kib)
    await filling.untilMessages(number + 2)
  }
  await until(() => levels.length === 3)
  expect(levels).toEqual([50, 80, 95])
  const full = await filling.untilMessages(6)
  expect(full.level).toBe(95)
  expect(full.bytes).toBeGreaterThan(LIMIT * 0.95)

  const appended = await mine.append(
    'INBOX',
    mail(9_000, { subject: 'too much', body: 'unmistakablyappended' }) + 'y'.repeat(200_000),
  )
  expect(appended.operation).toMatchObject({ state: 'REJECTED', reason: 'OVER_QUOTA' })
  // it is not kept here either, nor anywhere on disk
  const files = () => execFileSync('sh', ['-c', `grep -rl unmistakablyappended ${service.folder} || true`]).toString()
  await until(() => files() === '')
  expect((await mine.shown('INBOX')).map(({ subject }) => subject)).not.toContain('too much')
  const { id } = await mine.message('large 0')
  expect((await mine.copy([id], 'INBOX')).operation).toMatchObject({ state: 'REJECTED', reason: 'OVER_QUOTA' })

  // just below a level is not far enough below it to pass it again
  await mine.delete([(await mine.message('large 3')).id], true)
  await filling.untilMessages(5)
  await filling.add('INBOX', 'again', 60)
  await filling.untilMessages(6)
  expect(levels).toEqual([50, 80, 95])
  void socket.dispose()
  await mine.end()
})

test('when it will be full is foretold with a range, from how it grew', async () => {
  const filling = await Filling.connect()
  await filling.untilMessages(1)
  for (let number = 0; number < 6; number++) {
    await filling.add('INBOX', `growth ${number}`, 100)
    await filling.untilMessages(number + 2)
  }
  // as if it had grown by 100 KiB a day
  const database = await service.database()
  const own = Buffer.from(filling.mine.id, 'base64url').toString().replace('Account:', '')
  await database.query(
    `update maildrop_measures set at = now() - make_interval(secs => (
       select max(bytes) - maildrop_measures.bytes from maildrop_measures as all_of_them where account_id = $1)::float
       / 102400 * 86400)
     where account_id = $1`,
    [own],
  )
  await database.end()
  const query = `query ($id: ID!) { account(id: $id) { maildropForecast { fullAt earliest latest } } }`
  type Answer = { account: { maildropForecast: { fullAt: string; earliest: string; latest: string } } }
  const { maildropForecast: forecast } = (await service.ask<Answer>(query, { id: filling.mine.id })).account
  const days = (moment: string) => (Date.parse(moment) - Date.now()) / 86_400_000
  // some 1400 KiB are left
  expect(days(forecast.fullAt)).toBeGreaterThan(13)
  expect(days(forecast.fullAt)).toBeLessThan(15)
  const [earliest, fullAt, latest] = [forecast.earliest, forecast.fullAt, forecast.latest].map((at) => Date.parse(at))
  expect(earliest).toBeLessThanOrEqual(fullAt ?? 0)
  expect(latest).toBeGreaterThanOrEqual(fullAt ?? Infinity)
  await filling.mine.end()
})

test('what is worth deleting is listed by kind, and deleting a group frees what was promised', async () => {
  const filling = await Filling.connect()
  const { mine } = filling
  await filling.add('INBOX', 'large and read', 300, ['\\Seen'])
  await filling.add('INBOX', 'large', 200)
  await filling.add('INBOX', 'large and flagged', 250, ['\\Flagged'])
  const twice = ++made
  await filling.add('INBOX', 'twice', 20, [], twice)
  await mine.other.mailboxCreate('Kept')
  await filling.add('Kept', 'twice', 20, [], twice)
  await filling.add('Trash', 'thrown away', 30)
  await filling.add('Junk', 'junk', 10)
  for (const [subject, flags] of [
    ['news', []],
    ['read news', ['\\Seen']],
    ['wanted news', ['\\Flagged']],
  ] as const) {
    const raw = mail(10_000 + ++made, { subject, listId: 'Weekly, "<all>" (news) <Weekly.Example.org>' })
    await mine.other.append('INBOX', raw, [...flags])
  }
  const before = await filling.untilMessages(11)

  const groups = await filling.groups(100_000)
  const subjects = (kind: string) => groups.get(kind)?.messages.nodes.map(({ subject }) => subject)
  expect(subjects('LARGEST')).toEqual(['large and read', 'large'])
  expect(subjects('READ_ATTACHMENTS')).toEqual([])
  expect(subjects('DUPLICATES')).toEqual(['twice'])
  expect(subjects('TRASH')).toEqual(['thrown away'])
  expect(subjects('JUNK')).toEqual(['junk'])
  expect(subjects('NEWSLETTERS')).toEqual(['news'])
  expect(subjects('OLD')).toEqual([])

  const seen = groups.get('LARGEST') as Group
  expect(seen.messageCount).toBe(2)
  const changed = await filling.delete('LARGEST', 100_000, { ...seen, messageCount: 1 })
  expect(changed.errors).toEqual([{ __typename: 'CandidatesChanged', messages: 2, bytes: seen.bytes }])
  const deleted = await filling.delete('LARGEST', 100_000, seen)
  expect(deleted).toEqual({ operation: { state: 'APPLIED', appliedCount: 2 }, errors: [] })
  const after = await filling.untilMessages(9)
  // the server counts in KiB
  expect(Math.abs(before.bytes - after.bytes - seen.bytes)).toBeLessThanOrEqual(2 * 1_024)
  expect((await mine.onServer('INBOX')).map(({ subject }) => subject)).toEqual([
    ...['first', 'large and flagged', 'news', 'read news', 'twice', 'wanted news'],
  ])
  for (const kind of ['DUPLICATES', 'TRASH', 'JUNK', 'NEWSLETTERS']) {
    const group = (await filling.groups(100_000)).get(kind) as Group
    expect((await filling.delete(kind, 100_000, group)).operation?.state).toBe('APPLIED')
  }
  expect((await filling.untilMessages(5)).bytes).toBeLessThan(before.bytes - seen.bytes - 60_000)
  await mine.end()
})

test('a disconnected account is watched as well, and an offline one has no candidates to delete there', async () => {
  const user = `full${++made}`
  await dovecot.fill(user, { INBOX: [mail(made * 1_000), mail(made * 1_000 + 1)] })
  const server = { host: '127.0.0.1', port: dovecot.imapPort, security: 'PLAINTEXT', username: user }
  const id = await service.connect({ ...server, password: 'correct-horse', model: 'DISCONNECTED' })
  await until(async () => {
    const query = 'query ($id: ID!) { account(id: $id) { maildrop { messages limit } } }'
    const { account } = await service.ask<{ account: { maildrop: object | null } }>(query, { id })
    return JSON.stringify(account.maildrop) === JSON.stringify({ messages: 2, limit: LIMIT })
  })
  const offline = await service.connect({
    ...server,
    username: `${user}.offline`,
    password: 'correct-horse',
    model: 'OFFLINE',
  })
  const query = `mutation ($input: DeleteCandidatesInput!) { deleteCandidates(input: $input) { errors { __typename } } }`
  const input = { accountId: offline, kind: 'OLD', messageCount: 0, bytes: 0 }
  expect(await service.ask(query, { input })).toEqual({
    deleteCandidates: { errors: [{ __typename: 'ModelNotPossible' }] },
  })
})
