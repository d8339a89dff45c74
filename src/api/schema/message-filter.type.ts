import { Field, InputType } from '@nestjs/graphql'
import type { MessageFilter } from '../../mailbox/message-filter.js'

@InputType({ description: 'Which messages a list holds; every condition that is given has to hold.' })
export class MessageFilterInput implements MessageFilter {
  @Field(() => Boolean, { nullable: true, description: 'Without \\Seen, or with it.' })
  isUnread?: boolean | null

  @Field(() => Boolean, { nullable: true, description: 'With \\Flagged, or without it.' })
  isFlagged?: boolean | null

  @Field(() => String, { nullable: true, description: "Part of a sender's name or address, whatever its case." })
  from?: string | null

  @Field(() => String, { nullable: true, description: 'Part of the subject, whatever its case.' })
  subject?: string | null

  @Field(() => Date, { nullable: true, description: 'INTERNALDATE at this moment or later.' })
  since?: Date | null

  @Field(() => Date, { nullable: true, description: 'INTERNALDATE before this moment.' })
  before?: Date | null

  @Field(() => Boolean, { nullable: true, description: 'With attachments, or without.' })
  hasAttachment?: boolean | null
}
