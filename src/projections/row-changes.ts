import type { Namespaces } from '../mailbox/namespaces.js'
import type { CopyState } from '../mailbox/collection.js'
import type { ConnectionRemedy, WorkFailureKind } from '../mailbox/failures.js'
import type { DeletionPolicy } from '../mailbox/deletion-policy.js'
import type { CollectionSettings, MaildropSize } from '../mailbox/maildrop.js'
import type { MailboxProblem } from '../mailbox/events.js'
import type { Address, Structure } from '../mailbox/message.js'
import type { ConflictPolicy, Effect, OperationOutcome, OperationState } from '../mailbox/operation.js'
import type { ConnectionSchedule } from '../mailbox/connection-schedule.js'
import type { Selection } from '../mailbox/selection.js'
import type { ServerPlace } from '../mailbox/server-place.js'

/** What keeps an account from being worked on, beside its reason: what failed (null for the mail server), and since when. */
export type ConnectionFailure = {
  kind?: WorkFailureKind
  remedy: ConnectionRemedy
  failureId: string | null
  since: string
}

/** A row of `accounts`, as far as an event sets it. Keys are column names. */
export type AccountColumns = Partial<{
  protocol: string
  host: string
  port: number
  security: string
  username: string
  model: string
  connected_at: string
  connection_state: string
  connection_since: string
  connection_detail: string | null
  throttled_until: string | null
  offline_until: string | null
  connection_failure: ConnectionFailure | null
  server: string | null
  capabilities: readonly string[]
  namespaces: Namespaces | null
  authentication: string
  certificate_fingerprint: string | null
  deletion_policy: DeletionPolicy
  collection: CollectionSettings
  maildrop: MaildropSize & { level: number; at: string }
  conflict_policy: ConflictPolicy
  selection: Selection | null
  connection_schedule: ConnectionSchedule | null
  current_as_of: string
}>

/** A row of `mailboxes`, as far as an event sets it. */
export type MailboxColumns = Partial<{
  path: string
  delimiter: string | null
  attributes: readonly string[]
  special_use: string | null
  subscribed: boolean
  selectable: boolean
  object_id: string | null
  found_later: boolean
  uid_validity: string | null
  uid_next: number
  highest_modseq: string | null
  server_messages: number
  complete: boolean
  reset_after: string | null
  server_path: string | null
  server_subscribed: boolean
  hidden: boolean
  held_deletion: number | null
  deletion_confirmed: boolean
  selection: Selection | null
  problem: (MailboxProblem & { since: string }) | null
}>

/** A row of `messages`. */
export type MessageRow = {
  message_id: string
  mailbox_id: string
  /** null, like the UID, until the server has given it one */
  uid_validity: string | null
  uid: number | null
  modseq: string | null
  flags: readonly string[]
  seen: boolean
  flagged: boolean
  internal_date: string
  size: number
  subject: string
  sent_at: string | null
  header_message_id: string | null
  in_reply_to: string | null
  message_references: readonly string[]
  /** apart from the others, since every list shows them */
  from_addresses: readonly Address[]
  other_addresses: Record<'sender' | 'replyTo' | 'to' | 'cc' | 'bcc', readonly Address[]>
  structure: Structure | null
  has_attachment: boolean
  email_id: string | null
  thread_id: string | null
  fingerprint: string
  forgotten: boolean
  origin: string
  defects: readonly string[]
  content_sha256: string | null
  content_size: number | null
}

/** Columns of a message that change while it stays. */
export type MessageColumns = Partial<
  Pick<MessageRow, 'uid_validity' | 'uid' | 'modseq' | 'flags' | 'seen' | 'flagged' | 'content_sha256' | 'content_size'>
>

/** A row of `expunged_messages`. */
export type ExpungedRow = Pick<
  MessageRow,
  'message_id' | 'mailbox_id' | 'flags' | 'internal_date' | 'fingerprint' | 'email_id'
> & { uid: number }

/** A row of `server_places`. */
export type PlaceRow = Pick<ExpungedRow, 'message_id' | 'internal_date' | 'fingerprint' | 'email_id'> & {
  state: ServerPlace['state']
  mailbox_id: string | null
  uid_validity: string | null
  uid: number | null
  flags: readonly string[]
  modseq: string | null
}

/** A row of `operations`, when it is made. */
export type OperationRow = {
  operation_id: string
  kind: string
  mailbox_id: string | null
  retry_of: string | null
  requested_at: string
  messages: number
}

/** A row of `server_copies`. */
export type CopyRow = {
  message_id: string
  mailbox: string
  uid_validity: string | null
  uid: number | null
  uidl: string | null
  size: number
  header_hash: string | null
  sha256: string | null
  internal_date: string
  collected_at: string
  state: CopyState
}

/** Columns of a server's copy that change. */
export type CopyColumns = Partial<
  Pick<CopyRow, 'mailbox' | 'uid_validity' | 'uid' | 'uidl' | 'size' | 'header_hash' | 'sha256'>
> & { state: CopyState }

/** What an event does to the rows of an account and its mailboxes. */
export type MailboxChange =
  | { change: 'add account'; columns: AccountColumns }
  | { change: 'set account'; columns: AccountColumns }
  | { change: 'add measure'; at: string; size: MaildropSize }
  | { change: 'add mailbox'; mailboxId: string; columns: MailboxColumns }
  | { change: 'set mailbox'; mailboxId: string; columns: MailboxColumns }
  | { change: 'remove mailbox'; mailboxId: string }
  | { change: 'count messages'; mailboxId: string; messages: number; unseen: number }

/** What an event does to the rows of messages. A mailbox's removal removes those of its messages as well; 'remove copies' removes all of the account where it names none. */
export type MessageChange =
  | { change: 'add message'; row: MessageRow }
  | { change: 'move message'; row: MessageRow }
  | { change: 'set message'; messageId: string; columns: MessageColumns }
  | { change: 'drop content'; messageId: string }
  | { change: 'remove message'; messageId: string }
  | { change: 'add expunged'; row: ExpungedRow }
  | { change: 'remove expunged'; messageId: string }
  | { change: 'add copy'; row: CopyRow }
  | { change: 'set copy'; messageId: string; columns: CopyColumns }
  | { change: 'remove copies'; messageIds?: readonly string[] }
  | { change: 'add forgotten'; fingerprint: string }
  | { change: 'set place'; row: PlaceRow }
  | { change: 'remove place'; messageId: string }
  | { change: 'set list'; messageId: string; listId: string }
  | { change: 'add kept'; messageId: string }
  | { change: 'remove kept'; messageId: string }
  | { change: 'remove mailbox'; mailboxId: string }

/** What an event does to the rows of operations, and of what they change of each message. */
export type OperationChange =
  | { change: 'add operation'; row: OperationRow; effects: readonly Effect[] }
  | { change: 'set operations'; operationIds: readonly string[]; state: OperationState }
  | {
      change: 'settle operation'
      operationId: string
      settled: readonly { outcome: OperationOutcome; reason: string | null; messageIds: readonly string[] }[]
      /** of the whole; null while it waits for more */
      outcome: OperationOutcome | null
      reason: string | null
      at: string
    }

/** What an event does to the tables. */
export type RowChange = MailboxChange | MessageChange | OperationChange

/** A change with the version of the event that makes it. */
export type At<Change> = { version: number; change: Change }
