import fc from 'fast-check'
import { defaultSecurity, whyNotPossible } from './access-model.js'
import { checkSettings } from './commands.js'
import { normaliseFlags, sameFlags } from './flags.js'
import {
  compareMailboxes,
  fetchOrder,
  type ComparisonTerms,
  type KnownMailbox,
  type ListedMailbox,
} from './mailbox-list.js'
import { canonicalPath } from './namespaces.js'
import { reconnectPause, throttledPause } from './reconnect.js'
import { looksChanged, planMailboxSync, type KnownPlace } from './sync-plan.js'
import { flagsNotKept } from './upload-plan.js'

const listing = { delimiter: '/', attributes: [], specialUse: null, subscribed: true, selectable: true, objectId: null }
const knownAs = (path: string, wish: Partial<KnownMailbox> = {}): KnownMailbox => ({
  ...listing,
  path,
  mailboxId: `id of ${path}`,
  uidValidity: `${path.length}${path}`,
  messages: path.length,
  shown: { path, subscribed: true },
  ...wish,
})
const terms = (believedGone: ReadonlySet<string> = none): ComparisonTerms => {
  return { awaited: [], believedGone, policy: 'ASK' }
}
const listedAs = (path: string, wish: Partial<ListedMailbox> = {}): ListedMailbox => ({
  ...listing,
  path,
  uidValidity: `${path.length}${path}`,
  messages: path.length,
  ...wish,
})
const makeId = () => 'a new id'
const none = new Set<string>()

test('POP3 is refused for what it cannot do', () => {
  expect(whyNotPossible('POP3', 'ONLINE')).toContain('OFFLINE')
  expect(whyNotPossible('POP3', 'DISCONNECTED')).not.toBeNull()
  expect(whyNotPossible('POP3', 'OFFLINE')).toBeNull()
  expect(whyNotPossible('IMAP', 'ONLINE')).toBeNull()
})

test('STARTTLS is for the ports that begin in plain text, TLS for all others', () => {
  expect([143, 110, 993, undefined].map(defaultSecurity)).toEqual([
    'STARTTLS',
    'STARTTLS',
    'IMPLICIT_TLS',
    'IMPLICIT_TLS',
  ])
})

test.each(['a\r\nb', 'a\nb', 'a\u0000b'])('a password that would end its command is refused: %j', (password) => {
  const server = {
    protocol: 'IMAP',
    host: 'mail.example.org',
    port: 993,
    security: 'IMPLICIT_TLS',
    username: 'ada',
    authentication: 'PASSWORD',
    certificateFingerprint: null,
  } as const
  expect(checkSettings(server, password)).toMatchObject({ kind: 'InvalidSettings', field: 'password' })
  expect(checkSettings({ ...server, username: password }, 'secret')).toMatchObject({
    kind: 'InvalidSettings',
    field: 'username',
  })
  expect(checkSettings(server, 'secret')).toBeNull()
})

test('flags have one form, whatever their order and case', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('\\Seen', '\\seen', '\\Recent', 'work', 'Work')), (flags) => {
      const once = normaliseFlags(flags)
      expect(normaliseFlags(once)).toEqual(once)
      expect(sameFlags(once, normaliseFlags(flags.map((flag) => flag.toUpperCase()).reverse()))).toBe(true)
      expect(once.map((flag) => flag.toLowerCase())).not.toContain('\\recent')
    }),
  )
})

test('a mailbox that carries the same MAILBOXID under another path was renamed', () => {
  const { events } = compareMailboxes(
    [knownAs('Work', { objectId: 'F1' })],
    [listedAs('Office', { objectId: 'F1' })],
    terms(),
    makeId,
  )
  expect(events).toMatchObject([
    { type: 'MailboxRenamed', data: { mailboxId: 'id of Work', previousPath: 'Work', path: 'Office' } },
  ])
})

test('without MAILBOXID, UIDVALIDITY and the number of messages tell a renamed mailbox', () => {
  const { events } = compareMailboxes(
    [knownAs('Work')],
    [listedAs('Office', { uidValidity: '4Work', messages: 4 })],
    terms(),
    makeId,
  )
  expect(events.map((event) => event.type)).toEqual(['MailboxRenamed'])
})

test('a mailbox that is missing once may be there; missing twice, it is gone', () => {
  const known = [knownAs('INBOX'), knownAs('Old')]
  const listed = [listedAs('INBOX'), listedAs('Brand new')]
  const first = compareMailboxes(known, listed, terms(), makeId)
  expect(first.events.map((event) => event.type)).toEqual(['MailboxDiscovered'])
  expect([...first.missing]).toEqual(['id of Old'])
  const second = compareMailboxes(known, [listedAs('INBOX')], terms(first.missing), makeId)
  expect(second.events).toEqual([])
  expect(second.deleted.map(({ path }) => path)).toEqual(['Old'])
  expect(compareMailboxes(known, [listedAs('INBOX'), listedAs('Old')], terms(first.missing), makeId)).toEqual({
    events: [],
    missing: none,
    deleted: [],
  })
})

test('what is listed as it is known changes nothing', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom('INBOX', 'Sent', 'Work/2026', 'Ärger', 'x')), (paths) => {
      expect(
        compareMailboxes(
          paths.map((path) => knownAs(path)),
          paths.map((path) => listedAs(path)).reverse(),
          terms(),
          makeId,
        ),
      ).toEqual({ events: [], missing: none, deleted: [] })
    }),
  )
})

