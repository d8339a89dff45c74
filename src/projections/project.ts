import type { CopyPlace } from '../mailbox/collection.js'
import type { AccountEvent, MailboxListing, RecordedEvent, StoredContent } from '../mailbox/events.js'
import { remedyOfWork, type WorkFailure } from '../mailbox/failures.js'
import { hasFlag, type Flags } from '../mailbox/flags.js'
import { hasAttachment, type MessageData } from '../mailbox/message.js'
import type { MessageIdentity, ServerPlace } from '../mailbox/server-place.js'
import type { CopyColumns, CopyRow, MailboxColumns, MessageRow, PlaceRow, RowChange } from './row-changes.js'

type DataOf<Type extends AccountEvent['type']> = Extract<AccountEvent, { type: Type }>['data']

type Projectors = {
  [Type in AccountEvent['type']]: (data: DataOf<Type>, recordedAt: string) => RowChange[]
}

/**
 * What an event does to the core projections. Pure, and the only place that says so: live appends, a rebuild and any
 * past state are folded by it alike.
 */
export function project(event: RecordedEvent): RowChange[] {
  const projector = projectors[event.type] as (data: unknown, recordedAt: string) => RowChange[]
  return projector(event.data, event.recordedAt.toISOString())
}

const projectors: Projectors = {
  AccountConnected: (
    { protocol, host, port, security, username, model, authentication = 'PASSWORD', certificateFingerprint = null },
    recordedAt,
  ) => [
    {
      change: 'add account',
      columns: {
        protocol,
        host,
        port,
        security,
        username,
        model,
        authentication,
        certificate_fingerprint: certificateFingerprint,
        connected_at: recordedAt,
        ...connection('CONNECTING', recordedAt),
      },
    },
  ],
  CredentialsChanged: ({ certificateFingerprint }, recordedAt) => [
    {
      change: 'set account',
      columns: {
        ...connection('CONNECTING', recordedAt),
        ...(certificateFingerprint === undefined ? {} : { certificate_fingerprint: certificateFingerprint }),
      },
    },
  ],
  ConnectionEstablished: ({ capabilities, server, namespaces }, recordedAt) => {
    const columns = { ...connection('CONNECTED', recordedAt), capabilities, server }
    return [{ change: 'set account', columns: namespaces === undefined ? columns : { ...columns, namespaces } }]
  },
  ConnectionLost: ({ reason, remedy }, recordedAt) => {
    const failure = remedy === undefined ? null : { remedy, failureId: null, since: recordedAt }
    const columns = { ...connection('DISCONNECTED', recordedAt, reason), connection_failure: failure }
    return [{ change: 'set account', columns }]
  },
  WorkStopped: (failure, recordedAt) => [
    { change: 'set account', columns: { ...connection('FAILED', recordedAt), ...failed(failure, recordedAt) } },
  ],
  WorkHindered: (failure, recordedAt) => [{ change: 'set account', columns: failed(failure, recordedAt) }],
  WorkUnhindered: () => [{ change: 'set account', columns: { connection_detail: null, connection_failure: null } }],
  LoginWasRefused: ({ serverSaid }, recordedAt) => [
    { change: 'set account', columns: connection('LOGIN_REFUSED', recordedAt, serverSaid) },
  ],
  ServerThrottled: ({ serverSaid, until }, recordedAt) => [
    { change: 'set account', columns: { ...connection('THROTTLED', recordedAt, serverSaid), throttled_until: until } },
  ],
  WentOffline: ({ until }, recordedAt) => [
    { change: 'set account', columns: { ...connection('OFFLINE', recordedAt), offline_until: until } },
  ],
  WentOnline: (_, recordedAt) => [{ change: 'set account', columns: connection('CONNECTING', recordedAt) }],
  ModelChanged: ({ model, previous }, recordedAt) => {
    const columns = { model, ...connection('CONNECTING', recordedAt) }
    const changes: RowChange[] = [{ change: 'set account', columns }]
    return previous === 'OFFLINE' ? [...changes, { change: 'remove copies' }] : changes
  },
  ConnectionClosed: ({ wasCurrent }, recordedAt) => {
    const columns = { ...connection('NO_SESSION', recordedAt), ...(wasCurrent ? { current_as_of: recordedAt } : {}) }
    return [{ change: 'set account', columns }]
  },
  AccountCurrent: (_, recordedAt) => [{ change: 'set account', columns: { current_as_of: recordedAt } }],
  CollectionChanged: (collection) => [{ change: 'set account', columns: { collection } }],
  DeletionPolicyChanged: ({ policy }) => [{ change: 'set account', columns: { deletion_policy: policy } }],
  MaildropMeasured: ({ level, ...size }, recordedAt) => [
    { change: 'set account', columns: { maildrop: { ...size, level, at: recordedAt } } },
    { change: 'add measure', at: recordedAt, size },
  ],
  // the level that holds is that of the measure
  MaildropLevelPassed: () => [],
  MailboxDiscovered: ({ mailboxId, foundLater, ...listing }) => [
    { change: 'add mailbox', mailboxId, columns: { ...columnsOf(listing), found_later: foundLater } },
  ],
  // what a mailbox brings along that is made on the server later on was not looked for before
  MailboxCreated: ({ mailboxId, uidValidity, pending, ...listing }) => [
    {
      change: 'add mailbox',
      mailboxId,
      columns: pending
        ? { ...columnsOf(listing, pending), found_later: true }
        : { ...columnsOf(listing), found_later: false, uid_validity: uidValidity, complete: true },
    },
  ],
  MailboxChanged: ({ mailboxId, pending, ...listing }) => [
    { change: 'set mailbox', mailboxId, columns: columnsOf(listing, pending) },
  ],
  MailboxRenamed: ({ mailboxId, pending, ...listing }) => [
    { change: 'set mailbox', mailboxId, columns: columnsOf(listing, pending) },
  ],
  MailboxDeleted: ({ mailboxId }) => [{ change: 'remove mailbox', mailboxId }],
  // what comes when it is taken in again was there before
  MailboxLeftOut: ({ mailboxId, complete }) => {
    const nowhere: MailboxColumns = { uid_validity: null, uid_next: 1, highest_modseq: null, reset_after: null }
    const columns = { complete, found_later: true, held_deletion: null, deletion_confirmed: false, problem: null }
    return [{ change: 'set mailbox', mailboxId, columns: { ...columns, ...(complete ? nowhere : {}) } }]
  },
  MailboxSynchronized: ({ mailboxId, uidValidity, uidNext, highestModseq, serverMessages, complete }) => {
    const place: MailboxColumns = { uid_validity: uidValidity, uid_next: uidNext, highest_modseq: highestModseq }
    const columns = { ...place, server_messages: serverMessages, complete, ...(complete ? { reset_after: null } : {}) }
    return [{ change: 'set mailbox', mailboxId, columns }]
  },
  MailboxReset: ({ mailboxId, uidValidity, newestInternalDate }) => [
    {
      change: 'set mailbox',
      mailboxId,
      columns: {
        uid_validity: uidValidity,
        uid_next: 1,
        highest_modseq: null,
        complete: false,
        reset_after: newestInternalDate,
      },
    },
  ],
  MailboxProblemChanged: ({ mailboxId, problem }, recordedAt) => [
    { change: 'set mailbox', mailboxId, columns: { problem: problem && { ...problem, since: recordedAt } } },
  ],
  MessageAdded: ({ messageId, mailboxId, uidValidity, origin, content, serverCopy, ...message }, recordedAt) => {
    const row = rowOf(messageId, mailboxId, uidValidity, origin, message, content)
    const changes: RowChange[] = [{ change: 'add message', row }, count(mailboxId, 1, message.flags)]
    if (serverCopy) changes.push({ change: 'add copy', row: copyOf(row, serverCopy, recordedAt) })
    if (origin === 'RESTORED') changes.push({ change: 'remove expunged', messageId })
    return [...changes, ...listOf(messageId, message)]
  },
  MessageMoved: ({ messageId, mailboxId, uidValidity, from, ...message }) => [
    { change: 'move message', row: rowOf(messageId, mailboxId, uidValidity, 'MOVED', message) },
    count(mailboxId, 1, message.flags),
    from.wasExpunged ? { change: 'remove expunged', messageId } : count(from.mailboxId, -1, from.flags),
    ...listOf(messageId, message),
  ],
  MessageRead: ({ messageId, mailboxId, uidValidity, origin, previousFlags, ...message }) => {
    const unseen = unseenOf(message.flags) - unseenOf(previousFlags)
    return [
      { change: 'move message', row: rowOf(messageId, mailboxId, uidValidity, origin, message) },
      ...(unseen === 0 ? [] : [{ change: 'count messages' as const, mailboxId, messages: 0, unseen }]),
      ...listOf(messageId, message),
    ]
  },
  MessagesRenumbered: ({ uidValidity, messages }) =>
    messages.map(({ messageId, uid, modseq }) => ({
      change: 'set message',
      messageId,
      columns: { uid_validity: uid === 0 ? null : uidValidity, uid: uid === 0 ? null : uid, modseq },
    })),
  MessageFlagsChanged: ({ messageId, mailboxId, flags, previousFlags, modseq }) => {
    const unseen = unseenOf(flags) - unseenOf(previousFlags)
    const columns = { flags, seen: hasFlag(flags, '\\Seen'), flagged: hasFlag(flags, '\\Flagged'), modseq }
    const changes: RowChange[] = [{ change: 'set message', messageId, columns }]
    return unseen === 0 ? changes : [...changes, { change: 'count messages', mailboxId, messages: 0, unseen }]
  },
  MessageExpunged: ({ messageId, mailboxId, uid, flags, fingerprint, internalDate, emailId }) => [
    { change: 'remove message', messageId },
    count(mailboxId, -1, flags),
    {
      change: 'add expunged',
      row: {
        message_id: messageId,
        mailbox_id: mailboxId,
        uid,
        flags,
        fingerprint,
        internal_date: internalDate,
        email_id: emailId,
      },
    },
  ],
  MessageContentStored: ({ messageId, sha256, size }) => [
    { change: 'set message', messageId, columns: { content_sha256: sha256, content_size: size } },
  ],
  // said to whoever waits for it, and the next request tries again: it belongs to the message's history and changes nothing
  MessageContentUnavailable: ({ messageId }) => [{ change: 'set message', messageId, columns: {} }],
  MessageContentDropped: ({ messageId }) => [{ change: 'drop content', messageId }],
  ServerCopyFound: ({ messageId, sha256, ...place }) => [
    { change: 'set copy', messageId, columns: { ...placeOf(place), ...(sha256 && { sha256 }), state: 'THERE' } },
  ],
  ServerCopiesRecorded: ({ copies }, recordedAt) =>
    copies.map(({ messageId, sha256, internalDate, ...place }): RowChange => {
      const told = { message_id: messageId, sha256, internal_date: internalDate, collected_at: recordedAt }
      return { change: 'add copy', row: { ...told, ...placeOf(place), state: 'THERE' } }
    }),
  ServerDeletionAsked: ({ messageIds }) => stateOf(messageIds, 'DELETION_ASKED'),
  ServerCopiesGone: ({ messageIds }) => stateOf(messageIds, 'GONE'),
  ConflictPolicyChanged: ({ policy }) => [{ change: 'set account', columns: { conflict_policy: policy } }],
  ConnectionScheduleChanged: ({ schedule }) => [{ change: 'set account', columns: { connection_schedule: schedule } }],
  SelectionChanged: ({ mailboxId, selection }) => [
    mailboxId === null
      ? { change: 'set account', columns: { selection } }
      : { change: 'set mailbox', mailboxId, columns: { selection } },
  ],
  MessagesKept: ({ messageIds, kept }) =>
    messageIds.map((messageId) => ({ change: kept ? 'add kept' : 'remove kept', messageId })),
  OperationRequested: ({ operationId, kind, mailboxId, retryOf, effects }, recordedAt) => {
    const names = { operation_id: operationId, mailbox_id: mailboxId, retry_of: retryOf }
    const row = { ...names, kind, requested_at: recordedAt, messages: effects.length }
    return [{ change: 'add operation', row, effects }]
  },
  OperationsSent: ({ operationIds }) => [{ change: 'set operations', operationIds, state: 'SENT' }],
  OperationSettled: (ending, recordedAt) => [{ change: 'settle operation', ...ending, at: recordedAt }],
  ServerPlacesChanged: ({ messages }) =>
    messages.map((message): RowChange => {
      const { messageId } = message
      if (message.server === null) return { change: 'remove place', messageId }
      return { change: 'set place', row: placeRowOf(messageId, message.server, message.identity) }
    }),
  MailboxHidden: ({ mailboxId, hidden }) => [{ change: 'set mailbox', mailboxId, columns: { hidden } }],
  ServerMailboxChanged: ({ mailboxId, path, subscribed }) => [
    { change: 'set mailbox', mailboxId, columns: { server_path: path, server_subscribed: subscribed } },
  ],
  DeletionHeld: ({ mailboxId, messages }) => [
    { change: 'set mailbox', mailboxId, columns: { held_deletion: messages || null, deletion_confirmed: false } },
  ],
  DeletionConfirmed: ({ mailboxId }) => [{ change: 'set mailbox', mailboxId, columns: { deletion_confirmed: true } }],
  MessageForgotten: ({ messageId, fingerprint }) => [
    { change: 'set message', messageId, columns: {} },
    { change: 'add forgotten', fingerprint },
  ],
  AccountForgotten: () => [],
  EventForgotten: () => [],
}

