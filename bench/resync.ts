/*
 * A first copy of whole messages, durable; then a resync of 30,000 messages in 21 mailboxes, with no change, and with 100
 * changes of flags, 100 arrivals and 100 expunges; and the upload of 1,000 changes of flags. Against a Dovecot with QRESYNC, with
 * CONDSTORE only, and with neither; beside mbsync and offlineimap on the same mailboxes, with and without latency.
 * npm run bench:resync [messages] [rounds] [milliseconds each way, with commas]
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { install } from '../test/support/install.ts'
import { mail } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { Service } from '../test/support/service.ts'
import { Wire } from '../test/support/wire.ts'
import { median, seconds, secret, table } from './measure.ts'
import { RawImap } from './raw-imap.ts'
import { SlowWire } from './slow-wire.ts'

const MESSAGES = Number(process.argv[2] ?? 30_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const DELAYS = (process.argv[4] ?? '0,50').split(',').map(Number)
const USER = 'bench'
const OTHERS = Array.from({ length: 20 }, (_, number) => `Box${number}`)
const UPLOADED = Math.min(1_000, MESSAGES / 10)
const CHANGED = 100

const run = promisify(execFile)

/** Whoever is measured. */
type Contestant = {
  wire: SlowWire
  /** copies everything for the first time */
  copy: () => Promise<void>
  /** ends the connection, where one is held; what comes then is to be made up for */
  leave: () => Promise<void>
  /** changes the flags of some messages on this side */
  change: () => Promise<void>
  /** brings both sides up to date */
  resync: () => Promise<void>
  stop: () => Promise<void>
}

/**
 * @param name of the keyword that it sets and removes, which is its own
 * @param hidden capabilities that the server is made to seem not to have
 */
async function mailfold(port: number, name: string, hidden: readonly string[]): Promise<Contestant> {
  const hiding = hidden.length > 0 ? await Wire.to(port, hidden) : null
  const wire = await SlowWire.to(hiding?.port ?? port)
  const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '3600000' })
  const database = await service.database()
  let id = ''
  const change = async (field: string, type: string, argument: string, value: unknown) => {
    const query = `mutation ($value: ${type}) { ${field}(${argument}: $value) { errors { __typename } } }`
    const answer = await service.ask<Record<string, { errors: object[] }>>(query, { value })
    if (answer[field]?.errors.length !== 0) throw new Error(JSON.stringify(answer))
  }
  /** whether everything is here, whole, and nothing waits */
  const isCurrent = async () => {
    const { rows } = await database.query<{ messages: string; waiting: string }>(
      `select (select count(*) from messages where content_sha256 is not null) as messages,
         (select count(*) from operations where state in ('PENDING', 'SENT')) as waiting`,
    )
    return Number(rows[0]?.messages) === MESSAGES && Number(rows[0]?.waiting) === 0
  }
  const settled = async () => {
    do {
      await sleep(2)
      // it waits for news when there is nothing more to do
    } while (!/ IDLE\r\n$/.test(wire.asked) || !(await isCurrent()))
  }
  let mark = 0
  return {
    wire,
    copy: async () => {
      const server = { host: '127.0.0.1', port: wire.port, security: 'PLAINTEXT', username: USER, password: PASSWORD }
      id = await service.connect(server)
      await change('setSelection', 'SetSelectionInput!', 'input', { accountId: id, selection: { keep: 'WHOLE' } })
      // counting 30,000 rows takes a hundredth of a second, which is the service's
      while (!(await isCurrent())) await sleep(100)
    },
    leave: async () => {
      await change('goOffline', 'GoOfflineInput!', 'input', { accountId: id })
      await sleep(300 + 4 * wire.delay)
      wire.asked = ''
    },
    resync: async () => {
      await change('goOnline', 'ID!', 'accountId', id)
      await settled()
    },
    change: async () => {
      const flag = { [mark++ % 2 ? 'remove' : 'add']: [name] }
      const { rows } = await database.query<{ id: string }>(
        `select message_id as id from messages join mailboxes using (mailbox_id) where path = 'INBOX'
         order by internal_date limit $1`,
        [UPLOADED],
      )
      for (let at = 0; at < rows.length; at += 500) {
        const messageIds = rows.slice(at, at + 500).map((row) => Buffer.from(`Message:${row.id}`).toString('base64url'))
        await change('changeFlags', 'ChangeFlagsInput!', 'input', { messageIds, ...flag })
      }
    },
    stop: async () => {
      await database.end()
      await service.stop()
      wire.stop()
      hiding?.stop()
    },
  }
}

