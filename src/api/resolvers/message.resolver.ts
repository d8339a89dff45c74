import { Args, ArgsType, Context, Field, ID, Info, Int, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql'
import type { GraphQLResolveInfo } from 'graphql'
import { attachmentsOf, partsOf, type Structure } from '../../mailbox/message.js'
import { asText, type OpenMessage } from '../../content/open-part.js'
import { readBodies, type PartText } from '../../content/read-bodies.js'
import { Platform } from '../../platform/platform.js'
import { viewMessageList, type MessagePage } from '../../projections/message-views.js'
import { viewPastMessageList } from '../../projections/past-messages.js'
import type { ApiContext } from '../context.js'
import { LARGEST_PAGE, pageSize } from '../page-size.js'
import { badInput, listCursor, readListCursor, readStateOf, streamCursor } from '../ids.js'
import { detailAsked } from '../selection.js'
import { gone, MessageContents } from '../message-content.js'
import { Nodes } from '../nodes.js'
import { Account } from '../schema/account.type.js'
import { AS_OF, type AsOf } from '../schema/as-of.type.js'
import { CopyStateEnum } from '../schema/enums.js'
import { Mailbox } from '../schema/mailbox.type.js'
import { MessageFilterInput } from '../schema/message-filter.type.js'
import {
  MessagePart,
  connectionCost,
  Message,
  MessageConnection,
  MessageContent,
  messageOf,
  messagePartOf,
} from '../schema/message.type.js'
import { Operation } from '../schema/operation.type.js'

@ArgsType()
export class MessageListArgs {
  @Field(() => Int, {
    nullable: true,
    description: `How many, from the newest on; 50 where neither \`first\` nor \`last\` is given, ${LARGEST_PAGE} at most.`,
  })
  first?: number | null

  @Field(() => String, { nullable: true, description: 'Only what is behind this cursor: older messages.' })
  after?: string | null

  @Field(() => Int, { nullable: true, description: 'How many, from the oldest on.' })
  last?: number | null

  @Field(() => String, { nullable: true, description: 'Only what is before this cursor: newer messages.' })
  before?: string | null

  @Field(() => MessageFilterInput, { nullable: true, description: 'Which messages.' })
  filter?: MessageFilterInput | null
}

@Resolver(() => Message)
export class MessageResolver {
  constructor(
    private readonly contents: MessageContents,
    private readonly nodes: Nodes,
  ) {}

  @Query(() => Message, { nullable: true, description: 'One message; null when there is none with that id.' })
  message(
    @Args('id', { type: () => ID, description: 'The message.' }) id: string,
    @Args('asOf', AS_OF) asOf: AsOf | null,
    @Context() context: ApiContext,
  ): Promise<Message | null> {
    const state = readStateOf('Message', id, asOf)
    return this.nodes.message(state.id, state.asOf, context)
  }

  @ResolveField(() => Mailbox, { nullable: true, description: 'The mailbox that it is in.' })
  mailbox(@Parent() { view }: Message, @Context() context: ApiContext): Promise<Mailbox | null> {
    return this.nodes.mailboxAt(view.mailboxId, view, context)
  }

  @ResolveField(() => CopyStateEnum, {
    nullable: true,
    description:
      'Whether the server of an OFFLINE account still has it, when it was last looked at; null for one that was not collected. Always as of now.',
  })
  serverCopy(@Parent() { view }: Message, @Context() context: ApiContext): Promise<CopyStateEnum | null> {
    return context.copyStates.load(view.messageId) as Promise<CopyStateEnum | null>
  }

  @ResolveField(() => [Operation], {
    description:
      'The operations on it that wait for their outcomes, in the order in which they were asked for. Always as of now.',
  })
  async pendingOperations(@Parent() { view }: Message, @Context() context: ApiContext): Promise<Operation[]> {
    const found = await Promise.all(
      (await context.waiting.load(view.messageId)).map((id) => this.nodes.operation(id, context)),
    )
    return found.filter((operation) => operation !== null)
  }

  @ResolveField(() => [MessagePart], {
    description:
      'The parts that a person would call its attachments: what is not its text, what has a file name, and embedded messages as a whole.',
    complexity: 5,
  })
  async attachments(@Parent() message: Message, @Context() context: ApiContext): Promise<MessagePart[]> {
    const { messageId, accountId, at } = message.view
    const { structures } = at === null ? context : context.past(accountId, at)
    return attachmentsOf(await structures.load(messageId)).map((placed) => messagePartOf(messageId, placed))
  }

  @ResolveField(() => [MessagePart], {
    description:
      'All parts that hold something: its texts, its attachments, and those of embedded messages, each behind the message that it is in.',
    complexity: 5,
  })
  async parts(@Parent() message: Message, @Context() context: ApiContext): Promise<MessagePart[]> {
    const { messageId, accountId, at } = message.view
    const { structures } = at === null ? context : context.past(accountId, at)
    return partsOf(await structures.load(messageId)).map((placed) => messagePartOf(messageId, placed))
  }

  @ResolveField(() => MessageContent, {
    nullable: true,
    description: 'Its bodies, fetched from the server where they are not here.',
    complexity: 100,
  })
  async content(@Parent() message: Message, @Context() context: ApiContext): Promise<MessageContent | null> {
    const opened = await this.contents.open(message.view.messageId, context.signal)
    if (!opened) return null
    const { text, html, truncated } = await readBodies(opened.structure, (part) => textOf(opened, part))
    return { text, html, isTruncated: truncated }
  }
}

/** A text of a message. @throws GraphQLError CONTENT_GONE where the message has gone meanwhile */
async function textOf(message: OpenMessage, part: Structure): Promise<PartText> {
  const opened = await message.open(part)
  if (!opened) throw gone('The message is no longer on the server, and was not kept here.')
  return asText(opened)
}

/** Reads a page of an account's or a mailbox's messages. */
async function pageOf(
  { database: { reads } }: Platform,
  { accountId, at }: { accountId: string; at: number | null },
  mailboxId: string | null,
  args: MessageListArgs,
  info: GraphQLResolveInfo,
): Promise<MessageConnection> {
  const page = pageAsked(args)
  const filter = args.filter ?? {}
  const { messages, hasMore, version } =
    at === null
      ? await viewMessageList(reads, accountId, mailboxId, filter, page, detailAsked(info))
      : await viewPastMessageList(reads, at, accountId, mailboxId, filter, page)
  const older = page.direction === 'older'
  const cursorAt = (at: number) => {
    const message = messages.at(at)
    return message ? listCursor(message) : null
  }
  return {
    // one of the two is asked for, as a rule
    get nodes() {
      return messages.map(messageOf)
    },
    get edges() {
      return messages.map((view) => ({ cursor: listCursor(view), node: messageOf(view) }))
    },
    pageInfo: {
      hasNextPage: older ? hasMore : page.from !== null,
      hasPreviousPage: older ? page.from !== null : hasMore,
      startCursor: cursorAt(0),
      endCursor: cursorAt(-1),
    },
    version,
    streamCursor: streamCursor(accountId, version),
  }
}

function pageAsked({ first, after, last, before }: MessageListArgs): MessagePage {
  const forward = typeof first === 'number' || typeof after === 'string'
  const backward = typeof last === 'number' || typeof before === 'string'
  if (forward && backward) throw badInput('Give `first` and `after`, or `last` and `before`.')
  const size = pageSize(first ?? last)
  const cursor = after ?? before
  return { size, from: cursor ? readListCursor(cursor) : null, direction: backward ? 'newer' : 'older' }
}

const LIST_OPTIONS = { description: 'Messages, newest first by INTERNALDATE.', complexity: connectionCost }

@Resolver(() => Mailbox)
export class MailboxResolver {
  constructor(
    private readonly platform: Platform,
    private readonly nodes: Nodes,
  ) {}

  @Query(() => Mailbox, { nullable: true, description: 'One mailbox; null when there is none with that id.' })
  mailbox(
    @Args('id', { type: () => ID, description: 'The mailbox.' }) id: string,
    @Args('asOf', AS_OF) asOf: AsOf | null,
    @Context() context: ApiContext,
  ): Promise<Mailbox | null> {
    const state = readStateOf('Mailbox', id, asOf)
    return this.nodes.mailbox(state.id, state.asOf, context)
  }

  @ResolveField(() => MessageConnection, LIST_OPTIONS)
  messages(
    @Parent() mailbox: Mailbox,
    @Args() args: MessageListArgs,
    @Info() info: GraphQLResolveInfo,
  ): Promise<MessageConnection> {
    return pageOf(this.platform, mailbox, mailbox.mailboxId, args, info)
  }
}

@Resolver(() => Account)
export class AccountMessagesResolver {
  constructor(private readonly platform: Platform) {}

  @ResolveField(() => MessageConnection, LIST_OPTIONS)
  messages(
    @Parent() account: Account,
    @Args() args: MessageListArgs,
    @Info() info: GraphQLResolveInfo,
  ): Promise<MessageConnection> {
    return pageOf(this.platform, account, null, args, info)
  }
}
