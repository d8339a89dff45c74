import { createUnionType, Field, Float, ID, Int, ObjectType } from '@nestjs/graphql'
import type { RecordedEvent } from '../../mailbox/events.js'
import { nodeId, streamCursor } from '../ids.js'
import { Change } from './change-base.type.js'
import { HindranceChange, hindranceOf } from './hindrance-change.type.js'
import { Address } from './message.type.js'
import {
  AccessModelEnum,
  CauseEnum,
  ConflictPolicyEnum,
  ConnectionStateEnum,
  CopyStateEnum,
  OperationStateEnum,
  OutcomeReasonEnum,
} from './enums.js'
import { OriginEnum } from './message-enums.js'

@ObjectType({
  implements: () => [Change],
  description: "The account's connection, login or credentials changed their state.",
})
export class ConnectionChange extends Change {
  @Field(() => ConnectionStateEnum, { description: 'The state from then on.' })
  connectionState!: ConnectionStateEnum

  @Field(() => String, { nullable: true, description: 'Why, where there is a reason.' })
  reason!: string | null
}

@ObjectType({
  implements: () => [Change],
  description:
    'All of an ONLINE account was looked at since its connection was made: what is shown is as the server has it.',
})
export class CurrentChange extends Change {}

@ObjectType({ implements: () => [Change], description: 'The account is worked with in another way from then on.' })
export class ModelChange extends Change {
  @Field(() => AccessModelEnum, { description: 'The way.' })
  model!: AccessModelEnum
}

@ObjectType({
  implements: () => [Change],
  description:
    'A mailbox was discovered, changed, renamed, deleted, read further, or has another UIDVALIDITY; or a problem of it began or ended.',
})
export class MailboxChange extends Change {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string

  @Field(() => String, { nullable: true, description: 'Its path, where the event tells it.' })
  path!: string | null
}

@ObjectType({ implements: () => [Change], description: 'A message is in a mailbox that was not there before.' })
export class MessageAddedChange extends Change {
  @Field(() => ID, { description: 'The message.' })
  messageId!: string

  @Field(() => ID, { description: 'Its mailbox.' })
  mailboxId!: string

  @Field(() => OriginEnum, { description: 'How the message got into its mailbox; only ARRIVED is new mail.' })
  origin!: OriginEnum

  @Field(() => ID, { nullable: true, description: 'The message of which it is a copy, or which was uploaded again.' })
  copyOf!: string | null

  @Field(() => ID, { nullable: true, description: 'The mailbox from which it was moved.' })
  movedFrom!: string | null

  @Field(() => Float, { nullable: true, description: 'Its UID; null until the server has given it one.' })
  uid!: number | null

  @Field(() => [String], { description: 'Its flags then.' })
  flags!: string[]

  @Field({ description: 'Its subject.' })
  subject!: string

  @Field(() => [Address], { description: 'From.' })
  from!: Address[]

  @Field({ description: 'INTERNALDATE.' })
  internalDate!: Date

  @Field(() => String, { nullable: true, description: 'Its Message-ID header.' })
  messageIdHeader!: string | null
}

@ObjectType({
  implements: () => [Change],
  description: 'A message of which something could not be read was read: its fields are others now.',
})
export class MessageReadChange extends Change {
  @Field(() => ID, { description: 'The message.' })
  messageId!: string

  @Field(() => ID, { description: 'Its mailbox.' })
  mailboxId!: string
}

@ObjectType({ implements: () => [Change], description: "A message's flags are others now." })
export class MessageFlagsChange extends Change {
  @Field(() => ID, { description: 'The message.' })
  messageId!: string

  @Field(() => ID, { description: 'Its mailbox.' })
  mailboxId!: string

  @Field(() => [String], { description: 'The flags from then on.' })
  flags!: string[]

  @Field(() => [String], { description: 'The flags before.' })
  previousFlags!: string[]
}

@ObjectType({ implements: () => [Change], description: 'A message is no longer in its mailbox.' })
export class MessageExpungedChange extends Change {
  @Field(() => ID, { description: 'The message.' })
  messageId!: string

  @Field(() => ID, { description: 'The mailbox that it was in.' })
  mailboxId!: string