function connection(state: string, since: string, detail: string | null = null) {
  return {
    connection_state: state,
    connection_since: since,
    connection_detail: detail,
    throttled_until: null,
    offline_until: null,
    connection_failure: null,
  }
}

/** What fails that is no answer of the mail server, and since when. */
function failed({ kind, reason, failureId }: WorkFailure, since: string) {
  return { connection_detail: reason, connection_failure: { kind, remedy: remedyOfWork(kind), failureId, since } }
}

/** @param isPending whether only what is shown is so, and the server has it as before */
function columnsOf(listing: MailboxListing, isPending = false): MailboxColumns {
  const { path, delimiter, attributes, subscribed, selectable } = listing
  return {
    path,
    delimiter,
    attributes,
    subscribed,
    selectable,
    special_use: listing.specialUse,
    object_id: listing.objectId,
    ...(isPending ? {} : { server_path: path, server_subscribed: subscribed }),
  }
}

const unseenOf = (flags: Flags) => (hasFlag(flags, '\\Seen') ? 0 : 1)

function count(mailboxId: string, sign: 1 | -1, flags: Flags): RowChange {
  // adding 0 keeps -0 out of the tables' parameters
  return { change: 'count messages', mailboxId, messages: sign, unseen: sign * unseenOf(flags) + 0 }
}

