/*
 * The event store without a mail server: appends with their projections, folding again, verifying, reading the past,
 * and what all that takes on disk. Beside it, a bare COPY of the same event rows into a table without an index: the floor.
 * npm run bench:events [messages of the large account]
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { from as copyFrom } from 'pg-copy-streams'
import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../src/mailbox/events.ts'
import { percentile, seconds, table } from './measure.ts'

const LARGE = Number(process.argv[2] ?? 1_000_000)
const PART = Math.min(100_000, LARGE)
const CHUNK = 500

/** A module of the service as it runs: built. */
const built = (path: string): Promise<unknown> => import(new URL(`../dist/${path}.js`, import.meta.url).href)
const { Database } = (await built('platform/database')) as typeof import('../src/platform/database.ts')
const { startEmbeddedPostgres } = (await built(
  'platform/embedded-postgres',
)) as typeof import('../src/platform/embedded-postgres.ts')
const { MIGRATIONS } = (await built(
  'event-store/migrations/index',
)) as typeof import('../src/event-store/migrations/index.ts')
const { Streams } = (await built('event-store/streams')) as typeof import('../src/event-store/streams.ts')
const { CoreProjection } = (await built(
  'projections/core-projection',
)) as typeof import('../src/projections/core-projection.ts')
const { project } = (await built('projections/project')) as typeof import('../src/projections/project.ts')
const { rebuildAccount, verifyAccount } = (await built(
  'projections/rebuild',
)) as typeof import('../src/projections/rebuild.ts')
const { viewMessageList } = (await built(
  'projections/message-views',
)) as typeof import('../src/projections/message-views.ts')
const { viewPastMessageList } = (await built(
  'projections/past-messages',
)) as typeof import('../src/projections/past-messages.ts')

const folder = await mkdtemp(join(tmpdir(), 'mailfold-bench-'))
await chmod(folder, 0o711)
const postgres = await startEmbeddedPostgres(folder)
const database = await Database.open(postgres.url, MIGRATIONS)
const projection = new CoreProjection()
const streams = new Streams(database, projection, () => undefined)

/** An account with one mailbox, ready for messages. */
class BenchAccount {
  readonly accountId = newId()
  readonly mailboxId = newId()
  private uid = 0

  static async connect(): Promise<BenchAccount> {
    const account = new BenchAccount()
    const { accountId, mailboxId } = account
    const server = { host: 'mail.example.org', port: 993, username: accountId } as const
    const flags = { attributes: [], subscribed: true, selectable: true, specialUse: null, objectId: null }
    await streams.append(accountId, 0, [
      { type: 'AccountConnected', data: { ...server, protocol: 'IMAP', security: 'IMPLICIT_TLS', model: 'ONLINE' } },
      { type: 'MailboxDiscovered', data: { mailboxId, foundLater: false, path: 'INBOX', delimiter: '/', ...flags } },
    ])
    return account
  }

  chunk(): AccountEvent[] {
    return Array.from({ length: CHUNK }, () => this.added())
  }

  private added(): AccountEvent {
    const uid = ++this.uid
    const person = (of: number) => ({ name: `Sender Number ${of}`, address: `sender.${of}@example${of % 90}.org` })
    const from = [person(uid % 700)]
    const envelope = {
      date: new Date(1.7e12 + uid * 60_000).toISOString(),
      subject: `Re: the quarterly report, with what was said about number ${uid}`,
      messageId: `<${newId()}@mail.example.org>`,
      inReplyTo: uid % 3 ? `<${this.mailboxId}.${uid - 1}@mail.example.org>` : null,
      ...{
        from,
        sender: from,
        replyTo: [],
        to: [person(1), person(uid % 50)],
        cc: uid % 4 ? [] : [person(2)],
        bcc: [],
      },
    }
    const leaf = { encoding: 'quoted-printable', charset: 'utf-8', disposition: null, filename: null, contentId: null }
    const text = { part: '1', type: 'text/plain', size: uid % 5000, ...leaf, children: [] }
    const html = { part: '2', type: 'text/html', size: uid % 25_000, ...leaf, children: [] }
    const structure = { ...text, part: '', type: 'multipart/alternative', size: null, children: [text, html] }
    return {
      type: 'MessageAdded',
      data: {
        ...{ messageId: newId(), mailboxId: this.mailboxId, uidValidity: '1', origin: 'EXISTING', copyOf: null, uid },
        ...{ flags: uid % 5 ? ['\\Seen'] : [], modseq: String(uid), size: 2_000 + (uid % 30_000), envelope, structure },
        ...{ references: envelope.inReplyTo ? [envelope.inReplyTo] : [], emailId: null, threadId: null, defects: [] },
        // most mail comes in the order of its dates, some does not
        internalDate: new Date(1.7e12 + (uid % 20 ? uid : uid - 9_000) * 60_000).toISOString(),
        fingerprint: newId().replaceAll('-', '').repeat(2),
      },
    }
  }
}

