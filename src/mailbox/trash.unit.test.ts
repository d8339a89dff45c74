import fc from 'fast-check'
import { requestIntoTrash } from './trash.js'
import type { TrackedMessage } from './tracked-message.js'
import type { TrackedMailbox } from './upload-plan.js'

const mailbox = fc
  .record({
    path: fc.constantFrom('Home', 'Trash', 'Bin', 'Trash/Old'),
    specialUse: fc.constantFrom(null, null, '\\Trash'),
    isHidden: fc.boolean(),
    isThere: fc.boolean(),
    selectable: fc.boolean(),
    isAwaited: fc.boolean(),
  })
  .map(({ path, isThere, isAwaited, ...rest }): TrackedMailbox => ({
    ...{ mailboxId: path, path, serverPath: isThere ? path : null, delimiter: '/', attributes: [], objectId: null },
    ...{ subscribed: true, serverSubscribed: true, uidValidity: '3', highestModseq: null, messages: 0 },
    operations: isAwaited ? [{ operationId: 'earlier', kind: 'CREATE_MAILBOX', isSent: false }] : [],
    ...rest,
  }))

const message = {
  messageId: 'm',
  shown: { messageId: 'm', mailboxId: 'INBOX', uidValidity: '3', data: { uid: 7, flags: [], modseq: null } },
  server: { state: 'THERE', mailboxId: 'INBOX', uidValidity: '3', uid: 7, flags: [], modseq: null },
  operations: [],
} as unknown as TrackedMessage

const request = { operationId: 'asked', kind: 'DELETE', mailboxId: null, retryOf: null } as const

test('what is deleted goes into a mailbox that is there, or that the server is told to make', () => {
  fc.assert(
    fc.property(fc.uniqueArray(mailbox, { selector: ({ path }) => path }), (mailboxes) => {
      let ids = 0
      const decision = requestIntoTrash([message], { mailboxes, namespaces: null }, request, () => `new ${++ids}`)
      if ('failure' in decision) {
        expect(decision.failure).toMatchObject({ kind: 'InvalidSettings', field: 'forGood' })
        // only where Trash is a name that holds no messages
        expect(mailboxes.some(({ selectable }) => !selectable)).toBe(true)
        return
      }
      const effect = decision.events.flatMap(({ type, data }) => (type === 'OperationRequested' ? data.effects : []))[0]
      const target = effect?.to
      const known = mailboxes.find(({ mailboxId }) => mailboxId === target)
      const isAsked = decision.events.some(
        ({ type, data }) =>
          type === 'OperationRequested' && data.kind === 'CREATE_MAILBOX' && data.mailboxId === target,
      )
      if (!known) expect(isAsked).toBe(true)
      else {
        expect(known.selectable).toBe(true)
        expect(known.serverPath !== null || isAsked || known.operations.length > 0).toBe(true)
      }
    }),
  )
})
