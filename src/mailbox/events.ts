import type { AccessModel, Authentication, Protocol, Security } from './access-model.js'
import type { CopyPlace } from './collection.js'
import type { DeletionPolicy } from './deletion-policy.js'
import type { ConnectionRemedy, WorkFailure } from './failures.js'
import type { Flags } from './flags.js'
import type { CollectionSettings, MaildropSize } from './maildrop.js'
import type { MessageData, Origin } from './message.js'
import type { Namespaces } from './namespaces.js'
import type { ConflictPolicy, Effect, OperationKind, OperationOutcome, OutcomeReason } from './operation.js'
import type { ConnectionSchedule } from './connection-schedule.js'
import type { Selection } from './selection.js'
import type { MessageIdentity, ServerPlace } from './server-place.js'

/** Everything that can have happened to an account. Events carry what results, so that folding them never reads. */
export type AccountEvent =
  | AccountConnected
  | CredentialsChanged
  | ConnectionEstablished
  | ConnectionLost
  | LoginWasRefused
  | ServerThrottled
  | WorkStopped
  | WorkHindered
  | WorkUnhindered
  | WentOffline
  | WentOnline
  | CollectionChanged
  | DeletionPolicyChanged
  | MaildropMeasured
  | MaildropLevelPassed
  | ModelChanged
  | ConnectionClosed
  | AccountCurrent
  | MailboxDiscovered
  | MailboxCreated
  | MailboxChanged
  | MailboxRenamed
  | MailboxDeleted
  | MailboxLeftOut
  | MailboxSynchronized
  | MailboxReset
  | MailboxProblemChanged
  | MessageAdded
  | MessageMoved
  | MessageRead
  | MessagesRenumbered
  | MessageFlagsChanged
  | MessageExpunged
  | MessageContentStored
  | MessageContentUnavailable
  | MessageContentDropped
  | ServerCopyFound
  | ServerCopiesRecorded
  | ServerDeletionAsked
  | ServerCopiesGone
  | ConflictPolicyChanged
  | ConnectionScheduleChanged
  | SelectionChanged
  | MessagesKept
  | OperationRequested
  | OperationsSent
  | OperationSettled
  | ServerPlacesChanged
  | MailboxHidden
  | ServerMailboxChanged
  | DeletionHeld
  | DeletionConfirmed
  | MessageForgotten
  | AccountForgotten
  | EventForgotten

type Event<Type extends string, Data> = { readonly type: Type; readonly data: Readonly<Data> }

type OfMessage = {
  /** the message, by Mailfold's id, which it keeps when it is moved or numbered anew */
  messageId: string
}

type OfMailbox = {
  /** the mailbox, by Mailfold's id, which it keeps when it is renamed or numbered anew */
  mailboxId: string
}

type Numbered = OfMailbox & {
  /** the mailbox's UIDVALIDITY, to which the UIDs belong (RFC 9051 §2.3.1.1); decimal */
  uidValidity: string
}

type Placed = OfMailbox & {
  /** its UID there (RFC 9051 §2.3.1.1) */
  uid: number
}

/** An account was connected: its settings were tried and work. The first event of every stream. */
export type AccountConnected = Event<
  'AccountConnected',
  {
    /** what is spoken to the server */
    protocol: Protocol
    /** host name or IP address of the server */
    host: string
    /** TCP port of the server */
    port: number
    /** how the connection is protected */
    security: Security
    /** whom the login is for */
    username: string
    /** how the account is worked with (RFC 1733) */
    model: AccessModel
    /** how it logs in; a password where it is not said */
    authentication?: Authentication
    /** SHA-256 of the one certificate that is trusted, in hexadecimal with colons; the authorities decide where it is not said */
    certificateFingerprint?: string
  }
>

/** The account has new credentials, which were tried and work. */
export type CredentialsChanged = Event<
  'CredentialsChanged',
  {
    /** SHA-256 of the one certificate that is trusted from now on; null where the authorities decide again; as before where it is not said */
    certificateFingerprint?: string | null
  }
>

/** A connection to the server is up. */
export type ConnectionEstablished = Event<
  'ConnectionEstablished',
  {
    /** what the server can do, in its own words (RFC 9051 §6.1.1) */
    capabilities: readonly string[]
    /** what the server calls itself (RFC 2971); null where it does not */
    server: string | null
    /** where the server keeps mailboxes (RFC 2342); null where it has not told that, and over POP3; as before where it is not said */
    namespaces?: Namespaces | null
  }
