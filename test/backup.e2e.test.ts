import { execFileSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ImapFlow } from 'imapflow'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let other: ImapFlow
let account: string
let folder: string
let copy: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailfold-backup-'))
  copy = join(folder, 'copy')
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_CHECK_INTERVAL: '500' })
  await fillMaildir(dovecot.mailOf('ada'), null, 300, (number) => mail(number))
  other = await dovecot.client('ada')
  await other.append('INBOX', mail(900, { subject: 'To be forgotten', body: 'A forgettable body.' }))
  account = await service.connect({ host: 'localhost', port: dovecot.imapsPort, username: 'ada', password: PASSWORD })
  await service.synced(account)
})

afterAll(async () => {
  await other?.logout().catch(() => undefined)
  await service?.stop()
  await dovecot?.stop()
  await rm(folder, { recursive: true, force: true })
})

const STATE = `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) { version model
  mailboxes { id path messageCount unreadCount }
  messages(first: 400) { nodes { id uid flags subject size internalDate from { address } attachments { filename } } } } }`
type State = { account: { version: number; messages: { nodes: { id: string; subject: string }[] } } }
const state = (of: Service, version: number | null) =>
  of.ask<State>(STATE, { id: account, asOf: version === null ? null : { version } })

const environment = (data: string) => ({ MAILFOLD_DATA: data, NODE_OPTIONS: '', DATABASE_URL: undefined })
const toldOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('a copy is taken while mail goes on changing; started elsewhere, it has all of that moment, and goes on from there', async () => {
  const { account: synced } = await state(service, null)
  const kept = synced.messages.nodes.slice(1, 6).map(({ id }) => id)
  const raw = (id: string) => `/messages/${Buffer.from(id, 'base64url').toString().split(':')[1]}/raw`
  const bodyOf = async (of: Service, id: string) => {
    const response = await of.fetch(raw(id))
    const text = await response.text()
    expect([response.status, response.ok ? '' : text]).toEqual([200, ''])
    return text
  }
  const bodies = await Promise.all(kept.map((id) => bodyOf(service, id)))
  const forgotten = synced.messages.nodes.find(({ subject }) => subject === 'To be forgotten')?.id ?? ''
  await (await service.fetch(raw(forgotten))).text()
  await service.ask('mutation ($input: ForgetMessageInput!) { forgetMessage(input: $input) { forgottenIds } }', {
    input: { messageId: forgotten, requestedBy: 'the sender' },
  })

  let changing = true
  const changes = (async () => {
    await other.mailboxOpen('INBOX')
    for (let turn = 0; changing; turn++) {
      await other.messageFlagsAdd(`${1 + turn}:${20 + turn}`, [turn % 2 ? '\\Seen' : '\\Flagged'], { uid: true })
      await other.append('INBOX', mail(2_000 + turn))
    }
  })()
  await until(async () => (await state(service, null)).account.version > synced.version + 50)
  const taken = await mailfold(['backup', copy, '--json'], environment(service.folder))
  expect([taken.code, taken.stderr]).toEqual([0, ''])
  changing = false
  await changes
  const told = toldOf(taken.stdout)
  expect(told.at(-1)).toMatchObject({ folder: copy, blobs: 5, missing: [] })
  const version = Number(told.at(-1)?.['events'])
  await service.end('SIGTERM')

  const elsewhere = await mkdtemp(join(folder, 'data-'))
  const restored = await mailfold(['restore', copy, '--json'], environment(elsewhere))
  expect([restored.code, restored.stderr]).toEqual([0, ''])
  // the key is not in the copy: it is brought along by hand
  await cp(join(service.folder, 'master.key'), join(elsewhere, 'master.key'))
  expect((await mailfold(['verify'], environment(elsewhere))).code).toBe(0)

  const second = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_DATA: elsewhere })
  await service.launch()
  try {
    expect(await state(second, version)).toEqual(await state(service, version))
    for (const [index, id] of kept.entries()) expect(await (await second.fetch(raw(id))).text()).toBe(bodies[index])
    // it finds by itself what came after the copy was taken
    const subjects = async (of: Service) =>
      (await state(of, null)).account.messages.nodes.map(({ subject }) => subject).sort()
    await until(async () => (await subjects(second)).join() === (await subjects(service)).join())
    expect((await subjects(second)).length).toBeGreaterThan(301)
  } finally {
    await second.stop()
  }
})

/** The files of the copy that hold a text, packed or not. */
const holding = (text: string) =>
  execFileSync('sh', ['-c', `find ${copy} -type f | xargs zgrep -l -- '${text}' || true`]).toString()

test('what was forgotten before is not in the copy, and neither are the keys', async () => {
  for (const word of ['To be forgotten', 'A forgettable body']) expect(holding(word)).toBe('')
  expect(holding('MessageForgotten')).toContain('events')
  const key = await readFile(join(service.folder, 'master.key'), 'utf8')
  expect(holding(key.trim())).toBe('')
})

test('what is no backup, is damaged, or has no place, is told in one line', async () => {
  const fails = async (expected: number, args: string[], data: string) => {
    const { code, stderr } = await mailfold(args, environment(data))
    expect(code).toBe(expected)
    return stderr
  }
  const fresh = () => mkdtemp(join(folder, 'data-'))
  expect(await fails(73, ['backup', copy], service.folder)).toMatch(/^mailfold: .*is there already.*\n$/)
  expect(await fails(66, ['restore', folder], await fresh())).toMatch(/^mailfold: .*no backup.*\n$/)
  await service.end('SIGTERM')
  expect(await fails(73, ['restore', copy], service.folder)).toMatch(/^mailfold: the store is not empty.*\n$/)
  await service.launch()

  const damaged = join(folder, 'damaged')
  await cp(copy, damaged, { recursive: true })
  const blob = execFileSync('sh', ['-c', `find ${damaged}/blobs -type f | head -1`])
    .toString()
    .trim()
  await writeFile(blob, 'something else')
  const { code, stdout } = await mailfold(['restore', damaged, '--json'], environment(await fresh()))
  expect(code).toBe(1)
  expect(toldOf(stdout).find((each) => 'missing' in each)).toMatchObject({
    blobs: 4,
    missing: [blob.split('/').at(-1)],
  })

  const cutOff = join(folder, 'cut-off')
  await cp(copy, cutOff, { recursive: true })
  await truncate(join(cutOff, 'tables/events.copy.gz'), 100)
  expect(await fails(65, ['restore', cutOff], await fresh())).toMatch(/^mailfold: .*damaged: tables\/events.*\n$/)
  await truncate(join(cutOff, 'manifest.json'), 100)
  expect(await fails(65, ['restore', cutOff], await fresh())).toMatch(/^mailfold: .*damaged: its manifest.*\n$/)

  const manifest = JSON.parse(await readFile(join(copy, 'manifest.json'), 'utf8')) as { migrations: string[] }
  await writeFile(join(damaged, 'manifest.json'), JSON.stringify({ ...manifest, migrations: ['FromTheFuture'] }))
  expect(await fails(65, ['restore', damaged], await fresh())).toMatch(/^mailfold: .*newer Mailfold\n$/)
})
