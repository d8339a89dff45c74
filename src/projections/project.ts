import type { AccountEvent, MailboxListing, RecordedEvent } from '../mailbox/events.js'
import { hasFlag, type Flags } from '../mailbox/flags.js'
import { attachmentsOf, type MessageData } from '../mailbox/message.js'
import type { MailboxColumns, MessageRow, RowChange } from './row-changes.js'

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
  AccountConnected: ({ protocol, host, port, security, username, model }, recordedAt) => [
    {
      change: 'add account',
      columns: {
        protocol,
        host,
        port,
        security,
        username,
        model,
        connected_at: recordedAt,
        ...connection('CONNECTING', recordedAt),
      },
    },
  ],
  CredentialsChanged: (_, recordedAt) => [{ change: 'set account', columns: connection('CONNECTING', recordedAt) }],
  ConnectionEstablished: ({ capabilities, server }, recordedAt) => [
    { change: 'set account', columns: { ...connection('CONNECTED', recordedAt), capabilities, server } },
  ],
  ConnectionLost: ({ reason }, recordedAt) => [
    { change: 'set account', columns: connection('DISCONNECTED', recordedAt, reason) },
  ],
  LoginWasRefused: ({ serverSaid }, recordedAt) => [
    { change: 'set account', columns: connection('LOGIN_REFUSED', recordedAt, serverSaid) },
  ],
  ServerThrottled: ({ serverSaid, until }, recordedAt) => [
    { change: 'set account', columns: { ...connection('THROTTLED', recordedAt, serverSaid), throttled_until: until } },
  ],
  MailboxDiscovered: ({ mailboxId, foundLater, ...listing }) => [
    { change: 'add mailbox', mailboxId, columns: { ...columnsOf(listing), found_later: foundLater } },
  ],
  MailboxChanged: ({ mailboxId, ...listing }) => [{ change: 'set mailbox', mailboxId, columns: columnsOf(listing) }],
  MailboxRenamed: ({ mailboxId, ...listing }) => [{ change: 'set mailbox', mailboxId, columns: columnsOf(listing) }],
  MailboxDeleted: ({ mailboxId }) => [{ change: 'remove mailbox', mailboxId }],
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
  MessageAdded: ({ messageId, mailboxId, uidValidity, origin, ...message }) => [
    { change: 'add message', row: rowOf(messageId, mailboxId, uidValidity, origin, message) },
    count(mailboxId, 1, message.flags),
  ],
  MessageMoved: ({ messageId, mailboxId, uidValidity, from, ...message }) => [
    { change: 'move message', row: rowOf(messageId, mailboxId, uidValidity, 'MOVED', message) },
    count(mailboxId, 1, message.flags),
    from.wasExpunged ? { change: 'remove expunged', messageId } : count(from.mailboxId, -1, from.flags),
  ],
  MessagesRenumbered: ({ uidValidity, messages }) =>
    messages.map(({ messageId, uid, modseq }) => ({
      change: 'set message',
      messageId,
      columns: { uid_validity: uidValidity, uid, modseq },
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
  MessageForgotten: ({ messageId, fingerprint }) => [
    { change: 'set message', messageId, columns: {} },
    { change: 'add forgotten', fingerprint },
  ],
  AccountForgotten: () => [],
  EventForgotten: () => [],
}

function connection(state: string, since: string, detail: string | null = null) {
  return { connection_state: state, connection_since: since, connection_detail: detail, throttled_until: null }
}

function columnsOf(listing: MailboxListing): MailboxColumns {
  const { path, delimiter, attributes, subscribed, selectable } = listing
  return {
    path,
    delimiter,
    attributes,
    subscribed,
    selectable,
    special_use: listing.specialUse,
    object_id: listing.objectId,
  }
}

const unseenOf = (flags: Flags) => (hasFlag(flags, '\\Seen') ? 0 : 1)

function count(mailboxId: string, sign: 1 | -1, flags: Flags): RowChange {
  // adding 0 keeps -0 out of the tables' parameters
  return { change: 'count messages', mailboxId, messages: sign, unseen: sign * unseenOf(flags) + 0 }
}

function rowOf(
  messageId: string,
  mailboxId: string,
  uidValidity: string,
  origin: string,
  message: MessageData,
): MessageRow {
  const { subject, date, messageId: headerMessageId, inReplyTo, ...addresses } = message.envelope
  const { from, sender, replyTo, to, cc, bcc } = addresses
  return {
    message_id: messageId,
    mailbox_id: mailboxId,
    uid_validity: uidValidity,
    uid: message.uid,
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
    has_attachment: attachmentsOf(message.structure).length > 0,
    email_id: message.emailId,
    thread_id: message.threadId,
    fingerprint: message.fingerprint,
    forgotten: message.forgotten === true,
    origin,
    defects: message.defects,
  }
}
