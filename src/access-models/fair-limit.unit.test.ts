import fc from 'fast-check'
import { FairLimit } from './fair-limit.js'

/** A work that goes on until it is told to end. */
function work(limit: FairLimit, key: string, begun: string[], isRefused = false) {
  const end = Promise.withResolvers<void>()
  const done = limit
    .run(key, async () => {
      begun.push(key)
      await end.promise
      if (isRefused) throw new Error('refused')
    })
    .catch(() => undefined)
  return { end: end.resolve, done, key }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('core 4: a thousand works that hang under one key hold up no work of another', async () => {
  const limit = new FairLimit(50, 10)
  const begun: string[] = []
  for (let count = 0; count < 1_000; count++) work(limit, 'hanging', begun)
  const healthy = work(limit, 'healthy', begun)
  await settle()
  expect([begun.filter((key) => key === 'hanging').length, begun.at(-1)]).toEqual([10, 'healthy'])
  healthy.end()
  await healthy.done
  expect(limit.count('healthy')).toBe(0)
})

test('whatever begins and ends in whatever order: no bound is passed, every work is done, and keys take turns', async () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), isRefused: fc.boolean(), ends: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const limit = new FairLimit(3, 2)
      const begun: string[] = []
      const works: ReturnType<typeof work>[] = []
      const open: ReturnType<typeof work>[] = []
      const check = () => {
        const running = [...begun]
        for (const each of works.filter((one) => !open.includes(one))) running.splice(running.indexOf(each.key), 1)
        expect(running.length).toBeLessThanOrEqual(3)
        for (const key of 'abcd') expect(running.filter((one) => one === key).length).toBeLessThanOrEqual(2)
      }
      for (const { key, isRefused, ends } of steps) {
        const made = work(limit, key, begun, isRefused)
        works.push(made)
        open.push(made)
        await settle()
        for (const each of open.splice(0, ends)) {
          each.end()
          await each.done
        }
        await settle()
        check()
      }
      for (const each of open) each.end()
      await Promise.all(works.map(({ done }) => done))
      expect(begun).toHaveLength(steps.length)
    }),
    { numRuns: 100 },
  )
})
