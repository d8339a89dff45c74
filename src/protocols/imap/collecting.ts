import { isUtf8 } from 'node:buffer'
import type { FetchMessageObject } from 'imapflow'
import { isRefusal } from '../../mailbox/failures.js'
import type { Flags } from '../../mailbox/flags.js'
import { groupsOf } from '../../mailbox/groups.js'
import { formatUidSet, uidSetOf, uidsOf, withoutUids } from '../../mailbox/uid-set.js'
import { readTree } from '../../mime/mime-tree.js'
import { canExpunge, canMove } from './changing.js'
import type { ImapConnection } from './imap-connection.js'
import { flagsOf } from './message-data.js'
import { wholeOf } from './reading.js'

/*
 * What the offline model asks of an IMAP server beside the rest: whole messages, byte for byte, and their deletion. Of the
 * selected mailbox, by UID.
 */

/** Bytes up to which a message is fetched together with others, and how many bytes together. */
const SMALL = 1024 * 1024
const TOGETHER = 4 * 1024 * 1024
const MOST_TOGETHER = 200

/** A whole message with what the server says of it. */
export type WholeMessage = { uid: number; flags: Flags; internalDate: string; content: AsyncIterable<Buffer> }

/** A message that the server refuses to give, with its words. */
export type RefusedMessage = { uid: number; refused: string }

/** Bytes of each message, as the server states them (RFC822.SIZE). */
export async function sizesOf(connection: ImapConnection, uids: readonly number[]): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  for await (const { uid, size } of connection.stream(rangeOf(uids), { uid: true, size: true }))
    if (size !== undefined) sizes.set(uid, size)
  return sizes
}

/** The headers of messages, up to and with the empty line. */
export async function* headersOf(
  connection: ImapConnection,
  uids: readonly number[],
): AsyncGenerator<{ uid: number; header: Buffer }> {
  for (const group of groupsOf(uids, MOST_TOGETHER))
    for await (const { uid, headers } of connection.stream(rangeOf(group), { uid: true, headers: true }))
      if (headers) yield { uid, header: headers }
}

/**
 * Whole messages, in their order; those that went meanwhile are missing. What keeps one message from coming keeps no other.
 *
 * @param messages with their sizes, which say how they are fetched; one whose size is not known (0) is fetched like a large one
 * @param most how many are fetched together
 */
export async function* contentsOf(
  connection: ImapConnection,
  messages: readonly { uid: number; size: number }[],
  maxBytes: number,
  most: number,
): AsyncGenerator<WholeMessage | RefusedMessage> {
  let together: { uid: number; size: number }[] = []
  let bytes = 0
  const isFull = () => bytes >= TOGETHER || together.length >= most
  for (const message of messages) {
    if (message.size > SMALL || message.size === 0) {
      if (together.length > 0) yield* smallContents(connection, together)
      together = []
      bytes = 0
      yield* largeContent(connection, message.uid, maxBytes)
      continue
    }
    together.push(message)
    bytes += message.size
    if (!isFull()) continue
    yield* smallContents(connection, together)
    together = []
    bytes = 0
  }
  if (together.length > 0) yield* smallContents(connection, together)
}

/** Where the server refuses some messages, they are found by halving, and the others come. */
async function* smallContents(
  connection: ImapConnection,
  messages: readonly { uid: number }[],
): AsyncGenerator<WholeMessage | RefusedMessage> {
  const range = rangeOf(messages.map((message) => message.uid))
  const query = { uid: true, flags: true, internalDate: true, source: true } as const
  const found: FetchMessageObject[] = []
  try {
    for await (const message of connection.stream(range, query)) if (message.source) found.push(message)
  } catch (error) {
    if (!isRefusal(error)) {
      // what came before the connection ended has come
      for (const { source, ...message } of found)
        if (source && !mayHaveNuls(connection, source)) yield { ...toldOf(message), content: piecesOf([source]) }
      throw error
    }
    const [first] = messages
    if (messages.length === 1 && first) yield { uid: first.uid, refused: error.failure.serverSaid }
    else for (const half of groupsOf(messages, Math.ceil(messages.length / 2))) yield* smallContents(connection, half)
    return
  }
  for (const message of found) {
    const source = await withNuls(connection, message.uid, message.source as Buffer)
    yield { ...toldOf(message), content: piecesOf([source]) }
  }
}

async function* largeContent(
  connection: ImapConnection,
  uid: number,
  maxBytes: number,
): AsyncGenerator<WholeMessage | RefusedMessage> {
  try {
    let told: FetchMessageObject | null = null
    const query = { uid: true, flags: true, internalDate: true } as const
    for await (const message of connection.stream(String(uid), query)) if (message.uid === uid) told = message
    const content = told && (await wholeOf(connection, uid, maxBytes))
    if (told && content) yield { ...toldOf(told), content }
  } catch (error) {
    if (!isRefusal(error)) throw error
    yield { uid, refused: error.failure.serverSaid }
  }
}

