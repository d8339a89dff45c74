import type { InlineProjection } from '../event-store/streams.js'
import type { RecordedEvent } from '../mailbox/events.js'
import type { Writes } from '../platform/statements.js'
import { foldMailboxes } from './mailbox-rows.js'
import { foldMessages } from './message-rows.js'
import { foldOperations } from './operation-rows.js'
import { project } from './project.js'
import type { At, MailboxChange, MessageChange, OperationChange, RowChange } from './row-changes.js'

/**
 * The tables that every query reads, folded in the append's own transaction, and with them the rows of the past. However
 * the events of a stream are cut into folds, the rows are the same in the end: a rebuild takes larger pieces than an append.
 */
export class CoreProjection implements InlineProjection {
  /** Raised when the same events make other rows than before: streams folded by an earlier one are folded again. */
  readonly version = 9

  async fold(session: Writes, accountId: string, events: readonly RecordedEvent[]): Promise<void> {
    const ofMessages: At<MessageChange>[] = []
    const ofMailboxes: At<MailboxChange>[] = []
    const ofOperations: At<OperationChange>[] = []
    for (const event of events) {
      for (const change of project(event)) {
        const at = { version: event.version, change }
        if (concernsMessages(at)) ofMessages.push(at)
        if (concernsMailboxes(at)) ofMailboxes.push(at)
        if (concernsOperations(at)) ofOperations.push(at)
      }
    }
    await foldMessages(session, accountId, ofMessages)
    await foldOperations(session, accountId, ofOperations)
    const range = { first: events[0]?.version ?? 1, last: events.at(-1)?.version ?? 0 }
    await foldMailboxes(session, accountId, ofMailboxes, range)
  }
}

const MAILBOX_CHANGES: ReadonlySet<RowChange['change']> = new Set<MailboxChange['change']>([
  'add account',
  'set account',
  'add measure',
  'add mailbox',
  'set mailbox',
  'remove mailbox',
  'count messages',
])

/** Whether a change is one of an account's or a mailbox's row. */
export function concernsMailboxes(at: At<RowChange>): at is At<MailboxChange> {
  return MAILBOX_CHANGES.has(at.change.change)
}

const OPERATION_CHANGES: ReadonlySet<RowChange['change']> = new Set<OperationChange['change']>([
  'add operation',
  'set operations',
  'settle operation',
])

function concernsOperations(at: At<RowChange>): at is At<OperationChange> {
  return OPERATION_CHANGES.has(at.change.change)
}

/** Whether a change is one of rows of messages. */
export function concernsMessages(at: At<RowChange>): at is At<MessageChange> {
  return at.change.change === 'remove mailbox' || !(concernsMailboxes(at) || concernsOperations(at))
}
