import fc from 'fast-check'
import type { AccountView } from '../../projections/account-views.js'
import { closedPeriodAt, decideNewSchedule, decideSchedule, whyNoSchedule } from './connection-schedule.js'

const OFFICE = { connectAt: '0 8 * * 1-5', disconnectAt: '0 18 * * *', timeZone: 'Europe/Vienna' }

const account = (rest: Partial<AccountView>) =>
  ({ state: 'CONNECTED', since: new Date(0), offlineUntil: null, connectionSchedule: OFFICE, ...rest }) as AccountView

const at = (text: string) => new Date(text)

test('hours are those of the time zone, over its changes too', () => {
  // a Friday in winter, 17:59 and 18:00 in Vienna
  expect(closedPeriodAt(OFFICE, at('2026-11-27T16:59:59.999Z'))).toBeNull()
  const weekend = { since: at('2026-11-27T17:00:00Z'), until: at('2026-11-30T07:00:00Z') }
  expect(closedPeriodAt(OFFICE, at('2026-11-27T17:00:00Z'))).toEqual(weekend)
  // what ends the connection on a day on which there is none begins no other period that matters: it is closed anyway
  expect(closedPeriodAt(OFFICE, at('2026-11-29T20:00:00Z'))).toMatchObject({ until: weekend.until })
  expect(closedPeriodAt(OFFICE, at('2026-11-30T07:00:00Z'))).toBeNull()
  // the clocks are put forward on a Sunday
  expect(closedPeriodAt(OFFICE, at('2026-03-29T12:00:00Z'))).toMatchObject({ until: at('2026-03-30T06:00:00Z') })
  expect(closedPeriodAt(null, at('2026-11-29T20:00:00Z'))).toBeNull()
})

test('every moment is in a period that holds it, or in none', () => {
  const minute = fc.nat(59)
  const hour = fc.nat(23)
  const schedules = fc.record({
    connectAt: fc.tuple(minute, hour).map(([one, other]) => `${one} ${other} * * *`),
    disconnectAt: fc.tuple(minute, hour).map(([one, other]) => `${one} ${other} * * *`),
    timeZone: fc.constantFrom('UTC', 'Europe/Vienna', 'America/New_York', 'Asia/Kathmandu'),
  })
  const moments = fc.date({ min: at('2026-01-01T00:00:00Z'), max: at('2027-12-31T00:00:00Z'), noInvalidDate: true })
  fc.assert(
    fc.property(schedules, moments, (schedule, now) => {
      expect(whyNoSchedule(schedule)).toBeNull()
      const period = closedPeriodAt(schedule, now)
      if (period === null) return
      expect(period.since <= now && now < period.until).toBe(true)
      expect(closedPeriodAt(schedule, period.until)).toBeNull()
      // a day, and what a change of the clocks may add
      expect(period.until.getTime() - period.since.getTime()).toBeLessThanOrEqual(25 * 3_600_000)
    }),
    { numRuns: 300 },
  )
})

test.each([
  ['Europe/Vienna', '2026-03-28T20:00:00Z', '2026-03-30T08:00:00Z'],
  ['Europe/Vienna', '2026-10-24T20:00:00Z', '2026-10-26T08:00:00Z'],
  ['America/New_York', '2026-03-07T20:00:00Z', '2026-03-09T12:00:00Z'],
  ['America/New_York', '2026-10-31T20:00:00Z', '2026-11-02T12:00:00Z'],
])('core 13: where the clocks of %s change, a period ends when it says (from %s to %s)', (timeZone, from, to) => {
  const times = fc.record({ connect: fc.nat(4 * 60 - 1), disconnect: fc.nat(24 * 60 - 1) })
  const moments = fc.date({ min: at(from), max: at(to), noInvalidDate: true })
  const daily = (minutes: number) => `${minutes % 60} ${Math.floor(minutes / 60)} * * *`
  fc.assert(
    fc.property(times, moments, ({ connect, disconnect }, now) => {
      const schedule = { connectAt: daily(connect), disconnectAt: daily(disconnect), timeZone }
      const period = closedPeriodAt(schedule, now)
      if (period === null) return
      expect(period.since <= now && now < period.until).toBe(true)
      expect(closedPeriodAt(schedule, period.until)).toBeNull()
    }),
    { numRuns: 150 },
  )
})

test('what a client says by hand stands until the schedule says something again', () => {
  const now = at('2026-11-27T20:00:00Z')
  const until = '2026-11-30T07:00:00.000Z'
  const offline = [{ type: 'WentOffline', data: { until } }]
  expect(decideSchedule(account({ since: at('2026-11-27T16:00:00Z') }), now)).toEqual(offline)
  // connected after the hours, by hand
  expect(decideSchedule(account({ since: at('2026-11-27T19:00:00Z') }), now)).toEqual([])
  expect(decideSchedule(account({ since: at('2026-11-27T19:00:00Z') }), at('2026-11-28T17:00:00Z'))).toEqual(offline)
  expect(decideSchedule(account({ state: 'OFFLINE' }), now)).toEqual([])
  expect(decideSchedule(account({ state: 'LOGIN_REFUSED' }), now)).toEqual([])
  expect(decideSchedule(account({ connectionSchedule: null }), now)).toEqual([])
})

test('another schedule holds at once', () => {
  const now = at('2026-11-27T20:00:00Z')
  const early = { ...OFFICE, connectAt: '0 6 * * *' }
  const bySchedule = account({ state: 'OFFLINE', offlineUntil: at('2026-11-30T07:00:00Z') })
  const types = (events: { type: string }[]) => events.map(({ type }) => type)
  expect(decideNewSchedule(bySchedule, early, now)).toEqual([
    { type: 'ConnectionScheduleChanged', data: { schedule: early } },
    { type: 'WentOffline', data: { until: '2026-11-28T05:00:00.000Z' } },
  ])
  expect(types(decideNewSchedule(bySchedule, null, now))).toEqual(['ConnectionScheduleChanged', 'WentOnline'])
  expect(types(decideNewSchedule(account({ connectionSchedule: null }), OFFICE, now))).toEqual([
    'ConnectionScheduleChanged',
    'WentOffline',
  ])
  // gone offline by hand
  const byHand = account({ state: 'OFFLINE', offlineUntil: at('2026-12-24T07:00:00Z') })
  expect(types(decideNewSchedule(byHand, null, now))).toEqual(['ConnectionScheduleChanged'])
})

test.each([
  [{ ...OFFICE, timeZone: 'Europe/Atlantis' }, 'timeZone'],
  [{ ...OFFICE, connectAt: '* * * * * *' }, 'connectAt'],
  [{ ...OFFICE, connectAt: '' }, 'connectAt'],
  [{ ...OFFICE, disconnectAt: '0 25 * * *' }, 'disconnectAt'],
  [{ ...OFFICE, disconnectAt: '0 8 31 2 *' }, 'disconnectAt'],
])('a schedule that cannot be is told by its field: %j', (schedule, field) => {
  expect(whyNoSchedule(schedule)).toMatchObject({ field })
})
