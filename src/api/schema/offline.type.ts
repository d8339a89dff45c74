import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import type { DeletionPolicy } from '../../mailbox/deletion-policy.js'
import type { CollectionSettings } from '../../mailbox/maildrop.js'
import { badInput } from '../ids.js'
import { Account } from './account.type.js'
import { ChangeError } from './change-mail.type.js'
import type { UserError } from './connect.type.js'
import { DeletionPolicyKindEnum, RemovalEnum } from './enums.js'

@ObjectType('CollectionSettings', { description: "How mail is collected from an OFFLINE account's server." })
export class CollectionSettingsType implements CollectionSettings {
  @Field(() => Int, { description: 'Minutes between two runs, give or take a tenth.' })
  everyMinutes!: number

  @Field(() => [String], { description: "Paths of the server's mailboxes that are collected from." })
  mailboxes!: string[]

  @Field(() => RemovalEnum, { description: 'How the server is made to delete.' })
  removal!: RemovalEnum

  @Field(() => Float, { nullable: true, description: 'Bytes that the maildrop may hold, as the user has set it.' })
  limit!: number | null

  @Field(() => [Int], { description: 'Percentages of the limit at which a warning is recorded.' })
  warnAt!: number[]
}

@ObjectType('DeletionPolicy', { description: 'When an OFFLINE account deletes from its server what was collected.' })
export class DeletionPolicyType {
  @Field(() => DeletionPolicyKindEnum, { description: 'The kind.' })
  kind!: DeletionPolicyKindEnum

  @Field(() => Int, { nullable: true, description: 'AFTER_DAYS: how many days after it was collected.' })
  days!: number | null

  @Field(() => Int, { nullable: true, description: 'WHEN_QUOTA_PASSES: percent of the limit beyond which it deletes.' })
  percent!: number | null

  @Field(() => Int, { nullable: true, description: 'WHEN_QUOTA_PASSES: percent down to which it deletes.' })
  downTo!: number | null
}

@ObjectType({ description: 'When the mail of an account will have filled its place, if it goes on growing as it did.' })
export class MaildropForecast {
  @Field({ description: 'The likely moment.' })
  fullAt!: Date

  @Field({ description: 'The earliest one, by the faster half of its growth.' })
  earliest!: Date

  @Field(() => Date, { nullable: true, description: 'The latest one, by the slower half; null beyond ten years.' })
  latest!: Date | null
}

@ObjectType({
  description:
    'How full the mail of an account is on its server, as it was when it was last looked at: the maildrop of an OFFLINE account, all mailboxes of others.',
})
export class Maildrop {
  @Field(() => Int, { description: 'Messages on the server.' })
  messages!: number

  @Field(() => Float, { description: 'Bytes of the messages on the server.' })
  bytes!: number

  @Field(() => Float, { nullable: true, description: 'Bytes that it may hold, where the server or the user tells.' })
  limit!: number | null

  @Field(() => Int, { description: 'The level of warning that holds, in percent of the limit; 0 below all.' })
  level!: number

  @Field(() => [Int], { description: 'The levels at which a warning is recorded; see setCollection.' })
  warnAt!: readonly number[]

  @Field({ description: 'Since when it has held as much.' })
  since!: Date

  @Field(() => Int, {
    nullable: true,
    description: 'Days after which the server deletes mail by itself (RFC 2449 §6.7, EXPIRE), where it says so.',
  })
  serverKeepsDays!: number | null
}

@InputType({ description: 'A deletion policy.' })
export class DeletionPolicyInput {
  @Field(() => DeletionPolicyKindEnum, { description: 'The kind.' })
  kind!: DeletionPolicyKindEnum

  @Field(() => Int, { nullable: true, description: 'AFTER_DAYS needs it: how many days after it was collected.' })
  days?: number | null

  @Field(() => Int, {
    nullable: true,
    description: 'WHEN_QUOTA_PASSES needs it: percent of the limit beyond which it deletes.',
  })
  percent?: number | null

  @Field(() => Int, {
    nullable: true,
    description: 'WHEN_QUOTA_PASSES: percent down to which it deletes; as `percent` where not given.',
  })
  downTo?: number | null
}

@InputType({ description: 'A deletion policy for an account.' })
export class SetDeletionPolicyInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => DeletionPolicyInput, { description: 'The policy from now on.' })
  policy!: DeletionPolicyInput
}

@InputType({ description: 'How mail is to be collected; what is not given stays as it is.' })
export class SetCollectionInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => Int, { nullable: true, description: 'Minutes between two runs: 1 to 10080.' })
  everyMinutes?: number | null

  @Field(() => [String], {
    nullable: true,
    description: "Paths of the server's mailboxes to collect from; INBOX alone over POP3.",
  })
  mailboxes?: string[] | null

  @Field(() => RemovalEnum, { nullable: true, description: 'How the server is to be made to delete.' })
  removal?: RemovalEnum | null

  @Field(() => Float, {
    nullable: true,
    description: 'Bytes that the maildrop may hold, for servers that do not tell; null takes it away.',
  })
  limit?: number | null

  @Field(() => [Int], { nullable: true, description: 'Percentages of the limit at which to warn.' })
  warnAt?: number[] | null
}

@ObjectType('DeletionPreview', {
  description: 'What a deletion policy would delete at the next connection, of what is known to be on the server.',
})
export class DeletionPreviewType {
  @Field(() => Int, { description: 'Messages that would be deleted.' })
  messages!: number

  @Field(() => Float, { description: 'Bytes of the messages that would be deleted.' })
  bytes!: number
}

@ObjectType({ description: 'What became of setting a deletion policy, or of looking at what it would do.' })
export class DeletionPolicyPayload {
  @Field(() => Account, { nullable: true, description: 'The account as it is now.' })
  account!: Account | null

  @Field(() => DeletionPreviewType, { nullable: true, description: 'What it will, or would, delete.' })
  preview!: DeletionPreviewType | null

  @Field(() => [ChangeError], { description: 'Why it cannot be.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of setting how mail is collected.' })
export class SetCollectionPayload {
  @Field(() => Account, { nullable: true, description: 'The account as it is now.' })
  account!: Account | null

  @Field(() => [ChangeError], { description: 'Why it was not set.' })
  errors!: UserError[]
}

/** Reads a policy. @throws GraphQLError BAD_USER_INPUT where a number that its kind needs is missing, or one is given that it has not */
export function policyOf({ kind, days, percent, downTo }: DeletionPolicyInput): DeletionPolicy {
  const given = (value: number | null | undefined) => typeof value === 'number'
  const refuse = (values: (number | null | undefined)[]) => {
    if (values.some(given)) throw badInput(`A policy of the kind ${kind} has other fields.`)
  }
  switch (kind) {
    case DeletionPolicyKindEnum.AFTER_DAYS:
      refuse([percent, downTo])
      if (typeof days !== 'number') throw badInput('AFTER_DAYS needs `days`.')
      return { kind: 'AFTER_DAYS', days }
    case DeletionPolicyKindEnum.WHEN_QUOTA_PASSES:
      refuse([days])
      if (typeof percent !== 'number') throw badInput('WHEN_QUOTA_PASSES needs `percent`.')
      return { kind: 'WHEN_QUOTA_PASSES', percent, downTo: downTo ?? percent }
    default:
      refuse([days, percent, downTo])
      return { kind }
  }
}

/** Brings a policy into the API's form. */
export function policyTypeOf(policy: DeletionPolicy): DeletionPolicyType {
  const none = { days: null, percent: null, downTo: null }
  return { ...none, ...policy, kind: policy.kind as DeletionPolicyKindEnum }
}
