import { setTimeout as sleep } from 'node:timers/promises'
import type { Flags } from '../mailbox/flags.js'
import { isRefusal } from '../mailbox/failures.js'
import { isEmptyStill, type ReportedPlace } from '../mailbox/sync-plan.js'
import { compareWithServer, type Discrepancy } from '../mailbox/server-check.js'
import type { Queryable } from '../platform/database.js'
import { uidsOf } from '../mailbox/uid-set.js'
import { viewMailboxes, viewServerFlags, viewUnreadableUids, type MailboxView } from '../projections/sync-views.js'
import type { ImapConnection } from '../protocols/imap/imap-connection.js'

/** Flags that are read at once. */
const PIECE = 2_000

/** Milliseconds for which news may be on their way from the server into the log. */
const GRACE = 3_000

/**
 * Compares what is recorded of an account with its server: mailboxes, UIDs and flags; by EXAMINE, which changes nothing. What
 * differs is looked at once more after a moment, since the service may be running and just about to record it.
 *
 * @throws ServerFailed
 */
export async function checkAccount(
  session: Queryable,
  accountId: string,
  connection: ImapConnection,
): Promise<Discrepancy[]> {
  const found = await compareAccount(session, accountId, connection, null)
  if (found.length === 0) return []
  await sleep(GRACE)
  return compareAccount(session, accountId, connection, new Set(found.map(({ path }) => path)))
}

/** @param only the mailboxes to look into; all where it is null */
async function compareAccount(
  session: Queryable,
  accountId: string,
  connection: ImapConnection,
  only: ReadonlySet<string> | null,
): Promise<Discrepancy[]> {
  const found: Discrepancy[] = []
  const listed = (await connection.listMailboxes()).filter((each) => each.listed.selectable)
  const recorded = new Map((await viewMailboxes(session, accountId)).map((mailbox) => [mailbox.path, mailbox]))
  for (const { listed: each } of listed) {
    const mailbox = recorded.get(each.path)
    recorded.delete(each.path)
    if (!mailbox) found.push({ kind: 'MAILBOX_NOT_RECORDED', path: each.path })
    else if (!mailbox.isLeftOut && (only === null || only.has(each.path)))
      found.push(...(await compareMailbox(session, mailbox, connection)))
  }
  for (const { path, selectable } of recorded.values())
    if (selectable) found.push({ kind: 'MAILBOX_NOT_ON_SERVER', path })
  return found
}

async function compareMailbox(
  session: Queryable,
  { mailboxId, path, uidValidity, place }: MailboxView,
  connection: ImapConnection,
): Promise<Discrepancy[]> {
  let reported: ReportedPlace
  try {
    reported = await connection.select(path, true)
  } catch (error) {
    if (!isRefusal(error)) throw error
    return [{ kind: 'REFUSED', path, serverSaid: error.failure.serverSaid }]
  }
  if (isEmptyStill(place, reported)) return []
  if (uidValidity !== null && reported.uidValidity !== uidValidity)
    return [{ kind: 'UIDVALIDITY', path, recorded: uidValidity, server: reported.uidValidity }]
  const told = new Map<number, Flags>()
  if (connection.exists > 0)
    for await (const piece of connection.flags('1:*', PIECE)) for (const { uid, flags } of piece) told.set(uid, flags)
  // an answer of which the flags cannot be read leaves no trace: which messages there are is asked on its own
  const server = new Map<number, Flags | null>()
  for (const uid of uidsOf(await connection.allUids())) server.set(uid, told.get(uid) ?? null)
  const recorded = uidValidity === null ? new Map() : await viewServerFlags(session, { mailboxId, uidValidity })
  const differences: Discrepancy[] = compareWithServer(path, recorded as ReadonlyMap<number, Flags>, server)
  if (connection.unlisted > 0) differences.push({ kind: 'NOT_LISTED', path, messages: connection.unlisted })
  for (const uid of uidValidity === null ? [] : await viewUnreadableUids(session, { mailboxId, uidValidity }))
    if (server.has(uid)) differences.push({ kind: 'UNREADABLE', path, uid })
  return place.complete ? differences : countUnread(path, differences)
}

/** While a mailbox is read for the first time, the messages that are not recorded are counted, and not listed. */
function countUnread(path: string, differences: readonly Discrepancy[]): Discrepancy[] {
  const others = differences.filter(({ kind }) => kind !== 'NOT_RECORDED')
  const messages = differences.length - others.length
  return messages === 0 ? others : [...others, { kind: 'NOT_READ_YET', path, messages }]
}
