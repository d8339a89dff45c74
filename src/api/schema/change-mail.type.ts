import { createUnionType, Field, Float, ID, InputType, ObjectType } from '@nestjs/graphql'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import { Account } from './account.type.js'
import {
  AccountNotFound,
  InvalidSettings,
  ModelNotPossible,
  plainError,
  UserError,
  userErrorOf,
} from './connect.type.js'
import { MessageNotFound } from './forget.type.js'
import { Mailbox } from './mailbox.type.js'
import { Message } from './message.type.js'

const MailboxNotFound = plainError('MailboxNotFound', 'There is no such mailbox.')
const MailboxProtected = plainError('MailboxProtected', 'INBOX and Trash can be neither renamed nor deleted.')
const MailboxExists = plainError('MailboxExists', 'There is a mailbox with that path already.')

@ObjectType({ implements: () => [UserError], description: 'A mailbox that holds messages is not deleted.' })
export class MailboxNotEmpty extends UserError {
  @Field(() => Float, { description: 'How many it holds.' })
  messages!: number
}

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
    ] as const,
  resolveType: (value: object) => value.constructor,
})

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
    default:
      return userErrorOf(failure)
  }
}

const MESSAGES = { description: 'The messages, of one account, 1000 at most; all are changed, or none.' }

@InputType({ description: 'Flags and keywords to add to messages, and to remove.' })
export class ChangeFlagsInput {
  @Field(() => [ID], MESSAGES)
  messageIds!: string[]

  @Field(() => [String], {
    nullable: true,
    description: 'To add: system flags as in \\Seen, or keywords (RFC 9051 §2.3.2).',
  })
  add?: string[] | null

  @Field(() => [String], { nullable: true, description: 'To remove.' })
  remove?: string[] | null
}

@InputType({ description: 'Messages to move.' })
export class MoveMessagesInput {
  @Field(() => [ID], MESSAGES)
  messageIds!: string[]

  @Field(() => ID, { description: 'The mailbox to move them into, of the same account.' })
  mailboxId!: string
}

@InputType({ description: 'Messages to delete.' })
export class DeleteMessagesInput {
  @Field(() => [ID], MESSAGES)
  messageIds!: string[]

  @Field({
    defaultValue: false,
    description: 'For good, rather than into Trash. What is in Trash goes for good anyway.',
  })
  forGood!: boolean
}

@ObjectType({ description: 'What became of a change of messages.' })
export class ChangeMessagesPayload {
  @Field(() => [Message], { description: 'The messages that are still there, as they are now.' })
  messages!: Message[]

  @Field(() => [ID], { description: 'The messages that were deleted for good.' })
  deletedIds!: string[]

  @Field(() => [ChangeError], { description: 'Why nothing was changed.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of emptying Trash.' })
export class EmptyTrashPayload {
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

  @Field({ description: 'Its whole path, with / between the levels.' })
  path!: string
}

@InputType({ description: 'A mailbox to rename, and with it those below.' })
export class RenameMailboxInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string

  @Field({ description: 'Its path from now on, with / between the levels.' })
  path!: string
}

@InputType({ description: 'A mailbox to delete; it has to be empty.' })
export class DeleteMailboxInput {
  @Field(() => ID, { description: 'The mailbox.' })
  mailboxId!: string
}

@ObjectType({ description: 'What became of a change of a mailbox.' })
export class ChangeMailboxPayload {
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