test('INBOX is read first, Trash last', () => {
  const order = fetchOrder([
    { path: 'Trash', specialUse: '\\Trash' },
    { path: 'Work', specialUse: null },
    { path: 'inbox', specialUse: null },
    { path: 'Sent', specialUse: '\\Sent' },
  ])
  expect(order.map((mailbox) => mailbox.path)).toEqual(['inbox', 'Sent', 'Work', 'Trash'])
})

const knownPlace: KnownPlace = { uidValidity: '7', uidNext: 100, highestModseq: '500', messages: 40, complete: true }
const reported = { uidValidity: '7', uidNext: 100, highestModseq: '500', messages: 40 }
const qresync = { condstore: true, qresync: true }
const condstore = { condstore: true, qresync: false }
const neither = { condstore: false, qresync: false }

test.each([
  ['nothing moved', knownPlace, reported, qresync, { newFrom: null, changes: 'none', backfill: false }],
  [
    'new mail',
    knownPlace,
    { ...reported, uidNext: 103, highestModseq: '503', messages: 43 },
    qresync,
    { newFrom: 100, changes: 'vanished' },
  ],
  [
    'a modseq beyond 53 bits',
    { ...knownPlace, highestModseq: '9223372036854775806' },
    { ...reported, highestModseq: '9223372036854775807' },
    qresync,
    { changes: 'vanished' },
  ],
  [
    'CONDSTORE alone, a message gone',
    knownPlace,
    { ...reported, messages: 39 },
    condstore,
    { changes: 'changed since, compare UIDs' },
  ],
  [
    'QRESYNC, and something vanished of which was not told',
    knownPlace,
    { ...reported, messages: 39 },
    qresync,
    { changes: 'changed since, compare UIDs' },
  ],
  ['no CONDSTORE', knownPlace, { ...reported, highestModseq: null }, neither, { newFrom: null, changes: 'compare' }],
  ['another UIDVALIDITY', knownPlace, { ...reported, uidValidity: '8' }, qresync, { begin: 'reset', backfill: true }],
  [
    'another UIDVALIDITY of a mailbox that was empty, and is',
    { ...knownPlace, messages: 0 },
    { ...reported, messages: 0, uidValidity: '8' },
    qresync,
    { begin: null, newFrom: null, changes: 'none', backfill: false },
  ],
  [
    'another UIDVALIDITY of a mailbox that was empty',
    { ...knownPlace, messages: 0 },
    { ...reported, uidValidity: '8' },
    qresync,
    { begin: 'reset', backfill: true },
  ],
  ['never opened', { ...knownPlace, uidValidity: null }, reported, qresync, { begin: 'first sight', backfill: true }],
  [
    'a first sync that was cut off',
    { ...knownPlace, complete: false },
    reported,
    qresync,
    { begin: null, backfill: true },
  ],
])('the plan for a mailbox: %s', (_, known, server, abilities, plan) => {
  expect(planMailboxSync(known, server, abilities)).toMatchObject(plan)
})

test('a mailbox is opened for what its STATUS shows, and not for nothing', () => {
  expect(looksChanged(knownPlace, reported)).toBe(false)
  for (const change of [
    { uidNext: 101 },
    { messages: 39 },
    { highestModseq: '501' },
    { uidValidity: '8' },
    { highestModseq: null },
  ]) {
    expect(looksChanged(knownPlace, { ...reported, ...change })).toBe(true)
  }
  expect(looksChanged({ ...knownPlace, highestModseq: null }, reported)).toBe(true)
  expect(looksChanged({ ...knownPlace, messages: 0 }, { ...reported, messages: 0, uidValidity: '8' })).toBe(false)
})

test.each<[readonly string[], readonly string[] | null, readonly string[]]>([
  [['\\Flagged', 'todo'], null, []],
  [['\\Flagged', 'todo'], ['\\*'], []],
  [['\\Flagged', 'todo'], ['\\Seen', '\\*'], ['\\Flagged']],
  [['\\Flagged', 'todo'], ['\\Flagged'], ['todo']],
  [['\\Flagged', 'todo'], [], ['\\Flagged', 'todo']],
])('of the flags %j, a mailbox with PERMANENTFLAGS %j does not keep %j', (flags, permanent, refused) => {
  expect(flagsNotKept([...flags], permanent && [...permanent])).toEqual(refused)
})

test('pauses grow to five minutes, and are spread', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const pause = reconnectPause(failures, random)
      expect(pause).toBeGreaterThanOrEqual(500)
      expect(pause).toBeLessThanOrEqual(300_000)
    }),
  )
  expect(reconnectPause(2, 1)).toBe(2000)
  expect(throttledPause(299_961, 1, 0)).toBe(299_961)
  expect(throttledPause(null, 1, 0)).toBe(60_000)
})

test.each([
  ['iNbOx', '/', 'INBOX'],
  ['iNbOx/Case', '/', 'INBOX/Case'],
  ['inbox.a.b', '.', 'INBOX.a.b'],
  ['inbox.a', '/', 'inbox.a'],
  ['inbox/a', null, 'inbox/a'],
  ['a/inbox', '/', 'a/inbox'],
  ['Inboxes', '/', 'Inboxes'],
])('INBOX is INBOX in any case, as a path and as the first level of one: %s', (path, delimiter, canonical) => {
  expect(canonicalPath(path, delimiter)).toBe(canonical)
})

test('system flags have one form, and what is no system flag keeps its own', () => {
  expect(normaliseFlags(['\\sEEN', '\\flagged', 'Work', 'work', '\\recent'])).toEqual(['\\Flagged', '\\Seen', 'Work'])
})
