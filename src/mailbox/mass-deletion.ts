import type { TrackedMessage } from './tracked-message.js'
import type { TrackedMailbox } from './upload-plan.js'

/*
 * A guard against deletions that nobody meant: a server that lost its mail, or a client that deletes what it should not. Few
 * messages are never guarded, and what is moved is none of it.
 */

/** As many have to be gone at once for it to be unusual, */
const MANY = 100

/** and more than this share of the mailbox. */
const SHARE = 0.5

/** Whether it is unusual that so many of a mailbox's messages go at once. */
export function isMassDeletion(gone: number, messages: number): boolean {
  return gone >= MANY && gone > messages * SHARE
}

/**
 * What of a request is unusual: deletions for good of most of a mailbox. What goes into Trash can be had back, and what is
 * in Trash was to go anyway.
 *
 * @returns how many messages, of how many; null where it is not unusual
 */
export function massDeletionOf(
  messages: readonly TrackedMessage[],
  mailboxes: readonly TrackedMailbox[],
  trash: string | null,
  forGood: boolean,
): { messages: number; of: number } | null {
  if (!forGood) return null
  const counts = new Map<string, number>()
  for (const { shown } of messages)
    if (shown && shown.mailboxId !== trash) counts.set(shown.mailboxId, (counts.get(shown.mailboxId) ?? 0) + 1)
  for (const { mailboxId, messages: all } of mailboxes) {
    const gone = counts.get(mailboxId) ?? 0
    if (isMassDeletion(gone, all)) return { messages: gone, of: all }
  }
  return null
}