let changes = 0

type Result = readonly (string | number)[]
const results: Result[] = []
/** One writer; the chunks are made beforehand, a few at a time, and their making is not counted. */
async function write(account: BenchAccount, messages: number, each?: (took: number, done: number) => void) {
  let total = 0
  let version = await streams.version(account.accountId)
  for (let done = 0; done < messages; done += CHUNK) {
    const chunk = account.chunk()
    const took = await seconds(async () => {
      version = await streams.append(account.accountId, version, chunk)
    })
    total += took
    each?.(took, done)
  }
  return messages / total
}

async function floor(): Promise<number> {
  const account = new BenchAccount()
  await database.pool.query('create table bare (like events)')
  const session = await database.pool.connect()
  let took = 0
  let version = 0
  for (let done = 0; done < PART; done += CHUNK) {
    const events = account.chunk()
    took += await seconds(async () => {
      const escape = (text: string) => text.replaceAll('\\', '\\\\')
      const rows = events.map(
        ({ type, data }) =>
          `${account.accountId}\t${++version}\t${type}\t1\t2026-01-01T00:00:00Z\t${escape(JSON.stringify(data))}\tSERVER\n`,
      )
      await pipeline(Readable.from([rows.join('')]), session.query(copyFrom('copy bare from stdin')))
    })
  }
  session.release()
  await database.pool.query('drop table bare')
  return PART / took
}

async function together(accounts: BenchAccount[], writers: number): Promise<number> {
  const chunks = Array.from({ length: PART / CHUNK }, (_, at) => at % accounts.length)
  let next = 0
  const took = await seconds(() =>
    Promise.all(
      Array.from({ length: writers }, async () => {
        for (let at = chunks[next++]; at !== undefined; at = chunks[next++]) {
          const account = accounts[at] as BenchAccount
          const chunk = account.chunk()
          await streams.decide(
            account.accountId,
            async () => null,
            () => chunk,
          )
        }
      }),
    ),
  )
  return PART / took
}

async function bytes(): Promise<void> {
  const sql = `select relname, reltuples, pg_table_size(oid) as heap, pg_indexes_size(oid) as indexes
    from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace
    and pg_total_relation_size(oid) > 1000000 order by pg_total_relation_size(oid) desc`
  const { rows } = await database.pool.query<{ relname: string; heap: string; indexes: string }>(sql)
  const { rows: counts } = await database.pool.query<{ count: string }>('select count(*) from messages')
  const messages = Number(counts[0]?.count)
  console.log(`\nbytes on disk per message (${messages} messages)`)
  table(
    ['table', 'rows', 'indexes'],
    rows.map(({ relname, heap, indexes }) => [relname, Number(heap) / messages, Number(indexes) / messages]),
  )
}

/** Two reads in turn, on the same warm database. @returns the middle time of each, in milliseconds */
async function inTurn(one: (turn: number) => Promise<unknown>, other: (turn: number) => Promise<unknown>) {
  const times: [number[], number[]] = [[], []]
  for (let turn = 0; turn < 300; turn++) {
    times[0].push((await seconds(() => one(turn))) * 1000)
    times[1].push((await seconds(() => other(turn))) * 1000)
  }
  return times.map((list) => percentile(list.slice(50), 0.5)) as [number, number]
}

