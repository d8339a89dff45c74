/*
 * ONLINE accounts beside imapflow: what an operation takes with an open session, opening a session on a large mailbox, and memory per session.
 * npm run bench:online [operations] [sessions] [messages] [held]
 */
import { Dovecot } from '../test/support/dovecot.ts'
import { mail } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { OnlineAccount } from '../test/support/online.ts'
import { Service, until } from '../test/support/service.ts'
import { bareClients } from './bare-clients.ts'
import { median, percentile, table } from './measure.ts'

const [OPERATIONS = 200, SESSIONS = 50, MESSAGES = 100_000, HELD = 500] = process.argv.slice(2).map(Number)

const dovecot = await Dovecot.start()
try {
  if (OPERATIONS > 0) await operations()
  if (MESSAGES > 0) await opening()
  if (HELD > 0) await memory()
} finally {
  await dovecot.stop()
}
process.exit(0)

/** Runs one after another, in turns with the reference, so that both see the same machine. @returns milliseconds of each */
async function inTurns(
  count: number,
  ours: (turn: number) => Promise<unknown>,
  theirs: (turn: number) => Promise<unknown>,
) {
  const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  for (let turn = 0; turn < count; turn++)
    for (const [name, work] of Object.entries({ theirs, ours })) {
      const began = performance.now()
      await work(turn)
      times[name as keyof typeof times].push(performance.now() - began)
    }
  return times
}

async function operations(): Promise<void> {
  const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
  try {
    const users = Array.from({ length: SESSIONS }, (_, number) => `online${number}`)
    for (const user of [...users, 'beside']) {
      await fillMaildir(
        dovecot.mailOf(user),
        null,
        200,
        (number) => mail(number),
        0,
        () => '',
      )
      await fillMaildir(dovecot.mailOf(user), 'Work', 1, (number) => mail(1_000 + number))
    }
    const accounts = await Promise.all(users.map((user) => OnlineAccount.connect(service, dovecot, user)))
    await Promise.all(accounts.map((account) => account.session()))
    const theirs = await dovecot.client('beside')
    await theirs.mailboxOpen('INBOX')
    const [inboxes, works] = [new Map<string, string[]>(), new Map<string, string>()]
    for (const account of accounts) {
      inboxes.set(
        account.id,
        (await account.shown('INBOX')).map(({ id }) => id),
      )
      works.set(account.id, await account.mailbox('Work'))
    }
    const of = (turn: number) => accounts[turn % accounts.length] as OnlineAccount
    const change = async (field: string, type: string, input: object) => {
      const query = `mutation ($input: ${type}!) { ${field}(input: $input) { operation { state } errors { __typename } } }`
      type Payload = Record<string, { operation: { state: string } | null; errors: object[] }>
      const { [field]: payload } = await service.ask<Payload>(query, { input })
      if (payload?.operation?.state !== 'APPLIED') throw new Error(JSON.stringify(payload))
    }
    const message = (turn: number, of: number) =>
      inboxes.get(accounts[turn % accounts.length]?.id ?? '')?.[Math.floor(turn / SESSIONS) + of * 60] ?? ''
    const body = async (id: string) => {
      const uuid = Buffer.from(id, 'base64url').toString().replace('Message:', '')
      const response = await service.fetch(`/messages/${uuid}/raw`)
      if (response.status !== 200) throw new Error(`${response.status}`)
      await response.arrayBuffer()
    }
    const rows: (string | number)[][] = []
    const note = (name: string, { ours, theirs }: { ours: number[]; theirs: number[] }) => {
      const p50 = [median(theirs), median(ours)] as const
      const p99 = [percentile(theirs, 0.99), percentile(ours, 0.99)] as const
      rows.push([name, ...p50, p50[1] - p50[0], p50[1] / p50[0], ...p99, p99[1] / p99[0]])
    }
    note(
      'mark read',
      await inTurns(
        OPERATIONS,
        (turn) => change('changeFlags', 'ChangeFlagsInput', { messageIds: [message(turn, 0)], add: ['\\Seen'] }),
        (turn) => theirs.messageFlagsAdd(String(turn + 1), ['\\Seen'], { uid: true }),
      ),
    )
    note(
      'fetch a body',
      await inTurns(
        OPERATIONS,
        (turn) => body(message(turn, 1)),
        async (turn) => (await theirs.fetchOne(String((turn % 180) + 1), { source: true })) as object,
      ),
    )
    note(
      'move',
      await inTurns(
        Math.min(OPERATIONS, 190),
        (turn) =>
          change('moveMessages', 'MoveMessagesInput', {
            messageIds: [message(turn, 2)],
            mailboxId: works.get(of(turn).id),
          }),
        (turn) => theirs.messageMove(String(turn + 1), 'Work', { uid: true }),
      ),
    )
    console.log(`${SESSIONS} sessions, ${OPERATIONS} operations of each kind, in turns with imapflow; milliseconds`)
    const headings = ['', 'imapflow p50', 'ours p50', 'over it', 'ratio', 'imapflow p99', 'ours p99', 'ratio']
    table(headings, rows)
    for (const account of accounts) account.other.close()
    theirs.close()
  } finally {
    await service.stop()
  }
}

