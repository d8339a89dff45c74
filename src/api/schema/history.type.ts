import { Field, ID, ObjectType } from '@nestjs/graphql'
import { AccountChange } from './change.type.js'
import { DifferenceKindEnum } from './enums.js'
import { Message, PageInfo } from './message.type.js'

@ObjectType({ description: 'An event in a history.' })
export class ChangeEdge {
  @Field({ description: 'Its place in the history, for `after`.' })
  cursor!: string

  @Field(() => AccountChange, { description: 'The event.' })
  node!: typeof AccountChange
}

@ObjectType({ description: 'A page of events, oldest first (Relay, Cursor Connections).' })
export class ChangeConnection {
  @Field(() => [ChangeEdge], { description: 'The events with their places.' })
  edges!: ChangeEdge[]

  @Field(() => [AccountChange], { description: 'The events alone.' })
  nodes!: (typeof AccountChange)[]

  @Field(() => PageInfo, { description: 'Where the page begins and ends.' })
  pageInfo!: PageInfo
}

@ObjectType({ description: 'How a message differs between two moments.' })
export class MessageDifference {
  @Field(() => ID, { description: 'The message, by its id of the present.' })
  messageId!: string

  @Field(() => [DifferenceKindEnum], { description: 'How the message differs.' })
  kinds!: DifferenceKindEnum[]

  @Field(() => Message, {
    nullable: true,
    description: 'The message at the earlier moment; null when it was not there.',
  })
  before!: Message | null

  @Field(() => Message, {
    nullable: true,
    description:
      'The message at the later moment; null when it was not there. If `to` is not given, it is the message of the present.',
  })
  after!: Message | null
}

@ObjectType({ description: 'A message among the differences.' })
export class MessageDifferenceEdge {
  @Field({ description: 'Its place among the differences, for `after`.' })
  cursor!: string

  @Field(() => MessageDifference, { description: 'The message.' })
  node!: MessageDifference
}

@ObjectType({
  description:
    'A page of the messages that differ between two moments, in the order in which they were touched last (Relay, Cursor Connections).',
})
export class MessageDifferenceConnection {
  @Field(() => [MessageDifferenceEdge], { description: 'The messages with their places.' })
  edges!: MessageDifferenceEdge[]

  @Field(() => [MessageDifference], { description: 'The messages alone.' })
  nodes!: MessageDifference[]

  @Field(() => PageInfo, { description: 'Where the page begins and ends.' })
  pageInfo!: PageInfo
}