>

/** The connection is gone, or could not be had; it is tried again. */
export type ConnectionLost = Event<
  'ConnectionLost',
  {
    /** one sentence for a person */
    reason: string
    /** what a person can do about it; RETRIES_BY_ITSELF where it is not said */
    remedy?: ConnectionRemedy
  }
>

/** Mailfold cannot work for the account, by a failure that is no answer of its mail server; it is tried again. */
export type WorkStopped = Event<'WorkStopped', WorkFailure>

/** Mailfold cannot do a part of its work for the account (keep raw messages); the rest goes on, and that part is tried again. */
export type WorkHindered = Event<'WorkHindered', WorkFailure>

/** The part of the work that could not be done is done again. */
export type WorkUnhindered = Event<'WorkUnhindered', Record<never, never>>

/** The server refused the login; nothing is tried until the credentials change. */
export type LoginWasRefused = Event<
  'LoginWasRefused',
  {
    /** the server's own words */
    serverSaid: string
  }
>

/** The server asked for a pause. */
export type ServerThrottled = Event<
  'ServerThrottled',
  {
    /** the server's own words */
    serverSaid: string
    /** when it is tried again, in ISO 8601 */
    until: string
  }
>

/** A client asked for no connection to be made: until a moment, or until it asks for one again. */
export type WentOffline = Event<
  'WentOffline',
  {
    /** until when, in ISO 8601; null until WentOnline */
    until: string | null
  }
>

/** A client asked for the connection to be made again. */
export type WentOnline = Event<'WentOnline', Record<never, never>>

/** The account is worked with in another way from now on. */
export type ModelChanged = Event<
  'ModelChanged',
  {
    /** the way from then on */
    model: AccessModel
    /** the way until then */
    previous: AccessModel
  }
>

/** The connection of an ONLINE account was put down, since no session is open. */
export type ConnectionClosed = Event<
  'ConnectionClosed',
  {
    /** whether all was known to be as the server had it, until then */
    wasCurrent: boolean
  }
>

/** Over this connection everything was looked at: what is known of an ONLINE account is as the server has it. */
export type AccountCurrent = Event<'AccountCurrent', Record<never, never>>

/** How mail is collected from an OFFLINE account's server was set; all settings from then on. */
export type CollectionChanged = Event<'CollectionChanged', CollectionSettings>

/** When an OFFLINE account deletes from its server was set. */
export type DeletionPolicyChanged = Event<
  'DeletionPolicyChanged',
  {
    /** the policy from then on */
    policy: DeletionPolicy
    /** the policy until then */
    previous: DeletionPolicy
  }
>

/** How full a maildrop is was found to be other than before. */
export type MaildropMeasured = Event<
  'MaildropMeasured',
  MaildropSize & {
    /** the highest level of warning that holds, in percent of the limit; 0 where none does */
    level: number
  }
>

/** A maildrop is fuller than a level at which the user wants to be warned. */
export type MaildropLevelPassed = Event<
  'MaildropLevelPassed',
  MaildropSize & {
    /** the level, in percent of the limit */
    level: number
  }
>

/** What a mailbox is called and how it is marked (RFC 9051 §7.3.1, RFC 6154, RFC 8474). */
export type MailboxListing = {
  /** the whole path, decoded, with the delimiter between levels */
  path: string
  /** what stands between the levels of a path; null in a flat namespace */
  delimiter: string | null
  /** attributes (RFC 9051 §7.3.1), but for those that have fields of their own */
  attributes: readonly string[]
  /** what it is for (RFC 6154), as in `\\Sent` */
  specialUse: string | null
  /** whether the user has subscribed to it */
  subscribed: boolean
  /** whether it can hold messages at all */
  selectable: boolean
  /** MAILBOXID (RFC 8474 §4), where the server gives one */
  objectId: string | null
}

/** A mailbox was seen for the first time. */
export type MailboxDiscovered = Event<
  'MailboxDiscovered',
  OfMailbox & {
    /** false for those that were there when the account's mailboxes were first listed */
    foundLater: boolean
  } & MailboxListing
