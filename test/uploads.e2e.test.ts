import { OperationCase } from './support/operation-case.ts'
import type { MailServer } from './support/imap-server.ts'
import { SERVERS } from './support/mail-servers.ts'
import { Service, until } from './support/service.ts'

let service: Service

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
