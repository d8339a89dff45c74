/* Each kind of failure, and what an operator sees of it: over GraphQL, in `mailfold accounts` and in the log. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { connectionOf, eventsOf, failing, isWell, lineOf, linesWith, smallDisk, syncNow } from './support/failing.ts'
import { PASSWORD } from './support/imap-server.ts'
import { uuidOf } from './support/installation.ts'
import { mail } from './support/mail.ts'
import { OfflineAccount, onServer } from './support/maildrop.ts'
import { OwnServices } from './support/own-services.ts'
import { honest, ScriptedImap, type Script } from './support/scripted-imap.ts'
import { Service, until } from './support/service.ts'

const SELECT = `mutation ($input: SetSelectionInput!) { setSelection(input: $input) { errors { __typename } } }`

let dovecot: Dovecot
let service: Service
let database: pg.Client
const ends: (() => void)[] = []
let made = 0

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500', MAILFOLD_TLS_CA: dovecot.authorityFile })
  database = await service.database()
})

afterAll(async () => {
  await database?.end()
  for (const end of ends) end()
  await service?.stop()
  await dovecot?.stop()
})

/** An account at a server that does as a script says. */
async function scripted(script: Script): Promise<{ id: string; server: ScriptedImap }> {
  const server = await ScriptedImap.start(script)
  ends.push(() => server.stop())
  const input = { host: '127.0.0.1', port: server.port, security: 'PLAINTEXT', password: PASSWORD }
  const id = await service.connect({ ...input, username: `scripted${++made}` })
  await isWell(service, id)
  return { id, server }
}

async function atDovecot(username: string, subjects: readonly string[]): Promise<DisconnectedAccount> {
  await dovecot.fill(username, { INBOX: subjects.map((subject) => mail(++made, { subject })) })
  return DisconnectedAccount.connect(service, dovecot, username)
}

describe('failures: a mail server', () => {
  test.each([
    [
      'refuses the login',
      /^(LOGIN|AUTHENTICATE)/i,
      'NO [AUTHENTICATIONFAILED] no',
      'LOGIN_REFUSED',
      'CHANGE_CREDENTIALS',
    ],
    ['asks for a pause', /^(LOGIN|AUTHENTICATE)/i, 'NO [LIMIT] too many', 'THROTTLED', 'WAIT'],
    ['refuses a command that has to work', /^LIST/i, 'NO not today', 'DISCONNECTED', 'ASK_MAIL_PROVIDER'],
  ])('%s: the account says so, and what can be done', async (_, pattern, answer, state, remedy) => {
    let isBad = false
    const { id, server } = await scripted((command, say) =>
      isBad && pattern.test(command) ? answer : honest(command, say),
    )
    isBad = true
    server.cut()
    const seen = await failing(service, id, { state, remedy })
    expect(seen.reason).toContain(answer.split(/^NO (?:\[\w+\] )?/).at(-1))
    expect([seen.failureId, typeof seen.failingSince]).toEqual([null, 'string'])
    expect(await lineOf(service, id)).toContain(`${state}  0 of 0 messages  ${seen.reason}  (since`)
  })

  test('is not there: it is tried again by itself, and that is told', async () => {
    const { id, server } = await scripted((command, say) => honest(command, say))
    server.stop()
    const { reason } = await failing(service, id, { state: 'DISCONNECTED', remedy: 'RETRIES_BY_ITSELF' })
    expect(reason).toMatch(/refuses connections|was lost/)
  })
})

describe('failures: the disk of raw messages is full', () => {
  beforeAll(() => void ends.push(smallDisk(join(service.folder, 'blobs'), 1)))

  const fill = async () => {
    const path = join(service.folder, 'blobs', 'fills-the-disk')
    await writeFile(path, Buffer.alloc(2_000_000)).catch(() => undefined)
    return () => rm(path)
  }

  test('a DISCONNECTED account stays connected, and says what cannot be kept; afterwards it is kept', async () => {
    const mine = await atDovecot('keeper', ['first', 'second'])
    const empty = await fill()
    await service.ask(SELECT, { input: { accountId: mine.id, selection: { keep: 'WHOLE' } } })
    const seen = await failing(service, mine.id, { state: 'CONNECTED', remedy: 'FREE_DISK_SPACE' })
    expect(seen.reason).toBe('The disk of the raw messages is full (ENOSPC).')
    expect(linesWith(service, seen.failureId)).not.toEqual([])
    expect(await lineOf(service, mine.id)).toContain(`FREE_DISK_SPACE; failure ${seen.failureId})`)
    // what is new is seen all the same
    await mine.other.append('INBOX', mail(++made, { subject: 'third' }))
    await until(async () => (await mine.shown('INBOX')).some(({ subject }) => subject === 'third'))
    // it is tried again, and recorded once
    await until(() => linesWith(service, seen.failureId).length >= 2)
    expect(await eventsOf(database, mine.id, 'WorkHindered')).toBe(1)
    expect(await connectionOf(service, mine.id)).toEqual(seen)
    const { id } = await mine.message('third')
    const answer = await service.answer('query ($id: ID!) { message(id: $id) { content { text } } }', { id })
    expect(answer.errors).toMatchObject([
      { message: expect.stringContaining('is full') as string, extensions: { code: 'CONTENT_UNAVAILABLE' } },
    ])

    await empty()
    await isWell(service, mine.id)
    expect(await eventsOf(database, mine.id, 'WorkUnhindered')).toBe(1)
    await mine.end()
  })

  test('an OFFLINE account collects nothing, deletes nothing, and says why; afterwards it collects', async () => {
    await dovecot.fill('collected', { INBOX: [] })
    const account = await OfflineAccount.connect(service, 'POP3', { port: dovecot.pop3Port, username: 'collected' })
    await account.setPolicy({ kind: 'AT_ONCE' })
    const empty = await fill()
    await dovecot.deliver('collected', mail(++made, { subject: 'collected', body: 'x'.repeat(100_000) }))
    const seen = await failing(service, account.id, { state: 'FAILED', remedy: 'FREE_DISK_SPACE' })
    expect(seen.reason).toBe('The disk of the raw messages is full (ENOSPC).')
    await until(async () => {
      await syncNow(service, account.id)
      return linesWith(service, seen.failureId).length >= 3
    })
    expect(await eventsOf(database, account.id, 'WorkStopped')).toBe(1)
    expect(await connectionOf(service, account.id)).toEqual(seen)
    expect(await onServer(dovecot, 'collected')).toBe(1)

    await empty()
    await isWell(service, account.id)
    await until(async () => (await account.state()).messages.nodes.length === 1)
    await account.forget()
  })
})

