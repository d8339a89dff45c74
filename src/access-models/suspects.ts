import { uidCount, type UidSet } from '../mailbox/uid-set.js'

/** Messages that are fetched, decided on and appended together. */
export const PIECE = 500

/** UIDs that are suspected of breaking the connection, by mailbox; they outlive the connection. */
export class Suspects {
  private readonly uids = new Map<string, Set<number>>()
  /** how many messages of a mailbox could not be read */
  private readonly unread = new Map<string, number>()
  /** the message that was being fetched alone when a connection broke last */
  private alone: string | null = null
  /** how many messages are fetched at once while somebody is being looked for */
  pieceSize = PIECE

  /**
   * A piece broke the connection: several are asked one by one next time, and one alone is guilty when it does so twice, for
   * connections break by themselves, too.
   */
  broke(mailboxId: string, piece: UidSet): void {
    if (uidCount(piece) > 1) {
      this.pieceSize = Math.max(1, Math.floor(Math.min(this.pieceSize, uidCount(piece)) / 8))
      return
    }
    const uid = piece[0]?.[0] ?? 0
    const isSecondTime = this.alone === `${mailboxId} ${uid}`
    this.alone = `${mailboxId} ${uid}`
    if (isSecondTime) this.uids.set(mailboxId, (this.uids.get(mailboxId) ?? new Set()).add(uid))
  }

  /** Takes notice of messages that the server named and that could not be read. @returns how many those are by now */
  unreadable(mailboxId: string, count: number): number {
    const all = (this.unread.get(mailboxId) ?? 0) + count
    this.unread.set(mailboxId, all)
    return all
  }

  /** Those of a mailbox. */
  of(mailboxId: string): ReadonlySet<number> {
    return this.uids.get(mailboxId) ?? new Set()
  }

  /** The mailbox is through: fetch in whole pieces again. */
  cleared(): void {
    this.pieceSize = PIECE
  }
}
