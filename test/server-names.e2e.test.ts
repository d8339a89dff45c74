/* Mailboxes of servers that lack one, that name them in their own way, or that take long to say where they stand. */
import { decodePath, encodePath } from 'imapflow/lib/tools.js'
import { PASSWORD } from './support/imap-server.ts'
import { Service, until } from './support/service.ts'
import { ScriptedMailboxes } from './support/scripted-mailboxes.ts'

let service: Service

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '500', MAILFOLD_HOST_LOGINS: '100000' })
})

afterAll(async () => {
  await service?.stop()
})

describe('a server without Trash', () => {
  test.each(['DISCONNECTED', 'ONLINE'] as const)('gets one with the first deletion (%s)', async (model) => {
    const scripted = await ScriptedMailboxes.start({ INBOX: ['first', 'second', 'third'] })
    const mine = await scripted.account(service, model)
    if ('session' in mine) await (mine as { session(): Promise<string> }).session()
    const { id } = await mine.delete([(await mine.message('first')).id])
    await mine.settled()
    expect(await mine.operation(id)).toMatchObject({ kind: 'DELETE', state: 'APPLIED', reason: null })
    expect(scripted.mailboxes.get('Trash')).toMatchObject([{ subject: 'first' }])
    const second = await mine.delete([(await mine.message('second')).id])
    await mine.settled()
    expect(await mine.operation(second.id)).toMatchObject({ state: 'APPLIED' })
    expect((await mine.shown('Trash')).map(({ subject }) => subject)).toEqual(['first', 'second'])
    expect(scripted.asked(/^CREATE/)).toBe(1)
    await mine.end()
    scripted.server.stop()
  })

  test.each(['DISCONNECTED', 'ONLINE'] as const)('may not want one: the deletion is rejected (%s)', async (model) => {
    const refused = { command: /^CREATE/, answer: 'NO [NOPERM] not here' }
    const scripted = await ScriptedMailboxes.start({ INBOX: ['first', 'second'] }, { refused })
    const mine = await scripted.account(service, model)
    if ('session' in mine) await (mine as { session(): Promise<string> }).session()
    for (const times of [1, 2]) {
      const { id } = await mine.delete([(await mine.message('first')).id])
      await mine.settled()
      expect(await mine.operation(id)).toMatchObject({ state: 'REJECTED', reason: 'NO_PERMISSION' })
      expect(await mine.message('first')).toMatchObject({ mailbox: { path: 'INBOX' }, pendingOperations: [] })
      // it is asked again with each deletion: it may let one be made by then
      expect(scripted.asked(/^CREATE/)).toBe(times)
    }
    await mine.end()
    scripted.server.stop()
  })
})

