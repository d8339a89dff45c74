import { Kind, type FieldNode, type GraphQLResolveInfo, type SelectionNode } from 'graphql'
import type { MessageDetail } from '../projections/message-views.js'

/** The fields of a message that a brief view does not have. */
const NOT_BRIEF: ReadonlySet<string> = new Set([
  'sentAt',
  'sender',
  'replyTo',
  'to',
  'cc',
  'bcc',
  'messageIdHeader',
  'inReplyTo',
  'references',
  'threadId',
  'origin',
  'defects',
])

const known = new WeakMap<FieldNode, MessageDetail>()

/** How much of its messages a list is asked for, anywhere below it. Found once for each place in a document. */
export function detailAsked({ fieldNodes, fragments }: GraphQLResolveInfo): MessageDetail {
  const asksForMore = (node: SelectionNode): boolean => {
    if (node.kind === Kind.FIELD && NOT_BRIEF.has(node.name.value)) return true
    const below = node.kind === Kind.FRAGMENT_SPREAD ? fragments[node.name.value]?.selectionSet : node.selectionSet
    return below?.selections.some(asksForMore) ?? false
  }
  const detailOf = (node: FieldNode): MessageDetail => {
    const detail = known.get(node) ?? (asksForMore(node) ? 'whole' : 'brief')
    known.set(node, detail)
    return detail
  }
  return fieldNodes.every((node) => detailOf(node) === 'brief') ? 'brief' : 'whole'
}
