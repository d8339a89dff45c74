import { HostLimits } from '../src/access-models/offline/host-limits.js'

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