function toldOf({ uid, flags, internalDate }: FetchMessageObject): Omit<WholeMessage, 'content'> {
  return { uid, flags: flagsOf(flags), internalDate: new Date(internalDate ?? 0).toISOString() }
}

/**
 * A literal may hold no NUL (RFC 9051 §4.3), and Dovecot sends 0x80 in its place. BINARY (RFC 3516) may hold it. Asked for only where such a byte stands in
 * what is no UTF-8, and where nothing is encoded: BINARY decodes, and Dovecot ends the connection over what it cannot decode.
 */
async function withNuls(connection: ImapConnection, uid: number, source: Buffer): Promise<Buffer> {
  if (!mayHaveNuls(connection, source)) return source
  const found = await connection
    .ask('FETCH', (client) => client.fetchOne(String(uid), { uid: true, source: true }, { uid: true, binary: true }))
    .catch((error: unknown) => {
      if (!isRefusal(error)) throw error
    })
  const binary = found ? found.source : undefined
  if (binary?.length !== source.length) return source
  const isSame = binary.every((byte, at) => byte === source[at] || (byte === 0 && source[at] === 0x80))
  return isSame ? binary : source
}

function mayHaveNuls(connection: ImapConnection, source: Buffer): boolean {
  return connection.offers('BINARY') && source.includes(0x80) && !isUtf8(source) && !hasEncodedPart(source)
}

/** Whether a message has a part in a transfer encoding (RFC 2045 §6.1) that changes its bytes. */
function hasEncodedPart(source: Buffer): boolean {
  const waiting = [readTree(source).root]
  for (let part = waiting.pop(); part; part = waiting.pop()) {
    if (part.encoding !== null && !/^(7bit|8bit|binary)$/.test(part.encoding)) return true
    waiting.push(...part.children)
  }
  return false
}

/** How a server can be made to delete single messages; null where it cannot, but by taking along what others have marked. */
export type Deletion = 'UID EXPUNGE' | 'MOVE' | null

/** Which way there is to what is wanted. */
export function deletionOffered(
  offers: (capability: string) => boolean,
  removal: 'EXPUNGE' | 'MOVE_TO_TRASH',
): Deletion {
  if (removal === 'EXPUNGE') return canExpunge({ offers }) ? 'UID EXPUNGE' : null
  return canMove({ offers }) || canExpunge({ offers }) ? 'MOVE' : null
}

/**
 * Has the server delete messages: by UID EXPUNGE (RFC 4315 §2.1), or by a move to Trash (RFC 6851).
 *
 * @param trash the mailbox for Trash; null to delete for good
 * @returns those that are no longer there
 */
export async function deleteMessages(
  connection: ImapConnection,
  uids: readonly number[],
  trash: string | null,
): Promise<number[]> {
  const range = rangeOf(uids)
  if (trash === null) await connection.ask('UID EXPUNGE', (client) => client.messageDelete(range, { uid: true }))
  else await moveTo(connection, range, trash)
  // what the server says it did is asked of it once more: only what is gone is gone
  const asked = uidSetOf(uids)
  return uidsOf(withoutUids(asked, await connection.present(asked)))
}

/** Moves messages; by COPY and UID EXPUNGE where a server offers MOVE and refuses it. imapflow answers a refusal with false. */
async function moveTo(connection: ImapConnection, range: string, path: string): Promise<void> {
  const isMoved =
    canMove(connection) && (await connection.ask('MOVE', (client) => client.messageMove(range, path, { uid: true })))
  if (isMoved || !canExpunge(connection)) return
  const isCopied = await connection.ask('COPY', (client) => client.messageCopy(range, path, { uid: true }))
  if (isCopied) await connection.ask('UID EXPUNGE', (client) => client.messageDelete(range, { uid: true }))
}

/** How full the mail of the account is, by the quota of a mailbox (RFC 9208), in bytes; null where the server does not tell. */
export async function quotaOf(
  connection: ImapConnection,
  path = 'INBOX',
): Promise<{ bytes: number; limit: number } | null> {
  if (!connection.offers('QUOTA')) return null
  const quota = await connection.ask('GETQUOTAROOT', (client) => client.getQuota(path))
  const storage = quota ? quota.storage : undefined
  return storage?.limit ? { bytes: storage.usage ?? 0, limit: storage.limit } : null
}

const rangeOf = (uids: readonly number[]) => formatUidSet(uidSetOf(uids))

async function* piecesOf(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}
