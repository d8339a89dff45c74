import type { DeletionPolicy } from './deletion-policy.js'
import type { ChangeFailure } from './local-work.js'
import type { CollectionSettings } from './maildrop.js'

/*
 * What clients ask of accounts of which the mail is kept here (OFFLINE).
 */

/** What a policy would delete at the next connection, of what is known: messages, and bytes. */
export type DeletionPreview = { messages: number; bytes: number }

/** How setting a policy ended, with what it will delete. */
export type PolicyOutcome = { preview: DeletionPreview } | { failure: ChangeFailure }

/** How a change ended: the ids of the messages or mailboxes that it was about. */
export type ChangeOutcome = { accountId: string; ids: string[] } | { failure: ChangeFailure }

/** Say what a policy would delete at the next connection; with `isSet`, also have it from now on. */
export class SetDeletionPolicy {
  constructor(
    readonly accountId: string,
    readonly policy: DeletionPolicy,
    readonly isSet: boolean,
  ) {}
}

/** Set how mail is collected; what is not given stays as it is. */
export class SetCollection {
  constructor(
    readonly accountId: string,
    readonly settings: Partial<CollectionSettings>,
  ) {}
}

/** Add and remove flags and keywords of messages. */
export class ChangeFlags {
  constructor(
    readonly messageIds: readonly string[],
    readonly add: readonly string[],
    readonly remove: readonly string[],
  ) {}
}

/** Move messages into a mailbox of their account. */
export class MoveMessages {
  constructor(
    readonly messageIds: readonly string[],
    readonly mailboxId: string,
  ) {}
}

/** Delete messages: into Trash, or for good. */
export class DeleteMessages {
  constructor(
    readonly messageIds: readonly string[],
    readonly forGood: boolean,
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
