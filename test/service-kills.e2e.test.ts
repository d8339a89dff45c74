import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MIGRATIONS } from '../src/event-store/migrations/index.js'
import { Database } from '../src/platform/database.js'
import { CoreProjection } from '../src/projections/core-projection.js'
import { verifyAccount, type Difference } from '../src/projections/rebuild.js'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail, randomFrom } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

/** Fifty in the long form: MAILFOLD_KILLS=50. */
const KILLS = Number(process.env['MAILFOLD_KILLS'] ?? 20)

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await fillMaildir(dovecot.mailOf('large'), null, 10_000, (number) => mail(number))
  await fillMaildir(dovecot.mailOf('busy'), null, 200, (number) => mail(50_000 + number))
  service = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile, MAILFOLD_CHECK_INTERVAL: '300' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Told = { cursor: string; accountId: string; change: { version: number; type: string; recordedAt: string } }
const CHANGES = `subscription ($after: String) { storeChanges(after: $after) {
  cursor accountId change { ... on Change { version type recordedAt } } } }`

/** Follows the whole store across all kills, and keeps everything that it was told. */
class Follower {
  readonly told: Told[] = []
  private stopped = false

  async follow(): Promise<void> {
    while (!this.stopped) {
      const socket = service.socket()
      try {
        const after = this.told.at(-1)?.cursor ?? START
        for await (const { data } of socket.iterate<{ storeChanges: Told }>({ query: CHANGES, variables: { after } })) {
          if (data) this.told.push(data.storeChanges)
          if (this.stopped) break
        }
      } catch {
        // the service was killed
      }
      await Promise.resolve(socket.dispose()).catch(() => undefined)
      await sleep(50)
    }
  }

  stop(): void {
    this.stopped = true
  }
}

const START = Buffer.from('0/00000000-0000-0000-0000-000000000000@0').toString('base64url')

/** Another client that is never idle. */
async function changeMail(signal: AbortSignal): Promise<void> {
  const client = await dovecot.client('busy')
  const random = randomFrom(3)
  await client.mailboxCreate('Elsewhere')
  await client.mailboxOpen('INBOX')
  for (let turn = 0; !signal.aborted; turn++) {
    const from = 1 + Math.floor(random() * 150)
    const flags = [['\\Seen'], ['\\Flagged'], ['$Work']][turn % 3] ?? []
    if (turn % 2) await client.messageFlagsAdd(`${from}:${from + 40}`, flags, { uid: true })
    else await client.messageFlagsRemove(`${from}:${from + 40}`, flags, { uid: true })
    if (turn % 5 === 0) await client.append('INBOX', mail(60_000 + turn))
    if (turn % 17 === 0) await client.messageMove(`${from}:${from + 1}`, 'Elsewhere', { uid: true })
    await sleep(60)
  }
  await client.logout()
}

/** Asks for an append by the API, again and again. @returns how many were acknowledged */
async function changeCredentials(accountId: string, signal: AbortSignal): Promise<number> {
  const query = `mutation ($input: ChangeCredentialsInput!) { changeCredentials(input: $input) { account { id } } }`
  let acknowledged = 0
  while (!signal.aborted) {
    const answer = await service
      .answer<{ changeCredentials: { account: object | null } }>(query, { input: { accountId, password: PASSWORD } })
      .catch(() => null)
    if (answer?.data?.changeCredentials.account) acknowledged++
    await sleep(20)
  }
  return acknowledged
}

/** What of the account's tables does not follow from its log. */
async function differences(accounts: readonly string[]): Promise<Difference[]> {
  const database = await Database.open(socketUrl(), MIGRATIONS)
  const found: Difference[] = []
  try {
    for (const account of accounts) {
      const id = Buffer.from(account, 'base64url').toString().replace('Account:', '')
      await verifyAccount(database, new CoreProjection(), id, { difference: (each) => found.push(each) })
    }
  } finally {
    await database.close()
  }
  return found
}

const postmaster = async () =>
  (await readFile(join(service.folder, 'postgres/postmaster.pid'), 'utf8')).split('\n') as [string, ...string[]]
const socketUrl = () => `socket:${join(service.folder, 'postgres')}?db=postgres&user=mailfold`

test('killed again and again under load, service or Postgres: all tables follow from the log, and nothing told is missing', async () => {
  const random = randomFrom(50)
  const server = { host: 'localhost', port: dovecot.imapsPort, password: PASSWORD }
  const large = await service.connect({ ...server, username: 'large' })
  const busy = await service.connect({ ...server, username: 'busy' })
  const follower = new Follower()
  const following = follower.follow()
  const load = new AbortController()
  const changing = changeMail(load.signal)
  const acknowledged = changeCredentials(busy, load.signal)
  let killedBusy = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    const { length } = follower.told
    await until(() => follower.told.length > length)
    await sleep(random() * 400)
    if (kill % 2) await service.end('SIGKILL')
    else {
      process.kill(-Number((await postmaster())[0]), 'SIGKILL')
      const { code } = await service.ended()
      expect([kill, code]).toEqual([kill, 69])
      expect(service.said()).toContain('the embedded Postgres has ended')
    }
    if (follower.told.length > length + 1) killedBusy++
    await service.launch()
    // a difference stays once it is there
    if (kill % 10 === 0) expect([kill, await differences([large, busy])]).toEqual([kill, []])
  }
  load.abort()
  await changing
  expect(killedBusy).toBeGreaterThan(KILLS / 3)

  // everything is told once, each account's versions in order, and the log, read again, says the same
  await service.synced(large)
  const versionOf = async (id: string) =>
    (await service.ask<{ account: { version: number } }>('query ($id: ID!) { account(id: $id) { version } }', { id }))
      .account.version
  const rest = async () => (await versionOf(large)) + (await versionOf(busy)) - follower.told.length
  await until(async () => (await rest()) === 0)
  follower.stop()
  await service.end('SIGTERM')
  await following
  await service.launch()
  const again = new Follower()
  const reading = again.follow()
  await until(() => again.told.length >= follower.told.length)
  again.stop()
  await service.end('SIGTERM')
  await reading
  expect(again.told.slice(0, follower.told.length)).toEqual(follower.told)
  for (const account of [large, busy]) {
    const versions = follower.told.filter((each) => each.accountId === account).map(({ change }) => change.version)
    expect(versions).toEqual(versions.map((_, index) => index + 1))
  }
  const written = follower.told.filter(({ change }) => change.type === 'CredentialsChanged')
  expect(written.length).toBeGreaterThanOrEqual(await acknowledged)
  // how many depends on the machine; without any, the line above says nothing
  expect(await acknowledged).toBeGreaterThan(KILLS / 10)
}, 600_000)
