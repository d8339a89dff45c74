import { registerEnumType } from '@nestjs/graphql'

export enum AccessModelEnum {
  OFFLINE = 'OFFLINE',
  ONLINE = 'ONLINE',
  DISCONNECTED = 'DISCONNECTED',
}
registerEnumType(AccessModelEnum, {
  name: 'AccessModel',
  description: 'How an account is worked with (RFC 1733).',
  valuesMap: {
    OFFLINE: { description: 'All mail is collected and kept here; the server is a drop-box.' },
    ONLINE: { description: 'Mail stays on the server; only the index is kept here.' },
    DISCONNECTED: { description: 'Mail stays on the server, and a copy is kept here.' },
  },
})

export enum ProtocolEnum {
  IMAP = 'IMAP',
  POP3 = 'POP3',
}
registerEnumType(ProtocolEnum, {
  name: 'Protocol',
  description: 'The protocol that a mail server is spoken to in.',
  valuesMap: { IMAP: { description: 'IMAP4 (RFC 3501, RFC 9051).' }, POP3: { description: 'POP3 (RFC 1939).' } },
})

export enum AuthenticationEnum {
  PASSWORD = 'PASSWORD',
  XOAUTH2 = 'XOAUTH2',
}
registerEnumType(AuthenticationEnum, {
  name: 'Authentication',
  description: 'How an account logs in.',
  valuesMap: {
    PASSWORD: { description: 'With a password, by the best way that the server offers.' },
    XOAUTH2: {
      description: 'With an OAuth 2.0 access token, given in the place of the password; renew it by changeCredentials.',
    },
  },
})

export enum SecurityEnum {
  IMPLICIT_TLS = 'IMPLICIT_TLS',
  STARTTLS = 'STARTTLS',
  PLAINTEXT = 'PLAINTEXT',
}
registerEnumType(SecurityEnum, {
  name: 'Security',
  description: 'How a connection to a mail server is protected.',
  valuesMap: {
    IMPLICIT_TLS: { description: 'TLS from the first byte (RFC 8314).' },
    STARTTLS: { description: 'Plain text until STARTTLS, which is required: without it there is no login.' },
    PLAINTEXT: { description: 'No protection; only to loopback, unless the operator allows more.' },
  },
})

export enum ConnectionStateEnum {
  CONNECTING = 'CONNECTING',
  CONNECTED = 'CONNECTED',
  DISCONNECTED = 'DISCONNECTED',
  THROTTLED = 'THROTTLED',
  LOGIN_REFUSED = 'LOGIN_REFUSED',
}
registerEnumType(ConnectionStateEnum, {
  name: 'ConnectionState',
  description: "How an account's connection stands.",
  valuesMap: {
    CONNECTING: { description: 'It is about to be made for the first time, or with new credentials.' },
    CONNECTED: { description: 'It is up, or was when this was last proved.' },
    DISCONNECTED: { description: 'It was lost, or could not be had; it is tried again at growing intervals.' },
    THROTTLED: { description: 'The server asked for a pause; nothing is tried until it is over.' },
    LOGIN_REFUSED: { description: 'The server refused the login; nothing is tried until the credentials change.' },
  },
})

export enum OriginEnum {
  EXISTING = 'EXISTING',
  ARRIVED = 'ARRIVED',
  MOVED = 'MOVED',
  COPIED = 'COPIED',
  UPLOADED_AGAIN = 'UPLOADED_AGAIN',
  IMPORTED = 'IMPORTED',
}
registerEnumType(OriginEnum, {
  name: 'Origin',
  description: 'Whence a message came into its mailbox.',
  valuesMap: {
    EXISTING: { description: 'It was there when the mailbox was first read.' },
    ARRIVED: { description: 'It is new mail.' },
    MOVED: { description: 'It was moved here from another mailbox, and kept its id.' },
    COPIED: { description: 'It is a copy of a message that is still there.' },
    UPLOADED_AGAIN: { description: 'Its content was known before; it was uploaded with another INTERNALDATE.' },
    IMPORTED: { description: 'It came out of a file that was imported.' },
  },
})