describe.each<[string, (wanted: string) => string, string, string]>([
  ['loses quotes', (name) => name.replaceAll('"', ''), 'The "new" one', 'The new one'],
  ['trims', (name) => name.trim(), 'New one ', 'New one'],
  ['normalises', (name) => name.normalize('NFC'), 'Ga\u0308ste', 'G\u00e4ste'],
  ['replaces what it does not know', (name) => name.replaceAll(/[^ -~]/g, '?'), 'Fun \u{1f600}', 'Fun ??'],
])('a server that %s', (_, named, wanted, name) => {
  // the server speaks UTF-7 for what is beyond ASCII (RFC 3501 §5.1.3)
  const rev1 = { enabled: new Set(), capabilities: new Map() } as never
  const asSent = (path: string) => encodePath(rev1, path)
  const made = (path: string) => asSent(named(decodePath(rev1, path)))

  test.each([false, true])('makes a mailbox under another name (the same on asking: %s)', async (isNamedOnAsking) => {
    const scripted = await ScriptedMailboxes.start({ INBOX: ['m'] }, { named: made, isNamedOnAsking })
    const mine = await scripted.account(service)
    const created = await mine.create(wanted)
    const moved = await mine.move([(await mine.message('m')).id], wanted)
    await mine.settled(10_000)
    expect(await mine.operation(created.id)).toMatchObject({ state: 'APPLIED', reason: null })
    expect(await mine.operation(moved.id)).toMatchObject({ state: 'APPLIED', reason: null })
    const { mailboxes } = await mine.state()
    expect(mailboxes.filter(({ path }) => path !== 'INBOX')).toMatchObject([
      { id: created.mailbox?.id, path: name, isPending: false, isSubscribed: true },
    ])
    expect(scripted.mailboxes.get(asSent(name))).toMatchObject([{ subject: 'm' }])
    expect(scripted.asked(/^CREATE/)).toBe(1)
    await mine.end()
    scripted.server.stop()
  })

  test('renames a mailbox to another name', async () => {
    const scripted = await ScriptedMailboxes.start({ INBOX: [], Home: ['m'], 'Home/Below': ['n'] }, { named: made })
    scripted.subscribed.add('Home')
    const mine = await scripted.account(service)
    await until(async () => (await mine.state()).mailboxes.some(({ isSubscribed }) => isSubscribed))
    const mailboxId = await mine.mailbox('Home')
    const renamed = await mine.ask('renameMailbox', 'RenameMailboxInput', { mailboxId, path: wanted })
    const flagged = await mine.move([(await mine.message('m')).id], 'INBOX')
    await mine.settled(10_000)
    expect(await mine.operation(renamed.id)).toMatchObject({ state: 'APPLIED', reason: null })
    expect(await mine.operation(flagged.id)).toMatchObject({ state: 'APPLIED', reason: null })
    const { mailboxes } = await mine.state()
    expect(mailboxes.find(({ id }) => id === mailboxId)).toMatchObject({ path: name, isPending: false })
    expect(scripted.asked(/^RENAME/)).toBe(1)
    await mine.end()
    scripted.server.stop()
  })
})

test.each([false, true])('a server that says OK to CREATE and makes nothing: an outcome (%s)', async (isSoSaid) => {
  const scripted = await ScriptedMailboxes.start(
    { INBOX: ['m'] },
    { ignored: isSoSaid ? /^(CREATE|SUBSCRIBE)/ : /^CREATE/ },
  )
  const mine = await scripted.account(service)
  const created = await mine.create('New')
  const moved = await mine.move([(await mine.message('m')).id], 'New')
  await mine.settled(10_000)
  expect(await mine.operation(created.id)).toMatchObject({ state: 'REJECTED', reason: 'SERVER_REFUSED' })
  expect(await mine.operation(moved.id)).toMatchObject({ state: 'REJECTED' })
  expect(await mine.message('m')).toMatchObject({ mailbox: { path: 'INBOX' } })
  await mine.end()
  scripted.server.stop()
})

test('no check comes between the pieces of a first sync, however long one takes', async () => {
  const paths = Array.from({ length: 12 }, (_, number) => `Box ${number + 10}`)
  const mailboxes = Object.fromEntries(['INBOX', ...paths].map((path) => [path, [`in ${path}`]]))
  const scripted = await ScriptedMailboxes.start(mailboxes, { statusTakes: 60, fetchTakes: 120 })
  const input = {
    host: '127.0.0.1',
    port: scripted.server.port,
    security: 'PLAINTEXT',
    username: 'slow',
    password: PASSWORD,
  }
  const id = await service.connect({ ...input, model: 'DISCONNECTED' })
  const query = 'query ($id: ID!) { account(id: $id) { progress { isComplete } } }'
  const isComplete = async () =>
    (await service.ask<{ account: { progress: { isComplete: boolean } } }>(query, { id })).account.progress.isComplete
  // each of these jobs has the one before put down
  while (!(await isComplete()))
    await service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id })
  // INBOX is looked at meanwhile: for what is new, by n:*
  const isFirstReading = (command: string) => /^UID FETCH \d+ .*HEADER\.FIELDS/i.test(command)
  const reading = scripted.commands.slice(0, scripted.commands.findLastIndex(isFirstReading))
  expect(reading.filter(isFirstReading)).toHaveLength(12)
  expect(reading.filter((command) => /^STATUS/.test(command))).toHaveLength(13)
  // and then they come again
  const before = scripted.asked(/^STATUS/)
  await until(() => scripted.asked(/^STATUS/) >= before + 13)
  scripted.server.stop()
})
