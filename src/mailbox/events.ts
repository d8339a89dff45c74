import type { AccessModel, Protocol, Security } from './access-model.js'
import type { Flags } from './flags.js'
import type { MessageData, Origin } from './message.js'

/** Everything that can have happened to an account. Events carry what results, so that folding them never reads. */
export type AccountEvent =
  | AccountConnected
  | CredentialsChanged
  | ConnectionEstablished
  | ConnectionLost
  | LoginWasRefused
  | ServerThrottled
  | MailboxDiscovered
  | MailboxChanged
  | MailboxRenamed
  | MailboxDeleted
  | MailboxSynchronized
  | MailboxReset
  | MessageAdded
  | MessageMoved
  | MessagesRenumbered
  | MessageFlagsChanged
  | MessageExpunged
  | MessageContentStored
  | MessageContentUnavailable
  | MessageForgotten
  | AccountForgotten
  | EventForgotten

type Event<Type extends string, Data> = { readonly type: Type; readonly data: Readonly<Data> }

/** An account was connected: its settings were tried and work. The first event of every stream. */
export type AccountConnected = Event<
  'AccountConnected',
  { protocol: Protocol; host: string; port: number; security: Security; username: string; model: AccessModel }
>

/** The account has new credentials, which were tried and work. */
export type CredentialsChanged = Event<'CredentialsChanged', Record<never, never>>

/** A connection to the server is up; what the server can do and calls itself (RFC 2971). */
export type ConnectionEstablished = Event<
  'ConnectionEstablished',
  { capabilities: readonly string[]; server: string | null }
>

/** The connection is gone, or could not be had; it is tried again. */
export type ConnectionLost = Event<'ConnectionLost', { reason: string }>

/** The server refused the login; nothing is tried until the credentials change. */
export type LoginWasRefused = Event<'LoginWasRefused', { serverSaid: string }>

/** The server asked for a pause, until the given moment (ISO 8601). */
export type ServerThrottled = Event<'ServerThrottled', { serverSaid: string; until: string }>

/** What a mailbox is called and how it is marked (RFC 9051 §7.3.1, RFC 6154, RFC 8474 MAILBOXID). */
export type MailboxListing = {
  path: string
  delimiter: string | null
  attributes: readonly string[]
  specialUse: string | null
  subscribed: boolean
  selectable: boolean
  objectId: string | null
}

/** A mailbox was seen for the first time. */
export type MailboxDiscovered = Event<'MailboxDiscovered', { mailboxId: string } & MailboxListing>

/** A mailbox's attributes, special use or subscription are others now. */
export type MailboxChanged = Event<'MailboxChanged', { mailboxId: string } & MailboxListing>

/** A mailbox has another path now, and is the same in everything else. */
export type MailboxRenamed = Event<'MailboxRenamed', { mailboxId: string; previousPath: string } & MailboxListing>

/** A mailbox is no longer on the server, and its messages with it. */
export type MailboxDeleted = Event<'MailboxDeleted', { mailboxId: string; path: string }>

/**
 * How far a mailbox is known: all changes up to `highestModseq` and all UIDs below `uidNext` were recorded before.
 * `complete` is false while messages that were there at the first sight are still being fetched.
 */
export type MailboxSynchronized = Event<
  'MailboxSynchronized',
  {
    mailboxId: string
    uidValidity: string
    uidNext: number
    highestModseq: string | null
    serverMessages: number
    complete: boolean
  }
>

/**
 * The server numbered a mailbox anew (RFC 9051 §2.3.1.1); its messages are told again by their content.
 * `newestInternalDate` is that of the newest message known before: only what is later can be new mail.
 */
export type MailboxReset = Event<
  'MailboxReset',
  { mailboxId: string; uidValidity: string; previousUidValidity: string; newestInternalDate: string | null }
>

/** A message is in a mailbox that was not there before, as far as known; `origin` says whence. */
export type MessageAdded = Event<
  'MessageAdded',
  { messageId: string; mailboxId: string; uidValidity: string; origin: Origin; copyOf: string | null } & MessageData
>

/** A message went from one mailbox to another and is the same message, under its id. */
export type MessageMoved = Event<
  'MessageMoved',
  {
    messageId: string
    mailboxId: string
    uidValidity: string
    from: { mailboxId: string; uid: number; flags: Flags; wasExpunged: boolean }
  } & MessageData
>

/** Known messages of a mailbox that was reset, under their new UIDs. */
export type MessagesRenumbered = Event<
  'MessagesRenumbered',
  {
    mailboxId: string
    uidValidity: string
    messages: readonly { messageId: string; uid: number; modseq: string | null }[]
  }
>

/** A message's flags are others now. */
export type MessageFlagsChanged = Event<
  'MessageFlagsChanged',
  { messageId: string; mailboxId: string; uid: number; flags: Flags; previousFlags: Flags; modseq: string | null }
>

/** A message is no longer in its mailbox. What tells it again if it turns up elsewhere is kept. */
export type MessageExpunged = Event<
  'MessageExpunged',
  {
    messageId: string
    mailboxId: string
    uid: number
    flags: Flags
    fingerprint: string
    internalDate: string
    emailId: string | null
  }
>

/** The raw message is in the blob store, whole, under its SHA-256 (hexadecimal); null where it was forgotten. */
export type MessageContentStored = Event<
  'MessageContentStored',
  { messageId: string; sha256: string | null; size: number }
>

/** The raw message was asked for and cannot be had: it is gone, larger than allowed, or the server refuses it. */
export type MessageContentUnavailable = Event<'MessageContentUnavailable', { messageId: string; reason: string }>

/**
 * A message was forgotten: what its sender wrote is gone from earlier events, from the tables, and from the blob store.
 * Whatever has its fingerprint is forgotten as soon as it is told of again.
 */
export type MessageForgotten = Event<
  'MessageForgotten',
  { messageId: string; fingerprint: string; requestedBy: string }
>

/** The whole account was forgotten: the last event of its stream. */
export type AccountForgotten = Event<'AccountForgotten', { requestedBy: string }>

/** Stands in the place of an event of an account that was forgotten; what it was is gone, its version is kept. */
export type EventForgotten = Event<'EventForgotten', Record<never, never>>

/** Who made an event necessary: the mail server, a client of the API, or a policy that the user has set. */
export type Cause = 'SERVER' | 'CLIENT' | 'POLICY'

/** An event at its place in a stream. */
export type RecordedEvent = AccountEvent & { accountId: string; version: number; recordedAt: Date; cause: Cause }

/** The version of each event type's data shape; raised, with an upcaster, when a shape changes (upcasters.ts). */
export const EVENT_SHAPES: { readonly [Type in AccountEvent['type']]: number } = {
  AccountConnected: 1,
  CredentialsChanged: 1,
  ConnectionEstablished: 1,
  ConnectionLost: 1,
  LoginWasRefused: 1,
  ServerThrottled: 1,
  MailboxDiscovered: 1,
  MailboxChanged: 1,
  MailboxRenamed: 1,
  MailboxDeleted: 1,
  MailboxSynchronized: 1,
  MailboxReset: 1,
  MessageAdded: 1,
  MessageMoved: 1,
  MessagesRenumbered: 1,
  MessageFlagsChanged: 1,
  MessageExpunged: 1,
  MessageContentStored: 1,
  MessageContentUnavailable: 1,
  MessageForgotten: 1,
  AccountForgotten: 1,
  EventForgotten: 1,
}
