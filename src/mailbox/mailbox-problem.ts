import type { AccountEvent, MailboxProblem } from './events.js'

/** Messages of a mailbox that the server names and that cannot be read, after which it is not asked for more of them. */
export const MOST_UNREADABLE = 1_000

/**
 * Records a problem of a mailbox when it begins, ends, or is another one. The words of a refusal differ from one time to the next on some servers, so a
 * refusal that lasts is told once.
 */
export function decideProblem(
  mailboxId: string,
  known: MailboxProblem | null,
  found: MailboxProblem | null,
): AccountEvent[] {
  const isSame = known?.kind === found?.kind && (found?.kind !== 'INCOMPLETE' || known?.unlisted === found.unlisted)
  return isSame ? [] : [{ type: 'MailboxProblemChanged', data: { mailboxId, problem: found } }]
}

/**
 * The problem of a mailbox whose messages were compared with what the server counts in it.
 *
 * @param unlisted messages that the server counts, and of which it names no UID
 */
export function incompleteness(unlisted: number): MailboxProblem | null {
  if (unlisted === 0) return null
  const messages = unlisted === 1 ? '1 message' : `${unlisted} messages`
  return { kind: 'INCOMPLETE', message: `The server counts ${messages} that it does not list.`, unlisted }
}

/**
 * The problem of a mailbox that mail was collected from.
 *
 * @param refused why the server does not let it be read, in its words; null where it does
 * @param unlisted messages that the server counts and does not list
 * @param ungiven messages that it lists and does not give, and what it said of the first of them, where it said anything
 */
export function collectionProblem(
  refused: string | null,
  unlisted: number,
  ungiven: { count: number; serverSaid: string | null },
): MailboxProblem | null {
  if (refused !== null) return { kind: 'REFUSED', message: refused }
  const { count, serverSaid } = ungiven
  if (count === 0) return incompleteness(unlisted)
  const messages = count === 1 ? '1 message' : `${count} messages`
  const said = serverSaid === null ? '' : `: ${serverSaid}`
  const problem = { kind: 'INCOMPLETE' as const, message: `The server does not give ${messages}${said}` }
  return { ...problem, unlisted: unlisted + count }
}

/**
 * What becomes of a mailbox's problem when the mailbox could be read.
 *
 * @param unlisted messages that the server counts and does not name; null where its messages were not compared
 * @param isCountRight whether the server counts as many messages as are recorded
 */
export function decideAfterReading(
  mailboxId: string,
  known: MailboxProblem | null,
  unlisted: number | null,
  isCountRight: boolean,
): AccountEvent[] {
  if (unlisted !== null) return decideProblem(mailboxId, known, incompleteness(unlisted))
  const isOver = known?.kind === 'REFUSED' || isCountRight
  return isOver ? decideProblem(mailboxId, known, null) : []
}
