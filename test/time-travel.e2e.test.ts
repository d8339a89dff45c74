import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { ImapFlow } from 'imapflow'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let account: string
let other: ImapFlow

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_CHECK_INTERVAL: '500' })
  await fillMaildir(dovecot.mailOf('ada'), null, 30, (number) =>
    mail(number, number % 5 ? {} : { attachment: { name: `n${number}.txt`, content: Buffer.from('attached') } }),
  )
  await fillMaildir(dovecot.mailOf('ada'), 'Work', 10, (number) => mail(500 + number))
  const server = { host: 'localhost', port: dovecot.imapsPort }
  account = await service.connect({ ...server, username: 'ada', password: PASSWORD })
  await service.synced(account)
  other = await dovecot.client('ada')
})

afterAll(async () => {
  await other?.logout()
  await service?.stop()
  await dovecot?.stop()
})

/** All that is shown of an account's state; what is asked for a moment is the same in everything. */
const STATE = `
  id presentId version cursor model connectedAt connection { state since reason }
  server { software capabilities }
  progress { done total isComplete }
  mailboxes { id presentId path name specialUse messageCount unreadCount progress { done total isComplete }
    messages(first: 4, filter: { isUnread: true }) { nodes { id } }
    newest: messages(first: 3) { edges { cursor node { id mailbox { path } } } pageInfo { hasNextPage endCursor } } }
  messages(first: 50) { version nodes {
    id presentId uid flags isUnread isFlagged internalDate sentAt size subject from { name address } to { address } messageIdHeader
    references origin defects hasAttachment attachments { filename size } mailbox { id path unreadCount } } }
  flagged: messages(first: 5, filter: { isFlagged: true }) { nodes { id subject } }
  matching: messages(last: 5, filter: { subject: "lunch" }) { nodes { id } pageInfo { hasPreviousPage startCursor } }`

type State = {
  version: number
  mailboxes: { id: string; path: string }[]
  messages: { nodes: { id: string; subject: string }[] }
}

async function state(asOf: { version: number } | { time: string } | null = null): Promise<State> {
  const query = `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) { ${STATE} } }`
  return (await service.ask<{ account: State }>(query, { id: account, asOf })).account
}

/** The id that something has as of a version. */
const pastId = (id: string, version: number) =>
  Buffer.from(`${Buffer.from(id, 'base64url').toString()}@${version}`).toString('base64url')

/** What was shown, as the past that it is now: all is as it was, but for the ids, which are of the past. */
function asPast<Shown>(shown: Shown, version: number): Shown {
  const text = JSON.stringify(shown, (name, value: unknown) =>
    name === 'id' && typeof value === 'string' ? pastId(value, version) : value,
  )
  return JSON.parse(text) as Shown
}

/** What is shown when nothing is happening: the same twice, half a check apart. */
async function atRest(): Promise<{ state: State; time: string }> {
  let shown = await state()
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 300))
    const again = await state()
    const same = again.version === shown.version
    shown = again
    return same
  })
  return { state: shown, time: new Date().toISOString() }
}

const inbox = async (work: (client: ImapFlow) => Promise<unknown>) => {
  await other.mailboxOpen('INBOX')
  await work(other)
}

const has = (path: string) => (now: State) => now.mailboxes.some((mailbox) => mailbox.path === path)

const STEPS: [string, () => Promise<unknown>, isSeen?: (now: State) => boolean][] = [
  ['new mail', () => dovecot.deliver('ada', mail(900, { subject: 'lunch tomorrow?' }))],
  ['flags', () => inbox((client) => client.messageFlagsAdd('1:5', ['\\Flagged', '$Later'], { uid: true }))],
  ['read', () => inbox((client) => client.messageFlagsAdd('3:9', ['\\Seen'], { uid: true }))],
  ['moved', () => inbox((client) => client.messageMove('4:6', 'Work', { uid: true }))],
  ['expunged', () => inbox((client) => client.messageDelete('10:14', { uid: true }))],
  ['a mailbox made', () => other.mailboxCreate('Later')],
  ['copied there', () => inbox((client) => client.messageCopy('15:18', 'Later', { uid: true }))],
  ['a mailbox renamed', () => other.mailboxRename('Later', 'Sooner'), has('Sooner')],
  ['a mailbox deleted', () => other.mailboxDelete('Sooner')],
  ['flags taken away', () => inbox((client) => client.messageFlagsRemove('1:3', ['\\Flagged'], { uid: true }))],
]

const shots: { step: string; state: State; time: string }[] = []

