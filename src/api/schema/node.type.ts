import { readNodeId } from '../ids.js'
import { Field, ID, InterfaceType } from '@nestjs/graphql'

@InterfaceType({
  resolveType: (value: Node) => readNodeId(value.id).type,
  description: 'Something that can be found again by its id (Relay, Global Object Identification).',
})
export abstract class Node {
  @Field(() => ID, {
    description:
      'Opaque, and the same for as long as the thing exists. A past state has an id of its own, which stays the same as well.',
  })
  id!: string
}

/** How accounts, mailboxes and messages tell what a past state is one of. */
export const PRESENT_ID = {
  description:
    'The id of the thing as it is now, which mutations take. It is equal to `id` unless this is a past state.',
} as const
