import type { Flags } from './flags.js'

/** A name and an address of an envelope (RFC 9051 §7.5.2). An address that could not be parsed is kept as it came. */
export type Address = {
  /** the display name, decoded; empty where there is none */
  name: string
  /** the address as it came, even where it is none */
  address: string
}

/** The envelope (RFC 9051 §7.5.2), decoded (RFC 2047). */
export type Envelope = {
  /** the Date header in ISO 8601; null where it is missing or no date */
  date: string | null
  /** the subject; empty where there is none */
  subject: string
  /** From */
  from: readonly Address[]
  /** Sender */
  sender: readonly Address[]
  /** Reply-To */
  replyTo: readonly Address[]
  /** To */
  to: readonly Address[]
  /** Cc */
  cc: readonly Address[]
  /** Bcc */
  bcc: readonly Address[]
  /** In-Reply-To */
  inReplyTo: string | null
  /** Message-ID: a hint, and no key */
  messageId: string | null
}

/** One part of a message's structure (RFC 9051 §7.5.2, BODYSTRUCTURE). */
export type Structure = {
  /** its number (RFC 9051 §6.4.5): "1", "2.1" */
  part: string
  /** its media type, in lower case */
  type: string
  /** encoded size in bytes; null for a multipart */
  size: number | null
  /** Content-Transfer-Encoding */
  encoding: string | null
  /** the charset parameter of its media type */
  charset: string | null
  /** Content-Disposition, without its parameters */
  disposition: string | null
  /** its file name, decoded */
  filename: string | null
  /** Content-ID */
  contentId: string | null
  /** the parts in it; of a text, the files that are written in it in uuencode */
  children: readonly Structure[]
}

/** A message's metadata, as the server told it; bodies are not among it. */
export type MessageData = {
  /** its UID in the mailbox (RFC 9051 §2.3.1.1); 0, which is none, until the server has given it one */
  uid: number
  /** its flags and keywords, sorted */
  flags: Flags
  /** null where the server has no CONDSTORE; decimal text, since 63 bits don't fit a number (RFC 7162 §3.1) */
  modseq: string | null
  /** INTERNALDATE in ISO 8601 */
  internalDate: string
  /** bytes (RFC822.SIZE) */
  size: number
  /** see Envelope */
  envelope: Envelope
  /** see Structure; null where it could not be read */
  structure: Structure | null
  /** message ids of the References header, oldest first */
  references: readonly string[]
  /** the identifier of the list that it came by (RFC 2919 §3, List-Id), in lower case; missing where it came by none */
  listId?: string
  /** EMAILID (RFC 8474) or X-GM-MSGID */
  emailId: string | null
  /** THREADID (RFC 8474) or X-GM-THRID */
  threadId: string | null
  /** hash of what stays the same when a message is copied or uploaded again; see fingerprintSource */
  fingerprint: string
  /** what could not be kept as it came: longer than a bound, or unreadable; the raw message still has it */
  defects: readonly Defect[]
  /** set when its content was forgotten: see redactMessage */
  forgotten?: true
}

/** Something in a message that is not as the standards want it, or longer than what is kept. */
export type Defect =
  | 'HEADER_TRUNCATED'
  | 'ADDRESSES_TRUNCATED'
  | 'STRUCTURE_TRUNCATED'
  | 'STRUCTURE_UNREADABLE'
  /** the server tells its parts wrongly: they are those that its bytes have, and the server gives none of them by itself */
  | 'STRUCTURE_MISTOLD'
  /** the server gave no INTERNALDATE: the date of its header stands in its place */
  | 'DATE_MISSING'
  /** the server told its flags in a way that cannot be read: it counts as one without flags */
  | 'FLAGS_UNREADABLE'
  /** nothing but its place, and perhaps its size, is known */
  | 'UNREADABLE'

/**
 * Whence a message came into its mailbox. EXISTING: it was there when the mailbox was first read. ARRIVED: new mail.
 * COPIED: its original is still there. UPLOADED_AGAIN: the same content under another INTERNALDATE. IMPORTED: from a
 * file that a person gave. APPENDED: a client put it there through Mailfold. RESTORED: its deletion was undone, or did not
 * come about. A message that was moved keeps its id and has an event of its own.
 */
export type Origin = 'EXISTING' | 'ARRIVED' | 'COPIED' | 'UPLOADED_AGAIN' | 'IMPORTED' | 'APPENDED' | 'RESTORED'