test('as of every earlier moment, by version and by time, each query answers what it answered then', async () => {
  shots.push({ step: 'synced', ...(await atRest()) })
  for (const [step, work, isSeen = () => true] of STEPS) {
    const { version } = shots.at(-1)?.state ?? { version: 0 }
    await work()
    await until(async () => {
      const now = await state()
      return now.version > version && isSeen(now)
    })
    shots.push({ step, ...(await atRest()) })
  }
  for (const shot of shots) {
    const past = asPast(shot.state, shot.state.version)
    expect([shot.step, await state({ version: shot.state.version })]).toEqual([shot.step, past])
    expect([shot.step, await state({ time: shot.time })]).toEqual([shot.step, past])
  }
})

test('the roots for one mailbox and one message answer for a moment as well; before the beginning there is nothing', async () => {
  const [first, last] = [shots[0]?.state as State, shots.at(-1)?.state as State]
  const gone = first.messages.nodes.find(({ id }) => !last.messages.nodes.some((node) => node.id === id))
  const query = `query ($mailbox: ID!, $message: ID!, $account: ID!, $asOf: AsOf) {
    mailbox(id: $mailbox, asOf: $asOf) { path messageCount messages(first: 2) { nodes { id } } }
    message(id: $message, asOf: $asOf) { id subject mailbox { path } }
    account(id: $account, asOf: $asOf) { version }
  }`
  const ask = (asOf: object | null) =>
    service.ask<Record<'mailbox' | 'message' | 'account', Record<string, unknown> | null>>(query, {
      ...{ account, mailbox: first.mailboxes.find(({ path }) => path === 'INBOX')?.id, message: gone?.id, asOf },
    })
  const then = await ask({ version: first.version })
  expect(then.message).toMatchObject({ subject: gone?.subject, mailbox: { path: 'INBOX' } })
  expect(then.mailbox).toMatchObject({ messageCount: 30 })
  expect(then.account).toEqual({ version: first.version })
  expect(await ask(null)).toMatchObject({ message: null, mailbox: { path: 'INBOX' } })
  const nothing = { mailbox: null, message: null, account: null }
  expect(await ask({ version: 0 })).toEqual(nothing)
  expect(await ask({ time: '2001-01-01T00:00:00Z' })).toEqual(nothing)

  const all = (asOf: object) =>
    service.ask<{ accounts: object[] }>('query ($asOf: AsOf) { accounts(asOf: $asOf) { id version } }', { asOf })
  expect(await all({ time: shots[0]?.time })).toEqual({
    accounts: [{ id: pastId(account, first.version), version: first.version }],
  })
  expect(await all({ time: '2001-01-01T00:00:00Z' })).toEqual({ accounts: [] })
})

test('a past state is found again by its own id, and everything that is reached from it is of the past as well', async () => {
  const [first, last] = [shots[0]?.state as State, shots.at(-1)?.state as State]
  const gone = first.messages.nodes.find(({ id }) => !last.messages.nodes.some((node) => node.id === id))
  const inbox = first.mailboxes.find(({ path }) => path === 'INBOX')
  const at = (id: string | undefined) => pastId(id ?? '', first.version)
  const present = [gone?.id, inbox?.id, account]
  const ids = [...present.map(at), pastId(account, 1_000_000), gone?.id, account]
  const query = `query ($ids: [ID!]!, $one: ID!) {
    node(id: $one) { id }
    nodes(ids: $ids) { __typename id
      ... on Message { presentId subject mailbox { id } }
      ... on Mailbox { presentId messageCount messages(first: 1) { nodes { id mailbox { id } } } }
      ... on Account { presentId version mailboxes { id } messages(first: 1) { nodes { id } } }
    } }`
  type Found = { id: string; presentId: string; version?: number; mailboxes?: { id: string }[]; messages?: object }
  const { node, nodes } = await service.ask<{ node: object; nodes: (Found | null)[] }>(query, {
    ids,
    one: at(gone?.id),
  })
  expect(node).toEqual({ id: at(gone?.id) })
  expect(nodes.map((found) => found?.id ?? null)).toEqual([...present.map(at), null, null, account])
  expect(nodes.slice(0, 3).map((found) => found?.presentId)).toEqual(present)
  const [newest] = first.messages.nodes
  expect(nodes[0]).toMatchObject({ subject: gone?.subject, mailbox: { id: at(inbox?.id) } })
  expect(nodes[1]).toMatchObject({ messageCount: 30, messages: { nodes: [{ mailbox: { id: at(inbox?.id) } }] } })
  expect(nodes[2]?.version).toBe(first.version)
  expect(nodes[2]?.mailboxes?.map(({ id }) => id)).toEqual(first.mailboxes.map(({ id }) => at(id)))
  expect(nodes[2]?.messages).toEqual({ nodes: [{ id: at(newest?.id) }] })

  const roots = `query ($account: ID!, $mailbox: ID!, $message: ID!) {
    account(id: $account) { id } mailbox(id: $mailbox) { id } message(id: $message) { id subject }
    thread(messageId: $message) { id mailbox { id } } messageHistory(id: $message) { nodes { ... on Change { type } } } }`
  expect(
    await service.ask(roots, { account: at(account), mailbox: at(inbox?.id), message: at(gone?.id) }),
  ).toMatchObject({
    account: { id: at(account) },
    mailbox: { id: at(inbox?.id) },
    message: { id: at(gone?.id), subject: gone?.subject },
    thread: [{ id: at(gone?.id), mailbox: { id: at(inbox?.id) } }],
    messageHistory: { nodes: [{ type: 'MessageAdded' }] },
  })
  const twice = `query ($id: ID!) { account(id: $id, asOf: { version: 1 }) { id } }`
  const { errors } = await service.answer(twice, { id: at(account) })
  expect(errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } })
  expect(errors?.[0]?.message).toContain('no `asOf`')
})

