/*
 * A first collection and one that finds nothing new, over POP3 and IMAP, everything committed and synced to disk, beside mpop,
 * fetchmail with procmail, getmail and mbsync on the same maildrop, and the raw pipelined floor.
 * npm run bench:collect [messages] [rounds]
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { install } from '../test/support/install.ts'
import { mail, randomFrom } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { Service } from '../test/support/service.ts'
import { cpuSeconds, median, peakMemory, seconds, secret, table } from './measure.ts'
import { drainPop3 } from './raw-pop3.ts'
import { RawImap } from './raw-imap.ts'

const MESSAGES = Number(process.argv[2] ?? 10_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const USER = 'bench'

const run = promisify(execFile)

/** Seconds of a first run and of one that finds nothing; CPU seconds of the first, and peak memory in MB, where they are known. */
type Times = { first: number; again: number; cpu: number; peak: number }

/** Removed at the end: ext4 is slow to make files for a minute after many were removed, whoever makes them. */
const leftBehind: string[] = []

/** Median 8 KB, every two-hundredth 1 MB. */
function message(number: number): string {
  const random = randomFrom(number)
  const length = number % 200 === 0 ? 1_000_000 : Math.round(8_000 * Math.exp((random() - 0.5) * 1.5))
  return mail(number, {
    body: 'Lorem ipsum dolor sit amet, consectetur adipiscing elit sed do\r\n'.repeat(Math.ceil(length / 64)),
  })
}

async function mailfold(protocol: 'POP3' | 'IMAP', port: number): Promise<Times> {
  const service = await Service.start({ MAILFOLD_HOST_LOGINS: '100000', MAILFOLD_CHECK_INTERVAL: '3600000' })
  try {
    const cpu = await cpuSeconds(service.pid)
    const query = 'query ($id: ID!) { account(id: $id) { progress { done isComplete } maildrop { messages } } }'
    type Answer = { account: { progress: { done: number; isComplete: boolean } } }
    let id = ''
    const first = await seconds(async () => {
      id = await service.connect({
        model: 'OFFLINE',
        protocol,
        host: '127.0.0.1',
        port,
        security: 'PLAINTEXT',
        username: USER,
        password: PASSWORD,
      })
      for (;;) {
        const { account } = await service.ask<Answer>(query, { id })
        if (account.progress.isComplete && account.progress.done === MESSAGES) return
        await new Promise((done) => setTimeout(done, 20))
      }
    })
    const used = (await cpuSeconds(service.pid)) - cpu
    const database = await service.database()
    const accountId = Buffer.from(id, 'base64url').toString().split(':')[1]
    const dueAt = async () =>
      Number(
        (
          await database.query<{ at: string }>(
            'select extract(epoch from due_at) as at from schedule where account_id = $1',
            [accountId],
          )
        ).rows[0]?.at ?? 0,
      )
    while ((await dueAt()) < Date.now() / 1000) await new Promise((done) => setTimeout(done, 20))
    const again = await seconds(async () => {
      await service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id })
      while ((await dueAt()) < Date.now() / 1000 + 5) await new Promise((done) => setTimeout(done, 5))
    })
    await database.end()
    return { first, again, cpu: used, peak: await peakMemory(service.pid) }
  } finally {
    await service.end('SIGTERM')
    leftBehind.push(service.folder)
  }
}

const count = async (folder: string) =>
  (await Promise.all(['cur', 'new'].map((name) => readdir(join(folder, name))))).flat().length

async function maildirIn(folder: string): Promise<string> {
  const maildir = join(folder, 'Maildir')
  for (const name of ['cur', 'new', 'tmp']) await mkdir(join(maildir, name), { recursive: true })
  return maildir
}

/** Runs another collector twice, in a folder of its own. @param command what it runs there */
async function other(prepare: (folder: string, maildir: string) => Promise<[string, ...string[]]>): Promise<Times> {
  const folder = await mkdtemp(join(tmpdir(), 'mailfold-bench-'))
  try {
    const maildir = await maildirIn(folder)
    const [command, ...args] = await prepare(folder, maildir)
    // some end with another code than 0 when there is nothing new
    const once = () =>
      run(command, args, { env: { ...process.env, HOME: folder }, maxBuffer: 1e9 }).catch(() => undefined)
    const first = await seconds(once)
    const found = await count(maildir)
    if (found !== MESSAGES) throw new Error(`${command} brought ${found} of ${MESSAGES} messages`)
    return { first, again: await seconds(once), cpu: NaN, peak: NaN }
  } finally {
    leftBehind.push(folder)
  }
}

const mpop = (port: number) =>
  other(async (folder, maildir) => {
    const lines = [
      'account default',
      'host 127.0.0.1',
      `port ${port}`,
      `user ${USER}`,
      `password ${PASSWORD}`,
      'tls off',
      'auth user',
    ]
    await secret(join(folder, 'mpoprc'), [
      ...lines,
      'keep on',
      `delivery maildir ${maildir}`,
      `uidls_file ${folder}/uidls`,
    ])
    return ['mpop', '-C', join(folder, 'mpoprc'), '-q']
  })

const fetchmail = (port: number) =>
  other(async (folder, maildir) => {
    await secret(join(folder, 'procmailrc'), [`DEFAULT=${maildir}/`, `MAILDIR=${folder}`])
    const poll = `poll 127.0.0.1 protocol pop3 port ${port} uidl user ${USER} password ${PASSWORD} keep sslproto ''`
    await secret(join(folder, 'fetchmailrc'), [
      `set idfile ${folder}/ids`,
      `${poll} mda "/usr/bin/procmail -m ${folder}/procmailrc"`,
    ])
    return ['fetchmail', '-f', join(folder, 'fetchmailrc'), '--silent', '--nodetach', '--pidfile', join(folder, 'pid')]
  })