/** Changes flags in a Maildir, as a mail reader does: by the names of files. */
async function changeMaildir(folder: string): Promise<void> {
  const cur = join(folder, 'cur')
  for (const name of (await readdir(cur)).slice(0, UPLOADED)) {
    const [base = '', flags = ''] = name.split(':2,')
    const changed = flags.includes('R') ? flags.replace('R', '') : [...flags, 'R'].sort().join('')
    await rename(join(cur, name), join(cur, `${base}:2,${changed}`))
  }
}

/** A program that is run for each resync, with a Maildir of its own. */
async function program(
  port: number,
  prepare: (folder: string, port: number) => Promise<[string, string[]]>,
): Promise<Contestant> {
  const wire = await SlowWire.to(port)
  const folder = await mkdtemp(join(tmpdir(), 'mailfold-bench-'))
  await mkdir(join(folder, 'mail'))
  const [command, args] = await prepare(folder, wire.port)
  const resync = async () => void (await run(command, args, { env: { ...process.env, HOME: folder }, maxBuffer: 1e9 }))
  return {
    wire,
    copy: resync,
    leave: () => Promise.resolve(),
    resync,
    change: () => changeMaildir(join(folder, 'mail', 'INBOX')),
    stop: async () => {
      await rm(folder, { recursive: true, force: true })
      wire.stop()
    },
  }
}

const mbsync = (port: number) =>
  program(port, async (folder, wirePort) => {
    const account = ['IMAPAccount a', 'Host 127.0.0.1', `Port ${wirePort}`, `User ${USER}`, `Pass ${PASSWORD}`]
    const near = ['MaildirStore near', `Inbox ${folder}/mail/INBOX`, `Path ${folder}/mail/`, 'SubFolders Verbatim']
    const channel = ['Channel c', 'Far :far:', 'Near :near:', 'Patterns *', 'Create Near', 'Expunge Both', 'Sync All']
    await secret(join(folder, 'mbsyncrc'), [
      ...['FSync yes', '', ...account, 'SSLType None', 'AuthMechs LOGIN', '', 'IMAPStore far', 'Account a', ''],
      ...[...near, '', ...channel, 'SyncState *'],
    ])
    return ['mbsync', ['-c', join(folder, 'mbsyncrc'), '-q', 'c']]
  })

const offlineimap = (port: number) =>
  program(port, async (folder, wirePort) => {
    const remote = ['remotehost = 127.0.0.1', `remoteport = ${wirePort}`, `remoteuser = ${USER}`]
    await secret(join(folder, 'offlineimaprc'), [
      ...['[general]', 'accounts = a', 'ui = quiet', `metadata = ${folder}/state`, 'fsync = true', ''],
      ...['[Account a]', 'localrepository = near', 'remoterepository = far', ''],
      ...['[Repository near]', 'type = Maildir', `localfolders = ${folder}/mail`, ''],
      ...['[Repository far]', 'type = IMAP', ...remote, `remotepass = ${PASSWORD}`, 'ssl = no', 'starttls = no'],
      ...['auth_mechanisms = LOGIN'],
    ])
    return ['offlineimap', ['-c', join(folder, 'offlineimaprc'), '-u', 'quiet']]
  })

/** The floor of a resync that finds nothing: a login, and one question about all mailboxes. */
async function floor(port: number, delay: number): Promise<number> {
  const wire = await SlowWire.to(port)
  wire.delay = delay
  const took = await seconds(async () => {
    const raw = await RawImap.open(wire.port, USER)
    await raw.send('LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))')
    raw.close()
  })
  wire.stop()
  return took
}

let made = 0

