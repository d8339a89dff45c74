import { Field, Float, InterfaceType } from '@nestjs/graphql'
import { CauseEnum } from './enums.js'

@InterfaceType({ description: 'An event of an account: a fact that was recorded, at its place in the stream.' })
export abstract class Change {
  @Field({ description: 'Its place in the stream: `after` this, a subscription goes on with the next.' })
  cursor!: string

  @Field(() => Float, { description: 'Its number in the stream, from 1 without a gap.' })
  version!: number

  @Field({ description: 'When it was recorded.' })
  recordedAt!: Date

  @Field({ description: "The event's own name, as in docs/events.md." })
  type!: string

  @Field(() => CauseEnum, { description: 'Who made it necessary.' })
  cause!: CauseEnum
}
