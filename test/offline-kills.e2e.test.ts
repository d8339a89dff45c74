/* The service is killed at every step, while accounts of all protocols and policies are in the middle of a run. */
import { holds, prepared, putAway, TABLE } from './support/broken.ts'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service, until } from './support/service.ts'

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

test('a service that is killed at any step, with every protocol and policy, loses nothing and doubles nothing', async () => {
  const rounds = 5
  let held = 0
  for (let round = 0; round < rounds; round++) {
    const all = await Promise.all(TABLE.map(async (each) => ({ each, made: await prepared(dovecot, service, each) })))
    // each account's run is held at another place, from its first answer to its last
    for (const [index, { made, each }] of all.entries()) {
      const length = (made.wire.said.at(-1)?.length ?? 0) * (each.protocol === 'POP3' ? 0.75 : 1)
      made.wire.arm({ at: 1 + Math.round((length * (round + index / all.length)) / rounds), how: 'hold' })
      await made.account.syncNow()
    }
    await until(() => all.every(({ made: { wire } }) => wire.struck || (wire.said.length > 2 && !wire.isOpen)))
    held += all.filter(({ made }) => made.wire.struck).length
    await service.end('SIGKILL')
    for (const { made } of all) made.wire.cut()
    await service.launch()
    for (const { made } of all) await made.account.syncNow()
    await Promise.all(all.map(({ made, each }) => holds(made, each)))
    await Promise.all(all.map(({ made }) => putAway(made)))
  }
  expect(held).toBeGreaterThan(rounds * TABLE.length * 0.6)
})

test('a service that is stopped in the middle of a collection ends in time, without a complaint, and goes on from there', async () => {
  const count = 3_000
  await fillMaildir(dovecot.mailOf('stopped'), null, count, (number) => mail(number, { body: 'x'.repeat(9_000) }))
  const server = {
    host: '127.0.0.1',
    port: dovecot.pop3Port,
    security: 'PLAINTEXT',
    username: 'stopped',
    password: PASSWORD,
  }
  const id = await service.connect({ model: 'OFFLINE', protocol: 'POP3', ...server })
  const progress = async () => {
    type Answer = { account: { progress: { done: number; isComplete: boolean } } }
    return (await service.ask<Answer>('query ($id: ID!) { account(id: $id) { progress { done isComplete } } }', { id }))
      .account.progress
  }
  for (let stop = 0; stop < 3; stop++) {
    const { done } = await progress()
    await until(async () => (await progress()).done > done || (await progress()).isComplete)
    const { code } = await service.end('SIGTERM')
    expect([code, service.said()]).toEqual([0, ''])
    await service.launch()
  }
  await service.synced(id)
  expect(await progress()).toEqual({ done: count, isComplete: true })
})
