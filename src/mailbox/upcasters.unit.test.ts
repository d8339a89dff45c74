import { readdirSync, readFileSync } from 'node:fs'
import { EVENT_SHAPES } from './event-shapes.js'
import { UnknownEvent, upcast, type StoredEvent, type Upcasters } from './upcasters.js'

const FIXTURES = 'test/fixtures/events'
const logs = readdirSync(FIXTURES).map((name) => ({
  name,
  stored: JSON.parse(readFileSync(`${FIXTURES}/${name}`, 'utf8')) as StoredEvent[],
}))
const all = logs.flatMap(({ stored }) => stored)

const keysOf = (data: unknown) => Object.keys(data as object).sort()

test('of every event, in every shape that it ever had, there is one in a stored log', () => {
  const known = new Set(all.map(({ type, shape }) => `${type} ${shape}`))
  const needed = Object.entries(EVENT_SHAPES).flatMap(([type, present]) =>
    Array.from({ length: present }, (_, before) => `${type} ${before + 1}`),
  )
  expect([...known].sort()).toEqual(needed.sort())
})

test.each(logs)('the log of $name is read in the present shapes', ({ stored }) => {
  for (const event of stored) {
    const present = all.find(({ type, shape }) => type === event.type && shape === EVENT_SHAPES[type as never])
    // optional fields may come on top
    expect([event.type, keysOf(upcast(event).data)]).toEqual([
      event.type,
      expect.arrayContaining(keysOf(present?.data)),
    ])
  }
})

describe('an event in an earlier shape', () => {
  const shapes = { ConnectionLost: 3 }
  const upcasters: Upcasters = {
    ConnectionLost: [
      ({ why }: { why: string }) => ({ reason: why }),
      ({ reason }: { reason: string }) => ({ reason, since: null }),
    ],
  }

  test.each([
    [1, { why: 'cable' }],
    [2, { reason: 'cable' }],
    [3, { reason: 'cable', since: null }],
  ])('goes through every shape from its own, %i, on', (shape, data) => {
    const stored = { type: 'ConnectionLost', shape, data }
    expect(upcast(stored, shapes, upcasters)).toEqual({
      type: 'ConnectionLost',
      data: { reason: 'cable', since: null },
    })
  })

  test('for which there is no step is an error, and so is one that a newer version wrote', () => {
    const upcastOf = (type: string, shape: number) => () => upcast({ type, shape, data: {} }, shapes, {})
    expect(upcastOf('ConnectionLost', 1)).toThrow(UnknownEvent)
    expect(upcastOf('ConnectionLost', 4)).toThrow(UnknownEvent)
    expect(upcastOf('CableCut', 1)).toThrow(UnknownEvent)
  })
})