/**
 * What tells a message's content without fetching it: size, Message-ID, date, subject, sender and recipients. It leaves
 * out INTERNALDATE, which an upload may change, and what differs between two mailboxes. Message-ID alone is no key.
 */
export function fingerprintSource(message: Pick<MessageData, 'size' | 'envelope'>): string {
  const { messageId, date, subject, from, to } = message.envelope
  const people = (list: readonly Address[]) => list.map((each) => each.address).join(',')
  return [message.size, messageId ?? '', date ?? '', subject, people(from), people(to)].join('\n')
}

/** A part of a message that holds something itself, and where it stands. */
export type PlacedPart = {
  part: Structure
  /** whether it is one of several forms of the same (RFC 2046 §5.1.4) */
  isAlternative: boolean
  /** whether it belongs to a text beside it, as an image of it does (RFC 2387) */
  isRelated: boolean
  /** whether nothing comes before it */
  isFirst: boolean
}

/**
 * The parts of a message that hold something, in their order: all but its multiparts. Those of an embedded message come behind the message, which is a
 * part of its own.
 *
 * @param isDeep whether those of embedded messages are wanted as well
 */
export function partsOf(structure: Structure | null, isDeep = true): readonly PlacedPart[] {
  const found: PlacedPart[] = []
  type Waiting = Omit<PlacedPart, 'isFirst'>
  const waiting: Waiting[] = structure ? [{ part: structure, isAlternative: false, isRelated: false }] : []
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { type, children } = next.part
    const isMultipart = type.startsWith('multipart/')
    if (!isMultipart) found.push({ ...next, isFirst: found.length === 0 })
    if (!isMultipart && !isDeep && !type.startsWith('text/')) continue
    const isAlternative = type === 'multipart/alternative' || (next.isAlternative && type === 'multipart/related')
    const below = children.map((part, index) => {
      // the first part of a multipart/related is the text to which the others belong
      return { part, isAlternative, isRelated: type === 'multipart/related' && index > 0 }
    })
    waiting.push(...below.reverse())
  }
  return found
}

/**
 * The parts that a message's bodies are made of: its texts, unless they are marked as attachments, or are files by their names. A name says nothing of
 * the first text, or of one of several forms.
 */
export function textsOf(structure: Structure | null): readonly Structure[] {
  return partsOf(structure, false)
    .filter(isText)
    .map(({ part }) => part)
}

/**
 * The parts of a message that a person would call its attachments: what is not its text, what has a file name, and embedded messages as a whole. A text
 * with a disposition that nobody knows is one (RFC 2183 §2.8), and is shown all the same.
 */
export function attachmentsOf(structure: Structure | null): readonly PlacedPart[] {
  return partsOf(structure, false).filter(isAttachment)
}

/** Whether a message has files that are written in a text (uuencode): a server gives them as part of that alone. */
export function hasFilesInText(structure: Structure): boolean {
  return partsOf(structure).some(({ part }) => part.type.startsWith('text/') && part.children.length > 0)
}

/** Whether a message has more than its text, and the images that belong to it. */
export function hasAttachment(structure: Structure | null): boolean {
  return attachmentsOf(structure).some((placed) => !isImageOfText(placed))
}

/** Whether an attachment is an image of the text beside it, shown in it. */
export function isImageOfText({ part: { type, contentId, disposition }, isRelated }: PlacedPart): boolean {
  return isRelated && type.startsWith('image/') && contentId !== null && disposition !== 'attachment'
}

function isText({ part: { type, disposition, filename }, isAlternative, isFirst }: PlacedPart): boolean {
  if (type !== 'text/plain' && type !== 'text/html') return false
  return disposition !== 'attachment' && (filename === null || isAlternative || isFirst)
}

function isAttachment(placed: PlacedPart): boolean {
  const { part, isAlternative } = placed
  const { type, disposition, filename } = part
  const isUnknown = disposition !== null && disposition !== 'inline' && disposition !== 'attachment'
  if (isText(placed)) return isUnknown || (filename !== null && !isAlternative)
  // a form of the text in another type of text: an invitation is more than that
  const isForm = isAlternative && type.startsWith('text/') && type !== 'text/calendar'
  return !isForm || filename !== null || disposition === 'attachment'
}
