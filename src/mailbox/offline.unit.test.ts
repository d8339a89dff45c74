import fc from 'fast-check'
import {
  byContent,
  matchByHeaders,
  matchByName,
  takeByContent,
  worthALook,
  type ListedMessage,
  type ServerCopy,
} from './collection.js'
import { selectForDeletion, type DeletableCopy, type DeletionPolicy } from './deletion-policy.js'
import {
  decideDeletion,
  decideFlagChange,
  decideMailboxRenamed,
  decideMove,
  whyNoFlags,
  whyNoPath,
  type LocalMessage,
} from './local-work.js'
import { localPathOf, type LocalMailbox } from './local-mailboxes.js'
import { levelOf, whyNoCollection, DEFAULT_COLLECTION } from './maildrop.js'
import { forecastFull } from './quota-forecast.js'
import { nextRun, serverKeepsDays } from './run-times.js'

const CASES = Number(process.env['MAILFOLD_CASES'] ?? 1_000)
const DAY = 86_400_000

/** A message as it lies in the simulated maildrop: what it holds, in classes of which several have one header and size. */
type Lying = { content: number; uidl: string; written?: number }

const headerOf = (content: number) => Math.floor(content / 3)
const sizeOf = (content: number) => 10 + (Math.floor(content / 3) % 2)

/** Collects from a simulated maildrop, by the rules alone. */
class Collector {
  copies: ServerCopy[] = []
  readonly here: number[] = []

  collect(drop: readonly Lying[], hasUidl: boolean, hasTop: boolean): void {
    const listed = drop.map(({ content, uidl, written = 0 }, index): ListedMessage & { content: number } => {
      const place = { mailbox: 'INBOX', uidValidity: null, uid: null, uidl: hasUidl ? uidl : null }
      return { ...place, size: sizeOf(content) + written, number: index + 1, content }
    })
    const contentOf = (message: ListedMessage) => (message as (typeof listed)[0]).content
    const known = this.copies.filter((copy) => copy.state !== 'GONE')
    const byName = matchByName(known, listed)
    const back = matchByName(
      this.copies.filter((copy) => copy.state === 'GONE'),
      byName.unknown,
    )
    const candidates = [...byName.missing, ...back.missing]
    const headed = worthALook(back.unknown, candidates).map((message) => {
      // a header with an odd number has something that no other has
      const header = headerOf(contentOf(message))
      const isTelling = header % 2 > 0
      return { listed: message, headerHash: isTelling ? `${contentOf(message)}` : `h${header}`, isTelling }
    })
    const byHeaders = matchByHeaders(hasTop ? headed : [], candidates)
    const found = [...back.same, ...byHeaders]
    for (const { listed: message, copy } of [...byName.same, ...found]) this.see(copy, message)
    const told = new Set(byHeaders.map((same) => same.listed))
    const used = new Set(byHeaders.map((same) => same.copy))
    const missing = byContent(candidates.filter((copy) => !used.has(copy)))
    const seen = new Set([...byName.same, ...found].map(({ copy }) => copy.messageId))
    for (const message of back.unknown.filter((each) => !told.has(each))) {
      const copy = takeByContent(missing, `${contentOf(message)}`)
      if (copy) this.see(copy, message)
      seen.add(copy?.messageId ?? this.add(message, contentOf(message)))
    }
    this.copies = this.copies.map((copy) => (seen.has(copy.messageId) ? copy : { ...copy, state: 'GONE' }))
  }

  private see(copy: ServerCopy, { uidl, size }: ListedMessage): void {
    this.copies = this.copies.map((each) =>
      each.messageId === copy.messageId ? { ...each, uidl, size, state: 'THERE' } : each,
    )
  }

  private add(message: ListedMessage, content: number): string {
    const messageId = `m${this.copies.length}`
    const header = headerOf(content)
    const headerHash = header % 2 ? `${content}` : `h${header}`
    const dates = { internalDate: new Date(0).toISOString(), collectedAt: new Date(0).toISOString() }
    this.copies.push({ ...message, messageId, headerHash, sha256: `${content}`, state: 'THERE', ...dates })
    this.here.push(content)
    return messageId
  }
}

type Turn = { deliver: number[]; remove: number[]; rename: boolean; write: boolean }

const turn: fc.Arbitrary<Turn> = fc.record({
  deliver: fc.array(fc.nat(11), { maxLength: 4 }),
  remove: fc.array(fc.nat(9), { maxLength: 3 }),
  rename: fc.boolean(),
  write: fc.boolean(),
})

const count = (list: readonly number[], content: number) => list.filter((each) => each === content).length

