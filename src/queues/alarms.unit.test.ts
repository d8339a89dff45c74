import { jest } from '@jest/globals'
import { reconnectPause } from '../mailbox/reconnect.js'
import type { AccountModel } from '../projections/account-views.js'
import { Alarms } from './alarms.js'

const account: AccountModel = { accountId: 'a', model: 'DISCONNECTED' }
const asked: string[] = []

beforeEach(() => {
  jest.useFakeTimers()
  asked.length = 0
})
afterEach(() => jest.useRealTimers())

const note = ({ accountId }: AccountModel) => void asked.push(accountId)

test('core 8: a retry that is asked for while the one before it runs comes after its own pause', () => {
  const at: number[] = []
  let failures = 0
  const alarms: Alarms = new Alarms(() => {
    at.push(Math.round(performance.now() / 1_000))
    // the job fails while it still counts as running
    alarms.later(account, reconnectPause(++failures, 1))
  })
  const began = Math.round(performance.now() / 1_000)
  alarms.later(account)
  jest.advanceTimersByTime(40_000)
  expect(at.map((second) => second - began)).toEqual([0, 1, 3, 7, 15, 31])
  alarms.stop()
})

test('an earlier moment takes the place of a later one, and each account has its own', () => {
  const alarms = new Alarms(note)
  alarms.later(account, 60_000)
  alarms.later(account, 1_000)
  alarms.later(account, 30_000)
  alarms.later({ ...account, accountId: 'b' }, 2_000)
  jest.advanceTimersByTime(1_500)
  expect(asked).toEqual(['a'])
  jest.advanceTimersByTime(100_000)
  expect(asked).toEqual(['a', 'b'])
})

test('a pause longer than a timer can be asks early, and nothing is asked for after a stop', () => {
  const alarms = new Alarms(note)
  alarms.later(account, 2 ** 40)
  jest.advanceTimersByTime(1)
  expect(asked).toEqual([])
  jest.advanceTimersByTime(2 ** 31)
  expect(asked).toEqual(['a'])
  alarms.later(account, 10)
  alarms.stop()
  alarms.later(account)
  jest.advanceTimersByTime(100)
  expect(asked).toEqual(['a'])
})