/** Where it says so: a message that is told of again without it is still of its list. */
function listOf(messageId: string, { listId }: MessageData): RowChange[] {
  return listId === undefined ? [] : [{ change: 'set list', messageId, listId }]
}

function placeOf({ mailbox, uidValidity, uid, uidl, size, headerHash }: CopyPlace) {
  return { mailbox, uid_validity: uidValidity, uid, uidl, size, header_hash: headerHash }
}

function placeRowOf(messageId: string, server: ServerPlace, identity: MessageIdentity): PlaceRow {
  const { fingerprint, internalDate, emailId } = identity
  const told = {
    message_id: messageId,
    fingerprint,
    internal_date: internalDate,
    email_id: emailId,
    state: server.state,
  }
  const nowhere = { mailbox_id: null, uid_validity: null, uid: null, flags: [], modseq: null }
  if (server.state === 'NOT_YET') return { ...told, ...nowhere }
  const { mailboxId: mailbox_id, flags } = server
  if (server.state !== 'THERE') return { ...told, ...nowhere, mailbox_id, flags }
  const { uidValidity: uid_validity, uid, modseq } = server
  return { ...told, mailbox_id, uid_validity, uid, flags, modseq }
}

function copyOf(row: MessageRow, place: CopyPlace, collectedAt: string): CopyRow {
  const { message_id, internal_date, content_sha256: sha256 } = row
  return { message_id, ...placeOf(place), sha256, internal_date, collected_at: collectedAt, state: 'THERE' }
}