describe('whatever becomes of a maildrop and of the names in it', () => {
  test.each([
    ['with UIDL and TOP', true, true],
    ['without UIDL', false, true],
    ['without UIDL and TOP', false, false],
  ])('%s, no message is passed over, and none comes more often than it was delivered', (_, hasUidl, hasTop) => {
    const property = fc.property(fc.array(turn, { maxLength: 8 }), (turns) => {
      const collector = new Collector()
      const delivered: number[] = []
      const most = new Map<number, number>()
      let drop: Lying[] = []
      let names = 0
      for (const { deliver, remove, rename, write } of turns) {
        drop = drop.filter((__, index) => !remove.includes(index))
        drop.push(...deliver.map((content) => ({ content, uidl: `n${names++}` })))
        delivered.push(...deliver)
        if (rename) drop = drop.map((message) => ({ ...message, uidl: `n${names++}` }))
        collector.collect(drop, hasUidl, hasTop)
        // an mbox server writes into headers at the end of a session
        if (write) drop = drop.map((message) => ({ ...message, written: (message.written ?? 0) + 7 }))
        for (let content = 0; content < 12; content++) {
          const there = drop.filter((message) => message.content === content).length
          most.set(content, Math.max(most.get(content) ?? 0, there))
          expect(count(collector.here, content)).toBeLessThanOrEqual(count(delivered, content))
          // by headers alone, one of two that have the same bytes everywhere but in their bodies could take the other's place
          if (headerOf(content) % 2 > 0 || !hasTop || hasUidl)
            expect(count(collector.here, content)).toBeGreaterThanOrEqual(most.get(content) ?? 0)
        }
      }
    })
    fc.assert(property, { numRuns: CASES })
  })
})

const copy = (number: number, more: Partial<DeletableCopy> = {}): DeletableCopy => ({
  messageId: `m${number}`,
  size: 100,
  internalDate: new Date(number * DAY).toISOString(),
  collectedAt: new Date(number * DAY).toISOString(),
  isDeletedHere: false,
  ...more,
})

describe('a deletion policy', () => {
  const copies = [copy(3), copy(1, { isDeletedHere: true }), copy(2)]
  const ids = (policy: DeletionPolicy, limit: number | null = 400, bytes = 300) =>
    selectForDeletion(policy, copies, { bytes, limit }, 3 * DAY + 1).map(({ messageId }) => messageId)

  test.each<[DeletionPolicy, string[]]>([
    [{ kind: 'NEVER' }, []],
    [{ kind: 'AT_ONCE' }, ['m3', 'm1', 'm2']],
    [{ kind: 'AFTER_DAYS', days: 1 }, ['m1', 'm2']],
    [{ kind: 'AFTER_DAYS', days: 3 }, []],
    [{ kind: 'WHEN_DELETED_HERE' }, ['m1']],
    [{ kind: 'WHEN_QUOTA_PASSES', percent: 75, downTo: 0 }, []],
    [{ kind: 'WHEN_QUOTA_PASSES', percent: 74, downTo: 50 }, ['m1']],
    [{ kind: 'WHEN_QUOTA_PASSES', percent: 60, downTo: 0 }, ['m1', 'm2', 'm3']],
  ])('%j deletes %j', (policy, wanted) => {
    expect(ids(policy)).toEqual(wanted)
  })

  test('by the quota needs a limit', () => {
    expect(ids({ kind: 'WHEN_QUOTA_PASSES', percent: 1, downTo: 0 }, null)).toEqual([])
  })

  test('by the quota deletes no more than it takes, and the oldest', () => {
    const arbitrary = fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.nat(50)), { maxLength: 30 })
    fc.assert(
      fc.property(
        arbitrary,
        fc.integer({ min: 1, max: 100 }),
        fc.nat(100),
        fc.integer({ min: 1, max: 20_000 }),
        (sizes, percent, part, limit) => {
          const all = sizes.map(([size, day], index) =>
            copy(index, { size, internalDate: new Date(day * DAY).toISOString() }),
          )
          const bytes = all.reduce((sum, { size }) => sum + size, 0)
          const downTo = Math.floor((percent * part) / 100)
          const chosen = selectForDeletion({ kind: 'WHEN_QUOTA_PASSES', percent, downTo }, all, { bytes, limit }, 0)
          const left = bytes - chosen.reduce((sum, { size }) => sum + size, 0)
          if (bytes * 100 <= limit * percent) return expect(chosen).toEqual([])
          if (chosen.length < all.length) expect(left * 100).toBeLessThanOrEqual(limit * downTo)
          // without the last of them it would not have been enough
          expect((left + (chosen.at(-1)?.size ?? 0)) * 100).toBeGreaterThan(limit * downTo)
          const kept = all.filter((each) => !chosen.includes(each))
          const youngest = Math.max(...chosen.map(({ internalDate }) => Date.parse(internalDate)))
          expect(kept.every(({ internalDate }) => Date.parse(internalDate) >= youngest)).toBe(true)
        },
      ),
      { numRuns: CASES },
    )
  })
})

