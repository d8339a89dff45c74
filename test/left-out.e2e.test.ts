/* Collected mail and raw messages that a server does not give, or gives in part: told, asked for again, and never taken for all that there is. */
import { DATE, HostileServers, address } from './support/hostile-servers.ts'
import { uuidOf } from './support/installation.ts'
import { mail } from './support/mail.ts'
import { sha256 } from './support/maildrop.ts'
import { headerItem, honest, ScriptedImap, type Script } from './support/scripted-imap.ts'
import { ScriptedPop3, type Held, type Manner } from './support/scripted-pop3.ts'
import { until } from './support/service.ts'

const hostile = new HostileServers()

beforeAll(() => hostile.start({ MAILFOLD_MAX_MESSAGE_BYTES: String(1024 ** 2), MAILFOLD_HOST_LOGINS: '10000' }))

afterAll(() => hostile.stop())

type Seen = {
  connection: { state: string }
  sync: {
    isComplete: boolean
    messages: number
    serverMessages: number
    mailboxesWithProblems: { path: string; problem: { kind: string; message: string } }[]
  }
  messages: { nodes: { subject: string; rawUrl: string; size: number }[] }
}

const STATE = `query ($id: ID!) { account(id: $id) { connection { state }
  sync { isComplete messages serverMessages mailboxesWithProblems { path problem { kind message } } }
  messages(first: 50) { nodes { subject rawUrl size } } } }`

const state = async (id: string) => (await hostile.service.ask<{ account: Seen }>(STATE, { id })).account

/** Has a run begun now. */
const syncNow = (id: string) =>
  hostile.service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id })

/** Waits until an account shows so many messages, and is complete or has a problem. @returns what it shows */
async function settled(id: string, count: number): Promise<Seen> {
  let seen: Seen | undefined
  await until(async () => {
    seen = await state(id)
    const { isComplete, mailboxesWithProblems } = seen.sync
    return seen.messages.nodes.length === count && (isComplete || mailboxesWithProblems.length > 0)
  })
  return seen as Seen
}

const raw = (number: number, body = '') => Buffer.from(mail(number, { subject: `m${number}` }) + body)
const LARGE = 'x'.repeat(70).concat('\r\n').repeat(20_000)
const held = (number: number, body = ''): Held => ({ uidl: `u${number}`, raw: raw(number, body) })

async function collectedByPop3(manner: Manner, messages: Held[]) {
  const server = await ScriptedPop3.start(manner, messages)
  hostile.stopWith(() => server.stop())
  const login = { ...address(server.port), username: hostile.username() }
  return { server, id: await hostile.service.connect({ ...login, protocol: 'POP3', model: 'OFFLINE' }) }
}

describe('over POP3', () => {
  const five = [1, 2, 3, 4, 5].map((number) => held(number))
  const refusing = (command: string) => (command === 'RETR 3' ? ['-ERR it cannot be opened'] : null)

  test.each<[string, Manner, Held[], RegExp]>([
    ['refuses', { answer: refusing }, five, /does not give 1 message: it cannot be opened/],
    ['gives nothing of', { answer: (command) => (command === 'RETR 3' ? ['+OK', '.'] : null) }, five, /1 message/],
    ['does not list', { uidl: null, answer: (each) => (each === 'LIST' ? listed(4) : null) }, five, /counts 1 message/],
    ['cannot show the header of', { top: false }, [held(1), held(2, LARGE), held(3), held(4), held(5)], /1 message/],
  ])('a message that the server %s is told, and comes when the server is well', async (_, manner, messages, told) => {
    const { server, id } = await collectedByPop3(manner, messages)
    const seen = await settled(id, 4)
    expect(seen.sync).toMatchObject({ isComplete: false, messages: 4, serverMessages: 5 })
    expect(seen.sync.mailboxesWithProblems).toMatchObject([{ path: 'INBOX', problem: { kind: 'INCOMPLETE' } }])
    expect(seen.sync.mailboxesWithProblems[0]?.problem.message).toMatch(told)
    server.manner = {}
    await syncNow(id)
    await until(async () => (await state(id)).sync.isComplete)
    expect((await state(id)).messages.nodes).toHaveLength(5)
  })

  test('a message that only the list of unique-ids names is collected', async () => {
    const { id } = await collectedByPop3({ answer: (command) => (command === 'LIST' ? listed(3) : null) }, five)
    expect((await settled(id, 5)).sync.isComplete).toBe(true)
  })

  test('a message that is longer than the server says holds up none behind it', async () => {
    const size = ({ raw: { length } }: Held) => Math.min(length, 900)
    const { id } = await collectedByPop3({ size }, [held(1), held(2, LARGE), held(3)])
    const { messages } = await settled(id, 3)
    expect(messages.nodes.map(({ subject }) => subject).sort()).toEqual(['m1', 'm2', 'm3'])
  })

  const listed = (count: number) => ['+OK', ...Array.from({ length: count }, (_, at) => `${at + 1} 900`), '.']
})

