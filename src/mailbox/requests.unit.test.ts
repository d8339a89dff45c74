import type { LocalMessage } from './local-work.js'
import type { MessageData } from './message.js'
import { decideUndo } from './requests.js'
import { identityOf, type TrackedMessage } from './tracked-message.js'

const nobody = { from: [], sender: [], replyTo: [], to: [], cc: [], bcc: [], inReplyTo: null, messageId: null }

/** A message that was shown with given flags when its deletion was asked for, and that has others on the server by now. */
function deleted(shownFlags: string[], serverFlags: string[], flagsNow: string[]): TrackedMessage {
  const data: MessageData = {
    ...{ uid: 7, flags: shownFlags, modseq: null, internalDate: '2026-11-26T10:00:00.000Z', size: 1 },
    ...{ envelope: { date: null, subject: '', ...nobody }, structure: null, references: [], emailId: null },
    ...{ threadId: null, fingerprint: 'f', defects: [] },
  }
  const last: LocalMessage = { messageId: 'm', mailboxId: 'inbox', uidValidity: '1', data }
  const server = {
    state: 'THERE',
    mailboxId: 'inbox',
    uidValidity: '1',
    uid: 7,
    flags: flagsNow,
    modseq: null,
  } as const
  const effect = { messageId: 'm', from: 'inbox', to: null, serverFlags }
  const operations = [{ operationId: 'o', kind: 'DELETE', isSent: false, effect } as const]
  return {
    messageId: 'm',
    identity: identityOf(last),
    shown: null,
    last,
    server,
    isApart: true,
    content: null,
    operations,
  }
}

test.each([
  ['what the server has by now', [], [], ['\\Seen'], ['\\Seen']],
  ['what was changed here before, and what the server has by now', ['work'], [], ['\\Seen'], ['\\Seen', 'work']],
])('a deletion that is undone shows a message again with %s', (_, shown, before, now, wanted) => {
  const undone = decideUndo({ operationId: 'o', state: 'PENDING' }, [deleted(shown, before, now)])
  expect('events' in undone && undone.events[0]).toMatchObject({ type: 'MessageAdded', data: { flags: wanted } })
})

test('a change that is undone of a message that was put there meanwhile shows it under the UID that it has on the server', () => {
  const { last, ...message } = deleted([], [], [])
  const shown = { ...(last as LocalMessage), uidValidity: '0' }
  const made: TrackedMessage = {
    ...message,
    last,
    shown: { ...shown, data: { ...shown.data, uid: 0, flags: ['work'] } },
    operations: [
      {
        operationId: 'o',
        kind: 'CHANGE_FLAGS',
        isSent: false,
        effect: { messageId: 'm', added: ['work'], removed: [] },
      },
    ],
  }
  const undone = decideUndo({ operationId: 'o', state: 'PENDING' }, [made])
  expect('events' in undone && undone.events.slice(0, 2)).toMatchObject([
    { type: 'MessagesRenumbered', data: { uidValidity: '1', messages: [{ messageId: 'm', uid: 7 }] } },
    { type: 'MessageFlagsChanged', data: { flags: [] } },
  ])
})