/** What others do on the server meanwhile; afterwards there are as many messages as before. */
async function changeServer(dovecot: Dovecot): Promise<void> {
  const client = await dovecot.client(USER)
  const lock = await client.getMailboxLock('INBOX')
  const exists = client.mailbox ? client.mailbox.exists : 0
  const flag = [`mark${++made}`]
  await client.messageFlagsAdd(`${exists / 2}:${exists / 2 + CHANGED - 1}`, flag)
  await client.messageDelete(`${exists - CHANGED + 1}:${exists}`)
  lock.release()
  for (let number = 0; number < CHANGED; number++)
    await client.append('INBOX', mail(5_000_000 + made * 1_000 + number, { subject: `new ${made} ${number}` }))
  // read once, so that whoever comes first does not have Dovecot make its index of them
  await client.mailboxOpen('INBOX')
  await client.fetchAll(`${exists - CHANGED + 1}:*`, { envelope: true, bodyStructure: true, headers: ['References'] })
  await client.logout()
}

await install(['isync', 'offlineimap3'], ['/usr/bin/mbsync', '/usr/bin/offlineimap'])
const dovecot = await Dovecot.start()
try {
  const share = Math.floor(MESSAGES / (OTHERS.length + 10))
  await fillMaildir(dovecot.mailOf(USER), null, MESSAGES - share * OTHERS.length, (number) => mail(number))
  for (const [index, name] of OTHERS.entries())
    await fillMaildir(dovecot.mailOf(USER), name, share, (number) => mail(100_000 * (index + 1) + number))
  const port = dovecot.imapPort
  const contestants = {
    Mailfold: await mailfold(port, 'one', []),
    'CONDSTORE only': await mailfold(port, 'two', ['QRESYNC']),
    neither: await mailfold(port, 'three', ['QRESYNC', 'CONDSTORE']),
    mbsync: await mbsync(port),
    offlineimap: await offlineimap(port),
  }
  type Name = keyof typeof contestants
  const names = Object.keys(contestants) as Name[]
  const row = (title: string, took: (name: Name) => number) => {
    const ours = took('Mailfold')
    return [title, ...names.map(took), took('mbsync') / ours, took('offlineimap') / ours]
  }
  const headings = [...names.map((name) => `${name} s`), 'mbsync : Mailfold', 'offlineimap : Mailfold']
  // read once, so that everybody finds Dovecot's own index made
  await (await dovecot.client(USER)).logout()
  const first = new Map<Name, number>()
  for (const name of names) first.set(name, await seconds(contestants[name].copy))
  table(['', ...headings], [row('a first copy, whole messages', (name) => first.get(name) ?? NaN)])

  const tasks = ['no change', `${CHANGED} flags, arrivals and expunges each`, `${UPLOADED} changes of flags uploaded`]
  for (const delay of DELAYS) {
    const times = new Map<string, number[]>()
    let commands = 0
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, task] of tasks.entries()) {
        for (const { wire, leave, resync } of Object.values(contestants)) {
          wire.delay = 0
          // what others have left of the task before
          await leave()
          await resync()
          await leave()
          wire.delay = delay
        }
        if (index === 1) await changeServer(dovecot)
        for (const name of names) {
          const { wire, leave, resync, change } = contestants[name]
          if (index === 2) {
            wire.delay = 0
            await resync()
            await leave()
            wire.delay = delay
            await change()
          }
          wire.asked = ''
          times.set(`${task} ${name}`, [...(times.get(`${task} ${name}`) ?? []), await seconds(resync)])
          if (index === 0 && name === 'Mailfold') commands = wire.asked.match(/\r\n/g)?.length ?? 0
        }
      }
    }
    console.log(`\n${MESSAGES} messages in ${OTHERS.length + 1} mailboxes, ${delay} ms each way, medians of ${ROUNDS}`)
    const rows = tasks.map((task) => row(task, (name) => median(times.get(`${task} ${name}`) ?? [])))
    table(['', ...headings], rows)
    const least = await floor(port, delay)
    const ours = median(times.get(`${tasks[0]} Mailfold`) ?? [])
    console.log(`no change: ${commands} commands; the floor, a login and LIST-STATUS, ${least.toFixed(3)} s`)
    console.log(`           Mailfold ${(ours / least).toFixed(2)} of it`)
  }
  for (const contestant of Object.values(contestants)) await contestant.stop()
} finally {
  await dovecot.stop()
}
