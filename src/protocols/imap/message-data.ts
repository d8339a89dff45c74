import { createHash } from 'node:crypto'
import type { FetchMessageObject, FetchQueryObject, MessageAddressObject, MessageStructureObject } from 'imapflow'
import { normaliseFlags, type Flags } from '../../mailbox/flags.js'
import libmime from 'libmime'
import {
  bounded,
  boundedListId,
  boundedReferences,
  clean,
  isoDate,
  listOf,
  MOST_ADDRESSES,
  MOST_PARTS,
} from '../../mailbox/message-bounds.js'
import {
  fingerprintSource,
  type Address,
  type Defect,
  type Envelope,
  type MessageData,
  type Structure,
} from '../../mailbox/message.js'

/** What is asked for of every message. */
export const METADATA_QUERY: FetchQueryObject = {
  uid: true,
  flags: true,
  internalDate: true,
  size: true,
  envelope: true,
  bodyStructure: true,
  threadId: true,
  headers: ['References', 'List-Id'],
}

/**
 * The same without what a server, or the parser of its answers, may choke on; from most to least. Each is asked for the messages that those before it did
 * not bring.
 */
export const CAREFUL_QUERIES: readonly { query: FetchQueryObject; defects: readonly Defect[] }[] = [
  { query: { ...METADATA_QUERY, flags: false }, defects: ['FLAGS_UNREADABLE'] },
  {
    query: { uid: true, flags: true, internalDate: true, size: true, envelope: true },
    defects: ['STRUCTURE_UNREADABLE'],
  },
  {
    query: { uid: true, internalDate: true, size: true, envelope: true },
    defects: ['FLAGS_UNREADABLE', 'STRUCTURE_UNREADABLE'],
  },
  { query: { uid: true, flags: true, internalDate: true, size: true }, defects: ['UNREADABLE'] },
  { query: { uid: true, internalDate: true, size: true }, defects: ['UNREADABLE', 'FLAGS_UNREADABLE'] },
  { query: { uid: true, flags: true, size: true }, defects: ['UNREADABLE'] },
  { query: { uid: true, size: true }, defects: ['UNREADABLE', 'FLAGS_UNREADABLE'] },
]

/**
 * Whether a FETCH answer is one to a query. A flag that changes meanwhile comes as an answer of its own, between those that were asked for (RFC 9051
 * §7.5.2): it has none of the items that never change.
 */
export function isAnswerTo(query: FetchQueryObject, { uid, ...message }: FetchMessageObject): boolean {
  if (!uid) return false
  const lasting = ['internalDate', 'size', 'envelope', 'bodyStructure', 'headers'] as const
  return lasting.some((item) => query[item] && message[item] !== undefined)
}

/** Flags as a server tells them, in their one form. */
export function flagsOf(flags: Iterable<string> | undefined): Flags {
  return normaliseFlags([...(flags ?? [])].map(clean))
}

/** A message of which nothing is known but its UID. @param identity what tells it apart from others like it */
export function unknownMessage(uid: number, identity: string): MessageData {
  return messageDataOf({ uid, seq: 0 } as FetchMessageObject, ['UNREADABLE', 'FLAGS_UNREADABLE'], identity)
}

/**
 * Brings a fetched message into the form that events carry. Never throws, whatever the message is like.
 *
 * @param identity what tells the message apart where nothing can be read in it
 */
export function messageDataOf(
  fetched: FetchMessageObject,
  more: readonly Defect[] = [],
  identity = String(fetched.uid),
): MessageData {
  const defects = new Set<Defect>(more)
  const envelope = envelopeOf(fetched.envelope, defects)
  const size = fetched.size ?? 0
  const header = headersOf(fetched.headers)
  const internalDate = isoDate(fetched.internalDate)
  if (internalDate === null && !defects.has('UNREADABLE')) defects.add('DATE_MISSING')
  const data = {
    uid: fetched.uid,
    flags: flagsOf(fetched.flags),
    modseq: fetched.modseq?.toString() ?? null,
    internalDate: internalDate ?? envelope.date ?? new Date(0).toISOString(),
    size,
    envelope,
    structure: fetched.bodyStructure ? structureOf(fetched.bodyStructure, { left: MOST_PARTS }, defects) : null,
    references: boundedReferences(header('references'), defects),
    ...listOf(boundedListId(header('list-id'))),
    emailId: fetched.emailId ?? null,
    threadId: fetched.threadId ?? null,
    fingerprint: defects.has('UNREADABLE') ? hashOf(`unreadable\n${identity}`) : fingerprintOf(size, envelope),
  }
  if (data.structure === null && !defects.has('UNREADABLE')) defects.add('STRUCTURE_UNREADABLE')
  return { ...data, defects: [...defects] }
}

function fingerprintOf(size: number, envelope: Envelope): string {
  return hashOf(fingerprintSource({ size, envelope }))
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function envelopeOf(envelope: FetchMessageObject['envelope'], defects: Set<Defect>): Envelope {
  const people = (list: MessageAddressObject[] | undefined): Address[] => {
    if (!list) return []
    if (list.length > MOST_ADDRESSES) defects.add('ADDRESSES_TRUNCATED')
    return list
      .slice(0, MOST_ADDRESSES)
      .map(({ name, address }) => ({ name: bounded(name, defects), address: bounded(address, defects) }))
  }
  return {
    date: isoDate(envelope?.date),
    subject: bounded(envelope?.subject, defects),
    from: people(envelope?.from),
    sender: people(envelope?.sender),
    replyTo: people(envelope?.replyTo),
    to: people(envelope?.to),
    cc: people(envelope?.cc),
    bcc: people(envelope?.bcc),
    inReplyTo: bounded(envelope?.inReplyTo, defects) || null,
    messageId: bounded(envelope?.messageId, defects) || null,
  }
}

function structureOf(node: MessageStructureObject, budget: { left: number }, defects: Set<Defect>): Structure {
  budget.left--
  const children: Structure[] = []
  for (const child of node.childNodes ?? []) {
    if (budget.left <= 0) {
      defects.add('STRUCTURE_TRUNCATED')
      break
    }
    children.push(structureOf(child, budget, defects))
  }
  const filename = node.dispositionParameters?.['filename'] ?? node.parameters?.['name']
  return {
    part: node.part ?? '1',
    type: bounded(node.type.toLowerCase(), defects),
    size: node.size ?? null,
    encoding: bounded(node.encoding, defects).toLowerCase() || null,
    charset: bounded(node.parameters?.['charset'], defects) || null,
    disposition: bounded(node.disposition, defects).toLowerCase() || null,
    filename: filename === undefined ? null : bounded(filename, defects),
    contentId: bounded(node.id, defects) || null,
    children,
  }
}

/** What header fields say, of those that were asked for, by their names. */
function headersOf(headers: Buffer | undefined): (name: string) => string {
  const fields = headers ? libmime.decodeHeaders(headers.toString('latin1')) : {}
  return (name) => fields[name]?.join(' ') ?? ''
}
