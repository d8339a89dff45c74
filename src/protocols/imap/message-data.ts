import { isAscii } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { FetchMessageObject, FetchQueryObject, MessageAddressObject, MessageStructureObject } from 'imapflow'
import { normaliseFlags, type Flags } from '../../mailbox/flags.js'
import { ENVELOPE_FIELDS, readEnvelope } from '../../mime/envelope.js'
import { fieldsOf } from '../../mime/header-fields.js'
import { mediaTypeOf } from '../../mime/mime-tree.js'
import { charsetIn } from '../../mime/structure.js'
import { bounded, clean, isoDate, listOf, MOST_ADDRESSES, MOST_PARTS } from '../../mailbox/message-bounds.js'
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
  bodyStructure: true,
  threadId: true,
  // the bytes of the header, and not what a server makes of them in ENVELOPE: a message is read in one way, wherever it is
  headers: [...ENVELOPE_FIELDS],
}

/** Bytes of the header are not asked for, but what the server makes of it. */
const WITHOUT_HEADER: FetchQueryObject = { ...METADATA_QUERY, headers: false, envelope: true }

/**
 * The same without what a server, or the parser of its answers, may choke on; from most to least. Each is asked for the messages that those before it did
 * not bring.
 */
export const CAREFUL_QUERIES: readonly { query: FetchQueryObject; defects: readonly Defect[] }[] = [
  // the whole header, where a server does not give single fields of it
  { query: { ...METADATA_QUERY, headers: true }, defects: [] },
  { query: WITHOUT_HEADER, defects: [] },
  { query: { ...METADATA_QUERY, flags: false }, defects: ['FLAGS_UNREADABLE'] },
  { query: { ...METADATA_QUERY, bodyStructure: false }, defects: ['STRUCTURE_UNREADABLE'] },
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
 * §7.5.2): it has none of the items that never change. An answer without the header says nothing of what the message is.
 */
export function isAnswerTo(query: FetchQueryObject, { uid, ...message }: FetchMessageObject): boolean {
  if (!uid) return false
  if ((query.headers && !message.headers) || (query.envelope && !message.envelope)) return false
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
  const structure = fetched.bodyStructure
    ? structureOf(fetched.bodyStructure, '', false, { left: MOST_PARTS }, defects)
    : null
  const { envelope, references, listId } = fetched.headers
    ? readEnvelope(fieldsOf(fetched.headers), isAscii(fetched.headers) ? null : charsetIn(structure), defects)
    : { envelope: envelopeOf(fetched.envelope, defects), references: [], listId: null }
  const size = fetched.size ?? 0
  const internalDate = isoDate(fetched.internalDate)
  if (internalDate === null && !defects.has('UNREADABLE')) defects.add('DATE_MISSING')
  const data = {
    uid: fetched.uid,
    flags: flagsOf(fetched.flags),
    modseq: fetched.modseq?.toString() ?? null,
    internalDate: internalDate ?? envelope.date ?? new Date(0).toISOString(),
    size,
    envelope,
    structure,
    references,
    ...listOf(listId),
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

/** The envelope as a server tells it, for messages of which it does not give the header. */
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

/**
 * The parts as a server tells them, with their numbers (RFC 9051 §6.4.5), which imapflow gives the only part of an embedded message otherwise.
 *
 * @param number of the part that it is in, if it is the body of an embedded message; else its own
 */
function structureOf(
  node: MessageStructureObject,
  number: string,
  isEmbedded: boolean,
  budget: { left: number },
  defects: Set<Defect>,
): Structure {
  budget.left--
  const type = mediaTypeOf(node.type)
  const isMultipart = type.startsWith('multipart/')
  const part = isMultipart ? number : isEmbedded ? `${number}.1` : number || '1'
  const children: Structure[] = []
  for (const [index, child] of (node.childNodes ?? []).entries()) {
    if (budget.left <= 0) {
      defects.add('STRUCTURE_TRUNCATED')
      break
    }
    const below = isMultipart ? `${number === '' ? '' : `${number}.`}${index + 1}` : part
    children.push(structureOf(child, below, !isMultipart, budget, defects))
  }
  const filename = node.dispositionParameters?.['filename'] ?? node.parameters?.['name']
  return {
    part: part || '1',
    type: bounded(type, defects),
    size: node.size ?? null,
    encoding: bounded(node.encoding, defects).toLowerCase() || null,
    charset: bounded(node.parameters?.['charset'], defects) || null,
    disposition: bounded(node.disposition, defects).toLowerCase() || null,
    filename: filename === undefined ? null : bounded(filename, defects),
    contentId: bounded(node.id, defects) || null,
    children,
  }
}
