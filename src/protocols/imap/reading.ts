import type { SearchObject } from 'imapflow'
import type { ServerSearch } from '../../mailbox/server-search.js'
import type { UidSet } from '../../mailbox/uid-set.js'
import type { ImapConnection } from './imap-connection.js'

/*
 * What is read of mail on an IMAP server beside its index, of the selected mailbox, by UID. Every call rejects with ServerFailed.
 */

/** Some bytes of a message, from an offset on (BODY[]<start.length>, RFC 9051 §6.4.5); null when it is gone. */
export async function bytesOf(
  connection: ImapConnection,
  uid: number,
  start: number,
  length: number,
): Promise<Buffer | null> {
  const query = { uid: true, source: { start, maxLength: length } }
  const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
  return found ? (found.source ?? Buffer.alloc(0)) : null
}

/** Some bytes of a part, from an offset on; null when the message is gone. @param part its number, as in "2.1" */
export async function bytesOfPart(
  connection: ImapConnection,
  uid: number,
  part: string,
  start: number,
  length: number,
): Promise<Buffer | null> {
  const query = { uid: true, bodyParts: [{ key: part, start, maxLength: length }] }
  const found = await connection.ask('FETCH', (client) => client.fetchOne(String(uid), query, { uid: true }))
  return found ? (found.bodyParts?.get(part) ?? Buffer.alloc(0)) : null
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
