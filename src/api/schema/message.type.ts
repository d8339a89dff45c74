import { Field, Float, ObjectType } from '@nestjs/graphql'
import type { MessageView } from '../../projections/message-views.js'
import { nodeId } from '../ids.js'
import { DefectEnum, OriginEnum } from './enums.js'
import { Node } from './node.type.js'

@ObjectType({ description: 'A name and an address of an envelope (RFC 9051 §7.5.2).' })
export class Address {
  @Field({ description: 'The display name, decoded; empty where there is none.' })
  name!: string

  @Field({ description: 'The address as it came, even where it is none.' })
  address!: string
}

@ObjectType({ description: 'An attachment of a message.' })
export class Attachment {
  @Field({ description: 'Its part number (RFC 9051 §6.4.5), as in "2.1".' })
  part!: string

  @Field(() => String, { nullable: true, description: 'Its file name, decoded.' })
  filename!: string | null

  @Field({ description: 'Its media type, as in "image/png".' })
  contentType!: string

  @Field(() => Float, { description: 'Its size in bytes, as encoded for transport.' })
  size!: number

  @Field({ description: 'Path of its bytes on this service, decoded; with the bearer token, like everything.' })
  url!: string
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

  @Field(() => Float, { description: 'Its UID in its mailbox (RFC 9051 §2.3.1.1).' })
  uid!: number

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

  @Field(() => Float, { description: 'Its size in bytes (RFC822.SIZE).' })
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

  @Field(() => OriginEnum, { description: 'Whence it came into its mailbox.' })
  origin!: OriginEnum

  @Field(() => [DefectEnum], { description: 'What the index could not keep as it came.' })
  defects!: DefectEnum[]

  @Field({ description: 'Path of the raw message on this service; with the bearer token, like everything.' })
  rawUrl!: string

  view!: MessageView
}

/** Brings a message into the API's form. */
export function messageOf(view: MessageView): Message {
  const { addresses } = view
  return {
    id: nodeId('Message', view.messageId),
    view,
    uid: view.uid,
    flags: view.flags,
    isUnread: !view.flags.includes('\\Seen'),
    isFlagged: view.flags.includes('\\Flagged'),
    internalDate: view.internalDate,
    sentAt: view.sentAt === null ? null : new Date(view.sentAt),
    size: view.size,
    subject: view.subject,
    from: addresses.from,
    sender: addresses.sender,
    replyTo: addresses.replyTo,
    to: addresses.to,
    cc: addresses.cc,
    bcc: addresses.bcc,
    messageIdHeader: view.headerMessageId,
    inReplyTo: view.inReplyTo,
    references: view.references,
    threadId: view.threadId,
    hasAttachment: view.hasAttachment,
    origin: view.origin as OriginEnum,
    defects: view.defects as DefectEnum[],
    rawUrl: `/messages/${view.messageId}/raw`,
  }
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

  @Field({ description: 'The same as a cursor, for `after` of a subscription.' })
  streamCursor!: string
}

/** Most messages of one page. */
export const LARGEST_PAGE = 500

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