export enum DefectEnum {
  HEADER_TRUNCATED = 'HEADER_TRUNCATED',
  ADDRESSES_TRUNCATED = 'ADDRESSES_TRUNCATED',
  STRUCTURE_TRUNCATED = 'STRUCTURE_TRUNCATED',
  STRUCTURE_UNREADABLE = 'STRUCTURE_UNREADABLE',
  UNREADABLE = 'UNREADABLE',
}
registerEnumType(DefectEnum, {
  name: 'Defect',
  description: 'Something in a message that the index could not keep as it came; the raw message has it.',
  valuesMap: {
    HEADER_TRUNCATED: { description: 'A header field was longer than the index keeps.' },
    ADDRESSES_TRUNCATED: { description: 'There were more addresses than the index keeps.' },
    STRUCTURE_TRUNCATED: { description: 'There were more parts than the index keeps.' },
    STRUCTURE_UNREADABLE: {
      description: 'The structure of its parts could not be read, or the server did not tell it.',
    },
    UNREADABLE: { description: 'Neither envelope nor structure could be read.' },
  },
})

export enum CauseEnum {
  SERVER = 'SERVER',
  CLIENT = 'CLIENT',
  POLICY = 'POLICY',
}
registerEnumType(CauseEnum, {
  name: 'Cause',
  description: 'Who made an event necessary.',
  valuesMap: {
    SERVER: { description: 'The mail server: it told of something that happened there.' },
    CLIENT: { description: 'A client of this API, or a person at the command line.' },
    POLICY: { description: 'A policy that the user has set.' },
  },
})

export enum DifferenceKindEnum {
  ADDED = 'ADDED',
  REMOVED = 'REMOVED',
  MOVED = 'MOVED',
  FLAGS_CHANGED = 'FLAGS_CHANGED',
}
registerEnumType(DifferenceKindEnum, {
  name: 'DifferenceKind',
  description: 'What is another with a message at a later moment than at an earlier one.',
  valuesMap: {
    ADDED: { description: 'It was not there, and is.' },
    REMOVED: { description: 'It was there, and is not.' },
    MOVED: { description: 'It is in another mailbox.' },
    FLAGS_CHANGED: { description: 'It has other flags or keywords.' },
  },
})

export enum DeletionPolicyKindEnum {
  NEVER = 'NEVER',
  AT_ONCE = 'AT_ONCE',
  AFTER_DAYS = 'AFTER_DAYS',
  WHEN_DELETED_HERE = 'WHEN_DELETED_HERE',
  WHEN_QUOTA_PASSES = 'WHEN_QUOTA_PASSES',
}
registerEnumType(DeletionPolicyKindEnum, {
  name: 'DeletionPolicyKind',
  description: 'When an OFFLINE account deletes from its server what was collected.',
  valuesMap: {
    NEVER: { description: 'Never.' },
    AT_ONCE: { description: 'As soon as the message is durable here.' },
    AFTER_DAYS: { description: 'So many days after it was collected.' },
    WHEN_DELETED_HERE: { description: 'When it is deleted for good here: it is not enough that it is in Trash.' },
    WHEN_QUOTA_PASSES: { description: 'When the maildrop is fuller than so many percent: the oldest first.' },
  },
})

export enum RemovalEnum {
  EXPUNGE = 'EXPUNGE',
  MOVE_TO_TRASH = 'MOVE_TO_TRASH',
}
registerEnumType(RemovalEnum, {
  name: 'Removal',
  description: 'How an IMAP server is made to delete.',
  valuesMap: {
    EXPUNGE: { description: 'For good, by UID EXPUNGE (RFC 4315): nothing that others have marked goes along.' },
    MOVE_TO_TRASH: { description: "Into the server's mailbox for Trash (RFC 6851), which frees no space by itself." },
  },
})

export enum CopyStateEnum {
  THERE = 'THERE',
  DELETION_ASKED = 'DELETION_ASKED',
  GONE = 'GONE',
}
registerEnumType(CopyStateEnum, {
  name: 'ServerCopyState',
  description: 'Whether the server of an OFFLINE account still has a message that was collected.',
  valuesMap: {
    THERE: { description: 'It has it, when it was last looked at.' },
    DELETION_ASKED: { description: 'It is being asked to delete it, and has not said yet that it did.' },
    GONE: { description: 'It no longer has it.' },
  },
})