const REFUSING: [string, (ids: { account: string; mailbox: string; message: string }) => string][] = [
  [
    'changeFlags',
    ({ message }) =>
      `changeFlags(input: { messageIds: ["${message}"], add: ["\\\\Seen"] }) { messages { id } deletedIds`,
  ],
  [
    'moveMessages',
    ({ message, mailbox }) =>
      `moveMessages(input: { messageIds: ["${message}"], mailboxId: "${mailbox}" }) { messages { id }`,
  ],
  ['emptyTrash', ({ account: id }) => `emptyTrash(accountId: "${id}") { deleted`],
  [
    'renameMailbox',
    ({ mailbox }) => `renameMailbox(input: { mailboxId: "${mailbox}", path: "Else" }) { mailbox { id }`,
  ],
  ['syncNow', ({ account: id }) => `syncNow(accountId: "${id}") { account { id }`],
  ['goOffline', ({ account: id }) => `goOffline(input: { accountId: "${id}" }) { account { id }`],
  [
    'forgetMessage',
    ({ message }) =>
      `forgetMessage(input: { messageId: "${message}", requestedBy: "me" }) { forgottenIds messages { id }`,
  ],
  ['forgetAccount', ({ account: id }) => `forgetAccount(input: { id: "${id}", requestedBy: "me" }) { forgottenId`],
]

test.each(REFUSING)('the id of a past state names nothing that can be changed: %s', async (name, write) => {
  const { version, mailboxes, messages } = shots.at(-1)?.state as State
  const ids = { account, mailbox: mailboxes[0]?.id ?? '', message: messages.nodes[0]?.id ?? '' }
  const past = Object.fromEntries(Object.entries(ids).map(([of, id]) => [of, pastId(id, version)])) as typeof ids
  const refused = await service.ask<Record<string, { errors: object[] }>>(
    `mutation { ${write(past)} errors { __typename ... on UserError { message } } } }`,
  )
  expect(refused[name]?.errors).toEqual([
    { __typename: 'PastState', message: expect.stringContaining('presentId') as string },
  ])
  const rest = Object.entries(refused[name] ?? {}).filter(([field]) => field !== 'errors')
  for (const [, value] of rest) expect([null, 0, []]).toContainEqual(value)
  expect(await state({ version })).toEqual(asPast(shots.at(-1)?.state, version))
})

test.each([
  [{ version: 1_000_000 }, 'has not come to version 1000000'],
  [{ version: -1 }, 'whole number'],
  [{ version: 1.5 }, 'whole number'],
  [{ version: 1, time: '2026-01-01T00:00:00Z' }, 'one'],
  [{}, 'one'],
])('a moment that is none is refused: %j', async (asOf, said) => {
  const query = `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) { id } }`
  for (let turn = 0; turn < 3; turn++) {
    const { errors } = await service.answer(query, { id: account, asOf })
    expect(errors?.[0]?.message).toContain(said)
  }
})

type History = {
  nodes: { type: string; cause: string; version: number }[]
  pageInfo: { hasNextPage: boolean; endCursor: string }
}
const HISTORY = `query ($id: ID!, $after: String, $asOf: AsOf) {
  messageHistory(id: $id, first: 2, after: $after, asOf: $asOf) {
    nodes { ... on Change { type cause version } } pageInfo { hasNextPage endCursor } } }`