>

/** Set where a client asked for it and the server does not know it yet (DISCONNECTED accounts). */
type Awaited = {
  /** true where only what is shown here has changed so far */
  pending?: true
}

/**
 * A mailbox was made here: for mail that is kept here (OFFLINE accounts), with UIDs of Mailfold's own; or, pending, to be
 * made on the server.
 */
export type MailboxCreated = Event<'MailboxCreated', Numbered & MailboxListing & Awaited>

/** A mailbox's attributes, special use or subscription are others now. */
export type MailboxChanged = Event<'MailboxChanged', OfMailbox & MailboxListing & Awaited>

/** A mailbox has another path now, and is the same in everything else. */
export type MailboxRenamed = Event<
  'MailboxRenamed',
  OfMailbox & {
    /** the path that it had */
    previousPath: string
  } & MailboxListing &
    Awaited
>

/** A mailbox is no longer on the server, or no longer here for an OFFLINE account, and its messages with it. */
export type MailboxDeleted = Event<
  'MailboxDeleted',
  OfMailbox & {
    /** the path that it had last */
    path: string
  }
>

/**
 * A mailbox is left out of the index, since the selection says so (DISCONNECTED accounts): its messages leave it, each by a
 * MessageExpunged of its own.
 */
export type MailboxLeftOut = Event<
  'MailboxLeftOut',
  OfMailbox & {
    /** false when it begins; true when all have left, and where the mailbox stands is not known any more */
    complete: boolean
  }
>

/**
 * How far a mailbox is known: what is below was recorded before this event. Of a mailbox that is kept here, the UID that
 * the next message gets.
 */
export type MailboxSynchronized = Event<
  'MailboxSynchronized',
  Numbered & {
    /** all UIDs below this one are known */
    uidNext: number
    /** all changes up to this MODSEQ are known (RFC 7162); decimal, null without CONDSTORE */
    highestModseq: string | null
    /** messages on the server when it was looked at */
    serverMessages: number
    /** false while messages that were there at the first sight are still being fetched */
    complete: boolean
  }
>

/** The server numbered a mailbox anew (RFC 9051 §2.3.1.1); its messages are told again by their content. */
export type MailboxReset = Event<
  'MailboxReset',
  Numbered & {
    /** the UIDVALIDITY that it had */
    previousUidValidity: string
    /** INTERNALDATE of the newest message known before, in ISO 8601: only what is later can be new mail */
    newestInternalDate: string | null
  }
>

/**
 * What keeps a mailbox from being complete. REFUSED: the server does not let it be opened or read. INCOMPLETE: the server counts more messages in it than
 * it names or brings.
 */
export type MailboxProblem = {
  kind: 'REFUSED' | 'INCOMPLETE'
  /** one sentence for a person; for REFUSED the server's own words */
  message: string
  /** messages that the server counts, and does not name or give; for INCOMPLETE */
  unlisted?: number
}

/** Something keeps a mailbox from being complete, or no longer does. */
export type MailboxProblemChanged = Event<
  'MailboxProblemChanged',
  OfMailbox & {
    /** the problem from then on; null for none */
    problem: MailboxProblem | null
  }
>

/** A message is in a mailbox that was not there before, as far as known. */
export type MessageAdded = Event<
  'MessageAdded',
  OfMessage &
    Numbered & {
      /** whence it came: see Origin */
      origin: Origin
      /** the message of which it is a copy, or which was uploaded again */
      copyOf: string | null
      /** the raw message, where it was put into the blob store before this event */
      content?: StoredContent
      /** the server's copy of it, where it was collected */
      serverCopy?: CopyPlace
    } & MessageData
>

/** A raw message in the blob store. */
export type StoredContent = {
  /** SHA-256 of the raw message, its blob's name, hexadecimal; null where it was forgotten */
  sha256: string | null
  /** bytes; 0 where it was forgotten */
  size: number
}

/** A message went from one mailbox to another and is the same message, under its id. */
export type MessageMoved = Event<
  'MessageMoved',
  OfMessage &
    Numbered & {
      /** where it was, with its UID and flags there, and whether its expunge was recorded already */
      from: { mailboxId: string; uid: number; flags: Flags; wasExpunged: boolean }
    } & MessageData
>

