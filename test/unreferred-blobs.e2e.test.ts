/* core 6: of a raw message that nothing refers to nothing stays, however it came to be kept. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { v7 as newId } from 'uuid'
import { PASSWORD } from './support/imap-server.ts'
import { honest, ScriptedImap } from './support/scripted-imap.ts'
import { ScriptedPop3 } from './support/scripted-pop3.ts'
import { mailfold, Service, until } from './support/service.ts'

let service: Service
let imap: ScriptedImap
let pop3: ScriptedPop3
const accounts: Record<string, { id: string; inbox: string }> = {}

beforeAll(async () => {
  // a server that refuses every APPEND, so that nothing is there but what is kept here
  imap = await ScriptedImap.start((command, say) => (/^APPEND/i.test(command) ? 'NO no' : honest(command, say)))
  pop3 = await ScriptedPop3.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500' })
  for (const model of ['OFFLINE', 'DISCONNECTED']) {
    const protocol = model === 'OFFLINE' ? 'POP3' : 'IMAP'
    const { port } = model === 'OFFLINE' ? pop3 : imap
    const place = { host: '127.0.0.1', port, protocol, security: 'PLAINTEXT', password: PASSWORD }
    const id = await service.connect({ ...place, model, username: model })
    await service.synced(id)
    type Found = { account: { mailboxes: { id: string; path: string }[] } }
    const query = 'query ($id: ID!) { account(id: $id) { mailboxes { id path } } }'
    let inbox: string | undefined
    await until(async () => {
      const { account } = await service.ask<Found>(query, { id })
      inbox = account.mailboxes.find(({ path }) => path === 'INBOX')?.id
      return inbox !== undefined
    })
    accounts[model] = { id, inbox: inbox ?? '' }
  }
})

afterAll(async () => {
  await service?.stop()
  imap?.stop()
  pop3?.stop()
})

/** The names of all raw messages that are kept. */
async function kept(): Promise<string[]> {
  const files = await readdir(join(service.folder, 'blobs'), { recursive: true, withFileTypes: true })
  return files.filter((file) => file.isFile()).map(({ name }) => name)
}

async function append(mailboxId: string, raw: string, replaces: string | null = null): Promise<string | null> {
  const query = `mutation ($input: AppendMessageInput!) { appendMessage(input: $input) { errors { __typename } } }`
  const input = { mailboxId, raw: Buffer.from(raw).toString('base64'), replaces }
  type Payload = { appendMessage: { errors: { __typename: string }[] } }
  const { appendMessage } = await service.ask<Payload>(query, { input })
  return appendMessage.errors[0]?.__typename ?? null
}

const globalId = (kind: string, id: string) => Buffer.from(`${kind}:${id}`).toString('base64url')
const verifyBlobs = () => mailfold(['verify', '--blobs', '--json'], { MAILFOLD_DATA: service.folder, NODE_OPTIONS: '' })

test.each(['OFFLINE', 'DISCONNECTED'])('an append that is refused leaves nothing (%s)', async (model) => {
  const { inbox = '' } = accounts[model] ?? {}
  const nobody = globalId('Message', newId())
  expect(await append(inbox, `Subject: replaces nothing ${model}\r\n\r\nx`, nobody)).not.toBeNull()
  expect(await append(globalId('Mailbox', newId()), `Subject: nowhere ${model}\r\n\r\nx`)).not.toBeNull()
  // larger than what is held in memory
  expect(await append(inbox, `Subject: large ${model}\r\n\r\n${'x'.repeat(700_000)}`, nobody)).not.toBeNull()
  await until(async () => (await kept()).length === 0)
})

test('one that is accepted stays, also when another append of the same is refused', async () => {
  const { inbox = '' } = accounts['OFFLINE'] ?? {}
  const raw = 'Subject: twice\r\n\r\nx'
  expect(await append(inbox, raw)).toBeNull()
  expect(await append(inbox, raw, globalId('Message', newId()))).not.toBeNull()
  expect(await verifyBlobs()).toMatchObject({ code: 0 })
  expect(await kept()).toEqual([createHash('sha256').update(raw).digest('hex')])
})

test('what a process had kept that was killed before it recorded it goes at the next start', async () => {
  const before = await kept()
  await service.end('SIGKILL')
  const put = async (text: string, hoursAgo: number) => {
    const name = createHash('sha256').update(text).digest('hex')
    const folder = join(service.folder, 'blobs', name.slice(0, 2))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, name), text)
    const since = Date.now() / 1_000 - hoursAgo * 3_600
    await utimes(join(folder, name), since, since)
    return name
  }
  const [old, young] = [await put('kept hours ago', 3), await put('kept a moment ago', 0)]
  await service.launch()
  await until(async () => !(await kept()).includes(old))
  expect((await kept()).sort()).toEqual([...before, young].sort())
  const found = await verifyBlobs()
  expect(found.code).toBe(1)
  expect(JSON.parse(found.stdout.split('\n')[0] ?? '')).toMatchObject({ sha256: young, problem: 'NOT_REFERRED_TO' })
})

test('verify --blobs finds what is missing, and what is not what it is named by', async () => {
  const { inbox = '' } = accounts['OFFLINE'] ?? {}
  const raws = ['Subject: to be lost\r\n\r\nx', 'Subject: to be damaged\r\n\r\nx']
  for (const raw of raws) expect(await append(inbox, raw)).toBeNull()
  const [lost = '', damaged = ''] = raws.map((raw) => createHash('sha256').update(raw).digest('hex'))
  const pathOf = (name: string) => join(service.folder, 'blobs', name.slice(0, 2), name)
  await rm(pathOf(lost))
  await writeFile(pathOf(damaged), 'something else')
  const { code, stdout } = await verifyBlobs()
  const problems = stdout.split('\n').filter((line) => line.includes('problem'))
  expect(code).toBe(1)
  expect(problems.map((line) => JSON.parse(line) as object)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ sha256: lost, problem: 'MISSING' }),
      expect.objectContaining({ sha256: damaged, problem: 'DAMAGED' }),
    ]),
  )
})

test('a forgotten account leaves no raw message', async () => {
  const query = 'mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { errors { __typename } } }'
  for (const { id } of Object.values(accounts)) await service.ask(query, { input: { id, requestedBy: 'the test' } })
  // one that was kept a moment ago may still be about to be recorded by somebody
  await until(async () => (await kept()).length <= 1)
})
