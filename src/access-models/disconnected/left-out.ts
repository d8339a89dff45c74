import type { AccountEvent } from '../../mailbox/events.js'
import { markForRemoval } from '../../content/blobs/blob-removal.js'
import { viewToLeaveOut, type LeavingMailbox } from '../../projections/left-out-views.js'
import type { SelectedTools } from './selected-contents.js'

/** Messages that leave the index together. */
const PIECE = 500

/**
 * Has the mailboxes that the selection leaves out leave the index, as far as time allows: with their raw messages, and so that each
 * message is known again, under its id, when its mailbox is taken in again. One in which a change waits, or a message is kept, stays.
 */
export async function leaveOut({ streams, accountId, fence, interrupted }: SelectedTools): Promise<void> {
  while (!interrupted()) {
    const { events } = await streams.decide(
      accountId,
      async (session) => {
        const mailbox = await viewToLeaveOut(session, accountId, PIECE)
        await markForRemoval(session, mailbox?.messages.flatMap(({ sha256 }) => sha256 ?? []) ?? [])
        return mailbox
      },
      (mailbox) => (mailbox ? leavingOf(mailbox) : []),
      fence,
      'POLICY',
    )
    if (events.length === 0) return
  }
}

function leavingOf({ mailboxId, isLeaving, messages }: LeavingMailbox): AccountEvent[] {
  const begun: AccountEvent[] = isLeaving ? [] : [{ type: 'MailboxLeftOut', data: { mailboxId, complete: false } }]
  const left = messages.flatMap(({ sha256, ...message }): AccountEvent[] => [
    ...(sha256 === null ? [] : [{ type: 'MessageContentDropped' as const, data: { messageId: message.messageId } }]),
    { type: 'MessageExpunged', data: { ...message, mailboxId, leftOut: true } },
  ])
  if (messages.length === PIECE) return [...begun, ...left]
  return [...begun, ...left, { type: 'MailboxLeftOut', data: { mailboxId, complete: true } }]
}
