/*
 * How a message on the server is told again, so that it is collected once and never passed over (offline model).
 *
 *   the server names it by | and it is known under that name | then
 *   -----------------------+---------------------------------+---------------------------------------------------------
 *   UIDVALIDITY and UID    | yes                             | it is the same (RFC 9051 §2.3.1.1)
 *   UIDL, once in the list | yes, with the same size         | it is the same (RFC 1939 §7)
 *   UIDL, once in the list | yes, with another size          | its headers are asked for; the same where they are those of
 *                          |                                 | that copy, but for what mbox servers write into them
 *   anything               | no, and no missing copy is as   | it is fetched: new, unless a missing copy has its content
 *                          | large                           |
 *   anything               | no, and a missing copy is as    | its headers are asked for; the same where they are those of
 *                          | large                           | a missing copy and tell one message from others, else it
 *                          |                                 | is fetched, and told by its content
 *
 * A missing copy is one that is known and that nothing in the list was found to be.
 */

/** Where a message is on the server, by the names that the server has for it. */
export type CopyPlace = {
  /** path of the mailbox on the server; INBOX for a maildrop */
  mailbox: string
  /** UIDVALIDITY of that mailbox, to which the UID belongs; null over POP3 */
  uidValidity: string | null
  /** its UID; null over POP3 */
  uid: number | null
  /** its unique-id (RFC 1939 §7, UIDL); null over IMAP and where the server gives none */
  uidl: string | null
  /** bytes, as the server states them */
  size: number
  /** SHA-256 of its header without what mbox servers write into it, hexadecimal; null where it was not read */
  headerHash: string | null
}

/** Whether a collected message is on the server: there, there and asked to be deleted, or no longer. */
export type CopyState = 'THERE' | 'DELETION_ASKED' | 'GONE'

/** A message that was collected, by the names that the server has for it. */
export type NamedCopy = Omit<CopyPlace, 'headerHash'> & {
  /** the message that was made of it here */
  messageId: string
  state: CopyState
}

/** A message that was collected, as the server has it. */
export type ServerCopy = NamedCopy & {
  headerHash: CopyPlace['headerHash']
  /** SHA-256 of the content that is kept here; null where it was forgotten, or too large to be kept */
  sha256: string | null
  /** INTERNALDATE of the message, in ISO 8601 */
  internalDate: string
  /** when it was collected, in ISO 8601 */
  collectedAt: string
}

/** A message in a server's list; `number` names it for the time of the connection. */
export type ListedMessage = Pick<CopyPlace, 'mailbox' | 'uidValidity' | 'uid' | 'uidl' | 'size'> & { number: number }

/** A listed message and the copy that it is. */
export type SameMessage<Copy extends NamedCopy = ServerCopy> = { listed: ListedMessage; copy: Copy }

/** What a list says of what is known. */
export type ListMatch<Copy extends NamedCopy> = {
  same: SameMessage<Copy>[]
  /** not known by the names that the server gives */
  unknown: ListedMessage[]
  /** known and not found in the list, those that were gone before as well */
  missing: Copy[]
}

/** Compares a server's list with what is known, by the names that the server gives: the first two lines of the table. */
export function matchByName<Copy extends NamedCopy>(
  known: readonly Copy[],
  listed: readonly ListedMessage[],
): ListMatch<Copy> {
  const messages = Map.groupBy(listed, nameOf)
  const copies = Map.groupBy(known, nameOf)
  const found = new Set<Copy>()
  const match: ListMatch<Copy> = { same: [], unknown: [], missing: [] }
  for (const [name, alike] of messages) {
    const [message] = alike
    const [copy] = copies.get(name) ?? []
    const isOne = alike.length === 1 && copies.get(name)?.length === 1
    if (isOne && message && copy && isNamed(message) && (message.uid !== null || copy.size === message.size)) {
      found.add(copy)
      match.same.push({ listed: message, copy })
    } else match.unknown.push(...alike)
  }
  match.missing = known.filter((copy) => !found.has(copy))
  return match
}

type Named = Pick<CopyPlace, 'mailbox' | 'uidValidity' | 'uid' | 'uidl'>