async function history(id: string, asOf: object | null = null): Promise<History['nodes']> {
  const nodes: History['nodes'] = []
  for (let after: string | null = null; ;) {
    const { messageHistory }: { messageHistory: History } = await service.ask<{ messageHistory: History }>(HISTORY, {
      id,
      after,
      asOf,
    })
    nodes.push(...messageHistory.nodes)
    if (!messageHistory.pageInfo.hasNextPage) return nodes
    after = messageHistory.pageInfo.endCursor
  }
}

test("a message's history tells every event that touched it, and who caused it", async () => {
  // UID 4: flagged, read, moved; its body was asked for as well
  const query =
    'query ($id: ID!) { account(id: $id) { messages(first: 100) { nodes { id uid origin mailbox { path } flags } } } }'
  type Nodes = {
    account: { messages: { nodes: { id: string; origin: string; flags: string[]; mailbox: { path: string } }[] } }
  }
  const { account: found } = await service.ask<Nodes>(query, { id: account })
  const moved = found.messages.nodes.find(({ origin, flags }) => origin === 'MOVED' && flags.includes('$Later'))
  const before = await history(moved?.id ?? '')
  // whether it was missed here before it was found there is a matter of which mailbox was read first
  const told = before.filter(({ type }) => type !== 'MessageExpunged')
  expect(told.map(({ type, cause }) => [type, cause])).toEqual([
    ['MessageAdded', 'SERVER'],
    ['MessageFlagsChanged', 'SERVER'],
    ['MessageFlagsChanged', 'SERVER'],
    ['MessageMoved', 'SERVER'],
  ])
  await service.ask('query ($id: ID!) { message(id: $id) { content { text } } }', { id: moved?.id })
  expect((await history(moved?.id ?? '')).at(-1)).toMatchObject({ type: 'MessageContentStored', cause: 'CLIENT' })
  expect(await history(moved?.id ?? '', { version: before[1]?.version })).toEqual(before.slice(0, 2))

  const own = `query ($id: ID!, $asOf: AsOf) { message(id: $id, asOf: $asOf) { history(first: 10) { edges { cursor node { ... on Change { type } } } } } }`
  type Own = { message: { history: { edges: { node: { type: string } }[] } } }
  const { message } = await service.ask<Own>(own, { id: moved?.id, asOf: { version: before[0]?.version } })
  expect(message.history.edges.map(({ node }) => node.type)).toEqual(['MessageAdded'])
})

test('the difference between two moments tells what was added, removed, moved and given other flags', async () => {
  const query = `query ($id: ID!, $from: AsOf!, $to: AsOf, $after: String, $kinds: [DifferenceKind!]) { account(id: $id) {
    difference(from: $from, to: $to, first: 3, after: $after, kinds: $kinds) {
      nodes { messageId kinds before { id presentId uid flags mailbox { path } } after { id presentId uid flags mailbox { path } } }
      pageInfo { hasNextPage endCursor } } } }`
  type Side = { id: string; presentId: string; uid: number; flags: string[]; mailbox: { path: string } } | null
  type Node = { messageId: string; kinds: string[]; before: Side; after: Side }
  type Page = { account: { difference: { nodes: Node[]; pageInfo: { hasNextPage: boolean; endCursor: string } } } }
  const between = async (from: number, to: number | null, kinds: string[] | null = null) => {
    const nodes: Node[] = []
    for (let after: string | null = null; ;) {
      const moments = { from: { version: from }, to: to === null ? null : { version: to } }
      const { account: found }: Page = await service.ask<Page>(query, { id: account, ...moments, after, kinds })
      nodes.push(...found.difference.nodes)
      if (!found.difference.pageInfo.hasNextPage) return nodes
      after = found.difference.pageInfo.endCursor
    }
  }
  const at = (step: string) => shots.find((shot) => shot.step === step)?.state.version ?? 0
  const moved = await between(at('read'), at('moved'))
  expect(moved).toHaveLength(3)
  for (const { messageId, before, after } of moved) {
    expect([before?.id, after?.id]).toEqual([pastId(messageId, at('read')), pastId(messageId, at('moved'))])
    expect([before?.presentId, after?.presentId]).toEqual([messageId, messageId])
  }
  for (const { kinds, before, after } of moved)
    expect([kinds, before?.mailbox.path, after?.mailbox.path]).toEqual([['MOVED'], 'INBOX', 'Work'])
  const expunged = await between(at('moved'), at('expunged'))
  expect(expunged.map(({ kinds, before, after }) => [kinds, before?.uid, after])).toEqual(
    [10, 11, 12, 13, 14].map((uid) => [['REMOVED'], uid, null]),
  )
  const all = await between(at('synced'), null)
  // the later moment is now, and so is what was there
  for (const { messageId, after } of all) expect(after?.id ?? messageId).toBe(messageId)
  const kindsOf = (nodes: Node[]) => nodes.map(({ kinds }) => kinds.join()).sort()
  // a copy that came and went with its mailbox is no difference
  expect(kindsOf(all)).toEqual(
    [...Array<string>(5).fill('REMOVED'), 'ADDED', ...Array<string>(3).fill('FLAGS_CHANGED')]
      .concat(['MOVED,FLAGS_CHANGED', 'MOVED,FLAGS_CHANGED', 'MOVED,FLAGS_CHANGED'])
      // UIDs 8 and 9: 7 was read before
      .concat(Array<string>(2).fill('FLAGS_CHANGED'))
      .sort(),
  )
  expect(kindsOf(await between(at('synced'), null, ['ADDED', 'MOVED']))).toHaveLength(4)
  const { errors } = await service.answer(query, { id: account, from: { version: 9 }, to: { version: 8 } })
  expect(errors?.[0]?.message).toContain('later')
})