describe('the level of a maildrop', () => {
  const at = (percent: number, before: number) =>
    levelOf({ messages: 1, bytes: percent, limit: 100 }, [50, 80, 90], before)

  test.each([
    [49, 0, 0, []],
    [50, 0, 50, [50]],
    [85, 0, 80, [50, 80]],
    [85, 80, 80, []],
    [79, 80, 80, []],
    [74, 80, 50, []],
    [80, 50, 80, [80]],
    [100, 80, 90, [90]],
    [10, 90, 0, []],
  ])('at %i %% and %i before is %i, having passed %j', (percent, before, level, passed) => {
    expect(at(percent, before)).toEqual({ level, passed })
  })

  test('is 0 where no limit is known', () => {
    expect(levelOf({ messages: 1, bytes: 1, limit: null }, [50], 0)).toEqual({ level: 0, passed: [] })
  })
})

describe('the forecast', () => {
  const grown = (days: number, bytesAt: (day: number) => number) =>
    Array.from({ length: days }, (_, day) => ({ at: day * DAY, bytes: bytesAt(day) }))

  test('of steady growth is the day on which the limit is reached', () => {
    const forecast = forecastFull(
      grown(11, (day) => 100 * day),
      2_000,
    )
    expect(forecast).toEqual({ fullAt: 20 * DAY, earliest: 20 * DAY, latest: 20 * DAY })
  })

  test('is not turned by one large message, nor by one tidying up', () => {
    for (const odd of [900, -400]) {
      const forecast = forecastFull(
        grown(40, (day) => 100 * day + (day === 20 ? odd : 0)),
        10_000,
      )
      expect(Math.abs((forecast?.fullAt ?? 0) / DAY - 100)).toBeLessThan(2)
    }
  })

  test('has a range in which the true day lies, of growth that goes up and down', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.array(fc.integer({ min: -30, max: 30 }), { minLength: 60, maxLength: 60 }),
        (rate, noise) => {
          const forecast = forecastFull(
            grown(60, (day) => 10_000 + rate * 10 * day + (noise[day] ?? 0) * rate * 0.1),
            10_000 + rate * 10 * 100,
          )
          expect(forecast).not.toBeNull()
          const { earliest = 0, latest, fullAt = 0 } = forecast ?? {}
          expect(earliest).toBeLessThanOrEqual(fullAt)
          expect(latest ?? Infinity).toBeGreaterThanOrEqual(fullAt)
          expect(Math.abs(fullAt / DAY - 100)).toBeLessThan(5)
        },
      ),
      { numRuns: 200 },
    )
  })

  test.each([
    ['nothing is known', []],
    ['one measure is', grown(1, () => 5)],
    ['it shrinks', grown(20, (day) => 1_000 - day)],
    ['it stays', grown(20, () => 7)],
    ['it would take longer than ten years', grown(20, (day) => day)],
  ])('is none where %s', (_, measures) => {
    expect(forecastFull(measures, 1_000_000)).toBeNull()
  })

  test('of what is full already is now', () => {
    expect(
      forecastFull(
        grown(3, (day) => 500 * day),
        900,
      )?.fullAt,
    ).toBe(2 * DAY)
  })
})

test.each([
  [['EXPIRE 30'], 30],
  [['UIDL', 'EXPIRE 0 USER'], 0],
  [['EXPIRE NEVER'], null],
  [[], null],
])('with the capabilities %j the server keeps mail for %j days', (capabilities, days) => {
  expect(serverKeepsDays(capabilities)).toBe(days)
})

describe('the times of runs', () => {
  test.each([
    [[], 0, 9],
    [[], 1, 11],
    [['UIDL', 'LOGIN-DELAY 900'], 0.5, 15],
    [['LOGIN-DELAY 60 USER'], 0.5, 10],
  ])('with the capabilities %j and the chance %d, the next is after %d minutes', (capabilities, random, minutes) => {
    expect(nextRun(0, 10, capabilities, random)).toBe(minutes * 60_000)
  })
})

const mailbox = (path: string, more: Partial<LocalMailbox> = {}): LocalMailbox => ({
  ...{
    mailboxId: `id of ${path}`,
    uidValidity: '9',
    path,
    specialUse: path === 'Trash' ? '\\Trash' : null,
    uidNext: 40,
  },
  ...{ messages: 0, serverMessages: 0, complete: true },
  ...more,
})

