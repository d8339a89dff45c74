import { CONFLICTS, endingOf } from '../src/mailbox/conflicts.js'
import type { ConflictPolicy, OperationKind, ServerChange } from '../src/mailbox/operation.js'
import { Dovecot } from './support/dovecot.ts'
import { OperationCase } from './support/operation-case.ts'
import { Service, until } from './support/service.ts'

/** Lines of the table that are tried at once: most of each is waiting. */
const AT_ONCE = 6

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start(`
    protocol imap {
      mail_plugins = acl quota
    }
    plugin {
      acl = vfile
      quota = count:User quota
      quota_vsizes = yes
      quota_rule = *:storage=50K
    }`)
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const LINES = (Object.keys(CONFLICTS) as OperationKind[]).flatMap((kind) =>
  (Object.keys(CONFLICTS[kind]) as ServerChange[]).flatMap((change) => {
    const rule = CONFLICTS[kind][change]
    if (rule === 'IMPOSSIBLE') return []
    const policies: ConflictPolicy[] = rule === 'BY_POLICY' ? ['ASK', 'CLIENT_WINS', 'SERVER_WINS'] : ['ASK']
    return policies.map((policy) => ({ kind, change, policy }))
  }),
)

/** Tries lines of the table, some at once; each fails by its own name. */
function tried(lines: readonly (typeof LINES)[number][]): Map<string, () => Promise<void>> {
  const waiting = lines.map((line) => ({ line, name: `${line.kind} and ${line.change}, ${line.policy}` }))
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

async function tryLine({ kind, change, policy }: (typeof LINES)[number]): Promise<void> {
  const each = await OperationCase.begin(service, dovecot)
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
  }, 10_000).catch(async () => {
    const { shown, there } = await each.sides()
    expect(shown).toEqual(there)
  })
  await mine.end()
}

describe('each line of the conflict table, on a real server', () => {
  const lines = tried(LINES)
  test.each([...lines.keys()])('%s', async (name) => lines.get(name)?.(), 120_000)
})