const isNamed = ({ uid, uidl }: Named) => uid !== null || uidl !== null
const nameOf = ({ mailbox, uidValidity, uid, uidl }: Named) =>
  uid === null ? `${uidl}` : `${uidValidity}/${uid}/${mailbox}`

/** A listed message's name, by which it is told again in another session as far as the server's names hold. */
export const listedName = (message: ListedMessage) =>
  isNamed(message) ? nameOf(message) : `${message.number}/${message.size}`

/** The unknown messages that may be a missing copy, since they have its size or its name: their headers are worth asking for. */
export function worthALook(unknown: readonly ListedMessage[], missing: readonly ServerCopy[]): ListedMessage[] {
  const sizes = new Set(missing.map((copy) => copy.size))
  const names = new Set(missing.filter(isNamed).map(nameOf))
  return unknown.filter((message) => sizes.has(message.size) || (isNamed(message) && names.has(nameOf(message))))
}

/** A listed message with the hash of its header, and whether that header can be of one message only. */
export type HeadedMessage = { listed: ListedMessage; headerHash: string; isTelling: boolean }

/** Bytes by which a message may differ from itself: what mbox servers write into its header at the end of a session. */
const MOST_WRITTEN = 1_000

/** Tells messages by their headers and sizes, or their headers and names. */
export function matchByHeaders(headed: readonly HeadedMessage[], missing: readonly ServerCopy[]): SameMessage[] {
  const named = matchRewritten(headed, missing)
  const [told, used] = [new Set(named.map(({ listed }) => listed)), new Set(named.map(({ copy }) => copy))]
  const rest = missing.filter((copy) => !used.has(copy))
  return [
    ...named,
    ...matchBySize(
      headed.filter(({ listed }) => !told.has(listed)),
      rest,
    ),
  ]
}

/** Tells messages that have the name and the header of a missing copy, and another size. */
function matchRewritten(headed: readonly HeadedMessage[], missing: readonly ServerCopy[]): SameMessage[] {
  const copies = Map.groupBy(missing.filter(isNamed), nameOf)
  const messages = Map.groupBy(
    headed.filter(({ listed }) => isNamed(listed)),
    ({ listed }) => nameOf(listed),
  )
  return [...messages].flatMap(([name, [message, ...others]]) => {
    const [copy, ...more] = copies.get(name) ?? []
    if (!message || !copy || others.length > 0 || more.length > 0) return []
    const isSame = message.isTelling && message.headerHash === copy.headerHash
    return isSame && Math.abs(message.listed.size - copy.size) <= MOST_WRITTEN ? [{ listed: message.listed, copy }] : []
  })
}

/**
 * Tells messages by their headers and sizes. As many as there are missing copies like them are those; where there are more,
 * or the headers are such that two messages can have the same, the contents have to tell.
 */
function matchBySize(headed: readonly HeadedMessage[], missing: readonly ServerCopy[]): SameMessage[] {
  const copies = Map.groupBy(missing, ({ headerHash, size }) => `${headerHash}/${size}`)
  const messages = Map.groupBy(headed, ({ headerHash, listed }) => `${headerHash}/${listed.size}`)
  return [...messages].flatMap(([key, alike]) => {
    const candidates = preferThose(copies.get(key) ?? [])
    const areThose = alike.length <= candidates.length && alike.every((message) => message.isTelling)
    return areThose ? alike.map(({ listed }, index) => ({ listed, copy: candidates[index] as ServerCopy })) : []
  })
}

/** The missing copy that a fetched content is of, null for a new one. What it returns is taken out of `missing`. */
export function takeByContent(missing: Map<string, ServerCopy[]>, sha256: string): ServerCopy | null {
  return missing.get(sha256)?.shift() ?? null
}

/** Missing copies by their content, for takeByContent. */
export function byContent(missing: readonly ServerCopy[]): Map<string, ServerCopy[]> {
  const kept = missing.filter((copy) => copy.sha256 !== null)
  return new Map(
    [...Map.groupBy(kept, (copy) => copy.sha256 as string)].map(([key, copies]) => [key, preferThose(copies)]),
  )
}

/** Those that were there a moment ago first, then those that went long ago. */
function preferThose(copies: readonly ServerCopy[]): ServerCopy[] {
  return [...copies].sort((one, other) => Number(one.state === 'GONE') - Number(other.state === 'GONE'))
}
