import fc from 'fast-check'
import { formatUidSet, newestFirst, parseUidSet, uidCount, uidSetOf, uidsOf, withoutUids } from './uid-set.js'

const uids = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { maxLength: 120 })

test('a set holds the UIDs that it was made of, ascending, each once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 })), (list) => {
      expect(uidsOf(uidSetOf(list))).toEqual([...new Set(list)].sort((one, other) => one - other))
    }),
  )
})

test('runs neither touch nor overlap, so that a set has one form', () => {
  fc.assert(
    fc.property(uids, (list) => {
      const set = uidSetOf(list)
      for (let at = 1; at < set.length; at++) expect(set[at]![0]).toBeGreaterThan(set[at - 1]![1] + 1)
    }),
  )
})

test('what is taken away is gone, and nothing else', () => {
  fc.assert(
    fc.property(uids, uids, (list, removed) => {
      const rest = withoutUids(uidSetOf(list), uidSetOf(removed))
      const expected = list.filter((uid) => !removed.includes(uid))
      expect(rest).toEqual(uidSetOf(expected))
      expect(uidCount(rest)).toBe(expected.length)
    }),
  )
})

test('pieces come newest first, none larger than asked, and hold everything once', () => {
  fc.assert(
    fc.property(uids, fc.integer({ min: 1, max: 40 }), (list, size) => {
      const pieces = newestFirst(uidSetOf(list), size)
      const all = pieces.flatMap((piece) => uidsOf(piece))
      expect(uidSetOf(all)).toEqual(uidSetOf(list))
      expect(all.length).toBe(list.length)
      for (const [at, piece] of pieces.entries()) {
        expect(uidCount(piece)).toBeLessThanOrEqual(size)
        if (at > 0) expect(uidsOf(piece).at(-1)).toBeLessThan(uidsOf(pieces[at - 1]!)[0]!)
      }
    }),
  )
})

test('a set is written as IMAP writes it', () => {
  expect(formatUidSet(uidSetOf([7, 1, 2, 3, 9, 10]))).toBe('1:3,7,9:10')
})

test('what is written is read as it was, and whatever is read is a set in its one form', () => {
  fc.assert(
    fc.property(uids, (list) => {
      const set = uidSetOf(list)
      expect(parseUidSet(formatUidSet(set))).toEqual(set)
      expect(parseUidSet(list.join(','))).toEqual(set)
    }),
  )
  expect(parseUidSet('7:5,1,nonsense,0,-3,4294967296')).toEqual([
    [1, 1],
    [5, 7],
  ])
})
