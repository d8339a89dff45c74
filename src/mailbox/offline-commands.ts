import type { DeletionPolicy } from './deletion-policy.js'
import type { Flags } from './flags.js'
import type { ChangeFailure } from './local-work.js'
import type { CollectionSettings } from './maildrop.js'

/*
 * What clients ask of accounts of which the mail is kept here (OFFLINE).
 */

/** What a policy would delete at the next connection, of what is known: messages, and bytes. */
export type DeletionPreview = { messages: number; bytes: number }

/** How setting a policy ended, with what it will delete. */
export type PolicyOutcome = { preview: DeletionPreview } | { failure: ChangeFailure }

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

/** A message out of a file, with as much as the file tells of it. */
export type ImportedMessage = {
  /** path of the mailbox here; null where it belongs into the one that the import goes to */
  path: string | null
  flags: Flags
  internalDate: Date | null
  /** the raw message; to be read to its end before the next message is asked for */
  content: AsyncIterable<Uint8Array>
}

/** How far an import is: messages that were added, and that were here already, byte for byte in the same mailbox. */
export type ImportProgress = { imported: number; skipped: number }

/** How an import ended; what was imported before a failure stays. */
export type ImportOutcome = ImportProgress & { failure: ChangeFailure | null }

/** Put messages into the mailboxes of an account that is kept here. */
export class ImportMessages {
  constructor(
    readonly accountId: string,
    /** path of the mailbox that messages go to which name none */
    readonly path: string,
    readonly messages: AsyncIterable<ImportedMessage>,
    /** told after each piece that was recorded */
    readonly progress: (progress: ImportProgress) => void,
  ) {}
}
