import { Field, Float, ID, InputType, Int, ObjectType } from '@nestjs/graphql'
import { normaliseFlags } from '../../mailbox/flags.js'
import type { Selection } from '../../mailbox/selection.js'
import type { SelectionProgress } from '../../projections/selection-views.js'
import { SelectionKeepEnum } from './enums.js'

@ObjectType('Selection', {
  description:
    'Of which messages a DISCONNECTED account has the raw messages here. All that is given has to hold of a message.',
})
export class SelectionType {
  @Field(() => SelectionKeepEnum, { description: 'What is copied.' })
  keep!: SelectionKeepEnum

  @Field(() => Int, { nullable: true, description: 'Among so many newest of its mailbox.' })
  newest!: number | null

  @Field(() => Int, { nullable: true, description: 'Come in the last so many days.' })
  days!: number | null

  @Field(() => Float, { nullable: true, description: 'Of at most so many bytes.' })
  maxBytes!: number | null

  @Field(() => [String], { description: 'With at least one of these flags and keywords; none for any.' })
  flags!: string[]
}

@ObjectType({ description: 'How far the copying of what is selected has come.' })
export class SelectedContentsProgress implements SelectionProgress {
  @Field(() => Int, { description: 'Messages that are selected.' })
  messages!: number

  @Field(() => Float, { description: 'Bytes of the messages that are selected, as the server states them.' })
  bytes!: number

  @Field(() => Int, { description: 'Selected messages whose raw message is here.' })
  messagesHere!: number

  @Field(() => Float, { description: 'Bytes of the raw messages that are here.' })
  bytesHere!: number
}

@InputType({ description: 'A selection of messages of which the raw messages are to be here.' })
export class SelectionInput {
  @Field(() => SelectionKeepEnum, { description: 'What is to be copied.' })
  keep!: SelectionKeepEnum

  @Field(() => Int, { nullable: true, description: 'WHOLE: only of so many newest of each mailbox.' })
  newest?: number | null

  @Field(() => Int, { nullable: true, description: 'WHOLE: only of those that came in the last so many days.' })
  days?: number | null

  @Field(() => Float, { nullable: true, description: 'WHOLE: only of those of at most so many bytes.' })
  maxBytes?: number | null

  @Field(() => [String], {
    nullable: true,
    description: 'WHOLE: only of those with at least one of these flags and keywords.',
  })
  flags?: string[] | null
}

@InputType({ description: 'A selection, and for what it is.' })
export class SetSelectionInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field(() => ID, { nullable: true, description: 'One of its mailboxes, for a selection of its own.' })
  mailboxId?: string | null

  @Field(() => SelectionInput, {
    nullable: true,
    description: 'The selection; not given for a mailbox that is to have that of its account.',
  })
  selection?: SelectionInput | null
}

/** Brings a selection into the API's form. */
export function selectionTypeOf({ keep, flags, ...rest }: Selection): SelectionType {
  return { keep: keep as SelectionKeepEnum, flags: [...flags], ...rest }
}

/** Reads a selection. */
export function selectionOf({ keep, newest, days, maxBytes, flags }: SelectionInput): Selection {
  const limits = { newest: newest ?? null, days: days ?? null, maxBytes: maxBytes ?? null }
  return { keep, ...limits, flags: normaliseFlags(flags ?? []) }
}
