import type { ServerChange } from '../../mailbox/operation.js'
import { quotaOf } from './collecting.js'
import type { ImapConnection } from './imap-connection.js'

/** What a command needed that a server has refused: one that gives no response code (RFC 5530) is asked about each. */
export type Needs = {
  /** rights on mailboxes (RFC 4314 §2.1), by their paths */
  rights: readonly { path: string; right: string }[]
  /** room for so many bytes more in a mailbox */
  room: { path: string; bytes: number } | null
  /** that there is no mailbox of this path */
  free: string | null
}

/**
 * Finds out why a server refused a command without saying it: a right that is missing (MYRIGHTS, RFC 4314), room that is
 * (GETQUOTAROOT, RFC 9208), or a mailbox that is there already.
 *
 * @returns null where it is none of these, or the server does not tell
 */
export async function causeOfRefusal(connection: ImapConnection, needs: Needs): Promise<ServerChange | null> {
  if (needs.free !== null && (await connection.hasMailbox(needs.free))) return 'MAILBOX_EXISTS'
  for (const { path, right } of needs.rights) {
    const rights = await rightsOn(connection, path)
    if (rights !== null && !rights.includes(right)) return 'NO_PERMISSION'
  }
  const quota = needs.room && (await quotaOf(connection, needs.room.path))
  return needs.room && quota && quota.bytes + needs.room.bytes > quota.limit ? 'OVER_QUOTA' : null
}

/** The letters of what the user may do with a mailbox; null where the server does not tell. */
async function rightsOn(connection: ImapConnection, path: string): Promise<string | null> {
  if (!connection.offers('ACL')) return null
  let rights: string | null = null
  await connection
    .execute('MYRIGHTS', [{ type: 'ATOM', value: connection.encoded(path) }], {
      untagged: 'MYRIGHTS',
      take: ({ attributes }) => {
        const value = attributes?.[1]?.value
        if (typeof value === 'string') rights = value
      },
    })
    // the mailbox is not even to be seen, or is gone, which its list says
    .catch(() => undefined)
  return rights
}
