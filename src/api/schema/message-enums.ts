import { registerEnumType } from '@nestjs/graphql'

export enum OriginEnum {
  EXISTING = 'EXISTING',
  ARRIVED = 'ARRIVED',
  MOVED = 'MOVED',
  COPIED = 'COPIED',
  UPLOADED_AGAIN = 'UPLOADED_AGAIN',
  IMPORTED = 'IMPORTED',
  APPENDED = 'APPENDED',
  RESTORED = 'RESTORED',
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
    APPENDED: { description: 'A client put it there through Mailfold.' },
    RESTORED: {
      description: 'Its deletion was undone or did not come about, or it was put back from what is kept here.',
    },
  },
})

export enum DefectEnum {
  HEADER_TRUNCATED = 'HEADER_TRUNCATED',
  ADDRESSES_TRUNCATED = 'ADDRESSES_TRUNCATED',
  STRUCTURE_TRUNCATED = 'STRUCTURE_TRUNCATED',
  STRUCTURE_UNREADABLE = 'STRUCTURE_UNREADABLE',
  STRUCTURE_MISTOLD = 'STRUCTURE_MISTOLD',
  DATE_MISSING = 'DATE_MISSING',
  FLAGS_UNREADABLE = 'FLAGS_UNREADABLE',
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
    STRUCTURE_MISTOLD: {
      description: 'The server tells the parts wrongly. They are listed as the bytes of the message have them.',
    },
    DATE_MISSING: { description: 'The server gave no INTERNALDATE. The date of the header stands in its place.' },
    FLAGS_UNREADABLE: { description: 'The flags could not be read. The message counts as one without flags.' },
    UNREADABLE: {
      description: 'Neither envelope nor structure could be read. Reading is tried again from time to time.',
    },
  },
})