/** A message of which something could not be read was read: its metadata as they are from then on. */
export type MessageRead = Event<
  'MessageRead',
  OfMessage &
    Numbered & {
      /** how it got into its mailbox, as before */
      origin: Origin | 'MOVED'
      /** the flags that it had until then */
      previousFlags: Flags
    } & MessageData
>

/** Known messages of a mailbox that was reset, under their new UIDs. */
export type MessagesRenumbered = Event<
  'MessagesRenumbered',
  Numbered & {
    /** each message's id, its new UID and its MODSEQ */
    messages: readonly { messageId: string; uid: number; modseq: string | null }[]
  }
>

/** A message's flags are others now. */
export type MessageFlagsChanged = Event<
  'MessageFlagsChanged',
  OfMessage &
    Placed & {
      /** the flags and keywords from now on */
      flags: Flags
      /** those before */
      previousFlags: Flags
      /** its MODSEQ (RFC 7162); decimal, null without CONDSTORE */
      modseq: string | null
    }
>

/** A message is no longer in its mailbox. What tells it again if it turns up elsewhere is kept. */
export type MessageExpunged = Event<
  'MessageExpunged',
  OfMessage &
    Placed & {
      /** the flags that it had last */
      flags: Flags
      /** what tells its content again: see MessageData */
      fingerprint: string
      /** INTERNALDATE in ISO 8601 */
      internalDate: string
      /** EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server gives one */
      emailId: string | null
      /** true where it only left the index, being in a mailbox that is left out: the server has it */
      leftOut?: true
    }
>

/** The raw message is in the blob store, whole. */
export type MessageContentStored = Event<'MessageContentStored', OfMessage & StoredContent>

/** The raw message was asked for and cannot be had: it is gone, larger than allowed, or the server refuses it. */
export type MessageContentUnavailable = Event<
  'MessageContentUnavailable',
  OfMessage & {
    /** one sentence for a person */
    reason: string
  }
>

/**
 * The raw message is no longer here, being outside of the selection (DISCONNECTED accounts); the server has it. What is
 * known of the message at any version stays.
 */
export type MessageContentDropped = Event<'MessageContentDropped', OfMessage>

/** A collected message is on the server under other names than before, or again, or is not to be deleted after all. */
export type ServerCopyFound = Event<
  'ServerCopyFound',
  OfMessage &
    CopyPlace & {
      /** SHA-256 of its content, where that has come only now; hexadecimal */
      sha256?: string
    }
>

/** The server has messages of which it is told again by these names when mail is collected: the account becomes OFFLINE. */
export type ServerCopiesRecorded = Event<
  'ServerCopiesRecorded',
  {
    /** each message's copy, with the SHA-256 of the content that is here, null where none is, and INTERNALDATE in ISO 8601 */
    copies: readonly (OfMessage & CopyPlace & { sha256: string | null; internalDate: string })[]
  }
>

type OfMessages = {
  /** the messages, by Mailfold's ids */
  messageIds: readonly string[]
}

/** The server is about to be asked to delete its copies of messages, all of which are durable here. */
export type ServerDeletionAsked = Event<'ServerDeletionAsked', OfMessages>

/** The server no longer has its copies of messages. What is kept here stays. */
export type ServerCopiesGone = Event<
  'ServerCopiesGone',
  OfMessages & {
    /** whether Mailfold had them deleted, and the server said that it did; or they were no longer there */
    why: 'DELETED' | 'ABSENT'
  }
>

/** What becomes of a pending operation that what happened on the server contradicts was set. */
export type ConflictPolicyChanged = Event<
  'ConflictPolicyChanged',
  {
    /** the policy from then on */
    policy: ConflictPolicy
  }
>

/** When the account has a connection was set (DISCONNECTED accounts). */
export type ConnectionScheduleChanged = Event<
  'ConnectionScheduleChanged',
  {
    /** the schedule from then on; null for a connection at all times */
    schedule: ConnectionSchedule | null
  }
>

/** Of which messages the raw messages are to be here was set (DISCONNECTED accounts). */
export type SelectionChanged = Event<
  'SelectionChanged',
  {
    /** the mailbox that it is set for; null for the account */
    mailboxId: string | null
    /** the selection from then on; null where the mailbox is to have that of its account */
    selection: Selection | null
  }
>

