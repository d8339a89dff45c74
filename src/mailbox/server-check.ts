import { sameFlags, type Flags } from './flags.js'

/** Something that is recorded otherwise than the server has it. */
export type Discrepancy =
  /** the server has a message that is not recorded, or one is recorded that it does not have */
  | { kind: 'NOT_RECORDED' | 'NOT_ON_SERVER'; path: string; uid: number }
  /** messages that the server has and the first reading of the mailbox has not come to */
  | { kind: 'NOT_READ_YET'; path: string; messages: number }
  | { kind: 'FLAGS'; path: string; uid: number; recorded: Flags; server: Flags }
  /** the message is recorded, and nothing of it could be read */
  | { kind: 'UNREADABLE'; path: string; uid: number }
  /** the server counts more messages in the mailbox than it names */
  | { kind: 'NOT_LISTED'; path: string; messages: number }
  /** the server does not let the mailbox be opened */
  | { kind: 'REFUSED'; path: string; serverSaid: string }
  | { kind: 'UIDVALIDITY'; path: string; recorded: string; server: string }
  | { kind: 'MAILBOX_NOT_RECORDED' | 'MAILBOX_NOT_ON_SERVER'; path: string }

/**
 * Compares what is recorded of a mailbox's messages with what the server says of it.
 *
 * @param recorded flags by UID, as far as recorded
 * @param server flags by UID, of all messages; null where those could not be read
 */
export function compareWithServer(
  path: string,
  recorded: ReadonlyMap<number, Flags>,
  server: ReadonlyMap<number, Flags | null>,
): Discrepancy[] {
  const found: Discrepancy[] = []
  for (const [uid, flags] of server) {
    const known = recorded.get(uid)
    if (!known) found.push({ kind: 'NOT_RECORDED', path, uid })
    else if (flags !== null && !sameFlags(known, flags))
      found.push({ kind: 'FLAGS', path, uid, recorded: known, server: flags })
  }
  for (const uid of recorded.keys()) if (!server.has(uid)) found.push({ kind: 'NOT_ON_SERVER', path, uid })
  return found
}

/** A discrepancy as one sentence for a person. */
export function describeDiscrepancy(each: Discrepancy): string {
  switch (each.kind) {
    case 'NOT_RECORDED':
      return `${each.path}: the server has UID ${each.uid}, which is not recorded`
    case 'NOT_READ_YET':
      return `${each.path}: ${each.messages} of the server's messages are not read yet`
    case 'NOT_ON_SERVER':
      return `${each.path}: UID ${each.uid} is recorded, and the server does not have it`
    case 'FLAGS':
      return `${each.path}: UID ${each.uid} has the flags ${each.server.join(' ') || 'none'}; recorded are ${each.recorded.join(' ') || 'none'}`
    case 'UNREADABLE':
      return `${each.path}: UID ${each.uid} could not be read`
    case 'NOT_LISTED':
      return `${each.path}: the server counts ${each.messages} messages more than it lists`
    case 'REFUSED':
      return `${each.path}: the server refuses to open this mailbox: ${each.serverSaid}`
    case 'UIDVALIDITY':
      return `${each.path}: UIDVALIDITY is ${each.server}; recorded is ${each.recorded}`
    case 'MAILBOX_NOT_RECORDED':
      return `${each.path}: the server has this mailbox, and it is not recorded`
    case 'MAILBOX_NOT_ON_SERVER':
      return `${each.path}: this mailbox is recorded, and the server does not have it`
  }
}
