import { createUnionType, Field, Float, ID, InputType, ObjectType } from '@nestjs/graphql'
import type { ConnectionSchedule } from '../../mailbox/connection-schedule.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { Account } from './account.type.js'
import {
  AccountNotFound,
  InvalidSettings,
  ModelNotPossible,
  PastState,
  plainError,
  UserError,
  userErrorOf,
} from './connect.type.js'
import { MessageNotFound } from './forget.type.js'
import { Mailbox } from './mailbox.type.js'
import { MessageFilterInput } from './message-filter.type.js'
import { Operation } from './operation.type.js'
import { ConflictPolicyEnum, OfferEnum } from './enums.js'

const MailboxNotFound = plainError('MailboxNotFound', 'There is no such mailbox.')
const MailboxProtected = plainError('MailboxProtected', 'INBOX and Trash can be neither renamed nor deleted.')
const MailboxExists = plainError('MailboxExists', 'There is a mailbox with that path already.')

@ObjectType({ implements: () => [UserError], description: 'A mailbox that holds messages is not deleted.' })
export class MailboxNotEmpty extends UserError {
  @Field(() => Float, { description: 'Messages that the mailbox holds.' })
  messages!: number
}

const TooManyMessages = plainError('TooManyMessages', 'The change would be about more messages than one may be.')
@ObjectType({ implements: () => [UserError], description: 'Unusually many messages would be deleted for good.' })
export class MassDeletion extends UserError {
  @Field(() => Float, { description: 'Messages that would be deleted for good.' })
  messages!: number

  @Field(() => Float, { description: 'Messages in the mailbox.' })
  of!: number
}

const OperationNotFound = plainError('OperationNotFound', 'There is no such operation.')
const OperationNotPending = plainError('OperationNotPending', 'The server was told of the operation, or it has ended.')
const LaterOperation = plainError('LaterOperation', 'A later operation stands on this one.')
const NotOffered = plainError('NotOffered', 'That is not offered for this operation, or was done already.')

const SessionNotFound = plainError('SessionNotFound', 'There is no such session, or it was idle for too long.')
const NoSession = plainError('NoSession', 'An ONLINE account is worked with while a session is open.')
const NoConnection = plainError('NoConnection', 'There is no connection to the server, and nothing was changed.')

@ObjectType({ implements: () => [UserError], description: 'A group is not what was seen of it, and was not deleted.' })
export class CandidatesChanged extends UserError {
  @Field(() => Float, { description: 'Messages that the group has now.' })
  messages!: number

  @Field(() => Float, { description: 'Bytes of the messages that the group has now.' })
  bytes!: number
}

@ObjectType({
  implements: () => [UserError],
  description: 'Something that is nowhere but here would be lost: say that it may be.',
})
export class WouldBeLost extends UserError {
  @Field(() => Float, { description: 'Operations that wait for the server.' })
  operations!: number

  @Field(() => Float, { description: 'Messages that are on no server.' })
  messages!: number
}

const OutcomeUnknown = plainError(
  'OutcomeUnknown',
  'What became of the operation is not known yet; it shows that when it is, and so do the changes.',
)

export const ChangeError = createUnionType({
  name: 'ChangeError',
  description: 'Why a change was not made.',
  types: () =>
    [
      AccountNotFound,
      MessageNotFound,
      MailboxNotFound,
      ModelNotPossible,
      InvalidSettings,
      MailboxProtected,
      MailboxNotEmpty,
      MailboxExists,
      TooManyMessages,
      MassDeletion,
      OperationNotFound,
      OperationNotPending,
      LaterOperation,
      NotOffered,
      SessionNotFound,
      NoSession,
      NoConnection,
      OutcomeUnknown,
      CandidatesChanged,
      WouldBeLost,
      PastState,
    ] as const,
  resolveType: (value: object) => value.constructor,
})

/** What is said where a change was asked for, and its outcome did not come in time. */
export function outcomeUnknown(): UserError {
  return Object.assign(new OutcomeUnknown(), {
    message: 'The server has not answered yet: the operation shows when it has.',
  })
}

