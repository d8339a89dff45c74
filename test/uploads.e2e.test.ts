import { DisconnectedAccount } from './support/disconnected.ts'
import { mail } from './support/mail.ts'
import { OperationCase } from './support/operation-case.ts'
import type { MailServer } from './support/imap-server.ts'
import { SERVERS } from './support/mail-servers.ts'
import { Service, until } from './support/service.ts'

let service: Service
let users = 0

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
})

/** What a server may lack that bears on how a change of flags is noticed. */
const LACKS: readonly (readonly string[])[] = [[], ['QRESYNC', 'CONDSTORE'], ['LIST-STATUS'], ['UIDPLUS']]

/** Does something before the first command that matches goes on to the server. */
function once(matching: RegExp, work: () => Promise<void>): (command: string) => Promise<void> | null {
  let isDone = false
  return (command) => {
    if (isDone || !matching.test(command)) return null
    isDone = true
    return work()
  }
}

describe.each(SERVERS)('on $name', ({ start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  test.each(LACKS)(
    'what another client marks while its deletion is on the way is not deleted (without %s %s)',
    async (...lack) => {
      const each = await OperationCase.begin(service, server, lack)
      const { mine } = each
      await mine.goOffline()
      const id = await each.ask('DELETE')
      // all that Mailfold looks at before it deletes has been looked at by then
      mine.wire.meanwhile = once(/^UID STORE .*\\Deleted/, () => each.change('DELETE', 'FLAGS_CHANGED'))
      await mine.upload()
      expect(await mine.operation(id)).toMatchObject({ state: 'REJECTED', reason: 'FLAGS_CHANGED' })
      expect(await mine.onServer('Home')).toEqual([{ subject: 'm', flags: ['\\Flagged'] }])
      expect(await mine.shown('Home')).toMatchObject([{ subject: 'm', flags: ['\\Flagged'] }])
      await mine.end()
    },
  )

  test('what another client marks is noticed also where something else is asked of the server right after the look', async () => {
    const each = await OperationCase.begin(service, server)
    const { mine } = each
    const { id: other } = await mine.message('Else')
    await mine.goOffline()
    const id = await each.ask('DELETE')
    await each.change('DELETE', 'FLAGS_CHANGED')
    let read: Promise<unknown> = Promise.resolve()
    mine.wire.meanwhile = once(/^UID FETCH .*CHANGEDSINCE/, async () => {
      read = mine.read(other)
      // by then it waits for its turn, and the upload is put down for it
      for (let rounds = 0; rounds < 20; rounds++) await mine.state()
    })
    await mine.upload()
    await read
    expect(await mine.operation(id)).toMatchObject({ state: 'REJECTED', reason: 'FLAGS_CHANGED' })
    expect(await mine.onServer('Home')).toEqual([{ subject: 'm', flags: ['\\Flagged'] }])
    await mine.end()
  })

  describe.each([[[]], [['QRESYNC', 'CONDSTORE']]])('without %j', (lack: string[]) => {
    test.each([1, 20, 60, 300])('flags that are set and taken away from %i messages go once each', async (count) => {
      const user = `flags${++users}`
      // UIDs that are not sequence numbers, and a mailbox of others beside it
      const messages = Array.from({ length: count + 2 }, (_, index) =>
        mail(users * 1000 + index, { subject: `m${index}` }),
      )
      await server.fill(user, { Other: messages.slice(0, 2), Home: messages })
      const other = await server.client(user)
      const lock = await other.getMailboxLock('Home')
      await other.messageFlagsAdd('1:*', ['\\Seen', 'old'])
      await other.messageDelete('1:2')
      lock.release()
      await other.logout()
      const mine = await DisconnectedAccount.connect(service, server, user, lack)
      const ids = (await mine.shown('Home')).map(({ id }) => id)
      expect(ids).toHaveLength(count)
      await mine.goOffline()
      const before = mine.wire.asked.length
      const asked = [
        await mine.flags(ids, ['\\Flagged', 'new'], ['\\Seen', 'old']),
        await mine.flags(ids, ['\\Answered', 'gone']),
        await mine.flags(ids, ['work'], ['gone']),
      ]
      await mine.upload()
      for (const { id } of asked)
        expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED', reason: null, rejectedCount: 0 })
      const flags = ['\\Answered', '\\Flagged', 'new', 'work']
      for (const each of await mine.onServer('Home')) expect(each.flags).toEqual(flags)
      for (const each of await mine.shown('Home')) expect([...each.flags].sort()).toEqual(flags)
      const stores =
        mine.wire.asked
          .slice(before)
          .join('')
          .match(/UID STORE [^\r]*/g) ?? []
      expect(stores).toHaveLength(2)
      await mine.end()
    })
  })

  test('flags that are changed while others of the same messages are on the way all come about', async () => {
    const user = `flags${++users}`
    const messages = Array.from({ length: 60 }, (_, index) => mail(users * 1000 + index, { subject: `m${index}` }))
    await server.fill(user, { Home: messages })
    const mine = await DisconnectedAccount.connect(service, server, user)
    const ids = (await mine.shown('Home')).map(({ id }) => id)
    const asked: { id: string }[] = []
    for (const [index, flag] of ['\\Seen', '\\Flagged', 'one', 'two', 'three', 'four'].entries())
      asked.push(await mine.flags(ids.slice(index), [flag], index > 0 ? ['\\Seen'] : []))
    await mine.settled()
    for (const { id } of asked) expect(['APPLIED', 'SUPERSEDED']).toContain((await mine.operation(id)).state)
    const shown = (await mine.shown('Home')).map(({ subject, flags }) => ({ subject, flags: [...flags].sort() }))
    expect(await mine.onServer('Home')).toEqual(shown)
    expect(shown.find(({ subject }) => subject === 'm9')?.flags).toContain('four')
    await mine.end()
  })

  test('nothing is told over a connection that was made while its account went offline', async () => {
    const each = await OperationCase.begin(service, server)
    const { mine } = each
    await mine.goOffline()
    const id = await each.ask('CHANGE_FLAGS')
    let isOffline = false
    mine.wire.meanwhile = once(/^(LOGIN|AUTHENTICATE) /, async () => {
      await mine.requestOffline()
      isOffline = true
    })
    await mine.goOnline()
    await until(() => isOffline)
    await until(() => !mine.wire.isOpen)
    expect(await mine.operation(id)).toMatchObject({ state: 'PENDING' })
    expect(mine.wire.asked.join('')).not.toMatch(/UID STORE/)
    await mine.upload()
    expect(await mine.operation(id)).toMatchObject({ state: 'APPLIED' })
    await mine.end()
  })
})
