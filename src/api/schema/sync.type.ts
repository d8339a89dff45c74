import { Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql'
import { Mailbox } from './mailbox.type.js'

export enum SyncComparisonEnum {
  EXISTS_AND_SEARCH = 'EXISTS_AND_SEARCH',
  STAT_AND_UIDL = 'STAT_AND_UIDL',
}
registerEnumType(SyncComparisonEnum, {
  name: 'SyncComparison',
  description: 'What the index is compared with, to tell whether it is complete.',
  valuesMap: {
    EXISTS_AND_SEARCH: {
      description:
        'IMAP: how many messages the server counts in each mailbox (EXISTS), and the UIDs that it names (SEARCH).',
    },
    STAT_AND_UIDL: { description: 'POP3: how many messages the server counts (STAT), and the names of them (UIDL).' },
  },
})

@ObjectType({ description: 'Whether the index has all of the mail that the server of an account has.' })
export class AccountSync {
  @Field({
    description:
      'Whether every message that the server counts is in the index: each mailbox was read, and none has a problem. Messages of which nothing can be read count as well.',
  })
  isComplete!: boolean

  @Field(() => SyncComparisonEnum, { description: 'What the index is compared with.' })
  comparedWith!: SyncComparisonEnum

  @Field(() => Date, {
    nullable: true,
    description:
      'When all that was asked for was last found to be in the index, to within a minute while nothing changes; null before the first time. Always as of now.',
  })
  completeAt!: Date | null

  @Field(() => Int, { description: 'Messages that are in the index.' })
  messages!: number

  @Field(() => Int, { description: 'Messages that the server counted when it was last looked at.' })
  serverMessages!: number

  @Field(() => [Mailbox], { description: 'Mailboxes that have a `problem`.' })
  mailboxesWithProblems!: Mailbox[]

  @Field(() => Int, {
    description: 'Messages that are in the index although not all of them could be read (`defects`). Always as of now.',
  })
  unreadableMessages!: number
}
