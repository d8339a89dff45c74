/** A part of bytes: both offsets included, from 0 on (RFC 9110 §14.1.2). */
export type ByteRange = { start: number; end: number }

/**
 * A piece of a raw message, or of one of its parts (by its number, RFC 9051 §6.4.5): bytes of it, both offsets included; a part's own header; or a part together with
 * that.
 */
export type ContentPiece = (ByteRange & { part?: string }) | { header: string } | { part: string }

/** Names a piece of a message, or all of it, among what is fetched. */
export function pieceKey(messageId: string, piece: ContentPiece | null): string {
  if (piece === null) return messageId
  if ('header' in piece) return `${messageId}#${piece.header}.header`
  const part = piece.part === undefined ? '' : `#${piece.part}`
  return 'start' in piece ? `${messageId}${part}@${piece.start}-${piece.end}` : `${messageId}${part}`
}

/** Whether a name that `pieceKey` gave is that of a piece. */
export function isPieceKey(key: string): boolean {
  return /[#@]/.test(key)
}
