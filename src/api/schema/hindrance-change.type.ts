import { Field, ObjectType } from '@nestjs/graphql'
import { remedyOfWork, type WorkFailure } from '../../mailbox/failures.js'
import { Change } from './change-base.type.js'
import { ConnectionRemedyEnum } from './remedy.type.js'

@ObjectType({
  implements: () => [Change],
  description: 'A part of the work for the account (to keep raw messages) cannot be done, or is done again.',
})
export class HindranceChange extends Change {
  @Field(() => String, { nullable: true, description: 'Why it cannot be done; null where it is done again.' })
  reason!: string | null

  @Field(() => ConnectionRemedyEnum, { nullable: true, description: 'What a person can do about it.' })
  remedy!: ConnectionRemedyEnum | null

  @Field(() => String, { nullable: true, description: 'The id under which the log tells more.' })
  failureId!: string | null
}

/** What keeps a part of the work from being done, in the API's form; null where nothing does any more. */
export function hindranceOf(failure: WorkFailure | null): Pick<HindranceChange, 'reason' | 'remedy' | 'failureId'> {
  if (failure === null) return { reason: null, remedy: null, failureId: null }
  const { reason, kind, failureId } = failure
  return { reason, remedy: ConnectionRemedyEnum[remedyOfWork(kind)], failureId }
}
