import { Readable } from 'node:stream'
import { pieceKey, type ContentPiece } from '../mailbox/content-piece.js'
import type { FenceToken, Streams } from '../event-store/streams.js'
import type { AccountEvent } from '../mailbox/events.js'
import { isRefusal } from '../mailbox/failures.js'
import { holdBlob } from '../content/blobs/blob-removal.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
import { keepingFailureOf } from '../content/blobs/keeping-failure.js'
import type { PassingContent } from '../content/passing-content.js'
import type { Database } from '../platform/database.js'
import type { AccountView } from '../projections/account-views.js'
import { viewContentPlace, type ContentPlace } from '../projections/message-views.js'
import type { ImapConnection } from '../protocols/imap/imap-connection.js'
import { bytesOf, bytesOfPart, headerOfPart, partOf, wholeOf } from '../protocols/imap/reading.js'
import type { Attempts } from './attempts.js'
import { recordKept, removeUnreferred } from './unreferred.js'

/** What fetching a message's content works with. */
export type FetchTools = {
  account: AccountView
  connection: ImapConnection
  streams: Streams
  database: Database
  blobs: BlobStore
  passing: PassingContent
  fence: FenceToken
  /** takes notice that raw messages cannot be kept */
  attempts: Pick<Attempts, 'hindered'>
  maxMessageBytes: number
}

/**
 * Fetches a raw message. For an ONLINE account it only passes through memory; for the others it is kept: on disk first,
 * then named by an event. That it cannot be had is an event too, so that whoever waits learns of it.
 */
export async function fetchContent(tools: FetchTools, messageId: string, piece: ContentPiece | null): Promise<void> {
  const place = await viewContentPlace(tools.database.pool, messageId)
  if (!place) return
  const reason = await tryToFetch(tools, messageId, place, piece)
  if (reason === null) return
  const unavailable: AccountEvent = { type: 'MessageContentUnavailable', data: { messageId, reason } }
  await tools.streams.record(tools.account.accountId, [unavailable], 'CLIENT', tools.fence)
}

/** @returns why it cannot be had, null when it is here */
async function tryToFetch(
  tools: FetchTools,
  messageId: string,
  place: ContentPlace,
  piece: ContentPiece | null,
): Promise<string | null> {
  const { account, connection, maxMessageBytes } = tools
  const { there } = place
  try {
    if (place.sha256 !== null && (await tools.blobs.has(place.sha256))) return null
    if (there === null) return 'The message is not on the server yet, and its content not here.'
    const isPiece = piece !== null && account.model === 'ONLINE'
    if (place.size > maxMessageBytes && !isPiece)
      return `The message has ${place.size} bytes; at most ${maxMessageBytes} are fetched.`
    if (connection.selected !== there.path) {
      const selected = await connection.select(there.path)
      if (selected.uidValidity !== there.uidValidity)
        return 'The mailbox was numbered anew; the message is being found again.'
    }
    const content = isPiece
      ? await pieceOf(connection, there.uid, piece)
      : await wholeOf(connection, there.uid, maxMessageBytes)
    if (!content) return 'The message is no longer on the server.'
    if (account.model === 'ONLINE') {
      return (await tools.passing.put(pieceKey(messageId, piece), content))
        ? null
        : 'The message is too large to pass through memory.'
    }
    const blob = await tools.blobs.put(content)
    const data = { messageId, sha256: blob.sha256, size: blob.size }
    const decided = tools.streams.decide(
      account.accountId,
      // meanwhile the message may have gone or been forgotten, and the blob, as another message's, been removed
      async (session) =>
        (await viewContentPlace(session, messageId)) !== null && (await holdBlob(session, tools.blobs, blob.sha256)),
      (wanted) => (wanted ? [{ type: 'MessageContentStored', data }] : []),
      tools.fence,
      'CLIENT',
    )
    const { events } = await recordKept(tools, [blob.sha256], decided)
    if (events.length > 0) return null
    await removeUnreferred(tools, [blob.sha256])
    return 'The message went, or was forgotten, while it was fetched.'
  } catch (error) {
    if (isRefusal(error)) return error.message
    const found = keepingFailureOf(error)
    if (!found) throw error
    return (await tools.attempts.hindered(account, found, error)).reason
  }
}

async function pieceOf(connection: ImapConnection, uid: number, piece: ContentPiece): Promise<Readable | null> {
  const bytes = await fetchPiece(connection, uid, piece)
  return bytes && Readable.from([bytes], { objectMode: false })
}

function fetchPiece(connection: ImapConnection, uid: number, piece: ContentPiece): Promise<Buffer | null> {
  if ('header' in piece) return headerOfPart(connection, uid, piece.header)
  if (!('start' in piece)) return partOf(connection, uid, piece.part)
  const { part, start, end } = piece
  const length = end - start + 1
  return part === undefined
    ? bytesOf(connection, uid, start, length)
    : bytesOfPart(connection, uid, part, start, length)
}
