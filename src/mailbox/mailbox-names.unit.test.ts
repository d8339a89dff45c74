import fc from 'fast-check'
import { isAlike } from './mailbox-list.js'

test('names that differ only in what servers change in them are alike, and no two words are', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  const noise = fc.constantFrom('', ' ', '"', '?', '_', '\u{1f600}', "'")
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), noise, noise, word, (words, before, between, other) => {
      const name = words.join(' ')
      expect(isAlike(name, before + words.join(between))).toBe(true)
      expect(isAlike(name, name + other)).toBe(false)
    }),
  )
})

test('a name without letters and digits is like no other', () => {
  expect(isAlike('""', '??')).toBe(false)
})
