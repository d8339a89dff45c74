import type { MessageData } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'

/** The fingerprints among those of messages that were forgotten. */
export async function viewForgotten(
  session: Queryable,
  accountId: string,
  reported: readonly Pick<MessageData, 'fingerprint'>[],
): Promise<ReadonlySet<string>> {
  const { rows } = await session.query<{ fingerprint: string }>({
    name: 'view-forgotten',
    text: `select encode(fingerprint, 'hex') as fingerprint from forgotten_messages
           where account_id = $1 and fingerprint in (select decode(hash, 'hex') from unnest($2::text[]) as hash)`,
    values: [accountId, reported.map((message) => message.fingerprint)],
  })
  return new Set(rows.map((row) => row.fingerprint))
}
