import type { Writes } from '../platform/statements.js'

/** Writes rows of `list_messages`: by which lists messages came (RFC 2919). */
export async function setLists(
  session: Writes,
  accountId: string,
  rows: readonly { messageId: string; listId: string }[],
): Promise<void> {
  await session.query({
    name: 'set-lists',
    text: `insert into list_messages (account_id, message_id, list_id)
           select $1, message_id, list_id from unnest($2::uuid[], $3::text[]) as list (message_id, list_id)
           on conflict (message_id) do update set list_id = excluded.list_id`,
    values: [accountId, rows.map(({ messageId }) => messageId), rows.map(({ listId }) => listId)],
  })
}