describe('failures: the database, or Mailfold itself', () => {
  /** Has the database refuse new messages of an account. @returns ends that */
  const refusing = async (id: string, code: string): Promise<() => Promise<unknown>> => {
    const name = `refuse_${++made}`
    await database.query(`
      create function ${name}() returns trigger language plpgsql as $$
        begin raise exception 'a secret of the message' using errcode = '${code}'; end $$;
      create trigger ${name} before insert on messages for each row
        when (new.account_id = '${uuidOf(id)}') execute function ${name}()`)
    return () => database.query(`drop function ${name} cascade`)
  }

  test.each([
    ['the disk of the database is full', '53100', 'FREE_DISK_SPACE', 'The disk of the database is full (53100).'],
    ['the database cannot work', '58030', 'CHECK_DATABASE', 'The database cannot work (58030).'],
    ['Mailfold has a bug', 'P0001', 'REPORT_BUG', 'Mailfold failed in a way that it does not foresee (error).'],
  ])(
    '%s: the account says so once, with an id that the log has too, and goes on afterwards',
    async (_, code, remedy, reason) => {
      const mine = await atDovecot(`at-fault-${code.toLowerCase()}`, ['first'])
      const end = await refusing(mine.id, code)
      await mine.other.append('INBOX', mail(++made, { subject: 'second' }))
      const seen = await failing(service, mine.id, { state: 'FAILED', remedy })
      expect(seen.reason).toBe(reason)
      expect(await lineOf(service, mine.id)).toContain(`FAILED  1 of 1 message  ${reason}  (since ${seen.failingSince}`)
      await until(async () => {
        await syncNow(service, mine.id)
        return linesWith(service, seen.failureId).length >= 3
      })
      // connections are made meanwhile, by which nothing can be done
      expect(await eventsOf(database, mine.id, 'WorkStopped')).toBe(1)
      expect(await connectionOf(service, mine.id)).toEqual(seen)
      expect(linesWith(service, seen.failureId)[0]).toContain(code)

      await end()
      await isWell(service, mine.id)
      await until(async () => (await mine.shown('INBOX')).length === 2)
      await mine.end()
    },
  )

  test('the API answers with an id for what nobody foresaw, and the log has it', async () => {
    await database.query('alter table sessions rename to sessions_away')
    const answer = await service.answer<unknown>('{ accounts { sessions { id } } }')
    await database.query('alter table sessions_away rename to sessions')
    const { code, failureId } = (answer.errors?.[0]?.extensions ?? {}) as { code?: string; failureId?: string }
    expect(code).toBe('INTERNAL')
    expect(linesWith(service, failureId ?? null)).toHaveLength(1)
  })
})

test('core 10: an account whose sealed credentials are damaged says so; new credentials end that', async () => {
  const mine = await atDovecot('damaged', ['first'])
  await database.query(`update credentials set sealed = '\\x00' where account_id = $1`, [uuidOf(mine.id)])
  mine.wire.cut()
  const seen = await failing(service, mine.id, { state: 'FAILED', remedy: 'CHANGE_CREDENTIALS' })
  expect(seen.reason).toBe(
    'The credentials of the account cannot be opened: they are damaged, or were sealed with another master key.',
  )
  expect(linesWith(service, seen.failureId)).not.toEqual([])
  await service.ask(
    'mutation ($input: ChangeCredentialsInput!) { changeCredentials(input: $input) { errors { __typename } } }',
    {
      input: { accountId: mine.id, password: PASSWORD },
    },
  )
  await isWell(service, mine.id)
  await mine.end()
})

test('failures: while the database is away the API and readiness say so; afterwards each account stands as it should', async () => {
  const own = await OwnServices.start()
  const apart = await Service.start({ ...own.environment, MAILFOLD_CHECK_INTERVAL: '500' })
  try {
    await dovecot.fill('away', { INBOX: [mail(++made, { subject: 'first' })] })
    const mine = await DisconnectedAccount.connect(apart, dovecot, 'away')
    await own.stopPostgres()
    await mine.other.append('INBOX', mail(++made, { subject: 'second' }))
    const ready = await apart.fetch('/health/ready')
    expect([ready.status, await ready.json()]).toMatchObject([503, { database: false }])
    const answer = await apart.answer('{ accounts { id } }')
    expect(answer.errors).toMatchObject([
      { message: 'The database does not answer.', extensions: { code: 'DATABASE_UNAVAILABLE' } },
    ])
    await own.restartPostgres()
    await until(async () => (await apart.fetch('/health/ready')).status === 200)
    await until(async () => (await mine.shown('INBOX')).length === 2)
    await isWell(apart, mine.id)
    await mine.end()
  } finally {
    await apart.stop()
    await own.stop()
  }
})