/** Brings a failure into the API's form. */
export function changeErrorOf(failure: ChangeFailure): UserError {
  switch (failure.kind) {
    case 'MessageNotFound':
      return Object.assign(new MessageNotFound(), {
        message: 'There are no such messages, or they are of several accounts.',
      })
    case 'MailboxNotFound':
      return Object.assign(new MailboxNotFound(), { message: 'There is no such mailbox.' })
    case 'MailboxProtected':
      return Object.assign(new MailboxProtected(), { message: `${failure.path} can be neither renamed nor deleted.` })
    case 'MailboxExists':
      return Object.assign(new MailboxExists(), { message: `There is a mailbox ${failure.path} already.` })
    case 'MailboxNotEmpty': {
      const { path, messages } = failure
      return Object.assign(new MailboxNotEmpty(), {
        message: `${path} holds ${messages} messages: move or delete them first.`,
        messages,
      })
    }
    case 'TooManyMessages':
      return Object.assign(new TooManyMessages(), {
        message: `The change would be about more than ${failure.most} messages: narrow the filter.`,
      })
    case 'MassDeletion': {
      const { messages, of } = failure
      const message = `${messages} of ${of} messages would be deleted for good: say that it is meant.`
      return Object.assign(new MassDeletion(), { message, messages, of })
    }
    case 'OperationNotFound':
      return Object.assign(new OperationNotFound(), { message: 'There is no such operation.' })
    case 'OperationNotPending':
      return Object.assign(new OperationNotPending(), {
        message: `The operation is ${failure.state}: only one of which the server was not told can be undone.`,
      })
    case 'LaterOperation':
      return Object.assign(new LaterOperation(), {
        message: 'A later operation stands on this one: undo that first.',
      })
    case 'NotOffered':
      return Object.assign(new NotOffered(), {
        message: `${failure.answer} is not offered for this operation, or was done already.`,
      })
    case 'SessionNotFound':
      return Object.assign(new SessionNotFound(), { message: 'There is no such session, or it was idle for too long.' })
    case 'NoSession':
      return Object.assign(new NoSession(), { message: 'No session is open for this account: open one (openSession).' })
    case 'CandidatesChanged': {
      const { messages, bytes } = failure
      const message = `The group has ${messages} messages and ${bytes} bytes now: look at it again.`
      return Object.assign(new CandidatesChanged(), { message, messages, bytes })
    }
    case 'WouldBeLost': {
      const { operations, messages } = failure
      const message = `${operations} operations wait for the server, and ${messages} messages are nowhere but here: upload them first, or say that they may be lost.`
      return Object.assign(new WouldBeLost(), { message, operations, messages })
    }
    case 'NoConnection': {
      const why = failure.reason === null ? '' : ` (${failure.reason})`
      return Object.assign(new NoConnection(), {
        message: `There is no connection to the server, and nothing was changed${why}.`,
      })
    }
    default:
      return userErrorOf(failure)
  }
}

@InputType({
  description: 'All messages that a filter finds, 25000 at most: of an account, or of one of its mailboxes.',
})
export class MatchingInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => ID, { nullable: true, description: 'The mailbox; all of the account where it is not given.' })
  mailboxId?: string | null

  @Field(() => MessageFilterInput, { nullable: true, description: 'Which messages; all where it is not given.' })
  filter?: MessageFilterInput | null
}

/** Messages that a change is about: by their ids, or by a filter. */
@InputType({ isAbstract: true })
export abstract class MessagesInput {
  @Field(() => [ID], {
    nullable: true,
    description: 'The messages, of one account, 1000 at most; all are changed, or none.',
  })
  messageIds?: string[] | null

  @Field(() => MatchingInput, { nullable: true, description: 'Instead of `messageIds`: all that match now.' })
  matching?: MatchingInput | null
}

@InputType({ description: 'Flags and keywords to add to messages, and to remove.' })
export class ChangeFlagsInput extends MessagesInput {
  @Field(() => [String], {
    nullable: true,
    description: 'Flags to add: system flags as in \\Seen, or keywords (RFC 9051 §2.3.2).',
  })
  add?: string[] | null

  @Field(() => [String], { nullable: true, description: 'Flags and keywords to remove.' })
  remove?: string[] | null
}

@InputType({ description: 'Messages to copy.' })
export class CopyMessagesInput extends MessagesInput {
  @Field(() => ID, { description: 'The mailbox that the copies go into, of the same account.' })
  mailboxId!: string
}

@InputType({ description: 'Messages to move.' })
export class MoveMessagesInput extends MessagesInput {
  @Field(() => ID, { description: 'The mailbox that they go into, of the same account.' })
  mailboxId!: string
}

@InputType({ description: 'Messages to delete.' })
export class DeleteMessagesInput extends MessagesInput {
  @Field({
    defaultValue: false,
    description:
      'Whether to delete for good, rather than into Trash. What is in Trash is deleted for good anyway. Where the server has no Trash, one is made.',
  })
  forGood!: boolean

  @Field({
    defaultValue: false,
    description:
      'Confirms deleting for good 100 messages or more, and more than half of a mailbox, of a DISCONNECTED account.',
  })
  confirmed!: boolean
}

@InputType({ description: 'A message to put into a mailbox.' })
export class AppendMessageInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string

  @Field({ description: 'The raw message (RFC 5322), byte for byte, in base64.' })
  raw!: string

  @Field(() => [String], { nullable: true, description: 'Its flags and keywords, as in \\Draft and \\Seen.' })
  flags?: string[] | null

  @Field(() => Date, { nullable: true, description: 'Its INTERNALDATE; now where it is not given.' })
  internalDate?: Date | null

  @Field(() => ID, {
    nullable: true,
    description: 'The message whose place it takes, which is deleted for good: an earlier state of a draft.',
  })
  replaces?: string | null
}

