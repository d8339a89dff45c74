import { HostLimits } from '../src/access-models/host-limits.js'

const bounds = { connections: 2, loginsPerMinute: 3 }

const released = (limits: HostLimits, host: string, now: number) => {
  const slot = limits.take(host, now)
  if ('release' in slot) slot.release()
  return slot
}

test('no more connections to a host at once than its bound, whatever goes on with others', () => {
  const limits = new HostLimits({ ...bounds, loginsPerMinute: 100 })
  const [one, two] = [limits.take('a', 0), limits.take('a', 0)]
  expect(limits.take('a', 0)).toHaveProperty('wait')
  expect(limits.take('b', 0)).toHaveProperty('release')
  for (const slot of [one, two]) if ('release' in slot) slot.release()
  // a place that is given back twice is one place
  if ('release' in one) one.release()
  expect([limits.take('a', 0), limits.take('a', 0)].every((slot) => 'release' in slot)).toBe(true)
  expect(limits.take('a', 0)).toHaveProperty('wait')
})

test('no more logins in any minute than their bound', () => {
  const limits = new HostLimits(bounds)
  for (const now of [0, 20_000, 40_000]) expect(released(limits, 'a', now)).toHaveProperty('release')
  const slot = limits.take('a', 50_000)
  expect('wait' in slot && slot.wait).toBeGreaterThanOrEqual(10_000)
  expect(released(limits, 'a', 60_001)).toHaveProperty('release')
  expect(limits.take('a', 60_002)).toHaveProperty('wait')
})

test('a host that had enough gets half as many for a while, and never none', () => {
  const limits = new HostLimits({ connections: 4, loginsPerMinute: 1_000 })
  const places = (now: number) => {
    const slots = Array.from({ length: 5 }, () => limits.take('a', now))
    for (const slot of slots) if ('release' in slot) slot.release()
    return slots.filter((slot) => 'release' in slot).length
  }
  expect(places(0)).toBe(4)
  limits.refused('a', 1)
  expect(places(2)).toBe(2)
  for (const at of [3, 4, 5]) limits.refused('a', at)
  expect(places(6)).toBe(1)
  expect(places(11 * 60_000)).toBe(4)
})

test('accounts that keep their connections log in without a bound, until the host has had enough of it', () => {
  const limits = new HostLimits(bounds)
  for (let turn = 0; turn < 100; turn++) expect(limits.login('a', turn)).toBe(0)
  // which takes nothing from the collections
  expect(released(limits, 'a', 100)).toHaveProperty('release')
  limits.refused('a', 101)
  for (const now of [102, 103]) expect(limits.login('a', now)).toBe(0)
  expect(limits.login('a', 104)).toBeGreaterThanOrEqual(59_000)
  expect(limits.login('b', 104)).toBe(0)
  expect(limits.login('a', 62_000)).toBe(0)
  expect(limits.login('a', 11 * 60_000)).toBe(0)
})

test('core 13: a host is the same one in any case', () => {
  const limits = new HostLimits({ ...bounds, loginsPerMinute: 100 })
  for (const host of ['mail.example', 'Mail.Example']) expect(limits.take(host, 0)).toHaveProperty('release')
  expect(limits.take('MAIL.EXAMPLE', 0)).toHaveProperty('wait')
})
