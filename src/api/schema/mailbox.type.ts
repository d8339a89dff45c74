import { Field, ID, Int, ObjectType, registerEnumType } from '@nestjs/graphql'
import { namespaceOf, OTHER_USERS, SHARED } from '../../mailbox/mailbox-list.js'
import type { MailboxListView } from '../../projections/mailbox-views.js'
import { nodeId } from '../ids.js'
import { SyncProgress } from './account.type.js'
import { MailboxProblemKindEnum } from './enums.js'
import { Node, PRESENT_ID } from './node.type.js'
import { SelectionType, selectionTypeOf } from './selection.type.js'

export enum MailboxNamespaceEnum {
  PERSONAL = 'PERSONAL',
  OTHER_USERS = 'OTHER_USERS',
  SHARED = 'SHARED',
}
registerEnumType(MailboxNamespaceEnum, {
  name: 'MailboxNamespace',
  description: 'Whose a mailbox is (NAMESPACE, RFC 2342).',
  valuesMap: {
    PERSONAL: { description: 'It is the own mailbox of the user.' },
    OTHER_USERS: { description: 'Another user has given access to it.' },
    SHARED: { description: 'It is meant for several users.' },
  },
})

@ObjectType({ description: 'What keeps a mailbox from being complete. It is tried again at regular checks.' })
export class MailboxProblem {
  @Field(() => MailboxProblemKindEnum, { description: 'The kind of the problem.' })
  kind!: MailboxProblemKindEnum

  @Field({ description: 'One sentence for a person. For REFUSED, the words of the server.' })
  message!: string

  @Field({ description: 'Since when the mailbox has had this problem.' })
  since!: Date
}

@ObjectType({ implements: () => [Node], description: 'An IMAP mailbox.' })
export class Mailbox implements Node {
  id!: string

  @Field(() => ID, PRESENT_ID)
  presentId!: string

  @Field({ description: 'Its whole path, decoded, with the delimiter between levels.' })
  path!: string

  @Field({ description: 'The last level of its path.' })
  name!: string

  @Field(() => String, { nullable: true, description: 'What stands between the levels of a path.' })
  delimiter!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'What it is for: \\Inbox, \\Sent, \\Drafts, \\Junk, \\Trash, \\Archive, \\All, \\Flagged (RFC 6154).',
  })
  specialUse!: string | null

  @Field(() => [String], {
    description: 'Its attributes (RFC 9051 §7.3.1), but for those that have fields of their own.',
  })
  attributes!: string[]

  @Field(() => MailboxNamespaceEnum, { description: 'Whose it is (NAMESPACE, RFC 2342).' })
  namespace!: MailboxNamespaceEnum

  @Field({ description: 'Whether the user has subscribed to it.' })
  isSubscribed!: boolean

  @Field({ description: 'Whether it can hold messages at all.' })
  isSelectable!: boolean

  @Field(() => Int, { description: 'Messages in it, as far as the index knows.' })
  messageCount!: number

  @Field(() => Int, { description: 'Messages in it without \\Seen.' })
  unreadCount!: number

  @Field({ description: 'Whether it is shown otherwise than the server has it, since operations on it are pending.' })
  isPending!: boolean

  @Field(() => Int, {
    description:
      'Messages that are gone from the server, unusually many at once: they are shown until `confirmDeletion` says that they are to be gone. 0 as a rule.',
  })
  heldDeletion!: number

  @Field(() => SelectionType, {
    nullable: true,
    description: 'Of which of its messages the raw messages are here; null where it has the selection of its account.',
  })
  selection!: SelectionType | null

  @Field(() => MailboxProblem, {
    nullable: true,
    description: 'What keeps this mailbox from being complete; null when nothing does.',
  })
  problem!: MailboxProblem | null

  @Field(() => SyncProgress, { description: 'How far it has been read.' })
  progress!: SyncProgress

  mailboxId!: string
  accountId!: string
  /** the version that it is shown at; null for now */
  at!: number | null
}

/** Brings a mailbox into the API's form. */
export function mailboxOf(view: MailboxListView, at: number | null = null): Mailbox {
  const name = view.delimiter ? (view.path.split(view.delimiter).at(-1) ?? view.path) : view.path
  return {
    id: nodeId('Mailbox', view.mailboxId, at),
    presentId: nodeId('Mailbox', view.mailboxId),
    mailboxId: view.mailboxId,
    accountId: view.accountId,
    at,
    path: view.path,
    name,
    delimiter: view.delimiter,
    specialUse: view.specialUse,
    attributes: view.attributes.filter((each) => each !== OTHER_USERS && each !== SHARED),
    namespace: MailboxNamespaceEnum[namespaceOf(view.attributes)],
    isSubscribed: view.subscribed,
    isSelectable: view.selectable,
    messageCount: view.messages,
    unreadCount: view.unseen,
    isPending: view.isPending,
    heldDeletion: view.heldDeletion,
    selection: view.selection && selectionTypeOf(view.selection),
    problem: view.problem && { ...view.problem, kind: view.problem.kind as MailboxProblemKindEnum },
    progress: progressOf([view]),
  }
}

/** The progress of one or more mailboxes together. */
export function progressOf(mailboxes: readonly MailboxListView[]): SyncProgress {
  const selectable = mailboxes.filter((mailbox) => mailbox.selectable)
  const sum = (count: (mailbox: MailboxListView) => number) =>
    selectable.reduce((total, mailbox) => total + count(mailbox), 0)
  return {
    done: sum((mailbox) => mailbox.messages),
    total: sum((mailbox) => {
      const { complete, messages, serverMessages, problem } = mailbox
      return complete ? messages + (problem?.unlisted ?? 0) : Math.max(serverMessages, messages)
    }),
    // a mailbox that the server refuses keeps nobody waiting for the others
    isComplete: mailboxes.length > 0 && selectable.every(({ complete, problem }) => complete || problem !== null),
  }
}
