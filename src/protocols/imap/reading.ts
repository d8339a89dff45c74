import { Readable } from 'node:stream'
import type { SearchObject } from 'imapflow'
import type { ServerSearch } from '../../mailbox/server-search.js'
import type { UidSet } from '../../mailbox/uid-set.js'
import type { ImapConnection } from './imap-connection.js'

/*
 * What is read of mail on an IMAP server beside its index, of the selected mailbox, by UID. Every call rejects with ServerFailed.
 */

/** Bytes of a whole message that are asked for at once. */
const CHUNK = 64 * 1024

/**
 * A whole message, byte for byte, as it comes; null when it is gone. Its end is where the server has no more bytes to give, since the size that a server states
 * may be wrong.
 *
 * @throws ServerFailed where the server does not give all of it, or more than `maxBytes`; so does the stream
 */
export async function wholeOf(connection: ImapConnection, uid: number, maxBytes: number): Promise<Readable | null> {
  const opening = await chunkOf(connection, uid, 0, CHUNK)
  if (!opening) return null
  if (opening.length > maxBytes) throw tooLong(connection, maxBytes)
  async function* chunks(first: Buffer): AsyncGenerator<Buffer> {
    let count = 0
    for (let bytes = first; ;) {
      count += bytes.length
      if (bytes.length > 0) yield bytes
      // a chunk that is longer than asked for is the whole message
      if (bytes.length !== CHUNK) return
      const next = await chunkOf(connection, uid, count, CHUNK)
      if (!next) throw connection.refused('FETCH', 'the message went while it was read')
      bytes = next
      if (count + bytes.length > maxBytes) throw tooLong(connection, maxBytes)
    }
  }
  return Readable.from(chunks(opening), { objectMode: false })
}

const tooLong = (connection: ImapConnection, maxBytes: number) =>
  connection.refused('FETCH', `it gives more than ${maxBytes} bytes of a message`)

/**
 * Some bytes of a message, from an offset on: fewer only where there are no more. A server may give fewer than were asked for (it is asked for the rest), or the
 * whole message whatever was asked for (from its beginning on that is what this returns).
 */
async function chunkOf(connection: ImapConnection, uid: number, start: number, length: number): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  let count = 0
  for (;;) {
    const left = length - count
    const query = { uid: true, size: true, source: { start: start + count, maxLength: left } }
    const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
    if (!found) return null
    const { source, size } = found
    const at = start + count
    if (!source && (at === 0 || at < (size ?? 0)))
      throw connection.refused('FETCH', `it gives ${at} of the ${size ?? 'unknown'} bytes of a message`)
    const isAll = source !== undefined && (source.length > left || (at > 0 && source.length === size))
    // the beginning once more is what such a server says as well
    if (!source || source.length === 0 || (start === 0 && pieces[0]?.equals(source))) return Buffer.concat(pieces)
    pieces.push(isAll && at > 0 ? source.subarray(at, start + length) : source)
    count += pieces.at(-1)?.length ?? 0
    // a stated size that is too large costs one more question
    if (isAll || count >= length || start + count === size) return Buffer.concat(pieces)
  }
}

/** Some bytes of a message, from an offset on (BODY[]<start.length>, RFC 9051 §6.4.5); null when it is gone. */
export async function bytesOf(
  connection: ImapConnection,
  uid: number,
  start: number,
  length: number,
): Promise<Buffer | null> {
  return (await chunkOf(connection, uid, start, length))?.subarray(0, length) ?? null
}

/** Some bytes of a part, from an offset on: fewer only where there are no more; null when the message is gone. @param part its number, as in "2.1" */
export async function bytesOfPart(
  connection: ImapConnection,
  uid: number,
  part: string,
  start: number,
  length: number,
): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  for (let count = 0; count < length;) {
    const query = { uid: true, bodyParts: [{ key: part, start: start + count, maxLength: length - count }] }
    const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
    if (!found) return null
    const bytes = found.bodyParts?.get(part)
    if (!bytes || bytes.length === 0) break
    pieces.push(bytes.subarray(0, length - count))
    count += bytes.length
  }
  return Buffer.concat(pieces)
}

/** A part's own header, with the empty line behind it; null when the message, or the part, is not there. */
export async function headerOfPart(connection: ImapConnection, uid: number, part: string): Promise<Buffer | null> {
  const query = { uid: true, bodyParts: [`${part}.mime`] }
  const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
  return (found && found.bodyParts?.get(`${part}.mime`)) || null
}

/** One part of a message with its own header, as a message of one part; null when it is gone. @param part its number, as in "2.1" */
export async function partOf(connection: ImapConnection, uid: number, part: string): Promise<Buffer | null> {
  const query = { uid: true, bodyParts: [`${part}.mime`, part] }
  const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
  const body = found ? found.bodyParts?.get(part) : undefined
  const header = found ? found.bodyParts?.get(`${part}.mime`) : undefined
  return body && header ? Buffer.concat([header, body]) : null
}

/** The messages that the server finds (SEARCH, RFC 9051 §6.4.4). */
export function searchMailbox(connection: ImapConnection, search: ServerSearch): Promise<UidSet> {
  const { isUnread, isFlagged, largerThan, smallerThan, ...rest } = search
  const given: [string, unknown][] = Object.entries(rest)
  if (isUnread !== null) given.push(['seen', !isUnread])
  if (isFlagged !== null) given.push(['flagged', isFlagged])
  given.push(['larger', largerThan], ['smaller', smallerThan])
  return connection.search(Object.fromEntries(given.filter(([, value]) => value !== null)) as SearchObject)
}
