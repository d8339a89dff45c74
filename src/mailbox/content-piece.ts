/** A piece of a raw message: bytes of it, both offsets included, or one part with its own header (RFC 9051 §6.4.5), by its number. */
export type ContentPiece = { start: number; end: number } | { part: string }

/** Names a piece of a message, or all of it, among what is fetched. */
export function pieceKey(messageId: string, piece: ContentPiece | null): string {
  if (piece === null) return messageId
  return 'part' in piece ? `${messageId}#${piece.part}` : `${messageId}@${piece.start}-${piece.end}`
}