async function opening(): Promise<void> {
  const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
  try {
    await fillMaildir(dovecot.mailOf('large'), null, MESSAGES, (number) => mail(number))
    const account = await OnlineAccount.connect(service, dovecot, 'large')
    const [answered, current, trips]: [number[], number[], number[]] = [[], [], []]
    for (let round = 0; round < 5; round++) {
      const began = performance.now()
      const { session } = await account.openSession()
      answered.push(performance.now() - began)
      await until(async () => Date.parse((await account.currentAsOf()) ?? '') >= Date.parse(session?.openedAt ?? ''))
      current.push(performance.now() - began)
      const asked = account.wire.asked.at(-1) ?? ''
      // greeting and login are of any client; what comes after them brings the mailbox up to date
      const afterLogin = asked
        .split('\r\n')
        .filter(
          (line) => /^\w+ /.test(line) && !/ (LOGIN|AUTHENTICATE|CAPABILITY|ID|NAMESPACE|COMPRESS|ENABLE)\b/.test(line),
        )
      trips.push(afterLogin.length)
      await account.closeSession(session?.id ?? '')
      await account.untilState('NO_SESSION')
    }
    console.log(`\nopening a session on an unchanged mailbox of ${MESSAGES} messages`)
    table(
      ['', 'median'],
      [
        ['usable, ms', median(answered)],
        ['current, ms', median(current)],
        ['commands after the login until then, NOTIFY and IDLE included', median(trips)],
      ],
    )
    await account.end()
  } finally {
    await service.stop()
  }
}

async function memory(): Promise<void> {
  for (let number = 0; number < HELD * 2; number++)
    await fillMaildir(dovecot.mailOf(`held${number}`), null, 5, (of) => mail(number * 10 + of))
  const { empty, full } = await bareClients(dovecot.imapPort, HELD, 'held', false)
  const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
  try {
    const resident = async () => {
      const { readFile } = await import('node:fs/promises')
      return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${service.pid}/status`, 'utf8'))?.[1]) * 1024
    }
    const before = await resident()
    const ids: string[] = []
    for (let number = 0; number < HELD * 2; number++) {
      const input = {
        host: '127.0.0.1',
        port: dovecot.imapPort,
        security: 'PLAINTEXT',
        username: `held${number}`,
        password: 'correct-horse',
        model: 'ONLINE',
      }
      ids.push(await service.connect(input))
    }
    const states = async (state: string) => {
      const { accounts } = await service.ask<{ accounts: { connection: { state: string } }[] }>(
        '{ accounts { connection { state } } }',
      )
      return accounts.filter(({ connection }) => connection.state === state).length
    }
    await until(async () => (await states('NO_SESSION')) === HELD * 2, 300_000)
    const idle = await resident()
    for (const id of ids.slice(0, HELD))
      await service.ask(
        'mutation ($input: OpenSessionInput!) { openSession(input: $input) { errors { __typename } } }',
        {
          input: { accountId: id, idleSeconds: 3_600 },
        },
      )
    await until(async () => (await states('CONNECTED')) === HELD, 300_000)
    await new Promise((done) => setTimeout(done, 30_000))
    const open = await resident()
    const mb = (bytes: number) => bytes / 1024 ** 2
    console.log(`\nmemory, ${HELD} connections; MB`)
    table(
      ['', 'empty', 'full', 'KB each'],
      [
        ['bare imapflow', mb(empty), mb(full), (full - empty) / HELD / 1024],
        [`ours, ${HELD * 2} accounts without a session`, mb(before), mb(idle), (idle - before) / HELD / 2 / 1024],
        [`ours, ${HELD} of them with one`, mb(idle), mb(open), (open - idle) / HELD / 1024],
      ],
    )
    console.log(
      `ratio, whole process: ${(open / full).toFixed(2)}; for each more session: ${((open - idle) / (full - empty)).toFixed(2)}`,
    )
  } finally {
    await service.stop()
  }
}
