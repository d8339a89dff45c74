import type { ConflictPolicy, Offer, OperationKind, OperationOutcome, ServerChange } from './operation.js'

/*
 * What becomes of an operation when the server has changed, or does not do it. docs/access-models.md shows this table to
 * users; every line of it has a test on a real server.
 */

/**
 * What a change on the server does to an operation. GOES_ON: the operation is carried out on what is there now. BY_POLICY:
 * the account's policy says. IMPOSSIBLE: the two cannot meet. Else the operation ends so, with what the user is offered.
 */
export type Rule = 'GOES_ON' | 'BY_POLICY' | 'IMPOSSIBLE' | Ending

/** How an operation ends, and what the user can do about it then. */
export type Ending = { outcome: OperationOutcome; offers: readonly Offer[] }

const done: Ending = { outcome: 'SUPERSEDED', offers: [] }
const rejected = (...offers: Offer[]): Ending => ({ outcome: 'REJECTED', offers })
const again = rejected('RETRY', 'DISCARD')
const never = 'IMPOSSIBLE'
const goesOn = 'GOES_ON'
const byPolicy = 'BY_POLICY'

const REFUSALS = { NO_PERMISSION: again, OVER_QUOTA: again, SERVER_REFUSED: again, NO_ANSWER: goesOn } as const

/** Flags merge flag by flag, so a change of flags contradicts nothing but the message's end. */
const OF_MESSAGES = {
  FLAGS_CHANGED: goesOn,
  MAILBOX_RENAMED: goesOn,
  MAILBOX_EXISTS: never,
  MAILBOX_NOT_EMPTY: never,
  UIDVALIDITY_CHANGED: goesOn,
  KEYWORD_NOT_ALLOWED: never,
  ...REFUSALS,
} as const

/** What is asked of a mailbox is asked again as easily as the server refuses it; only one that was made here is kept. */
const OF_MAILBOXES = {
  NO_PERMISSION: rejected('DISCARD'),
  OVER_QUOTA: rejected('DISCARD'),
  SERVER_REFUSED: rejected('DISCARD'),
  NO_ANSWER: goesOn,
  MESSAGE_GONE: never,
  MOVED_ELSEWHERE: never,
  FLAGS_CHANGED: never,
  MAILBOX_NOT_EMPTY: never,
  UIDVALIDITY_CHANGED: goesOn,
  KEYWORD_NOT_ALLOWED: never,
} as const

/** The table: for each kind of operation, and each change on the server, the rule. */
export const CONFLICTS: { readonly [Kind in OperationKind]: { readonly [Change in ServerChange]: Rule } } = {
  CHANGE_FLAGS: {
    ...OF_MESSAGES,
    MESSAGE_GONE: rejected('RESTORE', 'DISCARD'),
    MOVED_ELSEWHERE: goesOn,
    MAILBOX_DELETED: rejected('RESTORE', 'DISCARD'),
    KEYWORD_NOT_ALLOWED: rejected('DISCARD'),
  },
  MOVE: {
    ...OF_MESSAGES,
    MESSAGE_GONE: rejected('RESTORE', 'DISCARD'),
    MOVED_ELSEWHERE: byPolicy,
    MAILBOX_DELETED: again,
  },
  DELETE: {
    ...OF_MESSAGES,
    MESSAGE_GONE: done,
    MOVED_ELSEWHERE: byPolicy,
    FLAGS_CHANGED: byPolicy,
    MAILBOX_DELETED: done,
  },
  // the copy is made of what is kept here where the original is gone; only without that is there nothing to copy
  COPY: { ...OF_MESSAGES, MESSAGE_GONE: rejected('DISCARD'), MOVED_ELSEWHERE: goesOn, MAILBOX_DELETED: again },
  APPEND: { ...OF_MESSAGES, MESSAGE_GONE: never, MOVED_ELSEWHERE: never, MAILBOX_DELETED: again },
  CREATE_MAILBOX: {
    ...OF_MAILBOXES,
    ...REFUSALS,
    MAILBOX_RENAMED: never,
    MAILBOX_DELETED: never,
    MAILBOX_EXISTS: done,
  },
  RENAME_MAILBOX: {
    ...OF_MAILBOXES,
    MAILBOX_RENAMED: byPolicy,
    MAILBOX_DELETED: rejected('DISCARD'),
    MAILBOX_EXISTS: rejected('DISCARD'),
  },
  DELETE_MAILBOX: {
    ...OF_MAILBOXES,
    MAILBOX_RENAMED: goesOn,
    MAILBOX_DELETED: done,
    MAILBOX_EXISTS: never,
    MAILBOX_NOT_EMPTY: rejected('DISCARD'),
  },
  SUBSCRIBE: { ...OF_MAILBOXES, MAILBOX_RENAMED: goesOn, MAILBOX_DELETED: rejected('DISCARD'), MAILBOX_EXISTS: never },
}

/**
 * What becomes of an operation that meets a change on the server; null where it goes on.
 *
 * @throws Error for two that cannot meet
 */
export function endingOf(kind: OperationKind, change: ServerChange, policy: ConflictPolicy): Ending | null {
  const rule = CONFLICTS[kind][change]
  if (rule === never) throw new Error(`${kind} does not meet ${change}`)
  if (rule === goesOn) return null
  if (rule !== byPolicy) return rule
  if (policy === 'CLIENT_WINS') return null
  if (policy === 'SERVER_WINS') return done
  return kind === 'RENAME_MAILBOX' ? rejected('DISCARD') : again
}

/** What a user can do about an operation that was rejected. @param isKept whether what is kept here is enough to restore from */
export function offersOf(kind: OperationKind, reason: string | null, isKept: boolean): readonly Offer[] {
  const change = Object.keys(CONFLICTS[kind]).find((each): each is ServerChange => each === reason)
  const ending = change && CONFLICTS[kind][change] !== never ? endingOf(kind, change, 'ASK') : null
  return (ending?.offers ?? []).filter((offer) => offer !== 'RESTORE' || isKept)
}