const OPERATION_FIELD = {
  nullable: true,
  description: 'The operation of which the server is told; null for an OFFLINE account, where it is done.',
}

@ObjectType({ description: 'What became of a change of messages.' })
export class ChangeMessagesPayload {
  /** of the messages that it was a change of, or that it made; at most 1000 */
  ids!: readonly string[]

  @Field(() => Operation, OPERATION_FIELD)
  operation!: Operation | null

  @Field(() => [ChangeError], { description: 'Why nothing was changed.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of emptying Trash.' })
export class EmptyTrashPayload {
  @Field(() => Operation, OPERATION_FIELD)
  operation!: Operation | null

  @Field(() => Account, { nullable: true, description: 'The account as it is now.' })
  account!: Account | null

  @Field(() => Float, { description: 'How many messages were deleted for good.' })
  deleted!: number

  @Field(() => [ChangeError], { description: 'Why nothing was changed.' })
  errors!: UserError[]
}

@InputType({ description: 'A mailbox to make.' })
export class CreateMailboxInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field({
    description:
      'Its whole path, with the delimiter of its account between the levels (/ where the mail is kept here). A path that begins with no prefix of `Account.namespaces` gets that of the first personal one.',
  })
  path!: string
}

@InputType({ description: 'A mailbox to rename, and with it those below.' })
export class RenameMailboxInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string

  @Field({
    description:
      'Its path from now on, with the delimiter of its account between the levels (/ where the mail is kept here). A path that begins with no prefix of `Account.namespaces` gets that of the first personal one.',
  })
  path!: string
}

@InputType({ description: 'A mailbox to delete; it has to be empty.' })
export class DeleteMailboxInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string
}

@InputType({ description: 'A mailbox to subscribe to, or no longer.' })
export class SubscribeMailboxInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string

  @Field({ description: 'Whether to be subscribed.' })
  subscribed!: boolean
}

@InputType({ description: 'What to do about a rejected operation.' })
export class AnswerOperationInput {
  @Field(() => ID, { description: 'The operation.' })
  operationId!: string

  @Field(() => OfferEnum, { description: 'What to do: one of its `offers`.' })
  answer!: OfferEnum
}

@InputType({ description: 'The conflict policy of a DISCONNECTED account.' })
export class SetConflictPolicyInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => ConflictPolicyEnum, { description: 'The policy from now on.' })
  policy!: ConflictPolicyEnum
}

@InputType({ description: 'When a DISCONNECTED account has a connection.' })
export class ConnectionScheduleInput implements ConnectionSchedule {
  @Field({ description: 'When a connection is made: a cron expression of five fields, `0 8 * * 1-5`.' })
  connectAt!: string

  @Field({ description: 'When it is ended, in the same way.' })
  disconnectAt!: string

  @Field({ defaultValue: 'UTC', description: 'Where the hours are meant, by the name of a time zone.' })
  timeZone!: string
}

@InputType({ description: 'The connection schedule of a DISCONNECTED account.' })
export class SetConnectionScheduleInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => ConnectionScheduleInput, {
    nullable: true,
    description: 'The schedule; not given for a connection at all times.',
  })
  schedule?: ConnectionScheduleInput | null
}

@ObjectType({ description: 'What became of undoing an operation, or of doing what was offered about it.' })
export class OperationPayload {
  @Field(() => Operation, { nullable: true, description: 'The operation that was undone, or the new one.' })
  operation!: Operation | null

  @Field(() => [ChangeError], { description: 'Why nothing was done.' })
  errors!: UserError[]
}

@InputType({ description: 'A DISCONNECTED account that is to have no connection.' })
export class GoOfflineInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => Date, { nullable: true, description: 'Until when; until `goOnline` where it is not given.' })
  until?: Date | null
}

@ObjectType({ description: 'What became of setting how a DISCONNECTED account is worked with.' })
export class AccountSettingPayload {
  @Field(() => Account, { nullable: true, description: 'The account as it is now.' })
  account!: Account | null

  @Field(() => [ChangeError], { description: 'Why it was not set.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of a change of a mailbox.' })
export class ChangeMailboxPayload {
  @Field(() => Operation, OPERATION_FIELD)
  operation!: Operation | null

  @Field(() => Mailbox, {
    nullable: true,
    description: 'The mailbox as it is now; null where it is not, or no longer, there.',
  })
  mailbox!: Mailbox | null

  @Field(() => ID, { nullable: true, description: 'The mailbox that was deleted.' })
  deletedId!: string | null

  @Field(() => [ChangeError], { description: 'Why nothing was changed.' })
  errors!: UserError[]
}
