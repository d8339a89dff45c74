import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail, randomFrom } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

const MESSAGES = 10_000
const KILLS = 10

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('kim'), null, 6_000, (number) => mail(number))
  await fillMaildir(dovecot.mailOf('kim'), 'Work', 4_000, (number) => mail(20_000 + number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Progress = { account: { progress: { done: number; isComplete: boolean } } }
const PROGRESS = 'query ($id: ID!) { account(id: $id) { progress { done isComplete } } }'

test('ten times killed in the middle of a first sync: every message is there once, and no version is missing', async () => {
  const random = randomFrom(2026)
  const account = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'kim',
    password: PASSWORD,
  })
  const progress = async () => (await service.ask<Progress>(PROGRESS, { id: account })).account.progress
  let killedWithin = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    // somewhere in the kill's own tenth, at no message's border
    const goal = Math.min(MESSAGES - 600, ((kill - 1 + random()) * MESSAGES) / KILLS)
    await until(async () => (await progress()).done >= goal)
    await new Promise((resolve) => setTimeout(resolve, random() * 40))
    if (!(await progress()).isComplete) killedWithin++
    await service.end('SIGKILL')
    await service.launch()
  }
  expect(killedWithin).toBeGreaterThanOrEqual(KILLS - 2)
  await service.synced(account)

  const subjects: string[] = []
  const ids = new Set<string>()
  const query =
    'query ($id: ID!, $after: String) { account(id: $id) { version messages(first: 500, after: $after) { nodes { id subject } pageInfo { hasNextPage endCursor } } } }'
  type Page = {
    account: {
      version: number
      messages: { nodes: { id: string; subject: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } }
    }
  }
  let version: number
  for (let after: string | null = null; ;) {
    const page: Page = await service.ask<Page>(query, { id: account, after })
    for (const { id, subject } of page.account.messages.nodes) {
      ids.add(id)
      subjects.push(subject)
    }
    version = page.account.version
    if (!page.account.messages.pageInfo.hasNextPage) break
    after = page.account.messages.pageInfo.endCursor
  }
  expect(subjects).toHaveLength(MESSAGES)
  expect(ids.size).toBe(MESSAGES)

  const socket = service.socket()
  const versions: number[] = []
  const added = new Map<string, number>()
  const changes = `subscription ($id: ID!, $after: String) { changes(accountId: $id, after: $after) { ... on Change { version } ... on MessageAddedChange { messageId } } }`
  // a client is given cursors, and that before the first event by `tail --after start`; here its making is spelled out
  const start = Buffer.from(`${Buffer.from(account, 'base64url').toString().split(':')[1]}@0`).toString('base64url')
  for await (const { data } of socket.iterate<{ changes: { version: number; messageId?: string } }>({
    query: changes,
    variables: { id: account, after: start },
  })) {
    if (!data) continue
    versions.push(data.changes.version)
    if (data.changes.messageId) added.set(data.changes.messageId, (added.get(data.changes.messageId) ?? 0) + 1)
    if (data.changes.version >= version) break
  }
  void socket.dispose()
  expect(versions).toEqual(Array.from({ length: versions.length }, (_, index) => index + 1))
  expect(added.size).toBe(MESSAGES)
  // what was committed before a kill was not fetched and recorded again after it
  expect(Math.max(...added.values())).toBe(1)
})
