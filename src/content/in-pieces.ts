import { Readable } from 'node:stream'

/** Bytes that are fetched at once of what does not pass through memory as a whole. */
export const PIECE_BYTES = 1024 ** 2

/** Fetches bytes from one offset to another, both included: fewer, or none, where there are no more. */
export type FetchBytes = (start: number, end: number) => Promise<Buffer>

/** What is fetched in pieces. */
export type InPieces = {
  /** offset of the first byte */
  start?: number
  /** offset of the last; null for as many as there are */
  end?: number | null
  /** goes before them */
  before?: Buffer
  pieceBytes?: number
}

/**
 * Streams bytes that are fetched piece by piece, the next one while one is being read: no more than two are in memory. The first is fetched when this resolves,
 * so that a failure is told before anything else is.
 *
 * @returns the stream; the bytes of the first piece, and whether there are no others
 */
export async function inPieces(
  fetch: FetchBytes,
  { start = 0, end = null, before = Buffer.alloc(0), pieceBytes = PIECE_BYTES }: InPieces = {},
): Promise<{ content: Readable; first: number; isAll: boolean }> {
  const pieceAt = (from: number) => ({ from, to: Math.min(from + pieceBytes - 1, end ?? Number.MAX_SAFE_INTEGER) })
  const isLast = ({ to }: { to: number }, at: number) => at <= to || at > (end ?? Number.MAX_SAFE_INTEGER)
  const opening = pieceAt(start)
  const first = await fetch(opening.from, opening.to)
  async function* pieces(): AsyncGenerator<Buffer> {
    if (before.length > 0) yield before
    let [piece, bytes] = [opening, first]
    for (;;) {
      const at = piece.from + bytes.length
      if (isLast(piece, at)) break
      piece = pieceAt(at)
      const coming = fetch(piece.from, piece.to)
      // told where it is awaited
      coming.catch(() => undefined)
      yield bytes
      bytes = await coming
    }
    if (bytes.length > 0) yield bytes
  }
  const isAll = isLast(opening, start + first.length)
  return { content: Readable.from(pieces(), { objectMode: false }), first: first.length, isAll }
}
