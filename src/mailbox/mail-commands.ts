import type { Flags } from './flags.js'
import type { ChangeFailure } from './local-work.js'
import type { MessageFilter } from './message-filter.js'
import type { ConflictPolicy } from './operation.js'
import type { ConnectionSchedule } from './connection-schedule.js'
import type { Selection, SelectionPreview } from './selection.js'

/*
 * What clients ask of mail, whatever the access model. For an OFFLINE account it is done at once; for a DISCONNECTED one it is
 * shown at once, and recorded as an operation of which the server is told at the next connection.
 */

/** Messages of one account: by their ids, or all that a filter finds in an account, or in one of its mailboxes. */
export type MessageSet =
  { ids: readonly string[] } | { accountId: string; mailboxId: string | null; filter: MessageFilter }

/** Most messages that a change may name, and that it may be about. */
export const MOST_NAMED = 1_000
export const MOST_MATCHED = 25_000

/**
 * How a change ended: the ids of the messages or mailboxes that it is about, and the operation that was recorded, by its id,
 * where it is one. `isUnknown` where the outcome of that was waited for (ONLINE accounts), and did not come in time.
 */
export type ChangeOutcome =
  { accountId: string; ids: string[]; operationId: string | null; isUnknown?: true } | { failure: ChangeFailure }

/** Add and remove flags and keywords of messages. */
export class ChangeFlags {
  constructor(
    readonly messages: MessageSet,
    readonly add: readonly string[],
    readonly remove: readonly string[],
  ) {}
}

/** Move messages into a mailbox of their account. */
export class MoveMessages {
  constructor(
    readonly messages: MessageSet,
    readonly mailboxId: string,
  ) {}
}

/** Copy messages into a mailbox of their account; the ids of the outcome are those of the copies. */
export class CopyMessages {
  constructor(
    readonly messages: MessageSet,
    readonly mailboxId: string,
  ) {}
}

/** Delete messages: into Trash, or for good. */
export class DeleteMessages {
  constructor(
    readonly messages: MessageSet,
    readonly forGood: boolean,
    /** whether unusually many are to be deleted for good, all the same */
    readonly isConfirmed: boolean,
  ) {}
}

/** A message that a client puts into a mailbox. */
export type AppendedMessage = {
  /** gives the raw message, from its beginning; to be read to its end */
  content: () => AsyncIterable<Uint8Array>
  flags: Flags
  /** INTERNALDATE; now where it is null */
  internalDate: Date | null
}

/** Put a message into a mailbox: a draft, say, or one that was sent. */
export class AppendMessage {
  constructor(
    readonly mailboxId: string,
    readonly message: AppendedMessage,
    /** the message whose place it takes, which is deleted for good; null for none */
    readonly replaces: string | null,
  ) {}
}

/** Delete for good what is in an account's Trash. */
export class EmptyTrash {
  constructor(readonly accountId: string) {}
}

/** Make a mailbox. */
export class CreateMailbox {
  constructor(
    readonly accountId: string,
    readonly path: string,
  ) {}
}

/** Give a mailbox another path. */
export class RenameMailbox {
  constructor(
    readonly mailboxId: string,
    readonly path: string,
  ) {}
}

/** Remove an empty mailbox. */
export class DeleteMailbox {
  constructor(readonly mailboxId: string) {}
}

/** Subscribe to a mailbox, or no longer. */
export class SubscribeMailbox {
  constructor(
    readonly mailboxId: string,
    readonly subscribed: boolean,
  ) {}
}

/** Take an operation back of which the server was not told. */
export class UndoOperation {
  constructor(readonly operationId: string) {}
}

/** Do what is offered about a rejected operation: ask for it again, put back what is gone, or drop what is left of it here. */
export class AnswerOperation {
  constructor(
    readonly operationId: string,
    readonly answer: 'RETRY' | 'RESTORE' | 'DISCARD',
  ) {}
}

/** Confirm that the unusually many messages which are gone from a mailbox on the server are to be gone here. */
export class ConfirmDeletion {
  constructor(readonly mailboxId: string) {}
}

/** Have no connection made for an account: until a moment, or until one is asked for again. */
export class GoOffline {
  constructor(
    readonly accountId: string,
    readonly until: Date | null,
  ) {}
}

/** Have an account's connection made again. */
export class GoOnline {
  constructor(readonly accountId: string) {}
}

/** Set whose change stands where an operation and a change on the server contradict each other. */
export class SetConflictPolicy {
  constructor(
    readonly accountId: string,
    readonly policy: ConflictPolicy,
  ) {}
}

/** Set when a DISCONNECTED account has a connection; null for always. */
export class SetConnectionSchedule {
  constructor(
    readonly accountId: string,
    readonly schedule: ConnectionSchedule | null,
  ) {}
}

/** What a selection would change, null where it was set; or why it cannot be. */
export type SelectionOutcome = { preview: SelectionPreview | null } | { failure: ChangeFailure }

/** Set, or where not `isSet` only preview, of which messages a DISCONNECTED account has the raw messages here; null for a mailbox: as its account. */
export class SetSelection {
  constructor(
    readonly accountId: string,
    readonly mailboxId: string | null,
    readonly selection: Selection | null,
    readonly isSet: boolean,
  ) {}
}

/** Have the raw messages of messages here whatever the selection says, or no longer. */
export class KeepOffline {
  constructor(
    readonly messages: MessageSet,
    readonly kept: boolean,
  ) {}
}
