import { LARGEST_PAGE } from '../page-size.js'
import { Field, Float, ID, ObjectType } from '@nestjs/graphql'
import { isImageOfText, type PlacedPart } from '../../mailbox/message.js'
import type { MessageView } from '../../projections/message-views.js'
import { nodeId } from '../ids.js'
import { DefectEnum, OriginEnum } from './message-enums.js'
import { Node, PRESENT_ID } from './node.type.js'

@ObjectType({ description: 'A name and an address of an envelope (RFC 9051 §7.5.2).' })
export class Address {
  @Field({ description: 'The display name, decoded; empty where there is none.' })
  name!: string

  @Field({ description: 'The address as it came, even where it is none.' })
  address!: string
}

@ObjectType({ description: 'A part of a message that holds something: a text, a file, or an embedded message.' })
export class MessagePart {
  @Field({ description: 'Its part number (RFC 9051 §6.4.5), as in "2.1".' })
  part!: string

  @Field(() => String, { nullable: true, description: 'Its file name, decoded.' })
  filename!: string | null

  @Field({ description: 'Its media type, as in "image/png".' })
  contentType!: string

  @Field(() => Float, { description: 'Its size in bytes, as encoded for transport.' })
  size!: number

  @Field(() => String, {
    nullable: true,
    description:
      'Its Content-ID, by which the HTML of a message names it as `cid:`, without angle brackets (RFC 2392).',
  })
  contentId!: string | null

  @Field({ description: 'Whether it is an image that the HTML of the message shows in its place.' })
  isInline!: boolean

  @Field({ description: 'Path of its bytes on this service, decoded; with the bearer token, like everything.' })
  url!: string
}

/** A part of a message as it is shown. */
export function messagePartOf(messageId: string, placed: PlacedPart): MessagePart {
  const { part, filename, type, size, contentId } = placed.part
  return {
    part,
    filename,
    contentType: type,
    size: size ?? 0,
    contentId: contentId?.replace(/^\s*<|>\s*$/g, '') ?? null,
    isInline: isImageOfText(placed),
    url: `/messages/${messageId}/parts/${part}`,
  }
}

@ObjectType({ description: "A message's readable bodies." })
export class MessageContent {
  @Field(() => String, { nullable: true, description: 'The plain text body.' })
  text!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The HTML body as the sender wrote it: not safe outside of a sandbox.',
  })
  html!: string | null

  @Field({ description: 'Whether a body was longer than what is handed out here.' })
  isTruncated!: boolean
}

@ObjectType({ implements: () => [Node], description: 'One message in one mailbox.' })
export class Message implements Node {
  id!: string

  @Field(() => ID, PRESENT_ID)
  presentId!: string

  @Field(() => Float, {
    nullable: true,
    description: 'Its UID in its mailbox (RFC 9051 §2.3.1.1); null until the server has given it one and said which.',
  })
  uid!: number | null

  @Field(() => [String], { description: 'Its flags and keywords.' })
  flags!: string[]

  @Field({ description: 'Whether it lacks \\Seen.' })
  isUnread!: boolean

  @Field({ description: 'Whether it has \\Flagged.' })
  isFlagged!: boolean

  @Field({ description: 'When it came to the server (INTERNALDATE); lists are in its order.' })
  internalDate!: Date

  @Field(() => Date, {
    nullable: true,
    description: 'Its Date header; null where it has none, or none that is a date.',
  })
  sentAt!: Date | null

  @Field(() => Float, {
    description:
      'Its size in bytes: as the server states it (RFC822.SIZE), or as it is where the raw message is kept here.',
  })
  size!: number

  @Field({ description: 'Its subject, decoded; empty where it has none.' })
  subject!: string

  @Field(() => [Address], { description: 'From.' })
  from!: Address[]

  @Field(() => [Address], { description: 'Sender.' })
  sender!: Address[]

  @Field(() => [Address], { description: 'Reply-To.' })
  replyTo!: Address[]

  @Field(() => [Address], { description: 'To.' })
  to!: Address[]

  @Field(() => [Address], { description: 'Cc.' })
  cc!: Address[]

  @Field(() => [Address], { description: 'Bcc.' })
  bcc!: Address[]

  @Field(() => String, {
    nullable: true,
    description: 'Its Message-ID header: a hint, and no key, since it may be missing or come twice.',
  })
  messageIdHeader!: string | null

  @Field(() => String, { nullable: true, description: 'Its In-Reply-To header.' })
  inReplyTo!: string | null

