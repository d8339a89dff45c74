/* The connection is cut after every answer of the server and in the middle of each, for each protocol and policy. */
import { holds, prepared, putAway, TABLE } from './support/broken.ts'
import { Dovecot } from './support/dovecot.ts'
import { Service, until } from './support/service.ts'
import { stepsOf } from './support/wire.ts'

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_HOST_LOGINS: '100000', MAILFOLD_HOST_CONNECTIONS: '100' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

const POLICIES = [...new Set(TABLE.map(({ policy }) => policy))]

describe.each(TABLE)('over $protocol, with the policy $policy', (each) => {
  // what comes before anything is deleted is the same whatever the policy: each has its share of those steps
  const share = POLICIES.indexOf(each.policy)
  let steps: number[] = []

  test('a run that nothing breaks does what the policy says', async () => {
    const made = await prepared(dovecot, service, each)
    const sessions = made.wire.said.length
    await made.account.syncNow()
    await holds(made, each)
    await until(() => made.wire.said.length > sessions)
    steps = stepsOf(made.wire.said[sessions] ?? '', each.protocol)
    expect(steps.length).toBeGreaterThan(10)
    await putAway(made)
  })

  test('a connection that is cut after an answer, or in the middle of one, loses nothing and doubles nothing', async () => {
    const chosen = steps.filter((_, index) => index > steps.length / 2 || index % POLICIES.length === share)
    const all = await Promise.all(chosen.map(async (at) => ({ at, made: await prepared(dovecot, service, each) })))
    for (const { at, made } of all) {
      made.wire.arm({ at, how: 'cut' })
      await made.account.syncNow()
    }
    // a step at the very end may come after the session is over
    await until(() => all.filter(({ made }) => made.wire.struck).length >= all.length - 2)
    await Promise.all(all.map(({ made }) => holds(made, each)))
    await Promise.all(all.map(({ made }) => putAway(made)))
  })
})
