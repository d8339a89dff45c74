/*
 * First sync, events and projections committed, beside imapflow's own fetch of the same data and a raw socket's.
 * npm run bench:first-sync [messages] [rounds]
 */
import { ImapFlow } from 'imapflow'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { variedMail } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { Service } from '../test/support/service.ts'
import { cpuSeconds, median, peakMemory, table } from './measure.ts'
import { RawImap } from './raw-imap.ts'

const MESSAGES = Number(process.argv[2] ?? 10_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const MAILBOXES = 21
const QUERY = {
  uid: true,
  flags: true,
  internalDate: true,
  size: true,
  envelope: true,
  bodyStructure: true,
  threadId: true,
  headers: ['References'],
}
const FETCH =
  'UID FETCH 1:* (UID FLAGS BODYSTRUCTURE ENVELOPE INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (References)])'

type Run = { seconds: number; cpu: number; peak: number }

const names: (string | null)[] = [null, ...Array.from({ length: MAILBOXES - 1 }, (_, index) => `Box ${index + 1}`)]
const quoted = (name: string | null) => `"${name ?? 'INBOX'}"`

async function rawFloor(port: number): Promise<Run> {
  const raw = await RawImap.open(port, 'bench')
  const cpu = process.cpuUsage()
  const began = performance.now()
  await Promise.all(names.flatMap((name) => [raw.send(`EXAMINE ${quoted(name)}`), raw.send(FETCH)]))
  const { user, system } = process.cpuUsage(cpu)
  raw.close()
  return { seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1e6, peak: NaN }
}

async function imapflowAlone(port: number): Promise<Run> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: 'bench', pass: PASSWORD },
    logger: false,
    qresync: true,
  })
  const cpu = process.cpuUsage()
  const began = performance.now()
  await client.connect()
  let count = 0
  for (const name of names) {
    await client.mailboxOpen(name ?? 'INBOX')
    for await (const _ of client.fetch('1:*', QUERY, { uid: true })) count++
  }
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await client.logout()
  if (count !== MESSAGES) throw new Error(`imapflow fetched ${count} of ${MESSAGES} messages`)
  return { seconds, cpu: (user + system) / 1e6, peak: NaN }
}

async function mailfold(port: number): Promise<Run> {
  const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
  const cpu = await cpuSeconds(service.pid)
  const began = performance.now()
  const id = await service.connect({
    host: '127.0.0.1',
    port,
    security: 'PLAINTEXT',
    username: 'bench',
    password: PASSWORD,
  })
  const query = 'query ($id: ID!) { account(id: $id) { progress { done isComplete } } }'
  for (;;) {
    const { account } = await service.ask<{ account: { progress: { done: number; isComplete: boolean } } }>(query, {
      id,
    })
    if (account.progress.isComplete && account.progress.done === MESSAGES) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const seconds = (performance.now() - began) / 1000
  const run = { seconds, cpu: (await cpuSeconds(service.pid)) - cpu, peak: await peakMemory(service.pid) }
  await service.stop()
  return run
}

const dovecot = await Dovecot.start()
try {
  console.log(`${MESSAGES} messages in ${MAILBOXES} mailboxes, ${ROUNDS} rounds, each reference in turn`)
  const share = Math.floor(MESSAGES / (MAILBOXES + 9))
  for (const [index, name] of names.entries()) {
    const count = index === 0 ? MESSAGES - share * (MAILBOXES - 1) : share
    await fillMaildir(dovecot.mailOf('bench'), name, count, (number) => variedMail(index * 1_000_000 + number))
  }
  // Dovecot's own caches are filled before anything is measured
  await rawFloor(dovecot.imapPort)
  const runs: Record<'raw' | 'imapflow' | 'mailfold', Run[]> = { raw: [], imapflow: [], mailfold: [] }
  for (let round = 0; round < ROUNDS; round++) {
    runs.raw.push(await rawFloor(dovecot.imapPort))
    runs.imapflow.push(await imapflowAlone(dovecot.imapPort))
    runs.mailfold.push(await mailfold(dovecot.imapPort))
  }
  const row = (name: keyof typeof runs, label: string) => {
    const seconds = median(runs[name].map((run) => run.seconds))
    const ratios = runs[name].map((run, round) => run.seconds / (runs.imapflow[round]?.seconds ?? NaN))
    const peak = median(runs[name].map((run) => run.peak))
    return [
      label,
      seconds,
      MESSAGES / seconds,
      median(runs[name].map((run) => run.cpu)),
      Number.isNaN(peak) ? '' : peak,
      median(ratios),
    ]
  }
  table(
    ['', 'wall s', 'messages/s', 'CPU s', 'peak MB', 'wall, imapflow = 1'],
    [
      row('raw', 'raw socket, answers discarded'),
      row('imapflow', 'imapflow alone'),
      row('mailfold', 'Mailfold, committed'),
    ],
  )
} finally {
  await dovecot.stop()
}
process.exit(0)
