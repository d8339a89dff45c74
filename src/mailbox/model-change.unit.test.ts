/* What becomes of an account's mail when it is worked with in another way: nothing is lost that was not named. */
import fc from 'fast-check'
import type { AccountEvent } from './events.js'
import type { KeptMail, KeptMessage } from './leaving-offline.js'
import { decideModelChange, type ModelView } from './model-change.js'

const MAILBOXES = ['INBOX', 'Work', 'Work/Deep', 'Only here'].map((path) => ({
  ...{ mailboxId: `id of ${path}`, uidValidity: '7', path, specialUse: null },
  ...{ uidNext: 100, messages: 0, serverMessages: 0, complete: true },
}))

const message: fc.Arbitrary<Omit<KeptMessage, 'messageId' | 'uid'>> = fc.record({
  mailboxId: fc.constantFrom(...MAILBOXES.map(({ mailboxId }) => mailboxId)),
  flags: fc.constantFrom([], ['\\Seen'], ['\\Flagged', 'work']),
  identity: fc.constant({ fingerprint: 'f', internalDate: '2026-01-01T00:00:00.000Z', emailId: null }),
  sha256: fc.constantFrom('s', 's', null),
  size: fc.nat(1000),
  copy: fc.option(
    fc.record({
      mailbox: fc.constantFrom('INBOX', 'Work', 'Work.Deep', 'Unknown'),
      uidValidity: fc.constantFrom('5', '5', '5', '4'),
      uid: fc.constant(0),
    }),
  ),
})

const kept: fc.Arbitrary<KeptMail> = fc.array(message, { maxLength: 30 }).map((messages) => ({
  mailboxes: MAILBOXES,
  // each under UIDs of its own, here and there
  messages: messages.map((each, index) => ({
    ...{ ...each, messageId: `m${index}`, uid: index + 1 },
    copy: each.copy && { ...each.copy, uid: index + 50 },
  })),
  collectedFrom: ['INBOX'],
  deletionPolicy: { kind: 'AT_ONCE' as const },
}))

const view = (mail: KeptMail): ModelView => ({
  ...{ model: 'OFFLINE', protocol: 'IMAP', waitingOperations: 0, madeHere: 0, contents: { messages: 0, bytes: 0 } },
  ...{ isScheduled: false, hasSelection: false, selectedMailboxes: [], keptMessages: [], before: null, kept: mail },
})

function change(mail: KeptMail, model: 'ONLINE' | 'DISCONNECTED', isConfirmed: boolean) {
  let made = 0
  return decideModelChange(view(mail), model, isConfirmed, { makeId: () => `o${++made}`, uidValidity: '9' })
}

function all<Type extends AccountEvent['type']>(events: readonly AccountEvent[], type: Type) {
  return events.filter((event): event is Extract<AccountEvent, { type: Type }> => event.type === type)
}

/** The UIDs that messages have in the end. */
function lastNumbers(events: readonly AccountEvent[]): Map<string, number> {
  const messages = all(events, 'MessagesRenumbered').flatMap(({ data }) => data.messages)
  return new Map(messages.map(({ messageId, uid }) => [messageId, uid]))
}

test('to DISCONNECTED: every message with a content stays, once, where the server has it or to be uploaded', () => {
  fc.assert(
    fc.property(kept, (mail) => {
      const outcome = change(mail, 'DISCONNECTED', true)
      if ('failure' in outcome) throw new Error('it is possible')
      const { events, preview } = outcome
      const gone = new Set(all(events, 'MessageExpunged').map(({ data }) => data.messageId))
      expect(mail.messages.filter(({ messageId, sha256 }) => gone.has(messageId) && sha256 !== null)).toEqual([])
      expect(gone.size).toBe(preview.onlyHereMessages)
      const numbered = lastNumbers(events)
      const ids = [...numbered.keys()]
      expect([...ids].sort()).toEqual(
        mail.messages.flatMap((each) => (gone.has(each.messageId) ? [] : each.messageId)).sort(),
      )
      // what has no UID on the server from then on is asked for by an operation
      const asked = new Set(
        all(events, 'OperationRequested').flatMap(({ data }) =>
          data.kind === 'MOVE' || data.kind === 'APPEND' ? data.effects.map(({ messageId }) => messageId) : [],
        ),
      )
      for (const [messageId, uid] of numbered) expect(asked.has(messageId)).toBe(uid === 0)
      const appended = all(events, 'OperationRequested').filter(({ data }) => data.kind === 'APPEND')
      expect(appended.reduce((sum, { data }) => sum + data.effects.length, 0)).toBe(preview.uploadMessages)
      // and no mailbox goes that is still shown with something in it
      const deleted = new Set(all(events, 'MailboxDeleted').map(({ data }) => data.mailboxId))
      for (const each of mail.messages) if (!gone.has(each.messageId)) expect(deleted.has(each.mailboxId)).toBe(false)
    }),
  )
})

test('to ONLINE: what is only here goes only when that is confirmed, and nothing is asked of the server', () => {
  fc.assert(
    fc.property(kept, (mail) => {
      const outcome = change(mail, 'ONLINE', true)
      if ('failure' in outcome) throw new Error('it is possible')
      const { events, preview } = outcome
      const isLossless = preview.onlyHereMessages + preview.givingWayMessages === 0
      expect('failure' in change(mail, 'ONLINE', false)).toBe(!isLossless)
      expect(all(events, 'OperationRequested')).toEqual([])
      expect(all(events, 'ServerPlacesChanged')).toEqual([])
      const stay = lastNumbers(events)
      for (const uid of stay.values()) expect(uid).toBeGreaterThan(0)
      expect(stay.size + all(events, 'MessageExpunged').length).toBe(mail.messages.length)
      const dropped = all(events, 'MessageContentDropped').map(({ data }) => data.messageId)
      expect(dropped.length).toBe(new Set(dropped).size)
    }),
  )
})

test('whatever it becomes, nothing is deleted from its server by a policy of before', () => {
  fc.assert(
    fc.property(kept, fc.constantFrom('ONLINE' as const, 'DISCONNECTED' as const), (mail, model) => {
      const outcome = change(mail, model, true)
      const policies = 'events' in outcome ? all(outcome.events, 'DeletionPolicyChanged') : []
      expect(policies.map(({ data }) => data.policy)).toEqual([{ kind: 'NEVER' }])
    }),
  )
})
