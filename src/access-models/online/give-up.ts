import { groupsOf } from '../../mailbox/groups.js'
import { decideGivenUp, type GivenUp } from '../../mailbox/giving-up.js'
import { decideMailboxDiscard, decideMailboxesGivenUp } from '../../mailbox/mailbox-requests.js'
import { decideDiscard } from '../../mailbox/requests.js'
import { hasNoUid } from '../../mailbox/server-place.js'
import type { BlobStore } from '../../content/blobs/blob-store.js'
import { viewApartIds, viewHasWaiting } from '../../projections/operation-views.js'
import { UploadRecord, type RecordTools } from '../disconnected/upload-record.js'
import { removeUnreferred } from '../unreferred.js'

/** Messages of which the operations are given up together. */
const PIECE = 1_000

/**
 * Drops what was made for an ONLINE account and the server would not have, or has under a UID that it does not tell, with its raw messages: whoever asked for
 * it has been told.
 */
export async function dropRefused(tools: RecordTools & { blobs: BlobStore }): Promise<void> {
  const { database, accountId } = tools
  const record = new UploadRecord(tools, false)
  const contents = new Set<string>()
  for (const piece of groupsOf(await viewApartIds(database.pool, accountId), PIECE))
    await record.ofMessages(piece, (messages) => {
      const left = messages.filter(({ server, operations }) => hasNoUid(server) && operations.length === 0)
      for (const { content } of left) if (content?.sha256) contents.add(content.sha256)
      const dropped = left.map(({ messageId }) => ({ type: 'MessageContentDropped' as const, data: { messageId } }))
      return [...dropped, ...decideDiscard(left)]
    })
  await record.ofMailboxes((mailboxes) =>
    mailboxes.flatMap((mailbox) => {
      const decision = mailbox.operations.length === 0 ? decideMailboxDiscard(mailbox) : null
      return decision && 'events' in decision ? decision.events : []
    }),
  )
  await removeUnreferred(tools, [...contents])
}

/**
 * Gives up what an ONLINE account's server was not told of, or what it was, perhaps, told of and has not done.
 *
 * @param missing mailboxes that may be gone, of which nothing is certain yet
 */
export async function giveUp(
  tools: RecordTools,
  which: GivenUp,
  missing: ReadonlySet<string> = new Set(),
): Promise<void> {
  const { database, accountId } = tools
  if (!(await viewHasWaiting(database.pool, accountId))) return
  const record = new UploadRecord(tools, false)
  for (const piece of groupsOf(await viewApartIds(database.pool, accountId), PIECE))
    await record.ofMessages(piece, (messages, terms) => decideGivenUp(messages, which, terms))
  await record.ofMailboxes((mailboxes) => decideMailboxesGivenUp(mailboxes, which, missing))
}
