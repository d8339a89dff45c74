import { createUnionType, Field, ID, InputType, ObjectType } from '@nestjs/graphql'
import { AccountNotFound, InvalidSettings, PastState, plainError, type UserError } from './connect.type.js'
import { Message } from './message.type.js'

@InputType({ description: 'Which message is to be forgotten, and who asks for it.' })
export class ForgetMessageInput {
  @Field(() => ID, { description: 'The message; one that is gone from its mailbox can be forgotten, too.' })
  messageId!: string

  @Field({ description: 'Who asks, as it is to stand in the event: a name or a number of yours, 1 to 200 characters.' })
  requestedBy!: string
}

@InputType({ description: 'Which account is to be forgotten, and who asks for it.' })
export class ForgetAccountInput {
  @Field(() => ID, { description: 'The account.' })
  id!: string

  @Field({ description: 'Who asks, as it is to stand in the event: a name or a number of yours, 1 to 200 characters.' })
  requestedBy!: string
}

export const MessageNotFound = plainError('MessageNotFound', 'There is no such message, and never was.')

export const ForgetError = createUnionType({
  name: 'ForgetError',
  description: 'Why something was not forgotten.',
  types: () => [MessageNotFound, AccountNotFound, InvalidSettings, PastState] as const,
  resolveType: (value: object) => value.constructor,
})

@ObjectType({ description: 'What became of forgetting a message.' })
export class ForgetMessagePayload {
  @Field(() => [ID], { description: 'What was forgotten: the message, and every copy of it in the account.' })
  forgottenIds!: string[]

  @Field(() => [Message], { description: 'The forgotten messages that are still in a mailbox, as they are now.' })
  messages!: Message[]

  @Field(() => [ForgetError], { description: 'Why nothing was forgotten.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of forgetting an account.' })
export class ForgetAccountPayload {
  @Field(() => ID, { nullable: true, description: 'The account that was forgotten.' })
  forgottenId!: string | null

  @Field(() => [ForgetError], { description: 'Why nothing was forgotten.' })
  errors!: UserError[]
}