  @Field({
    description: 'Whether it only left the index, its mailbox being left out of that: the server has it still.',
  })
  isLeftOut!: boolean
}

@ObjectType({
  implements: () => [Change],
  description:
    "A message's content was fetched, or could not be, or is no longer kept here, being outside of the selection.",
})
export class MessageContentChange extends Change {
  @Field(() => ID, { description: 'The message.' })
  messageId!: string

  @Field(() => Boolean, { description: 'Whether it is kept here from then on.' })
  isHere!: boolean

  @Field(() => String, {
    nullable: true,
    description: 'Why it could not be fetched; null when it was, or was not asked for.',
  })
  reason!: string | null
}

@ObjectType({
  implements: () => [Change],
  description:
    'Operations were asked for, or the server is told of them, or they have come to an outcome, be it in part.',
})
export class OperationChange extends Change {
  @Field(() => [ID], { description: 'The operations.' })
  operationIds!: string[]

  @Field(() => OperationStateEnum, {
    nullable: true,
    description:
      'The state of the operations from then on; null where only some of their messages have come to an outcome.',
  })
  operationState!: OperationStateEnum | null

  @Field(() => OutcomeReasonEnum, {
    nullable: true,
    description: 'Why the operations ended as they did, where there is a reason.',
  })
  outcomeReason!: OutcomeReasonEnum | null
}

@ObjectType({
  implements: () => [Change],
  description: 'Where the server has messages is not, or no longer, what is shown of them.',
})
export class ServerPlaceChange extends Change {
  @Field(() => [ID], { description: 'The messages.' })
  messageIds!: string[]
}

@ObjectType({
  implements: () => [Change],
  description: "When the account has a connection was set: see the account's `connectionSchedule`.",
})
export class ConnectionScheduleChange extends Change {}

@ObjectType({ implements: () => [Change], description: 'The conflict policy of the account was set.' })
export class ConflictPolicyChange extends Change {
  @Field(() => ConflictPolicyEnum, { description: 'The policy from then on.' })
  policy!: ConflictPolicyEnum
}

@ObjectType({
  implements: () => [Change],
  description: 'Of which messages the raw messages are to be here was set (DISCONNECTED accounts).',
})
export class SelectionChange extends Change {
  @Field(() => ID, {
    nullable: true,
    description: 'The mailbox that it was set for; null for the account, or for messages.',
  })
  selectedMailboxId!: string | null

  @Field(() => [ID], { description: 'The messages that it was set for, one by one.' })
  messageIds!: string[]
}

@ObjectType({
  implements: () => [Change],
  description:
    "How an OFFLINE account collects, or when it deletes from its server, was set: see the account's fields.",
})
export class CollectionChange extends Change {}

@ObjectType({
  implements: () => [Change],
  description: 'How full the maildrop of an OFFLINE account is was found to be other than before, or passed a level.',
})
export class MaildropChange extends Change {
  @Field(() => Int, { description: 'Messages in the maildrop.' })
  messages!: number

  @Field(() => Float, { description: 'Bytes of the messages in the maildrop.' })
  bytes!: number

  @Field(() => Float, { nullable: true, description: 'Bytes that it may hold, where that is known.' })
  limit!: number | null

  @Field(() => Int, { description: 'The level of warning, in percent of the limit; 0 below all levels.' })
  level!: number

  @Field({ description: 'Whether the level was passed just now: a warning.' })
  isWarning!: boolean
}

@ObjectType({
  implements: () => [Change],
  description:
    'The server of an OFFLINE account was asked to delete messages, or no longer has them, or has them again.',
})
export class ServerCopyChange extends Change {
  @Field(() => [ID], { description: 'The messages.' })
  messageIds!: string[]

  @Field(() => CopyStateEnum, { description: 'What became of their copies on the server.' })
  copyState!: CopyStateEnum
}

@ObjectType({
  implements: () => [Change],
  description: 'A message or the whole account was forgotten; or an event of which nothing else is left.',
})
export class ForgottenChange extends Change {
  @Field(() => ID, { nullable: true, description: 'The message, where the event is of one.' })
  forgottenMessageId!: string | null

  @Field(() => String, { nullable: true, description: 'Who asked for it; null in the place of what was forgotten.' })
  requestedBy!: string | null
}

