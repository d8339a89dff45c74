import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import type { ModelChangePreview } from '../../mailbox/model-change.js'
import { Account } from './account.type.js'
import { ChangeError } from './change-mail.type.js'
import type { UserError } from './connect.type.js'
import { AccessModelEnum } from './enums.js'

@InputType({ description: 'How an account is to be worked with.' })
export class ChangeModelInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => AccessModelEnum, { description: 'The way.' })
  model!: AccessModelEnum

  @Field({
    defaultValue: false,
    description: 'Whether operations that wait, and messages that are nowhere but here, may be given up.',
  })
  confirmed!: boolean
}

@ObjectType('ModelChangePreview', { description: 'What a change of the access model does.' })
export class ModelChangePreviewType implements ModelChangePreview {
  @Field(() => Int, {
    description:
      'Operations that wait for the server, which is not told: they are given up or, in an OFFLINE account, done here alone.',
  })
  waitingOperations!: number

  @Field(() => Int, { description: 'Messages that are here and on no server, and are dropped.' })
  onlyHereMessages!: number

  @Field(() => Int, {
    description:
      'Messages of which the flags, or the mailbox, give way to those on the server, which may be other ones.',
  })
  givingWayMessages!: number

  @Field(() => Int, { description: 'Raw messages that are here and on the server, and are dropped here.' })
  dropMessages!: number

  @Field(() => Float, { description: 'Bytes of the raw messages that are dropped here.' })
  dropBytes!: number

  @Field(() => Int, { description: 'Messages that are here and on no server, and are uploaded.' })
  uploadMessages!: number

  @Field(() => Float, { description: 'Bytes of the messages that are uploaded.' })
  uploadBytes!: number

  @Field(() => Int, { description: 'Messages of the index of which the content is fetched.' })
  fetchMessages!: number

  @Field(() => Float, { description: 'Bytes of the messages whose content is fetched.' })
  fetchBytes!: number
}

@ObjectType({ description: 'How a change of the access model ended.' })
export class ChangeModelPayload {
  @Field(() => Account, { nullable: true, description: 'The account.' })
  account!: Account | null

  @Field(() => ModelChangePreviewType, { nullable: true, description: 'What it does.' })
  preview!: ModelChangePreviewType | null

  @Field(() => [ChangeError], { description: 'Why it was not made.' })
  errors!: UserError[]
}
