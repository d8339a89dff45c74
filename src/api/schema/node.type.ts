import { readNodeId } from '../ids.js'
import { Field, ID, InterfaceType } from '@nestjs/graphql'

@InterfaceType({
  resolveType: (value: Node) => readNodeId(value.id).type,
  description: 'Something that can be found again by its id (Relay, Global Object Identification).',
})
export abstract class Node {
  @Field(() => ID, { description: 'Opaque, and the same for as long as the thing exists.' })
  id!: string
}