/** Every kind of change; `changeOf` makes no other. */
const KINDS = [
  ConnectionChange,
  HindranceChange,
  CurrentChange,
  ModelChange,
  MailboxChange,
  MessageAddedChange,
  MessageReadChange,
  MessageFlagsChange,
  MessageExpungedChange,
  MessageContentChange,
  CollectionChange,
  MaildropChange,
  ServerCopyChange,
  OperationChange,
  ServerPlaceChange,
  ConflictPolicyChange,
  ConnectionScheduleChange,
  SelectionChange,
  ForgottenChange,
] as const

export const AccountChange = createUnionType({
  name: 'AccountChange',
  description: 'Any event of an account.',
  types: () => KINDS,
  resolveType: (value: object) => value.constructor,
})

/** Brings an event into the API's form. */
export function changeOf(event: RecordedEvent): InstanceType<(typeof KINDS)[number]> {
  const { accountId, version, recordedAt, type } = event
  const cause = event.cause as CauseEnum
  const at = { cursor: streamCursor(accountId, version), version, recordedAt, type, cause }
  switch (event.type) {
    case 'AccountConnected':
    case 'CredentialsChanged':
    case 'WentOnline':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.CONNECTING,
        reason: null,
      })
    case 'ConnectionEstablished':
      return Object.assign(new ConnectionChange(), at, { connectionState: ConnectionStateEnum.CONNECTED, reason: null })
    case 'ConnectionLost':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.DISCONNECTED,
        reason: event.data.reason,
      })
    case 'LoginWasRefused':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.LOGIN_REFUSED,
        reason: event.data.serverSaid,
      })
    case 'ModelChanged':
      return Object.assign(new ModelChange(), at, { model: event.data.model as AccessModelEnum })
    case 'ConnectionClosed':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.NO_SESSION,
        reason: null,
      })
    case 'AccountCurrent':
      return Object.assign(new CurrentChange(), at)
    case 'WentOffline':
      return Object.assign(new ConnectionChange(), at, { connectionState: ConnectionStateEnum.OFFLINE, reason: null })
    case 'WorkStopped':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.FAILED,
        reason: event.data.reason,
      })
    case 'WorkHindered':
      return Object.assign(new HindranceChange(), at, hindranceOf(event.data))
    case 'WorkUnhindered':
      return Object.assign(new HindranceChange(), at, hindranceOf(null))
    case 'ServerThrottled':
      return Object.assign(new ConnectionChange(), at, {
        connectionState: ConnectionStateEnum.THROTTLED,
        reason: event.data.serverSaid,
      })
    case 'MessageAdded':
    case 'MessageMoved':
      return Object.assign(new MessageAddedChange(), at, addedOf(event))
    case 'MessageRead':
      return Object.assign(new MessageReadChange(), at, {
        messageId: nodeId('Message', event.data.messageId),
        mailboxId: nodeId('Mailbox', event.data.mailboxId),
      })
    case 'MessageFlagsChanged': {
      const { messageId, mailboxId, flags, previousFlags } = event.data
      const ids = { messageId: nodeId('Message', messageId), mailboxId: nodeId('Mailbox', mailboxId) }
      return Object.assign(new MessageFlagsChange(), at, ids, { flags: [...flags], previousFlags: [...previousFlags] })
    }
    case 'MessageExpunged': {
      const { messageId, mailboxId, leftOut } = event.data
      return Object.assign(new MessageExpungedChange(), at, {
        messageId: nodeId('Message', messageId),
        mailboxId: nodeId('Mailbox', mailboxId),
        isLeftOut: leftOut === true,
      })
    }
    case 'MessageContentStored':
    case 'MessageContentUnavailable':
    case 'MessageContentDropped': {
      const reason = event.type === 'MessageContentUnavailable' ? event.data.reason : null
      return Object.assign(new MessageContentChange(), at, {
        messageId: nodeId('Message', event.data.messageId),
        isHere: event.type === 'MessageContentStored',
        reason,
      })
    }
    case 'CollectionChanged':
    case 'DeletionPolicyChanged':
      return Object.assign(new CollectionChange(), at)
    case 'MaildropMeasured':
    case 'MaildropLevelPassed': {
      const isWarning = event.type === 'MaildropLevelPassed'
      return Object.assign(new MaildropChange(), at, event.data, { isWarning })
    }
    case 'ServerCopyFound':
      return copyChange(at, [event.data.messageId], CopyStateEnum.THERE)
    case 'ServerCopiesRecorded': {
      const messageIds = event.data.copies.map(({ messageId }) => messageId)
      return copyChange(at, messageIds, CopyStateEnum.THERE)
    }
    case 'ServerDeletionAsked':
      return copyChange(at, event.data.messageIds, CopyStateEnum.DELETION_ASKED)
    case 'ServerCopiesGone':
      return copyChange(at, event.data.messageIds, CopyStateEnum.GONE)
    case 'OperationRequested':
    case 'OperationSettled': {
      const state = (event.type === 'OperationSettled' ? event.data.outcome : 'PENDING') as OperationStateEnum | null
      const reason = (event.type === 'OperationSettled' ? event.data.reason : null) as OutcomeReasonEnum | null
      return operationChange(at, [event.data.operationId], state, reason)
    }
    case 'OperationsSent':
      return operationChange(at, event.data.operationIds, OperationStateEnum.SENT, null)
    case 'ServerPlacesChanged': {
      const messageIds = event.data.messages.map(({ messageId }) => nodeId('Message', messageId))
      return Object.assign(new ServerPlaceChange(), at, { messageIds })
    }
    case 'ConflictPolicyChanged':
      return Object.assign(new ConflictPolicyChange(), at, { policy: event.data.policy as ConflictPolicyEnum })
    case 'ConnectionScheduleChanged':
      return Object.assign(new ConnectionScheduleChange(), at)
    case 'SelectionChanged':
    case 'MessagesKept': {
      const mailboxId = 'mailboxId' in event.data && event.data.mailboxId ? event.data.mailboxId : null
      const messageIds = 'messageIds' in event.data ? event.data.messageIds : []
      return Object.assign(new SelectionChange(), at, {
        selectedMailboxId: mailboxId && nodeId('Mailbox', mailboxId),
        messageIds: messageIds.map((messageId) => nodeId('Message', messageId)),
      })
    }
    case 'MessageForgotten':
    case 'AccountForgotten':
    case 'EventForgotten':
      return Object.assign(new ForgottenChange(), at, {
        forgottenMessageId: 'messageId' in event.data ? nodeId('Message', event.data.messageId) : null,
        requestedBy: 'requestedBy' in event.data ? event.data.requestedBy : null,
      })
    default: {
      const path = 'path' in event.data ? event.data.path : null
      return Object.assign(new MailboxChange(), at, { mailboxId: nodeId('Mailbox', event.data.mailboxId), path })
    }
  }
}

