import { randomUUID } from 'node:crypto'
import { simpleParser } from 'mailparser'
import { textsOf, type Structure } from '../mailbox/message.js'

/** The readable bodies of a message. `html` is as the sender wrote it, for a sandbox, never for a page of one's own. */
export type Bodies = { text: string | null; html: string | null; truncated: boolean }

/** A text of a message, decoded. */
export type PartText = {
  text: string
  /** the parameters of its media type: those of format=flowed (RFC 3676) change how it is shown */
  params: Readonly<Record<string, string>>
  /** whether there is more of it than was read */
  isCut: boolean
}

/** UTF-16 units of each body that are handed out; the raw message has the rest. */
const LONGEST_BODY = 4_000_000

/**
 * Reads a message's bodies: its texts are put together as a reader shows them, those of one form behind each other.
 *
 * @param structure the message's parts
 * @param textOf gives one of its texts, decoded
 */
export async function readBodies(
  structure: Structure | null,
  textOf: (part: Structure) => Promise<PartText>,
): Promise<Bodies> {
  const texts = new Map<Structure, PartText>()
  for (const part of textsOf(structure)) texts.set(part, await textOf(part))
  if (!structure || texts.size === 0) return { text: null, html: null, truncated: false }
  const { text, html } = await simpleParser(`MIME-Version: 1.0\r\n${written(structure, texts)}`, PARSING)
  const isCut = [...texts.values()].some((part) => part.isCut)
  const isLong = [text, html].some((body) => (body || '').length > LONGEST_BODY)
  return { text: bounded(text), html: bounded(html), truncated: isCut || isLong }
}

const PARSING = { skipTextToHtml: true, skipImageLinks: true, maxHtmlLengthToParse: LONGEST_BODY }

const bounded = (body: string | false | undefined) => (body ? body.slice(0, LONGEST_BODY) : null)

/** A message of the same shape that has the texts alone, all in UTF-8. */
function written(node: Structure, texts: ReadonlyMap<Structure, PartText>): string {
  const own = texts.get(node)
  if (own) return writtenText(node, own)
  const boundary = `mailfold-${randomUUID()}`
  const type = /^multipart\/[\w.+-]+$/.test(node.type) ? node.type : 'multipart/mixed'
  const parts = node.children.filter((child) => hasText(child, texts)).map((child) => written(child, texts))
  const body = parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')
  return `Content-Type: ${type}; boundary="${boundary}"\r\n\r\n${body}--${boundary}--\r\n`
}

function writtenText({ type }: Structure, { text, params }: PartText): string {
  const isFlowed = params['format']?.toLowerCase() === 'flowed'
  const flow = isFlowed ? `; format=flowed${params['delsp']?.toLowerCase() === 'yes' ? '; delsp=yes' : ''}` : ''
  return `Content-Type: ${type}; charset=utf-8${flow}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}`
}

function hasText(node: Structure, texts: ReadonlyMap<Structure, PartText>): boolean {
  return texts.has(node) || (node.type.startsWith('multipart/') && node.children.some((child) => hasText(child, texts)))
}
