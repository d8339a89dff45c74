import fc from 'fast-check'
import {
  decideAdded,
  decideExpunged,
  decideFlags,
  type AddedView,
  type KnownMessage,
  type Lookalike,
} from './message-changes.js'
import type { MessageData } from './message.js'

const place = { mailboxId: 'archive', uidValidity: '7' }
const nothingKnown: AddedView = {
  knownUids: new Set(),
  lookalikes: new Map(),
  unconfirmed: new Map(),
  movesByCopy: false,
  forgotten: new Set(),
}

function message(uid: number, wish: Partial<MessageData> = {}): MessageData {
  const envelope = {
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
  }
  const rest = {
    modseq: null,
    internalDate: '2026-03-01T10:00:00.000Z',
    size: 100,
    envelope,
    structure: null,
    references: [],
    emailId: null,
    threadId: null,
    defects: [],
  }
  return { uid, flags: [], fingerprint: `f${uid}`, ...rest, ...wish }
}

function lookalike(wish: Partial<Lookalike> = {}): Lookalike {
  const rest = { flags: [], internalDate: '2026-03-01T10:00:00.000Z', wasExpunged: false, stillThere: true }
  return { messageId: 'old', mailboxId: 'inbox', uidValidity: '7', uid: 41, apart: null, ...rest, ...wish }
}

let made = 0
const makeId = () => `new-${++made}`

const decideOne = (view: Partial<AddedView>, wish: Partial<MessageData> = {}) =>
  decideAdded(place, [message(12, wish)], { ...nothingKnown, ...view }, 'news', makeId)[0]

test('a message of whose kind nothing is known has arrived', () => {
  expect(decideOne({})).toMatchObject({ type: 'MessageAdded', data: { origin: 'ARRIVED', copyOf: null, uid: 12 } })
})

test('a message that is gone from another mailbox was moved, and keeps its id', () => {
  const view = { lookalikes: new Map([['f12', [lookalike({ stillThere: false })]]]) }
  expect(decideOne(view)).toMatchObject({
    type: 'MessageMoved',
    data: { messageId: 'old', from: { mailboxId: 'inbox', uid: 41, wasExpunged: false } },
  })
})

test('a message whose expunge was recorded before it turned up again was moved, too', () => {
  const view = { lookalikes: new Map([['f12', [lookalike({ stillThere: false, wasExpunged: true })]]]) }
  expect(decideOne(view)).toMatchObject({
    type: 'MessageMoved',
    data: { messageId: 'old', from: { wasExpunged: true } },
  })
})

test('a message whose original is still there was copied', () => {
  expect(decideOne({ lookalikes: new Map([['f12', [lookalike()]]]) })).toMatchObject({
    type: 'MessageAdded',
    data: { origin: 'COPIED', copyOf: 'old' },
  })
})

test('the same content under another INTERNALDATE was uploaded again', () => {
  const view = { lookalikes: new Map([['f12', [lookalike({ internalDate: '2020-01-01T00:00:00.000Z' })]]]) }
  expect(decideOne(view)).toMatchObject({ type: 'MessageAdded', data: { origin: 'UPLOADED_AGAIN', copyOf: 'old' } })
})

test('two messages alike that come at once are not both the one that was moved', () => {
  const view = { ...nothingKnown, lookalikes: new Map([['same', [lookalike({ stillThere: false })]]]) }
  const events = decideAdded(
    place,
    [message(1, { fingerprint: 'same' }), message(2, { fingerprint: 'same' })],
    view,
    'news',
    makeId,
  )
  expect(events.map((event) => event.type)).toEqual(['MessageMoved', 'MessageAdded'])
})

test('after a reset, messages that are known get their new UIDs and are not announced', () => {
  const unconfirmed = new Map([
    ['f12', [{ messageId: 'old', internalDate: '2026-03-01T10:00:00.000Z', flags: ['\\Seen'], apart: null }]],
  ])
  const events = decideAdded(
    place,
    [message(12, { flags: ['\\Seen'] })],
    { ...nothingKnown, unconfirmed },
    { resetAfter: '2026-03-01T10:00:00.000Z' },
    makeId,
  )
  expect(events).toEqual([
    { type: 'MessagesRenumbered', data: { ...place, messages: [{ messageId: 'old', uid: 12, modseq: null }] } },
  ])
})

test('after a reset, only what is later than all that was known is new mail', () => {
  const occasion = { resetAfter: '2026-03-01T10:00:00.000Z' }
  const later = message(13, { internalDate: '2026-03-01T10:00:01.000Z' })
  const origins = decideAdded(place, [message(12), later], nothingKnown, occasion, makeId).map(
    (event) => 'origin' in event.data && event.data.origin,
  )
  expect(origins).toEqual(['EXISTING', 'ARRIVED'])
})

test('whatever is reported, and however often: each UID is recorded at most once, and known ones never', () => {
  const reported = fc.array(
    fc.record({ uid: fc.integer({ min: 1, max: 30 }), fingerprint: fc.constantFrom('a', 'b', 'c') }),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(reported, fc.uniqueArray(fc.integer({ min: 1, max: 30 })), fc.boolean(), (list, known, stillThere) => {
      const distinct = [...new Map(list.map((each) => [each.uid, each])).values()]
      const lookalikes = new Map([
        ['a', [lookalike({ stillThere }), lookalike({ messageId: 'older', stillThere: false })]],
      ])
      const view = { ...nothingKnown, knownUids: new Set(known), lookalikes }
      const events = decideAdded(
        place,
        distinct.map(({ uid, fingerprint }) => message(uid, { fingerprint })),
        view,
        'news',
        makeId,
      )
      const uids = events.map((event) => ('uid' in event.data ? event.data.uid : 0))
      expect(uids).toEqual(distinct.map((each) => each.uid).filter((uid) => !known.includes(uid)))
      const ids = events.map((event) => 'messageId' in event.data && event.data.messageId)
      expect(new Set(ids).size).toBe(ids.length)
    }),
  )
})

const known: KnownMessage = {
  messageId: 'm',
  uid: 9,
  flags: ['\\Seen'],
  fingerprint: 'f',
  internalDate: '2026-03-01T10:00:00.000Z',
  emailId: null,
  apart: null,
}

test('flags that are reported as they are known change nothing, whatever their case', () => {
  expect(
    decideFlags(
      { mailboxId: 'inbox', uidValidity: '7' },
      [{ uid: 9, flags: ['\\seen'], modseq: '5' }],
      new Map([[9, known]]),
    ),
  ).toEqual([])
})

test('a change of flags carries what results, and what was before', () => {
  const events = decideFlags(
    { mailboxId: 'inbox', uidValidity: '7' },
    [{ uid: 9, flags: ['\\Flagged'], modseq: '5' }],
    new Map([[9, known]]),
  )
  expect(events).toEqual([
    {
      type: 'MessageFlagsChanged',
      data: {
        messageId: 'm',
        mailboxId: 'inbox',
        uid: 9,
        flags: ['\\Flagged'],
        previousFlags: ['\\Seen'],
        modseq: '5',
      },
    },
  ])
})

test('an unknown UID neither changes nor goes', () => {
  expect(
    decideFlags(
      { mailboxId: 'inbox', uidValidity: '7' },
      [{ uid: 10, flags: [], modseq: null }],
      new Map([[9, known]]),
    ),
  ).toEqual([])
  expect(decideExpunged('inbox', [])).toEqual([])
})