  @Field(() => [String], { description: 'The message ids of its References header, oldest first.' })
  references!: string[]

  @Field(() => String, { nullable: true, description: "The server's own thread id (RFC 8474 THREADID)." })
  threadId!: string | null

  @Field({ description: 'Whether it has attachments.' })
  hasAttachment!: boolean

  @Field(() => OriginEnum, { description: 'How the message got into its mailbox.' })
  origin!: OriginEnum

  @Field(() => [DefectEnum], { description: 'What the index could not keep as it came.' })
  defects!: DefectEnum[]

  @Field({ description: 'Whether its content was forgotten here: it is shown without anything that its sender wrote.' })
  isForgotten!: boolean

  @Field({ description: 'Path of the raw message on this service; with the bearer token, like everything.' })
  rawUrl!: string

  view!: MessageView
}

/** A message in the API's form: each field is made when it is asked for. */
class ViewedMessage extends Message {
  constructor(override readonly view: MessageView) {
    super()
    // a field that the schema's class declares would stand before the getters below
    for (const name of Object.keys(this)) if (name !== 'view') delete (this as Record<string, unknown>)[name]
  }
}

/** How each field that is not one of the view's own follows from it. */
const FIELDS: { [Name in keyof Message]?: (view: MessageView) => unknown } = {
  id: (view) => nodeId('Message', view.messageId, view.at),
  presentId: (view) => nodeId('Message', view.messageId),
  uid: (view) => view.uid || null,
  sentAt: (view) => (view.sentAt === null ? null : new Date(view.sentAt)),
  sender: (view) => view.addresses.sender,
  replyTo: (view) => view.addresses.replyTo,
  to: (view) => view.addresses.to,
  cc: (view) => view.addresses.cc,
  bcc: (view) => view.addresses.bcc,
  messageIdHeader: (view) => view.headerMessageId,
  rawUrl: (view) => `/messages/${view.messageId}/raw`,
}

const SAME = [
  'from',
  'flags',
  'isUnread',
  'isFlagged',
  'internalDate',
  'size',
  'subject',
  'inReplyTo',
  'references',
  'threadId',
  'hasAttachment',
  'origin',
  'defects',
  'isForgotten',
] as const

for (const name of SAME) FIELDS[name] = (view) => view[name]
for (const [name, make] of Object.entries(FIELDS)) {
  Object.defineProperty(ViewedMessage.prototype, name, {
    get(this: ViewedMessage) {
      return make(this.view)
    },
  })
}

/** Brings a message into the API's form. */
export function messageOf(view: MessageView): Message {
  return new ViewedMessage(view)
}

@ObjectType({ description: 'Where a page of a list begins and ends (Relay).' })
export class PageInfo {
  @Field({ description: 'Whether there is more behind the page.' })
  hasNextPage!: boolean

  @Field({ description: 'Whether there is more before the page.' })
  hasPreviousPage!: boolean

  @Field(() => String, { nullable: true, description: "The first edge's cursor." })
  startCursor!: string | null

  @Field(() => String, { nullable: true, description: "The last edge's cursor." })
  endCursor!: string | null
}

@ObjectType({ description: 'A message in a list.' })
export class MessageEdge {
  @Field({ description: 'Its place in the list, for `after` and `before`; it stays there when mail comes and goes.' })
  cursor!: string

  @Field(() => Message, { description: 'The message.' })
  node!: Message
}

@ObjectType({ description: 'A page of messages, newest first by INTERNALDATE (Relay, Cursor Connections).' })
export class MessageConnection {
  @Field(() => [MessageEdge], { description: 'The messages with their places.' })
  edges!: MessageEdge[]

  @Field(() => [Message], { description: 'The messages alone.' })
  nodes!: Message[]

  @Field(() => PageInfo, { description: 'Where the page begins and ends.' })
  pageInfo!: PageInfo

  @Field(() => Float, { description: "The version of the account's stream that the page shows." })
  version!: number

  @Field({
    description:
      "The place in the account's stream that the page shows. A subscription that begins `after` it brings exactly what follows.",
  })
  streamCursor!: string
}

/** Cost of a connection: that of its nodes, times how many are asked for. */
export function connectionCost({
  args,
  childComplexity,
}: {
  args: Record<string, unknown>
  childComplexity: number
}): number {
  const size = Number(args['first'] ?? args['last'] ?? 50)
  // children of both `edges` and `nodes` are counted in childComplexity, as are those of pageInfo: near enough
  return 1 + Math.min(Math.max(size, 1), LARGEST_PAGE) * childComplexity
}
