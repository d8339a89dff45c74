import { Field, ID, ObjectType } from '@nestjs/graphql'
import type { StoreEvent } from '../../event-store/stored-events.js'
import { nodeId, storeCursor } from '../ids.js'
import { AccountChange, changeOf } from './change.type.js'

@ObjectType({ description: 'An event of some account, at its place in the order of the whole store.' })
export class StoreChange {
  @Field({ description: 'Its place in the whole store: `after` this, `storeChanges` goes on with the next.' })
  cursor!: string

  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => AccountChange, { description: "The event; its own cursor is one of the account's stream." })
  change!: typeof AccountChange
}

/** Brings an event of the whole store into the API's form. */
export function storeChangeOf({ event, place }: StoreEvent): StoreChange {
  const change = changeOf(event) as unknown as typeof AccountChange
  return { cursor: storeCursor(place), accountId: nodeId('Account', event.accountId), change }
}
