import type { Writes } from '../platform/statements.js'

/** Adds rows of `kept_messages`; those that are there stay. */
export async function addKept(session: Writes, accountId: string, ids: readonly string[]): Promise<void> {
  await session.query({
    name: 'add-kept',
    text: `insert into kept_messages (account_id, message_id) select $1, unnest($2::uuid[]) on conflict do nothing`,
    values: [accountId, ids],
  })
}

/** Removes rows of `kept_messages`. */
export async function removeKept(session: Writes, ids: readonly string[]): Promise<void> {
  await session.query({
    name: 'remove-kept',
    text: 'delete from kept_messages where message_id = any($1::uuid[])',
    values: [ids],
  })
}
