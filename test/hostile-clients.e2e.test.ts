import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'content-disposition'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service
let account: string

const MESSAGES = 2_000
const LARGE = Buffer.alloc(12 * 1024 ** 2, 'large ')

/** Names of files such as nobody should send, by how a header says them. */
const NAMES: Record<string, string> = {
  'half of a surrogate pair': '=?utf-16be?B?2AAuAGEALgB0AHgAdA==?=',
  '20,000 characters': `${'x'.repeat(20_000)}.txt`,
  'control characters': '=?utf-8?B?YQBiDQpjCX8udHh0?=',
  quotes: 'a\\"b\\\\c.txt',
  'marks that turn the direction': '=?utf-8?B?4oCuZ3BqLmV4ZQ==?=',
  'a place in a folder': '../../etc/passwd',
  'no character': '',
}

const namedFiles = Object.values(NAMES)
  .map(
    (name) => `--n\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\nhere\r\n`,
  )
  .join('')
const NAMED = `From: m@example.org\r\nSubject: named\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="n"\r\n\r\n${namedFiles}--n--\r\n`

beforeAll(async () => {
  dovecot = await Dovecot.start()
  const special = [NAMED, mail(1, { subject: 'large', attachment: { name: 'large.bin', content: LARGE } })]
  await fillMaildir(dovecot.mailOf('mallory'), null, MESSAGES, (number) => special[number] ?? mail(number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_LOG_LEVEL: 'warn' })
  const server = { host: 'localhost', port: dovecot.imapsPort, username: 'mallory', password: PASSWORD }
  account = await service.connect(server)
  await service.synced(account)
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const errorsLogged = () =>
  service
    .said()
    .split('\n')
    .filter((line) => /"level":(50|60)/.test(line))

afterEach(() => expect(errorsLogged()).toEqual([]))

type Listed = { subject: string; rawUrl: string; attachments: { url: string; filename: string | null }[] }

async function messageOf(subject: string): Promise<Listed> {
  type Found = { account: { messages: { nodes: Listed[] } } }
  const query = `query ($id: ID!, $subject: String!) { account(id: $id) {
    messages(filter: { subject: $subject }) { nodes { subject rawUrl attachments { url filename } } } } }`
  const { account: found } = await service.ask<Found>(query, { id: account, subject })
  return found.messages.nodes.find((message) => message.subject === subject) as Listed
}

/** Files of the data folder that the service holds open. */
async function opened(): Promise<string[]> {
  const folder = `/proc/${service.pid}/fd`
  const links = (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => ''))
  return (await Promise.all(links)).filter((link) => link.startsWith(service.folder))
}

test('an attachment is saved under a name that means no harm, whatever it was called', async () => {
  const { attachments } = await messageOf('named')
  expect(attachments).toHaveLength(Object.keys(NAMES).length)
  const saved: string[] = []
  for (const { url } of attachments) {
    const answer = await service.fetch(url)
    const header = answer.headers.get('content-disposition') ?? ''
    expect([answer.status, await answer.text()]).toEqual([200, 'here'])
    expect(header).toMatch(/^attachment; [\x20-\x7e]{1,1000}$/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    saved.push(parse(header).parameters['filename'] ?? '')
  }
  for (const name of saved) expect(name).toMatch(/^[^/\\\p{Cc}\p{Bidi_Control}]{1,200}$/u)
  expect(saved).toContain(`${'x'.repeat(196)}.txt`)
  expect(saved).toContain('.._.._etc_passwd')
  expect(saved).toContain('gpj.exe')
})

test('a raw message is a download as well, and never sniffed', async () => {
  const { rawUrl } = await messageOf('named')
  for (const range of [{}, { range: 'bytes=0-3' }]) {
    const answer = await service.fetch(rawUrl, { headers: range })
    expect(answer.headers.get('content-type')).toBe('message/rfc822')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('content-security-policy')).toBe('sandbox')
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename=[-\w]+\.eml$/)
    expect(NAMED.startsWith(await answer.text())).toBe(true)
  }
})

test('many who download at once have it all, and who leaves in the middle leaves nothing open', async () => {
  const { rawUrl, attachments } = await messageOf('large')
  const { url = '' } = attachments[0] ?? {}
  const whole = async (path: string) => (await (await service.fetch(path)).arrayBuffer()).byteLength
  const size = await whole(rawUrl)
  const leaves = async (path: string) => {
    const leaving = new AbortController()
    const answer = await service.fetch(path, { signal: leaving.signal })
    await answer.body?.getReader().read()
    leaving.abort()
  }
  const exported = (format: string) => `/accounts/${account}/export?format=${format}`
  for (const path of [rawUrl, url, exported('zip'), exported('maildir'), exported('mbox')]) {
    const downloads = [rawUrl, url, rawUrl, url, rawUrl].map(whole)
    await Promise.all(Array.from({ length: 10 }, () => leaves(path)))
    expect(await Promise.all(downloads)).toEqual([size, LARGE.length, size, LARGE.length, size])
  }
  expect((await service.fetch(`${url}9`)).status).toBe(404)
  await until(async () => (await opened()).length === 0)
})
