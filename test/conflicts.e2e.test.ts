import { CONFLICTS, endingOf } from '../src/mailbox/conflicts.js'
import type { ConflictPolicy, OperationKind, ServerChange } from '../src/mailbox/operation.js'
import type { SeenOperation } from './support/disconnected.ts'
import type { MailServer } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { lackingOn, SERVERS } from './support/mail-servers.ts'
import { OperationCase } from './support/operation-case.ts'
import { Service, until } from './support/service.ts'

/** Lines of the table that are tried at once: most of each is waiting. */
const AT_ONCE = 10

let service: Service

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
})

const LINES = (Object.keys(CONFLICTS) as OperationKind[]).flatMap((kind) =>
  (Object.keys(CONFLICTS[kind]) as ServerChange[]).flatMap((change) => {
    const rule = CONFLICTS[kind][change]
    if (rule === 'IMPOSSIBLE') return []
    const policies: ConflictPolicy[] = rule === 'BY_POLICY' ? ['ASK', 'CLIENT_WINS', 'SERVER_WINS'] : ['ASK']
    return policies.map((policy) => ({ kind, change, policy }))
  }),
)

/** A line, and what its server lacks. */
type Tried = (typeof LINES)[number] & { hidden: readonly string[] }

/**
 * Each line on a Dovecot that offers everything, and on a Cyrus that lacks one thing after the other. Each on each takes a quarter of
 * an hour: `MAILFOLD_CASES=all npm test -- test/conflicts`.
 */
function triedOn(server: string): Tried[] {
  return LINES.flatMap((line, index) => lackingOn(server, index).map((hidden) => ({ ...line, hidden })))
}

/** Tries lines of the table, some at once; each fails by its own name. */
function tried(lines: readonly Tried[], tryLine: (line: Tried) => Promise<void>): Map<string, () => Promise<void>> {
  const waiting = lines.map((line) => {
    const lack = line.hidden.length > 0 ? `, without ${line.hidden.join(' and ')}` : ''
    return { line, name: `${line.kind} and ${line.change}, ${line.policy}${lack}` }
  })
  const ends = new Map<string, Promise<Error | null>>()
  const begin = () => {
    let at = 0
    const turns = new Map<string, (end: Error | null) => void>()
    for (const { name } of waiting) ends.set(name, new Promise((resolve) => turns.set(name, resolve)))
    const work = async () => {
      for (let next = waiting[at++]; next; next = waiting[at++]) {
        const { line, name } = next
        await tryLine(line).then(
          () => turns.get(name)?.(null),
          (error: Error) => turns.get(name)?.(error),
        )
      }
    }
    for (let worker = 0; worker < AT_ONCE; worker++) void work()
  }
  return new Map(
    waiting.map(({ name }) => [
      name,
      async () => {
        if (ends.size === 0) begin()
        const error = await ends.get(name)
        if (error) throw error
      },
    ]),
  )
}

async function tryLine(server: MailServer, { kind, change, policy, hidden }: Tried): Promise<void> {
  const each = await OperationCase.begin(service, server, hidden)
  const { mine } = each
  await mine.setPolicy(policy)
  await mine.goOffline()
  const id = await each.ask(kind)
  await each.change(kind, change)
  await mine.goOnline()
  await mine.settled()
  mine.wire.answering = () => null
  const operation = await mine.operation(id)
  const ending = endingOf(kind, change, policy)
  if (ending) {
    // what was to be deleted in a mailbox is gone with it
    const isGoneAlong = kind === 'DELETE' && change === 'MAILBOX_DELETED'
    expect(operation).toMatchObject({ state: ending.outcome, reason: isGoneAlong ? 'MESSAGE_GONE' : change })
    // nothing of the message was kept here, so there is nothing to restore it from
    expect(operation.offers).toEqual(ending.offers.filter((offer) => offer !== 'RESTORE'))
  } else expect(operation).toMatchObject({ state: 'APPLIED', reason: null })

  // what a client wrote is kept here until it says what to do with it
  if (operation.state === 'REJECTED' && (kind === 'APPEND' || kind === 'CREATE_MAILBOX')) {
    const discarded = await mine.answer(id, 'DISCARD')
    expect(discarded.errors).toEqual([])
  }
  await mine.syncNow()
  await until(async () => {
    const { shown, there } = await each.sides()
    return JSON.stringify(shown) === JSON.stringify(there)
  }).catch(async () => {
    const { shown, there } = await each.sides()
    expect(shown).toEqual(there)
  })
  await mine.end()
}

