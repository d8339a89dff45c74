import type { Flags } from './flags.js'

/** A kind of change that a client may ask for of mail that is on its server. */
export type OperationKind =
  | 'CHANGE_FLAGS'
  | 'MOVE'
  | 'DELETE'
  | 'COPY'
  | 'APPEND'
  | 'CREATE_MAILBOX'
  | 'RENAME_MAILBOX'
  | 'DELETE_MAILBOX'
  | 'SUBSCRIBE'

/**
 * The life of an operation. PENDING: shown here, and the server knows nothing of it. SENT: the server was told, or may have
 * been. The others are its outcome.
 */
export type OperationState = 'PENDING' | 'SENT' | OperationOutcome

/**
 * How an operation ends. APPLIED: the server did it. SUPERSEDED: nothing had to be done, or the server's own change was
 * given precedence. REJECTED: it was not done, and what is shown is as if it had not been asked for. UNDONE: it was taken
 * back before the server was told.
 */
export type OperationOutcome = 'APPLIED' | 'SUPERSEDED' | 'REJECTED' | 'UNDONE'

/** Something on the server's side that an operation may meet; see conflicts.ts. */
export type ServerChange =
  /** the message is in none of the account's mailboxes any more */
  | 'MESSAGE_GONE'
  /** somebody else moved the message */
  | 'MOVED_ELSEWHERE'
  /** somebody else changed the message's flags */
  | 'FLAGS_CHANGED'
  /** somebody else gave the mailbox another path */
  | 'MAILBOX_RENAMED'
  /** the mailbox that it is about, or that messages were to go into, is no longer there */
  | 'MAILBOX_DELETED'
  /** somebody else made a mailbox with that path */
  | 'MAILBOX_EXISTS'
  /** mail has come into the mailbox that was to be deleted */
  | 'MAILBOX_NOT_EMPTY'
  /** the server numbered the mailbox anew (RFC 9051 §2.3.1.1) */
  | 'UIDVALIDITY_CHANGED'
  /** NO [NOPERM], or a mailbox that is read-only (RFC 5530, RFC 9051 §7.1) */
  | 'NO_PERMISSION'
  /** NO [OVERQUOTA] (RFC 9208) */
  | 'OVER_QUOTA'
  /** PERMANENTFLAGS without the keyword and without \* (RFC 9051 §7.1) */
  | 'KEYWORD_NOT_ALLOWED'
  /** any other NO or BAD; or an OK after which nothing had changed */
  | 'SERVER_REFUSED'
  /** the connection ended before the answer */
  | 'NO_ANSWER'

/**
 * Why an operation ended as it did. ALREADY_SO: nothing was left to tell the server. LATER_OPERATION: a later one made it void.
 * NO_CONNECTION: of an ONLINE account, for which nothing waits until there is one. MODEL_CHANGED: the account has become OFFLINE, and the server
 * is not told; what is shown stays.
 */
export type OutcomeReason = ServerChange | 'ALREADY_SO' | 'LATER_OPERATION' | 'NO_CONNECTION' | 'MODEL_CHANGED'

/** What a user can do about a rejected operation. */
export type Offer = 'RETRY' | 'RESTORE' | 'DISCARD'

/** Whose change stands where an operation and a change on the server contradict each other. */
export type ConflictPolicy = 'SERVER_WINS' | 'CLIENT_WINS' | 'ASK'

/** The policy of an account for which none was set: nobody's change is lost, and the user decides. */
export const FIRST_CONFLICT_POLICY: ConflictPolicy = 'ASK'

/** What an operation changes in what is shown of one message. */
export type Effect = {
  /** the message */
  messageId: string
  /** flags and keywords that it got */
  added?: Flags
  /** flags and keywords that it lost */
  removed?: Flags
  /** the mailbox that it was shown in before; null for one that was made by the operation */
  from?: string | null
  /** the mailbox that it is shown in since; null where it was deleted for good */
  to?: string | null
  /** its flags on the server then, where it was deleted for good */
  serverFlags?: Flags
  /** the message of which it is a copy */
  copyOf?: string
}

/** An operation of which an outcome is still awaited, as it bears on one message. */
export type PendingOperation = {
  operationId: string
  kind: OperationKind
  /** whether the server was told, or may have been */
  isSent: boolean
  effect: Effect
}

/** Whether an operation changes where a message is, rather than its flags. */
export function changesPlace({ kind }: Pick<PendingOperation, 'kind'>): boolean {
  return kind !== 'CHANGE_FLAGS'
}