test('`tail --all` tells the events of all accounts in one order, and goes on after a cursor', async () => {
  const second = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'bob',
    password: PASSWORD,
  })
  await service.synced(second)
  const lines = async (count: number, after: string) => {
    const told: { cursor: string; accountId: string; version: number; type: string; cause: string }[] = []
    const child = spawn(process.execPath, ['dist/bundle/main.js', 'tail', '--all', '--json', '--after', after], {
      env: { ...process.env, ...service.clientEnvironment },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      told.push(JSON.parse(line) as (typeof told)[number])
      if (told.length === count) break
    }
    child.kill()
    return told
  }
  const versions = async (id: string) =>
    (await service.ask<{ account: { version: number } }>('query ($id: ID!) { account(id: $id) { version } }', { id }))
      .account.version
  const total = (await versions(account)) + (await versions(second))
  const all = await lines(total, 'start')
  for (const id of [account, second]) {
    const ofAccount = all.filter(({ accountId }) => accountId === id).map(({ version }) => version)
    expect(ofAccount).toEqual(ofAccount.map((_, index) => index + 1))
  }
  expect(new Set(all.map(({ accountId }) => accountId))).toEqual(new Set([account, second]))
  const causes = new Set(all.map(({ type, cause }) => `${type} ${cause}`))
  for (const known of ['AccountConnected CLIENT', 'ConnectionEstablished SERVER', 'MessageAdded SERVER'])
    expect(causes).toContain(known)
  expect(causes).not.toContain('ConnectionEstablished CLIENT')
  // whoever reads only the beginning ends it without noise
  const piped = execFileSync('sh', ['-c', 'node dist/bundle/main.js tail --all --after start 2>&1 | head -1'], {
    env: { ...process.env, ...service.clientEnvironment },
  }).toString()
  expect(piped).toMatch(/^[^\n]* #1 AccountConnected [^\n]*\n$/)
  const rest = await lines(total - 20, all[19]?.cursor ?? '')
  expect(rest).toEqual(all.slice(20))
  const { errors } = await new Promise<{ errors: unknown }>((resolve) => {
    const socket = service.socket()
    socket.subscribe(
      { query: 'subscription { storeChanges(after: "nonsense") { cursor } }' },
      {
        next: (answer) => resolve({ errors: answer.errors }),
        error: (errors) => resolve({ errors }),
        complete: () => undefined,
      },
    )
  })
  expect(JSON.stringify(errors)).toContain('no cursor of the whole store')
})

test('`verify` says that all follows from the log, beside the running service and after it; `rebuild` changes nothing then', async () => {
  const environment = { ...service.clientEnvironment, MAILFOLD_DATA: service.folder }
  for (const turn of ['running', 'stopped']) {
    if (turn === 'stopped') await service.end('SIGTERM')
    const verified = await mailfold(['verify', '--json'], environment)
    expect([turn, verified.code, verified.stderr]).toEqual([turn, 0, ''])
    const said = verified.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { account: string; differing: number })
    expect(said.map(({ differing }) => differing)).toEqual([0, 0])
    const rebuilt = await mailfold(['rebuild', account], environment)
    expect(rebuilt.stdout).toContain('all rows follow from the log')
  }
  expect(await mailfold(['verify', 'nobody'], environment)).toMatchObject({
    code: 66,
    stderr: 'mailfold: there is no account nobody (npx mailfold accounts)\n',
  })
  const elsewhere = { ...environment, MAILFOLD_DATA: '/nowhere' }
  expect((await mailfold(['verify'], elsewhere)).stderr).toContain('there is no data in /nowhere')
  await service.launch()
})
