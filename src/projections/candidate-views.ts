import type { CandidateKind, CandidateSum, CandidateTerms } from '../mailbox/candidates.js'
import { CANDIDATE_KINDS } from '../mailbox/candidates.js'
import type { Queryable } from '../platform/database.js'

/** Which messages of account $1 a group has; $2 are the bytes that count as large, $3 the days that count as old. */
const GROUPS: Readonly<Record<CandidateKind, string>> = {
  LARGEST: 'not flagged and size >= $2',
  READ_ATTACHMENTS: 'not flagged and size >= $2 and seen and has_attachment',
  DUPLICATES: 'duplicate > 1',
  TRASH: `special_use = '\\Trash'`,
  JUNK: `special_use = '\\Junk'`,
  NEWSLETTERS: 'not flagged and not seen and is_of_list',
  OLD: 'not flagged and internal_date < now() - make_interval(days => $3::int)',
}

/** A message whose Message-ID and size an earlier one has is a duplicate; those in Trash and Junk do not count as earlier. */
const CANDIDATES = `candidates as (
  select message_id, size, seen, flagged, has_attachment, internal_date, special_use,
    case when header_message_id is not null then row_number() over (
      partition by header_message_id, size
      order by coalesce(special_use, '') in ('\\Trash', '\\Junk'), internal_date, message_id)
    end as duplicate,
    exists (select from list_messages where list_messages.message_id = messages.message_id) as is_of_list
  from messages join mailboxes using (mailbox_id)
  where messages.account_id = $1 and not hidden)`

/** How many messages each group has, and their bytes. */
export async function viewCandidateSums(
  session: Queryable,
  accountId: string,
  { minBytes, olderThanDays }: CandidateTerms,
): Promise<Map<CandidateKind, CandidateSum>> {
  const columns = CANDIDATE_KINDS.flatMap((kind) => {
    const where = `filter (where ${GROUPS[kind]})`
    return [`count(*) ${where} as ${kind}_messages`, `coalesce(sum(size) ${where}, 0) as ${kind}_bytes`]
  })
  const { rows } = await session.query<Record<string, string>>({
    name: 'candidate-sums',
    text: `with ${CANDIDATES} select ${columns.join()} from candidates`,
    values: [accountId, minBytes, olderThanDays],
  })
  const sum = (kind: CandidateKind, what: 'messages' | 'bytes') =>
    Number(rows[0]?.[`${kind.toLowerCase()}_${what}`] ?? 0)
  return new Map(CANDIDATE_KINDS.map((kind) => [kind, { messages: sum(kind, 'messages'), bytes: sum(kind, 'bytes') }]))
}

/** A message of a group, and its bytes. */
export type Candidate = { messageId: string; size: number }

/**
 * The messages of a group, the largest first, at most `limit`.
 *
 * @param after only those behind this one; null for the first
 */
export async function viewCandidateList(
  session: Queryable,
  accountId: string,
  kind: CandidateKind,
  { minBytes, olderThanDays }: CandidateTerms,
  after: Candidate | null,
  limit: number,
): Promise<Candidate[]> {
  const { rows } = await session.query<{ message_id: string; size: string }>({
    name: `candidates-${kind}`,
    text: `with ${CANDIDATES}
           select message_id, size from candidates
           where (${GROUPS[kind]}) and ($2::bigint is not null and $3::bigint is not null)
             and ($4::uuid is null or (size, message_id) < ($5::bigint, $4::uuid))
           order by size desc, message_id desc limit $6`,
    values: [accountId, minBytes, olderThanDays, after?.messageId ?? null, after?.size ?? null, limit],
  })
  return rows.map(({ message_id: messageId, size }) => ({ messageId, size: Number(size) }))
}