const message = (uid: number, path = 'INBOX', flags: string[] = []): LocalMessage => ({
  messageId: `m${uid}`,
  mailboxId: `id of ${path}`,
  uidValidity: '7',
  data: {
    ...{ uid, flags, modseq: null, internalDate: new Date(uid * DAY).toISOString(), size: 1 },
    ...{
      envelope: {
        date: null,
        subject: '',
        from: [],
        sender: [],
        replyTo: [],
        to: [],
        cc: [],
        bcc: [],
        inReplyTo: null,
        messageId: null,
      },
    },
    ...{ structure: null, references: [], emailId: null, threadId: null, fingerprint: `f${uid}`, defects: [] },
  },
})

describe('local work', () => {
  test('adds and removes flags, whatever their case, and records what results', () => {
    const events = decideFlagChange(
      [message(7, 'INBOX', ['\\Flagged', 'Old']), message(8, 'INBOX', ['\\Seen'])],
      ['\\Seen'],
      ['old'],
    )
    expect(events).toMatchObject([
      {
        type: 'MessageFlagsChanged',
        data: { messageId: 'm7', flags: ['\\Flagged', '\\Seen'], previousFlags: ['\\Flagged', 'Old'] },
      },
    ])
  })

  test('gives moved messages UIDs that nobody had, and leaves those that are there already', () => {
    const events = decideMove([message(7), message(8), message(9, 'Work')], mailbox('Work'))
    expect(events).toMatchObject([
      { type: 'MessageMoved', data: { messageId: 'm7', uid: 40, from: { mailboxId: 'id of INBOX', uid: 7 } } },
      { type: 'MessageMoved', data: { messageId: 'm8', uid: 41 } },
      { type: 'MailboxSynchronized', data: { mailboxId: 'id of Work', uidNext: 42 } },
    ])
  })

  test('deletes into Trash, and for good what is in it or where that is asked for', () => {
    const mailboxes = [mailbox('INBOX'), mailbox('Trash')]
    const types = (forGood: boolean) => {
      const decision = decideDeletion([message(7), message(8, 'Trash')], mailboxes, forGood)
      return 'events' in decision ? decision.events.map(({ type }) => type) : []
    }
    expect(types(false)).toEqual(['MessageExpunged', 'MessageMoved', 'MailboxSynchronized'])
    expect(types(true)).toEqual(['MessageExpunged', 'MessageExpunged'])
  })

  test('renames a mailbox with those below it, and no other', () => {
    const mailboxes = ['INBOX', 'Work', 'Work/2026', 'Workshop'].map((path) => mailbox(path))
    expect(decideMailboxRenamed(mailboxes, 'id of Work', 'Done')).toMatchObject({
      events: [{ data: { path: 'Done' } }, { data: { path: 'Done/2026' } }],
    })
    expect(decideMailboxRenamed(mailboxes, 'id of Work', 'Work/below')).toMatchObject({
      failure: { kind: 'InvalidSettings' },
    })
    expect(decideMailboxRenamed(mailboxes, 'id of Work', 'Workshop')).toMatchObject({
      failure: { kind: 'MailboxExists' },
    })
    expect(decideMailboxRenamed(mailboxes, 'id of INBOX', 'Other')).toMatchObject({
      failure: { kind: 'MailboxProtected' },
    })
  })

  test.each(['', '/', 'a//b', ' ', 'a\u0000b', 'INBOX', 'inbox/below', 'x'.repeat(1_001)])(
    'the path %j is refused',
    (path) => {
      expect(whyNoPath(path)).toMatchObject({ kind: 'InvalidSettings', field: 'path' })
    },
  )

  test.each([['\\Recent'], ['two words'], ['a"b'], ['\\Made-up'], ['é'], ['']])('the flag %j is refused', (flag) => {
    expect(whyNoFlags([flag])).not.toBeNull()
  })

  test('a mailbox of the server has its path here with this delimiter', () => {
    expect([
      localPathOf('inbox', '.'),
      localPathOf('A.B', '.'),
      localPathOf('A/B', '/'),
      localPathOf('A/x.B', '.'),
    ]).toEqual(['INBOX', 'A/B', 'A/B', 'A/x.B'])
  })
})

test('collection settings that cannot be are refused, by their field', () => {
  const fieldOf = (settings: object, protocol: 'IMAP' | 'POP3' = 'IMAP') =>
    whyNoCollection({ ...DEFAULT_COLLECTION, ...settings }, protocol)?.field
  expect(fieldOf({})).toBeUndefined()
  expect(fieldOf({ everyMinutes: 0 })).toBe('everyMinutes')
  expect(fieldOf({ mailboxes: [] })).toBe('mailboxes')
  expect(fieldOf({ mailboxes: ['Work'] }, 'POP3')).toBe('mailboxes')
  expect(fieldOf({ removal: 'MOVE_TO_TRASH' }, 'POP3')).toBe('removal')
  expect(fieldOf({ limit: -1 })).toBe('limit')
  expect(fieldOf({ warnAt: [101] })).toBe('warnAt')
})
