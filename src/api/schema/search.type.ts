import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import { NEWEST_FIRST, type SearchOrder, type ServerSearch } from '../../mailbox/server-search.js'
import { ChangeError } from './change-mail.type.js'
import type { UserError } from './connect.type.js'
import { SortKeyEnum } from './enums.js'
import { Message } from './message.type.js'

@InputType({
  description:
    'What is searched for on the server, as that searches (SEARCH, RFC 9051 §6.4.4); every condition that is given has to hold. Words beyond ASCII are looked for in the index as well, since some servers do not find them.',
})
export class ServerSearchInput {
  @Field(() => String, { nullable: true, description: 'Anywhere in the message, its header included.' })
  text?: string | null

  @Field(() => String, { nullable: true, description: 'In its body.' })
  body?: string | null

  @Field(() => String, { nullable: true, description: 'In its sender.' })
  from?: string | null

  @Field(() => String, { nullable: true, description: 'In its recipients (To).' })
  to?: string | null

  @Field(() => String, { nullable: true, description: 'In its subject.' })
  subject?: string | null

  @Field(() => Date, { nullable: true, description: 'INTERNALDATE on this day or later.' })
  since?: Date | null

  @Field(() => Date, { nullable: true, description: 'INTERNALDATE before this day.' })
  before?: Date | null

  @Field(() => Boolean, { nullable: true, description: 'Without \\Seen, or with it.' })
  isUnread?: boolean | null

  @Field(() => Boolean, { nullable: true, description: 'With \\Flagged, or without it.' })
  isFlagged?: boolean | null

  @Field(() => Float, { nullable: true, description: 'Of more bytes.' })
  largerThan?: number | null

  @Field(() => Float, { nullable: true, description: 'Of fewer bytes.' })
  smallerThan?: number | null
}

@InputType({ description: 'In which order found messages are.' })
export class SearchOrderInput {
  @Field(() => SortKeyEnum, { description: 'What they are sorted by.' })
  key!: SortKeyEnum

  @Field(() => Boolean, {
    nullable: true,
    description: 'From the greatest to the least; from the least where it is not given.',
  })
  descending?: boolean | null
}

@InputType({ description: 'A search on the server of an ONLINE account.' })
export class SearchServerInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => ID, { nullable: true, description: 'The mailbox; all of the account where it is not given.' })
  mailboxId?: string | null

  @Field(() => ServerSearchInput, { description: 'What is searched for.' })
  search!: ServerSearchInput

  @Field(() => Int, {
    nullable: true,
    description: 'How many messages, the first in the order; 50 where it is not given, 500 at most.',
  })
  first?: number | null

  @Field(() => SearchOrderInput, { nullable: true, description: 'In which order; newest first where it is not given.' })
  orderBy?: SearchOrderInput | null
}

@ObjectType({ description: 'What a search on the server has found, or why nothing was searched.' })
export class SearchServerPayload {
  @Field(() => [Message], { description: 'The messages, in the order that was asked for.' })
  messages!: Message[]

  @Field(() => Int, { description: 'How many the server has found.' })
  total!: number

  @Field(() => [ChangeError], { description: 'Why nothing was searched.' })
  errors!: UserError[]
}

/** Reads in which order. */
export function searchOrderOf(input: SearchOrderInput | null | undefined): SearchOrder {
  return input ? { key: input.key, isDescending: input.descending ?? false } : NEWEST_FIRST
}

/** Reads what is searched for. */
export function serverSearchOf(input: ServerSearchInput): ServerSearch {
  const given = (value: string | null | undefined) => value ?? null
  return {
    text: given(input.text),
    body: given(input.body),
    from: given(input.from),
    to: given(input.to),
    subject: given(input.subject),
    since: input.since ?? null,
    before: input.before ?? null,
    isUnread: input.isUnread ?? null,
    isFlagged: input.isFlagged ?? null,
    largerThan: input.largerThan ?? null,
    smallerThan: input.smallerThan ?? null,
  }
}
