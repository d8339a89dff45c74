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
  FAILED = 'FAILED',
  OFFLINE = 'OFFLINE',
  NO_SESSION = 'NO_SESSION',
}
registerEnumType(ConnectionStateEnum, {
  name: 'ConnectionState',
  description: "How an account's connection stands.",
  valuesMap: {
    CONNECTING: { description: 'The connection is about to be made for the first time, or with new credentials.' },
    CONNECTED: { description: 'The connection is up, or was when this was last proved.' },
    DISCONNECTED: {
      description: 'The connection was lost, or could not be made; it is tried again at growing intervals.',
    },
    THROTTLED: { description: 'The server asked for a pause; nothing is tried until it is over.' },
    LOGIN_REFUSED: { description: 'The server refused the login; nothing is tried until the credentials change.' },
    FAILED: {
      description:
        'Mailfold cannot work for the account, by what is no answer of its mail server: see `reason` and `remedy`. It is tried again at growing intervals.',
    },
    OFFLINE: { description: 'A client wants none: see `goOffline`.' },
    NO_SESSION: { description: 'There is none, since no session is open (ONLINE accounts): see `openSession`.' },
  },
})

export enum MailboxProblemKindEnum {
  REFUSED = 'REFUSED',
  INCOMPLETE = 'INCOMPLETE',
}
registerEnumType(MailboxProblemKindEnum, {
  name: 'MailboxProblemKind',
  description: 'What keeps a mailbox from being complete.',
  valuesMap: {
    REFUSED: { description: 'The server does not let the mailbox be opened or read.' },
    INCOMPLETE: { description: 'The server counts more messages in the mailbox than it lists or gives.' },
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
  description: 'How a message differs between two moments.',
  valuesMap: {
    ADDED: { description: 'The message was not there at the earlier moment, and is at the later one.' },
    REMOVED: { description: 'The message was there at the earlier moment, and is not at the later one.' },
    MOVED: { description: 'The message is in another mailbox.' },
    FLAGS_CHANGED: { description: 'The message has other flags or keywords.' },
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
    THERE: { description: 'The server had the message when it was last looked at.' },
    DELETION_ASKED: {
      description: 'The server is being asked to delete the message, and has not said yet that it did.',
    },
    GONE: { description: 'The server no longer has the message.' },
  },
})

export enum OperationKindEnum {
  CHANGE_FLAGS = 'CHANGE_FLAGS',
  MOVE = 'MOVE',
  DELETE = 'DELETE',
  COPY = 'COPY',
  APPEND = 'APPEND',
  CREATE_MAILBOX = 'CREATE_MAILBOX',
  RENAME_MAILBOX = 'RENAME_MAILBOX',
  DELETE_MAILBOX = 'DELETE_MAILBOX',
  SUBSCRIBE = 'SUBSCRIBE',
}
registerEnumType(OperationKindEnum, {
  name: 'OperationKind',
  description: 'What an operation asks for.',
  valuesMap: {
    CHANGE_FLAGS: { description: 'Flags and keywords of messages.' },
    MOVE: { description: 'Messages into another mailbox.' },
    DELETE: { description: 'Messages into Trash, or gone for good.' },
    COPY: { description: 'Copies of messages in a mailbox.' },
    APPEND: { description: 'A new message in a mailbox.' },
    CREATE_MAILBOX: { description: 'A new mailbox.' },
    RENAME_MAILBOX: { description: 'Another path for a mailbox, and those below it.' },
    DELETE_MAILBOX: { description: 'A mailbox gone.' },
    SUBSCRIBE: { description: 'A mailbox subscribed to, or no longer.' },
  },
})

export enum OperationStateEnum {
  PENDING = 'PENDING',
  SENT = 'SENT',
  APPLIED = 'APPLIED',
  SUPERSEDED = 'SUPERSEDED',
  REJECTED = 'REJECTED',
  UNDONE = 'UNDONE',
}
registerEnumType(OperationStateEnum, {
  name: 'OperationState',
  description: 'How far an operation is; all but PENDING and SENT are its outcome, which is final.',
  valuesMap: {
    PENDING: { description: 'It is shown here, and the server has not been told.' },
    SENT: { description: 'The server was told, or may have been; what it did is being found out.' },
    APPLIED: { description: 'The server did it; where messages are excepted, they are counted as rejected.' },
    SUPERSEDED: { description: "Nothing had to be done, or the server's own change was given precedence." },
    REJECTED: { description: 'It was not done; what is shown is as if it had not been asked for.' },
    UNDONE: { description: 'It was taken back before the server was told.' },
  },
})

export enum OutcomeReasonEnum {
  ALREADY_SO = 'ALREADY_SO',
  LATER_OPERATION = 'LATER_OPERATION',
  MESSAGE_GONE = 'MESSAGE_GONE',
  MOVED_ELSEWHERE = 'MOVED_ELSEWHERE',
  FLAGS_CHANGED = 'FLAGS_CHANGED',
  MAILBOX_RENAMED = 'MAILBOX_RENAMED',
  MAILBOX_DELETED = 'MAILBOX_DELETED',
  MAILBOX_EXISTS = 'MAILBOX_EXISTS',
  MAILBOX_NOT_EMPTY = 'MAILBOX_NOT_EMPTY',
  UIDVALIDITY_CHANGED = 'UIDVALIDITY_CHANGED',
  NO_PERMISSION = 'NO_PERMISSION',
  OVER_QUOTA = 'OVER_QUOTA',
  KEYWORD_NOT_ALLOWED = 'KEYWORD_NOT_ALLOWED',
  SERVER_REFUSED = 'SERVER_REFUSED',
  NO_ANSWER = 'NO_ANSWER',
  NO_CONNECTION = 'NO_CONNECTION',
  MODEL_CHANGED = 'MODEL_CHANGED',
}
registerEnumType(OutcomeReasonEnum, {
  name: 'OutcomeReason',
  description: 'Why an operation ended as it did.',
  valuesMap: {
    ALREADY_SO: { description: 'Nothing was left to tell the server.' },
    LATER_OPERATION: { description: 'A later operation made it void.' },
    MESSAGE_GONE: { description: "The message is in none of the account's mailboxes any more." },
    MOVED_ELSEWHERE: { description: 'Somebody else moved the message.' },
    FLAGS_CHANGED: { description: "Somebody else changed the message's flags." },
    MAILBOX_RENAMED: { description: 'Somebody else gave the mailbox another path.' },
    MAILBOX_DELETED: { description: 'The mailbox is no longer there.' },
    MAILBOX_EXISTS: { description: 'There is a mailbox with that path already.' },
    MAILBOX_NOT_EMPTY: { description: 'There is mail in the mailbox.' },
    UIDVALIDITY_CHANGED: { description: 'The server numbered the mailbox anew.' },
    NO_PERMISSION: { description: 'The server does not allow it (NOPERM), or the mailbox is read-only.' },
    OVER_QUOTA: { description: 'The mailbox has no room for it (OVERQUOTA).' },
    KEYWORD_NOT_ALLOWED: { description: 'The mailbox keeps no such keyword (PERMANENTFLAGS).' },
    SERVER_REFUSED: { description: 'The server refused, or said that it did it and did not.' },
    NO_ANSWER: { description: 'The connection ended before the answer.' },
    NO_CONNECTION: { description: 'There was no connection to do it by, or it ended before it was known to be done.' },
    MODEL_CHANGED: { description: 'The account has become OFFLINE: the server is not told, and what is shown stays.' },
  },
})

export enum OfferEnum {
  RETRY = 'RETRY',
  RESTORE = 'RESTORE',
  DISCARD = 'DISCARD',
}
registerEnumType(OfferEnum, {
  name: 'Offer',
  description: 'What can be done about a rejected operation.',
  valuesMap: {
    RETRY: { description: 'Ask for it again, on what is there now.' },
    RESTORE: { description: 'Put the message onto the server again, from what is kept of it here.' },
    DISCARD: {
      description: 'Leave it at that; a message that was made here and has not come to the server is dropped.',
    },
  },
})

export enum SelectionKeepEnum {
  NONE = 'NONE',
  HEADERS = 'HEADERS',
  WHOLE = 'WHOLE',
}
registerEnumType(SelectionKeepEnum, {
  name: 'SelectionKeep',
  description: 'What of messages is copied here from the server of a DISCONNECTED account.',
  valuesMap: {
    NONE: { description: 'Nothing: the mailbox is listed, and its messages are not in the index.' },
    HEADERS: { description: 'The index alone, and the raw messages that were asked for.' },
    WHOLE: { description: 'The raw messages as well.' },
  },
})

export enum UploadStepKindEnum {
  APPEND = 'APPEND',
  COPY = 'COPY',
  STORE = 'STORE',
  MOVE = 'MOVE',
  EXPUNGE = 'EXPUNGE',
  CREATE = 'CREATE',
  RENAME = 'RENAME',
  SUBSCRIBE = 'SUBSCRIBE',
  DELETE = 'DELETE',
}
registerEnumType(UploadStepKindEnum, {
  name: 'UploadStepKind',
  description: 'What a server is to be told, by the IMAP command that says it.',
  valuesMap: {
    APPEND: { description: 'Put a message into a mailbox.' },
    COPY: { description: 'Copy messages into a mailbox.' },
    STORE: { description: 'Add or remove flags and keywords.' },
    MOVE: { description: 'Move messages into a mailbox; by COPY and UID EXPUNGE where there is no MOVE.' },
    EXPUNGE: { description: 'Delete messages for good; without UIDPLUS they are only marked.' },
    CREATE: { description: 'Make a mailbox.' },
    RENAME: { description: 'Give a mailbox, and those below it, another path.' },
    SUBSCRIBE: { description: 'Subscribe to a mailbox, or no longer.' },
    DELETE: { description: 'Delete a mailbox.' },
  },
})

export enum ConflictPolicyEnum {
  SERVER_WINS = 'SERVER_WINS',
  CLIENT_WINS = 'CLIENT_WINS',
  ASK = 'ASK',
}
registerEnumType(ConflictPolicyEnum, {
  name: 'ConflictPolicy',
  description: 'Whose change stands where an operation and a change on the server contradict each other.',
  valuesMap: {
    SERVER_WINS: { description: "The server's: the operation is superseded." },
    CLIENT_WINS: { description: "The client's: the operation is carried out on what is there now." },
    ASK: {
      description:
        "The server's, and the operation is rejected with the offer to retry it: the first policy of an account.",
    },
  },
})

export enum CandidateKindEnum {
  LARGEST = 'LARGEST',
  READ_ATTACHMENTS = 'READ_ATTACHMENTS',
  DUPLICATES = 'DUPLICATES',
  TRASH = 'TRASH',
  JUNK = 'JUNK',
  NEWSLETTERS = 'NEWSLETTERS',
  OLD = 'OLD',
}
registerEnumType(CandidateKindEnum, {
  name: 'CandidateKind',
  description: 'A group of messages that are worth deleting where the mailbox fills up.',
  valuesMap: {
    LARGEST: { description: 'Of `minBytes` or more, and not flagged.' },
    READ_ATTACHMENTS: { description: 'Of `minBytes` or more, with attachments, read, and not flagged.' },
    DUPLICATES: { description: 'With the Message-ID and the size of an earlier one, which stays.' },
    TRASH: { description: 'In the mailbox for what is thrown away (RFC 6154).' },
    JUNK: { description: 'In the mailbox for junk (RFC 6154).' },
    NEWSLETTERS: { description: 'Come by a mailing list (List-Id, RFC 2919), not read, and not flagged.' },
    OLD: { description: 'Come before `olderThanDays`, by INTERNALDATE, and not flagged.' },
  },
})

export enum SortKeyEnum {
  ARRIVAL = 'ARRIVAL',
  DATE = 'DATE',
  FROM = 'FROM',
  SIZE = 'SIZE',
  SUBJECT = 'SUBJECT',
}
registerEnumType(SortKeyEnum, {
  name: 'SortKey',
  description: 'What found messages are sorted by (RFC 5256 §3).',
  valuesMap: {
    ARRIVAL: { description: 'INTERNALDATE.' },
    DATE: { description: 'The Date header, or else INTERNALDATE.' },
    FROM: { description: "The first sender's address." },
    SIZE: { description: 'Bytes.' },
    SUBJECT: { description: 'The subject, without the marks of replies.' },
  },
})
