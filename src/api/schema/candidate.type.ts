import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import { CANDIDATE_TERMS, type CandidateTerms } from '../../mailbox/candidates.js'
import { Account } from './account.type.js'
import { ChangeError } from './change-mail.type.js'
import type { UserError } from './connect.type.js'
import { CandidateKindEnum } from './enums.js'
import { Message, PageInfo } from './message.type.js'
import { Operation } from './operation.type.js'

@ObjectType({ description: 'A message that is worth deleting.' })
export class CandidateEdge {
  @Field({ description: 'Its place in the list, for `after`.' })
  cursor!: string

  @Field(() => Float, { description: 'Bytes that go with it.' })
  bytes!: number

  @Field(() => Message, { description: 'The message.' })
  node!: Message
}

@ObjectType({
  description: 'A page of messages that are worth deleting, the largest first (Relay, Cursor Connections).',
})
export class CandidateConnection {
  @Field(() => [CandidateEdge], { description: 'The messages with their places.' })
  edges!: CandidateEdge[]

  @Field(() => [Message], { description: 'The messages alone.' })
  nodes!: Message[]

  @Field(() => PageInfo, { description: 'Where the page begins and ends.' })
  pageInfo!: PageInfo
}

@ObjectType({ description: 'A group of messages that are worth deleting where the mailbox fills up.' })
export class CandidateGroup {
  @Field(() => CandidateKindEnum, { description: 'Why these messages are worth deleting.' })
  kind!: CandidateKindEnum

  @Field(() => Int, { description: 'Messages in it.' })
  messageCount!: number

  @Field(() => Float, { description: 'Bytes that deleting the messages frees, as the server states them.' })
  bytes!: number

  accountId!: string
  terms!: CandidateTerms
}

@InputType({ description: 'A group to delete for good, as it was seen.' })
export class DeleteCandidatesInput implements CandidateTerms {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => CandidateKindEnum, { description: 'The group.' })
  kind!: CandidateKindEnum

  @Field(() => Float, { defaultValue: CANDIDATE_TERMS.minBytes, description: 'Bytes that counted as large.' })
  minBytes!: number

  @Field(() => Int, { defaultValue: CANDIDATE_TERMS.olderThanDays, description: 'Days that counted as old.' })
  olderThanDays!: number

  @Field(() => Int, {
    description: 'Messages that the group was seen to have; where it has others now, nothing is deleted.',
  })
  messageCount!: number

  @Field(() => Float, {
    description: 'Bytes that the group was seen to have; where it has others now, nothing is deleted.',
  })
  bytes!: number
}

@ObjectType({ description: 'How deleting a group ended.' })
export class DeleteCandidatesPayload {
  @Field(() => Operation, { nullable: true, description: 'The operation.' })
  operation!: Operation | null

  @Field(() => Account, {
    nullable: true,
    description: 'The account; `maildrop` shows what is freed when the server has been asked for its quota again.',
  })
  account!: Account | null

  @Field(() => [ChangeError], { description: 'Why nothing was deleted.' })
  errors!: UserError[]
}
