import { Field, Float, InputType, Int, ObjectType } from '@nestjs/graphql'
import type { SelectionPreview } from '../../mailbox/selection.js'
import { ChangeError, MessagesInput } from './change-mail.type.js'
import type { UserError } from './connect.type.js'

@InputType({ description: 'Messages that are to be here whatever the selection says, or no longer.' })
export class KeepOfflineInput extends MessagesInput {
  @Field({ defaultValue: true, description: 'Whether they are to be here.' })
  keep!: boolean
}

@ObjectType('SelectionPreview', { description: 'What a selection would change.' })
export class SelectionPreviewType implements SelectionPreview {
  @Field(() => Int, { description: 'Messages that would come into the index, as far as known.' })
  indexMessages!: number

  @Field(() => Int, { description: 'Messages that would leave the index; the server has them.' })
  leaveMessages!: number

  @Field(() => Int, { description: 'Messages of which the raw message would be fetched.' })
  fetchMessages!: number

  @Field(() => Float, { description: 'Bytes of the raw messages that would be fetched, as the server states them.' })
  fetchBytes!: number

  @Field(() => Int, {
    description:
      'Messages of which the raw message is here and would be dropped at the next connection; the server has them.',
  })
  dropMessages!: number

  @Field(() => Float, { description: 'Bytes of the raw messages that would be dropped.' })
  dropBytes!: number
}

@ObjectType({ description: 'What a selection would change, or why it cannot be.' })
export class SelectionPreviewPayload {
  @Field(() => SelectionPreviewType, { nullable: true, description: 'What it would change.' })
  preview!: SelectionPreviewType | null

  @Field(() => [ChangeError], { description: 'Why it cannot be set.' })
  errors!: UserError[]
}