/** Messages of a scripted IMAP server by their UIDs, and how it gives them. */
type Giving = {
  raws: readonly Buffer[]
  /** what it answers for BODY[] of a message, in place of the bytes from an offset on; null as usual */
  body?: (uid: number, start: number, length: number) => Buffer | 'NIL' | 'nothing' | null
  size?: (uid: number) => number | null
  refuses?: (uids: readonly number[]) => boolean
}

/** An honest server but for how it gives its messages. */
function giving({ raws, body, size, refuses }: Giving): Script {
  return (command, say) => {
    const [, set] = /^UID FETCH (\S+)/i.exec(command) ?? []
    if (set === undefined) {
      const placeholders = raws.map((_, index) => `* ${index + 1} FETCH (UID ${index + 1})`)
      return honest(command, say, placeholders)
    }
    const uids = set.split(',').flatMap((run) => {
      const [from = 1, to = from] = run.split(':').map((end) => (end === '*' ? raws.length : Number(end)))
      return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((uid) => uid <= raws.length)
    })
    const [, part] = /BODY\.PEEK\[\](<\S+>)?/i.exec(command) ?? [null, null]
    if (part !== null && refuses?.(uids)) return 'NO [SERVERBUG] Internal error occurred'
    const [start = 0, length = Infinity] = (part?.match(/\d+/g) ?? []).map(Number)
    for (const uid of uids) {
      const whole = raws[uid - 1] as Buffer
      const items = [`UID ${uid} FLAGS () ${DATE.trim()}`]
      const stated = size ? size(uid) : whole.length
      if (/RFC822\.SIZE/i.test(command) && stated !== null) items.push(`RFC822.SIZE ${stated}`)
      if (/HEADER\.FIELDS/i.test(command)) {
        items.push(headerItem({ Subject: `m${uid}` }))
        items.push('BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 10 1)')
      }
      if (/BODY\.PEEK\[\]/i.test(command)) {
        const given = body?.(uid, start, length) ?? whole.subarray(start, start + length)
        const name = part ? `BODY[]<${start}>` : 'BODY[]'
        if (given === 'NIL') items.push(`${name} NIL`)
        else if (given !== 'nothing') items.push(`${name} {${given.length}}\r\n${given.toString('latin1')}`)
      } else if (/HEADER\]/i.test(command)) items.push(`BODY[HEADER] {13}\r\nSubject: m${uid}\r\n`)
      say(`* ${uid} FETCH (${items.join(' ')})`)
    }
    return 'OK done'
  }
}

/** Has all raw messages of an account copied. */
const select = (id: string) =>
  hostile.service.ask(
    'mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }',
    {
      input: { accountId: id, selection: { keep: 'WHOLE' } },
    },
  )

/** How many raw messages of an account are kept here. */
async function contentsHere(id: string): Promise<number> {
  const query = 'select count(*)::int as count from messages where account_id = $1 and content_sha256 is not null'
  return (await hostile.database.query<{ count: number }>(query, [uuidOf(id)])).rows[0]?.count ?? 0
}

async function imapAccount(script: Script, model: string): Promise<string> {
  const server = await ScriptedImap.start(script)
  hostile.stopWith(() => server.stop())
  return hostile.service.connect({ ...address(server.port), username: hostile.username(), model })
}

