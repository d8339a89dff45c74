import { createHash } from 'node:crypto'
import type { FetchMessageObject, FetchQueryObject, MessageAddressObject, MessageStructureObject } from 'imapflow'
import { normaliseFlags } from '../../mailbox/flags.js'
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

/** The same without what a server, or its parser, may choke on; from most to least. */
export const CAREFUL_QUERIES: readonly { query: FetchQueryObject; defect: Defect }[] = [
  { query: { uid: true, flags: true, internalDate: true, size: true, envelope: true }, defect: 'STRUCTURE_UNREADABLE' },
  { query: { uid: true, flags: true, internalDate: true, size: true }, defect: 'UNREADABLE' },
]

/** Brings a fetched message into the form that events carry. Never throws, whatever the message is like. */
export function messageDataOf(fetched: FetchMessageObject, more: readonly Defect[] = []): MessageData {
  const defects = new Set<Defect>(more)
  const envelope = envelopeOf(fetched.envelope, defects)
  const size = fetched.size ?? 0
  const header = headersOf(fetched.headers)
  const data = {
    uid: fetched.uid,
    flags: normaliseFlags([...(fetched.flags ?? [])].map(clean)),
    modseq: fetched.modseq?.toString() ?? null,
    internalDate: isoDate(fetched.internalDate) ?? new Date(0).toISOString(),
    size,
    envelope,
    structure: fetched.bodyStructure ? structureOf(fetched.bodyStructure, { left: MOST_PARTS }, defects) : null,
    references: boundedReferences(header('references'), defects),
    ...listOf(boundedListId(header('list-id'))),
    emailId: fetched.emailId ?? null,
    threadId: fetched.threadId ?? null,
    fingerprint: fingerprintOf(size, envelope),
  }
  if (data.structure === null && !defects.has('UNREADABLE')) defects.add('STRUCTURE_UNREADABLE')
  return { ...data, defects: [...defects] }
}

function fingerprintOf(size: number, envelope: Envelope): string {
  return createHash('sha256').update(fingerprintSource({ size, envelope })).digest('hex').slice(0, 32)
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