try {
  await write(await BenchAccount.connect(), 10_000)
  const bare = await floor()
  results.push(['COPY of the event rows alone, no index (floor)', bare, 1])
  const rate = (what: string, perSecond: number) => results.push([what, perSecond, perSecond / bare])
  rate('append, one writer', await write(await BenchAccount.connect(), PART))
  const eight = await Promise.all(Array.from({ length: 8 }, () => BenchAccount.connect()))
  rate('append, 8 writers on 8 accounts', await together(eight, 8))
  rate('append, 8 writers on one account', await together([await BenchAccount.connect()], 8))

  const small = await Promise.all(Array.from({ length: 100 }, () => BenchAccount.connect()))
  let smallTook = 0
  for (const account of small) smallTook += 1_000 / (await write(account, 1_000))
  rate('append to 100 accounts, 1,000 each', 100_000 / smallTook)
  const large = await BenchAccount.connect()
  const times: number[] = []
  await write(large, LARGE, (took, done) => {
    times.push(took)
    if (done % 100_000 === 0 && done > 0) console.log(`${done} of ${LARGE} appended`)
  })
  const tenth = Math.ceil(times.length / 10)
  const rateOf = (list: number[]) => (list.length * CHUNK) / list.reduce((sum, took) => sum + took, 0)
  rate(`append to one account, the first tenth of ${LARGE}`, rateOf(times.slice(0, tenth)))
  rate(`append to one account, the last tenth of ${LARGE}`, rateOf(times.slice(-tenth)))

  await database.pool.query('vacuum analyze')
  await bytes()

  const { accountId, mailboxId } = large
  const head = await streams.version(accountId)
  const session = database.pool
  const page = { size: 50, from: null, direction: 'older' } as const
  const half = Math.floor(head / 2)
  const list = () => viewMessageList(session, accountId, mailboxId, {}, page)
  const past = (version: number) => viewPastMessageList(session, version, accountId, mailboxId, {}, page)
  const rows: Result[] = []
  const compare = async (what: string, other: () => Promise<unknown>) => {
    const [now, then] = await inTurn(list, other)
    rows.push([what, then, then / now])
  }
  const [now] = await inTurn(list, list)
  rows.push(['now (reference)', now, 1])
  await compare('at the middle of the stream', () => past(half))
  await compare('at its end', () => past(head))
  await compare('500 versions after its beginning', () => past(500))
  const at = (await past(half)).messages.at(-1)
  const deep = at && { ...page, from: { internalDate: at.internalDate, messageId: at.messageId } }
  if (deep)
    await compare('the page behind that of the middle', () =>
      viewPastMessageList(session, half, accountId, mailboxId, {}, deep),
    )
  const event = (account: BenchAccount, turn: number) => streams.read(account.accountId, (turn * 997) % 900, 50)
  const [ofSmall, ofLarge] = await inTurn(
    (turn) => event(small[turn % 100] as BenchAccount, turn),
    (turn) => streams.read(accountId, (turn * 99_991) % (head - 50), 50),
  )
  console.log('\nthe newest 50 messages, in milliseconds, against the same list now')
  table(['', 'p50 ms', 'times now'], rows)
  console.log(`\n50 events of an account of 1,000: ${ofSmall.toFixed(2)} ms; of ${LARGE}: ${ofLarge.toFixed(2)} ms`)

  const read = await seconds(async () => {
    for (let at = 0; at < head; at += 5_000) await streams.read(accountId, at, 5_000)
  })
  rate('read events', head / read)
  const fold = await seconds(async () => {
    for (let at = 0; at < head; at += 5_000)
      for (const event of await streams.read(accountId, at, 5_000)) changes += project(event).length
  })
  rate('read events and fold them, written nowhere', head / fold)
  console.log(`\n${head} events are ${changes} changes of rows`)
  rate('verify', head / (await seconds(() => verifyAccount(database, projection, accountId))))
  rate('rebuild, no row differs', head / (await seconds(() => rebuildAccount(database, projection, accountId))))
  await database.pool.query('update messages set subject = $2 where account_id = $1', [accountId, 'changed by hand'])
  rate('rebuild, every message differs', head / (await seconds(() => rebuildAccount(database, projection, accountId))))
  console.log('\nmessages, or events, a second; and as a share of the floor')
  table(['', 'per second', 'of the floor'], results)
} finally {
  await database.close()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
