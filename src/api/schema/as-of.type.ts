import { Field, Float, InputType } from '@nestjs/graphql'

@InputType({
  isOneOf: true,
  description:
    'A moment of the past: exactly one of the two. What is asked as of a moment is answered as it would have been then, and so is everything below it. The objects of the answer have ids of their own.',
})
export class AsOf {
  @Field(() => Float, {
    nullable: true,
    description: "A version of the account's stream: after so many events. 0 is before the first.",
  })
  version?: number | null

  @Field(() => Date, {
    nullable: true,
    description: 'A time: after the last event that was recorded by then.',
  })
  time?: Date | null
}

/** How every field takes a moment. */
export const AS_OF = {
  type: () => AsOf,
  nullable: true,
  description: 'The moment to answer for; now where it is not given.',
} as const
