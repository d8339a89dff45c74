import fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { buffer } from 'node:stream/consumers'
import { inPieces } from './in-pieces.js'

const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))

test('what is fetched in pieces is what there is, of the range that was asked for, and no more than two pieces are waiting', async () => {
  const property = fc.asyncProperty(
    bytes,
    bytes,
    fc.nat(70),
    fc.option(fc.nat(70)),
    fc.integer({ min: 1, max: 20 }),
    async (all, before, start, length, pieceBytes) => {
      const end = length === null ? null : start + length
      let [fetched, read] = [0, 0]
      const fetch = async (from: number, to: number) => {
        expect(to - from).toBeLessThan(pieceBytes)
        if (end !== null) expect(to).toBeLessThanOrEqual(end)
        expect(fetched++ - read).toBeLessThanOrEqual(2)
        await turn()
        return all.subarray(from, to + 1)
      }
      const { content, first, isAll } = await inPieces(fetch, { start, end, before, pieceBytes })
      const found: Buffer[] = []
      for await (const chunk of content) {
        found.push(chunk as Buffer)
        read++
        await turn()
      }
      const wanted = all.subarray(start, end === null ? undefined : end + 1)
      expect(Buffer.concat(found)).toEqual(Buffer.concat([before, wanted]))
      expect(first).toBe(Math.min(wanted.length, pieceBytes))
      if (isAll) expect(wanted.length).toBe(first)
    },
  )
  await fc.assert(property, { numRuns: 500 })
})

test('a first piece that cannot be had is told at once, and a later one by the stream', async () => {
  await expect(inPieces(() => Promise.reject(new Error('gone')))).rejects.toThrow('gone')
  const { content } = await inPieces(
    (start) => (start === 0 ? Promise.resolve(Buffer.alloc(4)) : Promise.reject(new Error('gone'))),
    { pieceBytes: 4 },
  )
  await expect(buffer(content)).rejects.toThrow('gone')
})
