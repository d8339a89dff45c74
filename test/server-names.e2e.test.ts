/* Mailboxes of servers that lack one, that name them in their own way, or that take long to say where they stand. */
import { Service } from './support/service.ts'
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