/** The outcome of an operation that is uploaded in a session of its own: a server looks at rights when one begins. */
async function outcomeOf(each: OperationCase, kind: OperationKind): Promise<SeenOperation> {
  await each.mine.goOffline()
  const id = await each.ask(kind)
  await each.mine.upload()
  return each.mine.operation(id)
}

describe.each(SERVERS)('on $name', ({ name, start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start(true)
  })
  afterAll(() => server?.stop())

  describe('each line of the conflict table', () => {
    const lines = tried(triedOn(name), (line) => tryLine(server, line))
    test.each([...lines.keys()])('%s', async (name) => lines.get(name)?.(), 120_000)
  })

  test('what its user may only read stays as it is, and nothing is put where it may not be', async () => {
    const each = await OperationCase.begin(service, server)
    await each.allow('Home', 'lr')
    expect(await outcomeOf(each, 'CHANGE_FLAGS')).toMatchObject({ state: 'REJECTED', reason: 'NO_PERMISSION' })
    expect((await each.mine.message('m')).flags).toEqual([])
    await each.allow('Work', 'lr')
    const append = await outcomeOf(each, 'APPEND')
    expect(append).toMatchObject({ state: 'REJECTED', reason: 'NO_PERMISSION', offers: ['RETRY', 'DISCARD'] })
    expect((await each.mine.message('new')).mailbox.path).toBe('Work')
    await each.mine.end()
  })

  test('a message for which there is no room is kept here, and goes when there is some', async () => {
    const each = await OperationCase.begin(service, server)
    const { mine } = each
    const large = mail(8001, { subject: 'large', body: 'x'.repeat(30_000) })
    await mine.append('Else', large)
    const second = await mine.append('Work', large.replace('large', 'more'))
    await mine.settled()
    expect(await mine.operation(second.id)).toMatchObject({ state: 'REJECTED', reason: 'OVER_QUOTA' })
    const kept = await mine.message('more')
    expect(kept.uid).toBeNull()
    await mine.delete([(await mine.message('large')).id], true)
    await mine.settled()
    const retried = await mine.answer(second.id, 'RETRY')
    expect(retried.errors).toEqual([])
    await mine.settled()
    expect((await mine.message('more')).id).toBe(kept.id)
    expect((await mine.onServer('Work')).map(({ subject }) => subject)).toEqual(['Work', 'more'])
    expect((await mine.answer(second.id, 'RETRY')).errors).toMatchObject([{ __typename: 'NotOffered' }])
    await mine.end()
  })

  test('a message that is gone is put back from what is kept here, byte for byte', async () => {
    const each = await OperationCase.begin(service, server)
    const { mine } = each
    const { messages } = await service.ask<{ messages: { rawUrl: string } }>(
      'query ($id: ID!) { messages: message(id: $id) { rawUrl } }',
      { id: (await mine.message('m')).id },
    )
    const raw = Buffer.from(await (await service.fetch(messages.rawUrl)).arrayBuffer())
    await mine.goOffline()
    const id = await each.ask('MOVE')
    await each.change('MOVE', 'MESSAGE_GONE')
    await mine.upload()
    expect(await mine.operation(id)).toMatchObject({ state: 'REJECTED', offers: ['RESTORE', 'DISCARD'] })
    expect((await mine.answer(id, 'RESTORE')).errors).toEqual([])
    await mine.settled()
    const lock = await mine.other.getMailboxLock('Work')
    const found = await mine.other.fetchAll('1:*', { source: true, envelope: true })
    lock.release()
    expect(found.find(({ envelope }) => envelope?.subject === 'm')?.source?.equals(raw)).toBe(true)
    await mine.end()
  })

  test('what was asked about is done when it is tried again', async () => {
    const each = await OperationCase.begin(service, server)
    const { mine } = each
    await mine.goOffline()
    const id = await each.ask('MOVE')
    await each.change('MOVE', 'MOVED_ELSEWHERE')
    await mine.upload()
    expect(await mine.operation(id)).toMatchObject({
      state: 'REJECTED',
      reason: 'MOVED_ELSEWHERE',
      offers: ['RETRY', 'DISCARD'],
    })
    expect((await mine.message('m')).mailbox.path).toBe('Else')
    expect((await mine.answer(id, 'RETRY')).operation).toMatchObject({ kind: 'MOVE' })
    await mine.settled()
    expect((await mine.onServer('Work')).map(({ subject }) => subject)).toEqual(['Work', 'm'])
    await mine.end()
  })
})
