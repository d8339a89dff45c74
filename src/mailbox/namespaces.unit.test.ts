import fc from 'fast-check'
import { pathOnServer, type NamespacePrefix, type Namespaces } from './namespaces.js'

const at = (prefix: string): NamespacePrefix => ({ prefix, delimiter: '.' })
const dotted: Namespaces = { personal: [at('INBOX.')], otherUsers: [at('user.')], shared: [at('Public.')] }

test.each([
  ['New', 'INBOX.New'],
  ['INBOX.New', 'INBOX.New'],
  ['inbox.New', 'INBOX.New'],
  ['inbox', 'INBOX'],
  ['INBOXES', 'INBOX.INBOXES'],
  ['Public.Team', 'Public.Team'],
  ['user.joe.Team', 'user.joe.Team'],
  ['Publicity', 'INBOX.Publicity'],
])('where mailboxes are below INBOX., %s is %s', (wanted, path) => {
  expect(pathOnServer(wanted, '.', dotted)).toBe(path)
})

test('shared mailboxes without a prefix do not take in everything', () => {
  expect(pathOnServer('New', '.', { ...dotted, shared: [at('')] })).toBe('INBOX.New')
})

const namespaces = fc.record({
  personal: fc.array(fc.constantFrom('', 'INBOX.', 'Inbox.', 'Mail.').map(at), { maxLength: 2 }),
  otherUsers: fc.array(fc.constantFrom('', 'user.', '~').map(at), { maxLength: 2 }),
  shared: fc.array(fc.constantFrom('', 'Public.', '#shared.').map(at), { maxLength: 2 }),
})
const name = fc.constantFrom('INBOX', 'inbox', 'New', 'INBOX.New', 'Public.A', 'user.B', 'Mail.C', '#shared.D', 'A.B')

test('a path that the server has given stays as it is, and one without a prefix is the same as with it', () => {
  fc.assert(
    fc.property(name, fc.option(namespaces), (wanted, told) => {
      const path = pathOnServer(wanted, '.', told)
      expect(pathOnServer(path, '.', told)).toBe(path)
      const [own] = told?.personal ?? []
      // with no prefix of the user's own, nothing is put before any path
      if (!own || told?.personal.some(({ prefix }) => prefix === ''))
        expect(path.toUpperCase()).toBe(wanted.toUpperCase())
    }),
  )
})
