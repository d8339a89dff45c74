/** Which messages a list holds; every condition that is given has to hold. */
export type MessageFilter = {
  isUnread?: boolean | null
  isFlagged?: boolean | null
  /** part of the sender's name or address, whatever its case */
  from?: string | null
  /** part of the subject, whatever its case */
  subject?: string | null
  /** INTERNALDATE at or after, and before */
  since?: Date | null
  before?: Date | null
  hasAttachment?: boolean | null
}