/** The raw messages of messages are to be here, whatever the selection says (DISCONNECTED accounts), or no longer. */
export type MessagesKept = Event<
  'MessagesKept',
  OfMessages & {
    /** whether they are to be here */
    kept: boolean
  }
>

/**
 * A client asked for a change of mail that is on the server (DISCONNECTED accounts). What is shown changes at once, by the
 * events that follow; the server is told at the next connection.
 */
export type OperationRequested = Event<
  'OperationRequested',
  {
    /** the operation, by Mailfold's id */
    operationId: string
    /** what kind of change */
    kind: OperationKind
    /** the mailbox that it makes or changes, or moves, copies or appends messages into; null for the others */
    mailboxId: string | null
    /** what it changes, for each message that it changes: see Effect */
    effects: readonly Effect[]
    /** the rejected operation that is tried again; null as a rule */
    retryOf: string | null
  }
>

/** The server is about to be told of operations; whether it did them is not known until their outcomes are. */
export type OperationsSent = Event<
  'OperationsSent',
  {
    /** the operations */
    operationIds: readonly string[]
  }
>

/** Messages of an operation, or the whole of it, have come to an outcome, which is final. */
export type OperationSettled = Event<
  'OperationSettled',
  {
    /** the operation */
    operationId: string
    /** the messages that have come to an outcome now, by outcome and reason; none for an operation on a mailbox */
    settled: readonly { outcome: OperationOutcome; reason: OutcomeReason | null; messageIds: readonly string[] }[]
    /** the outcome of the whole; null while some of its messages wait for theirs */
    outcome: OperationOutcome | null
    /** why, where the outcome is not that it was applied */
    reason: OutcomeReason | null
  }
>

/** Where the server has messages is not, or no longer, what is shown of them here: pending operations lie between. */
export type ServerPlacesChanged = Event<
  'ServerPlacesChanged',
  {
    /** the messages, each with its place on the server; null where that is what is shown again, or neither has it */
    messages: readonly ({ messageId: string } & (
      { server: ServerPlace; identity: MessageIdentity } | { server: null }
    ))[]
  }
>

/** A mailbox is no longer shown, since it is to be deleted on the server; or it is shown again, since it was not. */
export type MailboxHidden = Event<
  'MailboxHidden',
  OfMailbox & {
    /** whether it is hidden from then on */
    hidden: boolean
  }
>

/** The server has a mailbox under another path, or with another subscription, than it was known to. */
export type ServerMailboxChanged = Event<
  'ServerMailboxChanged',
  OfMailbox & {
    /** the path on the server; null where it is not there */
    path: string | null
    /** whether the user has subscribed to it there */
    subscribed: boolean
  }
>

/**
 * Unusually many messages of a mailbox are gone from the server: that is not recorded before a client confirms it. Or it is
 * over: it was confirmed and recorded, or they are there again, or elsewhere.
 */
export type DeletionHeld = Event<
  'DeletionHeld',
  OfMailbox & {
    /** how many are gone; 0 when it is over */
    messages: number
  }
>

/** A client confirmed that unusually many messages of a mailbox are to be gone. */
export type DeletionConfirmed = Event<'DeletionConfirmed', OfMailbox>

/**
 * A message was forgotten: what its sender wrote is gone from earlier events, from the tables, and from the blob store.
 * Whatever has its fingerprint is forgotten as soon as it is told of again.
 */
export type MessageForgotten = Event<
  'MessageForgotten',
  OfMessage & {
    /** what tells its content again: see MessageData */
    fingerprint: string
    /** who asked for it, in the words of the client */
    requestedBy: string
  }
>

/** The whole account was forgotten: the last event of its stream. */
export type AccountForgotten = Event<
  'AccountForgotten',
  {
    /** who asked for it, in the words of the client */
    requestedBy: string
  }
>

/** Stands in the place of an event of an account that was forgotten; what it was is gone, its version is kept. */
export type EventForgotten = Event<'EventForgotten', Record<never, never>>

/** Who made an event necessary: the mail server, a client of the API, or a policy that the user has set. */
export type Cause = 'SERVER' | 'CLIENT' | 'POLICY'

/** An event at its place in a stream. */
export type RecordedEvent = AccountEvent & { accountId: string; version: number; recordedAt: Date; cause: Cause }
