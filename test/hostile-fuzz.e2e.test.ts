/*
 * Mail servers whose answers are almost right, made by grammars, against a running service: what each may cost, and that an account is never called
 * complete without being so. The long form is `MAILFOLD_CASES=10000 npm test -- test/hostile-fuzz`.
 */
import fc from 'fast-check'
import { almostImap, almostPop3, scriptOf, type AlmostImap, type AlmostPop3 } from './support/almost-answers.ts'
import { address, HostileServers, MOST_MEMORY } from './support/hostile-servers.ts'
import { uuidOf } from './support/installation.ts'
import { ScriptedImap } from './support/scripted-imap.ts'
import { ScriptedPop3 } from './support/scripted-pop3.ts'
import { CONNECT, until } from './support/service.ts'

/** Servers of each protocol. */
const CASES = Number(process.env['MAILFOLD_CASES'] ?? 200)
/** Servers at once. */
const TOGETHER = 25
/** What one server may cost before its account is forgotten. */
const MOST = { events: 120, commands: 300, logLines: 20 }

const hostile = new HostileServers()
let memoryBefore = 0

beforeAll(async () => {
  // all of them are at one host
  await hostile.start({ MAILFOLD_HOST_LOGINS: '1000000', MAILFOLD_HOST_CONNECTIONS: '100' })
  memoryBefore = await hostile.memory()
})

afterAll(() => hostile.stop())

type State = {
  connection: { state: string; reason: string | null }
  progress: { isComplete: boolean }
  mailboxes: { path: string; isSelectable: boolean; problem: object | null }[]
  messages: { nodes: { uid: number | null; mailbox: { path: string } }[] }
}

const STATE = `query ($id: ID!) { account(id: $id) {
  connection { state reason } progress { isComplete } mailboxes { path isSelectable problem { kind } }
  messages(first: 100) { nodes { uid mailbox { path } } }
} }`

const stateOf = async (id: string) => (await hostile.service.ask<{ account: State }>(STATE, { id })).account

/** Connects an account; null where the server did not let it, which has a reason of its own. */
async function connect(protocol: string, port: number): Promise<string | null> {
  const model = protocol === 'POP3' ? 'OFFLINE' : 'DISCONNECTED'
  const input = { ...address(port), protocol, model, username: hostile.username() }
  type Payload = {
    connectAccount: { account: { id: string } | null; errors: { __typename: string; message: string }[] }
  }
  const { connectAccount } = await hostile.service.ask<Payload>(CONNECT, { input })
  if (connectAccount.account) return connectAccount.account.id
  expect(connectAccount.errors[0]?.message.length).toBeGreaterThan(5)
  return null
}

/** Waits until an account has said what becomes of it: it is complete, or it says what keeps it from that. */
async function settled(id: string): Promise<State> {
  let state: State | undefined
  await until(async () => {
    state = await stateOf(id)
    return (
      state.progress.isComplete || state.connection.reason !== null || state.mailboxes.some(({ problem }) => problem)
    )
  })
  return state as State
}

async function costOf(id: string): Promise<number> {
  const { rows } = await hostile.database.query<{ count: string }>(
    'select count(*) from events where account_id = $1',
    [uuidOf(id)],
  )
  return Number(rows[0]?.count)
}

async function forget(id: string): Promise<void> {
  const query = 'mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { errors { __typename } } }'
  await hostile.service.ask(query, { input: { id, requestedBy: 'the test' } })
}

/** @returns the account that there was, if there was one */
async function tryImap(server: AlmostImap): Promise<string | null> {
  let commands = 0
  const script = scriptOf(server)
  const imap = await ScriptedImap.start((command, say) => {
    commands++
    return script(command, say)
  }, server.greeting ?? undefined)
  try {
    const id = await connect('IMAP', imap.port)
    if (id === null) return null
    const state = await settled(id)
    const inbox = state.mailboxes.find(({ path, isSelectable }) => path === 'INBOX' && isSelectable)
    // it counts three messages, and each of them is here, or it is told that one is not
    if (server.select === null && state.progress.isComplete && inbox && !inbox.problem && server.unasked === null)
      expect(state.messages.nodes.filter(({ mailbox }) => mailbox.path === 'INBOX').length).toBeGreaterThanOrEqual(3)
    expect(commands).toBeLessThanOrEqual(MOST.commands)
    await forget(id)
    return id
  } finally {
    imap.stop()
  }
}

const HELD = [1, 2, 3].map((number) => ({
  uidl: `uid${number}`,
  raw: Buffer.from(`Subject: ${number}\r\nMessage-ID: <${number}@x>\r\n\r\nbody\r\n`),
}))

/** @returns the account that there was, if there was one */
async function tryPop3({ greeting, answers }: AlmostPop3): Promise<string | null> {
  const answer = (command: string) => answers[command.split(' ')[0] ?? ''] ?? null
  const pop3 = await ScriptedPop3.start({ answer, ...(greeting === null ? {} : { greeting }) }, [...HELD])
  try {
    const id = await connect('POP3', pop3.port)
    if (id === null) return null
    await settled(id)
    expect(pop3.asked.flat().length).toBeLessThanOrEqual(MOST.commands)
    await forget(id)
    return id
  } finally {
    pop3.stop()
  }
}

/** Tries servers, several at once, and looks at what they have cost the service together. */
async function tried<Server>(
  servers: readonly Server[],
  tryOne: (server: Server) => Promise<string | null>,
): Promise<void> {
  const before = hostile.service.said().length
  const ids = await Promise.all(
    servers.map((server) =>
      tryOne(server).catch((error: Error) => {
        throw new Error(`${JSON.stringify(server)}: ${error.message}`, { cause: error })
      }),
    ),
  )
  // what was recorded of a forgotten account is blank, and still counts
  for (const id of ids) if (id !== null) expect(await costOf(id)).toBeLessThanOrEqual(MOST.events)
  const said = hostile.service.said().slice(before)
  expect(said).not.toMatch(/"level":(50|60)/)
  expect(said.split('\n').length).toBeLessThanOrEqual(MOST.logLines * servers.length)
  expect((await hostile.memory()) - memoryBefore).toBeLessThan(MOST_MEMORY)
  expect((await hostile.service.fetch('/health/ready')).status).toBe(200)
}

const isLong = process.env['MAILFOLD_CASES'] !== undefined
/** The short form tries the same servers each time, so that it fails for what was changed. */
const runs = { numRuns: Math.ceil(CASES / TOGETHER), endOnFailure: !isLong, ...(isLong ? {} : { seed: 20_261_129 }) }
const together = <Server>(server: fc.Arbitrary<Server>) =>
  fc.array(server, { minLength: TOGETHER, maxLength: TOGETHER })

test('hostile-servers: IMAP answers that are almost right cost little, and end in a state that says what is so', async () => {
  await fc.assert(
    fc.asyncProperty(together(almostImap), (servers) => tried(servers, tryImap)),
    runs,
  )
}, 7_200_000)

test('hostile-servers: POP3 answers that are almost right cost little, and end in a state that says what is so', async () => {
  await fc.assert(
    fc.asyncProperty(together(almostPop3), (servers) => tried(servers, tryPop3)),
    runs,
  )
}, 7_200_000)
