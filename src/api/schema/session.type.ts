import { Field, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import { DEFAULT_IDLE, type Session } from '../../mailbox/session.js'
import { nodeId } from '../ids.js'
import { Account } from './account.type.js'
import { ChangeError } from './change-mail.type.js'
import type { UserError } from './connect.type.js'

@ObjectType('Session', {
  description:
    'A session in which an ONLINE account is worked with. While one is open, the account has a connection; several share it.',
})
export class SessionType {
  @Field(() => ID, { description: 'Its id, for keepSession and closeSession.' })
  id!: string

  @Field({ description: 'When it was opened.' })
  openedAt!: Date

  @Field(() => Int, { description: 'Seconds without use after which it ends by itself.' })
  idleSeconds!: number

  @Field({
    description:
      'When it ends unless it is used until then: by keepSession, or by a change or a read of mail of the account.',
  })
  expiresAt!: Date
}

@InputType({ description: 'A session to open.' })
export class OpenSessionInput {
  @Field(() => ID, { description: 'The account, which is ONLINE.' })
  accountId!: string

  @Field(() => Int, {
    defaultValue: DEFAULT_IDLE,
    description: 'Seconds without use after which it ends by itself, from 10 to 86400 (a day).',
  })
  idleSeconds!: number
}

@ObjectType({ description: 'A session, with what is known of its account; or why there is none.' })
export class SessionPayload {
  @Field(() => SessionType, { nullable: true, description: 'The session; null where it was closed.' })
  session!: SessionType | null

  @Field(() => Account, {
    nullable: true,
    description: 'The account, as it is known at once; see `currentAsOf` for how old that may be.',
  })
  account!: Account | null

  @Field(() => [ChangeError], { description: 'Why nothing was done.' })
  errors!: UserError[]
}

/** Brings a session into the API's form. */
export function sessionOf({ sessionId, openedAt, idleSeconds, expiresAt }: Session): SessionType {
  return {
    id: nodeId('Session', sessionId),
    openedAt: new Date(openedAt),
    idleSeconds,
    expiresAt: new Date(expiresAt),
  }
}
