import type { AppendedMessage, ChangeOutcome } from '../mailbox/mail-commands.js'
import type { Queryable } from '../platform/database.js'

/** The ids of the messages that a change is about, found in the transaction that records it; null where one is not there. */
export type WantedMessages = (session: Queryable) => Promise<readonly string[]>

/** What an access model does when a client asks for a change of mail of one account. A failure has changed nothing. */
export interface MailWork {
  /** Adds and removes flags and keywords, which have been checked. */
  changeFlags(
    accountId: string,
    messages: WantedMessages,
    add: readonly string[],
    remove: readonly string[],
  ): Promise<ChangeOutcome>
  /** Moves messages into a mailbox. */
  move(accountId: string, messages: WantedMessages, mailboxId: string): Promise<ChangeOutcome>
  /** Copies messages into a mailbox. */
  copy(accountId: string, messages: WantedMessages, mailboxId: string): Promise<ChangeOutcome>
  /** Deletes messages: into Trash, or for good. @param isConfirmed whether unusually many are to be, all the same */
  delete(accountId: string, messages: WantedMessages, forGood: boolean, isConfirmed: boolean): Promise<ChangeOutcome>
  /** Puts a message into a mailbox. @param replaces the message whose place it takes */
  append(
    accountId: string,
    mailboxId: string,
    message: AppendedMessage,
    replaces: string | null,
  ): Promise<ChangeOutcome>
  /** Deletes for good what is in Trash. */
  emptyTrash(accountId: string): Promise<ChangeOutcome>
  /** Makes a mailbox. */
  createMailbox(accountId: string, path: string): Promise<ChangeOutcome>
  /** Gives a mailbox another path. */
  renameMailbox(accountId: string, mailboxId: string, path: string): Promise<ChangeOutcome>
  /** Removes an empty mailbox. */
  deleteMailbox(accountId: string, mailboxId: string): Promise<ChangeOutcome>
  /** Subscribes to a mailbox, or no longer. */
  subscribe(accountId: string, mailboxId: string, subscribed: boolean): Promise<ChangeOutcome>
}