function stateOf(messageIds: readonly string[], state: CopyColumns['state']): RowChange[] {
  return messageIds.map((messageId) => ({ change: 'set copy', messageId, columns: { state } }))
}

function rowOf(
  messageId: string,
  mailboxId: string,
  uidValidity: string,
  origin: string,
  message: MessageData,
  content?: StoredContent,
): MessageRow {
  const { subject, date, messageId: headerMessageId, inReplyTo, ...addresses } = message.envelope
  const { from, sender, replyTo, to, cc, bcc } = addresses
  return {
    message_id: messageId,
    mailbox_id: mailboxId,
    uid_validity: message.uid === 0 ? null : uidValidity,
    uid: message.uid === 0 ? null : message.uid,
    modseq: message.modseq,
    flags: message.flags,
    seen: hasFlag(message.flags, '\\Seen'),
    flagged: hasFlag(message.flags, '\\Flagged'),
    internal_date: message.internalDate,
    size: message.size,
    subject,
    sent_at: date,
    header_message_id: headerMessageId,
    in_reply_to: inReplyTo,
    message_references: message.references,
    from_addresses: from,
    other_addresses: { sender, replyTo, to, cc, bcc },
    structure: message.structure,
    has_attachment: hasAttachment(message.structure),
    email_id: message.emailId,
    thread_id: message.threadId,
    fingerprint: message.fingerprint,
    forgotten: message.forgotten === true,
    origin,
    defects: message.defects,
    content_sha256: content?.sha256 ?? null,
    content_size: content?.size ?? null,
  }
}
