import type { ListedMessage } from '../../mailbox/collection.js'
import type { Namespaces } from '../../mailbox/namespaces.js'
import type { Flags } from '../../mailbox/flags.js'
import type { Occupancy } from '../../mailbox/deletion-policy.js'

/** A mailbox of the server that was looked at, and the messages in it; sizes are 0 until they are asked for. */
export type LookedAt = {
  mailbox: string
  localPath: string
  listed: ListedMessage[]
  /** messages that the server counts and does not list */
  unlisted: number
  /** why the server does not let it be read, in its words; null where it does */
  refused: string | null
}

/** A whole message as it comes, with what the server says of it; or why it does not come. */
export type Coming =
  | { listed: ListedMessage; content: AsyncIterable<Buffer>; flags: Flags; internalDate: string | null }
  | { listed: ListedMessage; refused: string }

/**
 * One session with a server that mail is collected from, the same over POP3 and IMAP. Every call rejects with ServerFailed.
 * Generators are to be read to their ends, and each message before the next.
 */
export interface Maildrop {
  readonly capabilities: string[]
  readonly serverName: string | null
  /** where the server keeps mailboxes (RFC 2342); null where it has not told that, and over POP3 */
  readonly namespaces: Namespaces | null
  /**
   * What the server names messages by beyond the session: UIDs, which are certain (RFC 9051 §2.3.1.1); unique-ids, which some
   * servers give again; or nothing.
   */
  readonly names: 'UID' | 'UIDL' | null
  /** All messages of the given mailboxes; one that the server does not let be read says so. */
  list(mailboxes: readonly string[]): Promise<LookedAt[]>
  /** How full the maildrop is, as far as the server tells; messages that are listed count where it does not. */
  occupancy(): Promise<Occupancy | null>
  /** The same messages with their sizes. */
  withSizes(listed: readonly ListedMessage[]): Promise<ListedMessage[]>
  /** The headers of messages, as far as one is looked at; those that the server does not give are missing. */
  headers(listed: readonly ListedMessage[]): AsyncGenerator<{ listed: ListedMessage; header: Buffer }>
  /** Whole messages, in their order. @param together how many are asked for at once, at most, where that makes a difference (IMAP) */
  contents(listed: readonly ListedMessage[], together: number): AsyncGenerator<Coming>
  /** Has messages deleted. @returns those of which that is certain now; over POP3 none is before the end */
  delete(listed: readonly ListedMessage[]): Promise<ListedMessage[]>
  /** Takes back what is not certain yet (POP3). */
  reset(): Promise<void>
  /** Ends the session; what was to be deleted at the end is deleted when this resolves. @returns those messages */
  end(): Promise<ListedMessage[]>
  /** Ends the connection at once. */
  drop(): void
}
