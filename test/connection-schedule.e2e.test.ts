import { DisconnectedAccount } from './support/disconnected.ts'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
import { Service, until } from './support/service.ts'

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

test('by its schedule an account goes offline, and what is asked for meanwhile waits until it has a connection again', async () => {
  await dovecot.fill('scheduled', { INBOX: [mail(1, { subject: '0' })] })
  const mine = await DisconnectedAccount.connect(service, dovecot, 'scheduled')
  const set = (schedule: object | null) =>
    service.ask<{ setConnectionSchedule: { account: object; errors: object[] } }>(
      `mutation ($input: SetConnectionScheduleInput!) { setConnectionSchedule(input: $input) {
          account { connectionSchedule { connectAt disconnectAt timeZone } } errors { __typename } } }`,
      { input: { accountId: mine.id, schedule } },
    )
  expect(await set({ connectAt: 'at eight', disconnectAt: '0 18 * * *' })).toMatchObject({
    setConnectionSchedule: { account: null, errors: [{ __typename: 'InvalidSettings' }] },
  })
  // it is connected now, and not from the next minute on
  const next = new Date(Math.ceil(Date.now() / 60_000) * 60_000)
  const disconnectAt = `${next.getUTCMinutes()} ${next.getUTCHours()} * * *`
  const month = 1 + ((next.getUTCMonth() + 6) % 12)
  const schedule = { connectAt: `0 0 1 ${month} *`, disconnectAt, timeZone: 'UTC' }
  expect(await set(schedule)).toEqual({
    setConnectionSchedule: { account: { connectionSchedule: schedule }, errors: [] },
  })
  const state = async () => (await mine.state()).connection
  // yesterday's end of the connection is later than the last beginning
  await until(async () => (await state()).state === 'OFFLINE')
  expect((await state()).offlineUntil).toMatch(new RegExp(`-${String(month).padStart(2, '0')}-01T00:00:00`))
  const { id } = await mine.flags([(await mine.message('0')).id], ['\\Flagged'])
  expect((await mine.operation(id)).state).toBe('PENDING')
  await mine.goOnline()
  await until(async () => (await mine.operation(id)).state === 'APPLIED')
  // until the schedule says so again
  await until(async () => (await state()).state === 'OFFLINE')
  await set(null)
  await until(async () => (await state()).state === 'CONNECTED')
  await mine.end()
})