const getmail = (port: number) =>
  other(async (folder, maildir) => {
    await secret(join(folder, 'getmailrc'), [
      ...[
        '[retriever]',
        'type = SimplePOP3Retriever',
        'server = 127.0.0.1',
        `port = ${port}`,
        `username = ${USER}`,
        `password = ${PASSWORD}`,
      ],
      ...['[destination]', 'type = Maildir', `path = ${maildir}/`, 'user = nobody'],
      ...['[options]', 'delete = false', 'read_all = false', 'delivered_to = false', 'received = false', 'verbose = 0'],
    ])
    // it does not deliver as root
    await run('chown', ['-R', 'nobody', folder])
    return ['getmail', '--getmaildir', folder, '--rcfile', join(folder, 'getmailrc')]
  })

const mbsync = (port: number) =>
  other(async (folder, maildir) => {
    // sections are parted by empty lines
    await secret(join(folder, 'mbsyncrc'), [
      ...['FSync yes', ''],
      ...[
        'IMAPAccount a',
        'Host 127.0.0.1',
        `Port ${port}`,
        `User ${USER}`,
        `Pass ${PASSWORD}`,
        'SSLType None',
        'AuthMechs LOGIN',
        '',
      ],
      ...['IMAPStore far', 'Account a', ''],
      ...['MaildirStore near', `Inbox ${maildir}`, `Path ${folder}/`, ''],
      ...['Channel c', 'Far :far:', 'Near :near:', 'Sync PullNew', 'SyncState *'],
    ])
    return ['mbsync', '-c', join(folder, 'mbsyncrc'), '-q', 'c']
  })

async function rawPop3(port: number): Promise<Times> {
  const first = await seconds(() => drainPop3(port, USER, MESSAGES))
  return { first, again: await seconds(() => drainPop3(port, USER, 0)), cpu: NaN, peak: NaN }
}

async function rawImap(port: number): Promise<Times> {
  const session = async (fetch: string) => {
    const raw = await RawImap.open(port, USER)
    await Promise.all([raw.send('EXAMINE INBOX'), raw.send(fetch)])
    raw.close()
  }
  const first = await seconds(() => session('UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])'))
  return { first, again: await seconds(() => session('UID SEARCH ALL')), cpu: NaN, peak: NaN }
}

await install(
  ['mpop', 'isync', 'getmail6', 'fetchmail', 'procmail'],
  ['/usr/bin/mpop', '/usr/bin/mbsync', '/usr/bin/getmail', '/usr/bin/fetchmail', '/usr/bin/procmail'],
)
const dovecot = await Dovecot.start()
try {
  await fillMaildir(dovecot.mailOf(USER), null, MESSAGES, message)
  // Dovecot's own caches are filled before anything is measured
  await rawImap(dovecot.imapPort)
  const bytes = await drainPop3(dovecot.pop3Port, USER, MESSAGES)
  console.log(`${MESSAGES} messages, ${Math.round(bytes / 1e6)} MB, ${ROUNDS} rounds, each in turn`)
  const contestants: [name: string, of: 'POP3' | 'IMAP', measure: () => Promise<Times>][] = [
    ['raw POP3, pipelined, discarded', 'POP3', () => rawPop3(dovecot.pop3Port)],
    ['Mailfold over POP3', 'POP3', () => mailfold('POP3', dovecot.pop3Port)],
    ['mpop', 'POP3', () => mpop(dovecot.pop3Port)],
    ['fetchmail and procmail', 'POP3', () => fetchmail(dovecot.pop3Port)],
    ['getmail', 'POP3', () => getmail(dovecot.pop3Port)],
    ['raw IMAP, discarded', 'IMAP', () => rawImap(dovecot.imapPort)],
    ['Mailfold over IMAP', 'IMAP', () => mailfold('IMAP', dovecot.imapPort)],
    ['mbsync, fsync on', 'IMAP', () => mbsync(dovecot.imapPort)],
  ]
  const wanted = process.argv[4]
    ? contestants.filter(([name]) => new RegExp(process.argv[4] as string).test(name))
    : contestants
  const times = new Map<string, Times[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, , measure] of wanted) {
      const measured = await measure()
      times.set(name, [...(times.get(name) ?? []), measured])
      console.log(
        `round ${round + 1}: ${name}: first ${measured.first.toFixed(2)} s, nothing new ${measured.again.toFixed(2)} s`,
      )
    }
  }
  const ratio = (name: string, of: string, what: 'first' | 'again') =>
    median(
      (times.get(name) ?? []).map(
        (each, index) => each[what] / (times.get(`Mailfold over ${of}`)?.[index]?.[what] ?? NaN),
      ),
    )
  table(
    ['', 'first s', 'Mailfold = 1', 'nothing new s', 'Mailfold = 1', 'CPU s', 'peak MB'],
    wanted.map(([name, of]) => {
      const all = times.get(name) ?? []
      const cell = (value: number) => (Number.isNaN(value) ? '' : value)
      return [
        name,
        ...[median(all.map(({ first }) => first)), cell(ratio(name, of, 'first'))],
        ...[median(all.map(({ again }) => again)), cell(ratio(name, of, 'again'))],
        ...[cell(median(all.map(({ cpu }) => cpu))), cell(median(all.map(({ peak }) => peak)))],
      ]
    }),
  )
} finally {
  await dovecot.stop()
  for (const folder of leftBehind) await rm(folder, { recursive: true, force: true })
}
process.exit(0)