function operationChange(
  at: Change,
  ids: readonly string[],
  operationState: OperationStateEnum | null,
  outcomeReason: OutcomeReasonEnum | null,
): OperationChange {
  const operationIds = ids.map((id) => nodeId('Operation', id))
  return Object.assign(new OperationChange(), at, { operationIds, operationState, outcomeReason })
}

function copyChange(at: Change, messageIds: readonly string[], copyState: CopyStateEnum): ServerCopyChange {
  const ids = messageIds.map((messageId) => nodeId('Message', messageId))
  return Object.assign(new ServerCopyChange(), at, { messageIds: ids, copyState })
}

function addedOf(event: Extract<RecordedEvent, { type: 'MessageAdded' | 'MessageMoved' }>) {
  const { messageId, mailboxId, uid, flags, envelope, internalDate } = event.data
  const wasMoved = event.type === 'MessageMoved'
  return {
    messageId: nodeId('Message', messageId),
    mailboxId: nodeId('Mailbox', mailboxId),
    origin: (wasMoved ? 'MOVED' : event.data.origin) as OriginEnum,
    copyOf: !wasMoved && event.data.copyOf !== null ? nodeId('Message', event.data.copyOf) : null,
    movedFrom: wasMoved ? nodeId('Mailbox', event.data.from.mailboxId) : null,
    uid: uid || null,
    flags: [...flags],
    subject: envelope.subject,
    from: [...envelope.from],
    internalDate: new Date(internalDate),
    messageIdHeader: envelope.messageId,
  }
}
