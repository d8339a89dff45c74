import type { Writes } from '../platform/statements.js'
import type { PlaceRow } from './row-changes.js'

/** Writes rows of `server_places`, be they there already or not. */
export async function setPlaces(session: Writes, accountId: string, rows: readonly PlaceRow[]): Promise<void> {
  const set = ['state', 'mailbox_id', 'uid_validity', 'uid', 'flags', 'modseq'].map(
    (name) => `${name} = excluded.${name}`,
  )
  await session.query({
    name: 'set-places',
    text: `insert into server_places (account_id, message_id, state, mailbox_id, uid_validity, uid, flags, modseq,
             fingerprint, internal_date, email_id)
           select $1, message_id, state, mailbox_id, uid_validity, uid, flags, modseq, decode(fingerprint, 'hex'),
             internal_date, email_id
           from json_to_recordset($2::json) as place (message_id uuid, state text, mailbox_id uuid, uid_validity bigint,
             uid bigint, flags text[], modseq numeric, fingerprint text, internal_date timestamptz, email_id text)
           on conflict (message_id) do update set ${set.join()}`,
    values: [accountId, JSON.stringify(rows)],
  })
}

/** Removes rows of `server_places`. */
export async function removePlaces(session: Writes, ids: readonly string[]): Promise<void> {
  await session.query({
    name: 'remove-places',
    text: 'delete from server_places where message_id = any($1::uuid[])',
    values: [ids],
  })
}