describe('over IMAP', () => {
  const raws = [1, 2, 3, 4, 5].map((number) => raw(number))
  const third =
    <Value>(value: Value) =>
    (uid: number) =>
      uid === 3 ? value : null

  test.each<[string, Partial<Giving>, RegExp]>([
    ['refuses', { refuses: (uids) => uids.includes(3) }, /does not give 1 message: Internal error occurred/],
    ['says nothing of', { body: third('nothing' as const) }, /does not give 1 message/],
  ])('a message that the server %s is told, and comes when the server is well', async (_, manner, told) => {
    let script = giving({ raws, ...manner })
    const id = await imapAccount((command, say) => script(command, say), 'OFFLINE')
    const { sync } = await settled(id, 4)
    expect(sync).toMatchObject({ isComplete: false, messages: 4, serverMessages: 5 })
    expect(sync.mailboxesWithProblems[0]?.problem.message).toMatch(told)
    script = giving({ raws })
    await syncNow(id)
    await until(async () => (await state(id)).sync.isComplete)
    expect((await state(id)).messages.nodes).toHaveLength(5)
  })

  describe.each(['OFFLINE', 'DISCONNECTED'])('of an account that is %s', (model) => {
    test('a message over which the server ends the connection keeps no others away', async () => {
      let server: ScriptedImap | null = null
      let isIll = true
      const all = giving({ raws })
      const script: Script = (command, say) => {
        const [, set = ''] = /^UID FETCH (\S+) .*BODY\.PEEK\[\]/i.exec(command) ?? []
        const runs = set.split(',').map((run) => run.split(':').map(Number))
        if (isIll && runs.some(([from = 0, to = from]) => from <= 3 && to >= 3)) {
          server?.cut()
          return null
        }
        return all(command, say)
      }
      server = await ScriptedImap.start(script)
      hostile.stopWith(() => server?.stop())
      const id = await hostile.service.connect({ ...address(server.port), username: hostile.username(), model })
      if (model === 'DISCONNECTED') await select(id)
      await until(async () => (await contentsHere(id)) === 4)
      if (model === 'OFFLINE') {
        const { sync } = await settled(id, 4)
        expect(sync.mailboxesWithProblems[0]?.problem.message).toMatch(
          /does not give 1 message: The connection has ended/,
        )
      }
      isIll = false
      await syncNow(id)
      if (model === 'OFFLINE') await until(async () => (await contentsHere(id)) === 5)
    })
  })

  test('a message without a stated size is collected', async () => {
    const id = await imapAccount(giving({ raws, size: (uid) => (uid === 3 ? null : 500) }), 'OFFLINE')
    expect((await settled(id, 5)).sync.isComplete).toBe(true)
  })

  test('messages that are counted and in no list are told', async () => {
    const all = giving({ raws })
    const id = await imapAccount((command, say) => {
      if (/^UID SEARCH/i.test(command)) return (say('* SEARCH 1 2 3'), 'OK done')
      return all(command.replace('1:*', '1:3'), say)
    }, 'OFFLINE')
    const { sync } = await settled(id, 3)
    expect(sync).toMatchObject({ isComplete: false, serverMessages: 5 })
    expect(sync.mailboxesWithProblems[0]?.problem.message).toBe('The server counts 2 messages that it does not list.')
  })

  test('a mailbox that the server does not open keeps no mail of others away', async () => {
    const all = giving({ raws })
    const id = await imapAccount((command, say) => {
      if (/^(LIST|LSUB) "" "\*"/i.test(command)) say('* LIST () "/" Work')
      if (/^(SELECT|EXAMINE|STATUS) "?Work/i.test(command)) return 'NO [NOPERM] not yours'
      return all(command, say)
    }, 'OFFLINE')
    const query =
      'mutation ($input: SetCollectionInput!) { setCollection(input: $input) { errors { __typename ... on UserError { message } } } }'
    await hostile.service.ask(query, { input: { accountId: id, mailboxes: ['Work', 'INBOX', 'Nowhere'] } })
    await until(async () => (await state(id)).sync.mailboxesWithProblems.length === 2)
    const { connection, sync, messages } = await state(id)
    expect(messages.nodes).toHaveLength(5)
    expect(connection.state).toBe('CONNECTED')
    expect(sync.mailboxesWithProblems.map(({ path, problem: { kind, message } }) => [path, kind, message])).toEqual([
      ['Nowhere', 'REFUSED', 'The server lists no mailbox of this name with mail in it.'],
      ['Work', 'REFUSED', 'not yours'],
    ])
    await hostile.service.ask(query, { input: { accountId: id, mailboxes: ['INBOX'] } })
    await until(async () => (await state(id)).sync.isComplete)
  })
})

describe('a raw message', () => {
  const whole = raw(1, LARGE.slice(0, 400_000))
  const part =
    (most: number): Giving['body'] =>
    (_, start, length) =>
      whole.subarray(start, start + (length === Infinity ? length : Math.min(length, most)))

  const WAYS: [string, Partial<Giving>][] = [
    ['fewer bytes than were asked for', { body: part(10_000) }],
    ['all of it, whatever was asked for', { body: () => whole }],
    ['it with a size that is too large', { size: () => whole.length + 5_000 }],
    ['it with a size that is too small', { size: () => 100 }],
    ['it without a size', { size: () => null }],
  ]

  const rawOf = async (id: string) => {
    const { messages } = await state(id)
    return hostile.service.fetch(messages.nodes[0]?.rawUrl ?? '')
  }

  const OPEN = 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { errors { __typename } } }'

  describe.each(['DISCONNECTED', 'ONLINE', 'OFFLINE'])('of an account that is %s', (model) => {
    const connected = async (giveIt: Partial<Giving>) => {
      const id = await imapAccount(giving({ raws: [whole], ...giveIt }), model)
      if (model === 'ONLINE') await hostile.service.ask(OPEN, { input: { accountId: id } })
      await until(async () => (await state(id)).messages.nodes.length === 1)
      return id
    }

    test.each(WAYS)('is whole where the server gives %s', async (_, way) => {
      const id = await connected(way)
      const response = await rawOf(id)
      expect(response.status).toBe(200)
      expect(sha256(Buffer.from(await response.arrayBuffer()))).toBe(sha256(whole))
      // of what is kept here, the bytes say how large it is
      if (model !== 'ONLINE') expect((await state(id)).messages.nodes[0]?.size).toBe(whole.length)
    })
  })

  test.each<[string, Partial<Giving>]>([
    ['stops giving it in the middle', { body: (_, start) => (start >= 65_536 ? 'NIL' : null) }],
    ['gives more than may be kept', { raws: [raw(1, LARGE)], size: () => 1_000 }],
  ])('that the server %s is unavailable, and never a part of one', async (_, way) => {
    const id = await imapAccount(giving({ raws: [whole], ...way }), 'DISCONNECTED')
    await until(async () => (await state(id)).messages.nodes.length === 1)
    const response = await rawOf(id)
    expect(response.status).toBe(503)
    expect(await response.text()).toMatch(/bytes/)
  })
})
