import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import type { ListedMessage } from '../../mailbox/collection.js'
import { samePolicy, selectForDeletion, type DeletionPolicy } from '../../mailbox/deletion-policy.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { groupsOf } from '../../mailbox/groups.js'
import type { BlobStore } from '../../content/blobs/blob-store.js'
import { identityOfHeader } from '../../content/message-metadata.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { viewDeletableCopies, type PolicyCopy } from '../../projections/copy-views.js'
import type { Queryable } from '../../platform/database.js'
import type { Collected } from './collect.js'
import type { CollectTools } from './collect-tools.js'
import type { Maildrop } from './maildrop.js'
import { placeOf } from './received.js'

/** Messages that are asked to be deleted together. */
const PIECE = 200

/**
 * Deletes from the server what the account's policy wants deleted, of the messages that are there now. Each is looked at right
 * before: its content has to be here, with the SHA-256 that was recorded. That it is asked is an event before it is asked, and that it
 * is done is one only when the server has said so.
 *
 * @param collected what the run has found on the server
 */
export async function deleteCollected(
  tools: CollectTools,
  maildrop: Maildrop,
  { there, fetched, wereAsked }: Collected,
): Promise<void> {
  const { account, database } = tools
  const [current] = await viewAccounts(database.pool, [account.accountId])
  // most accounts, at most times: not worth a look at every copy
  if (!wereAsked && current?.deletionPolicy.kind === 'NEVER') return
  const chosen = await choose(database.pool, account.accountId, there)
  await takeBack(tools, chosen)
  for (const piece of groupsOf(chosen.copies, PIECE)) {
    if (tools.stopping()) break
    const durable = await durableOf(tools, piece)
    const same = [
      ...durable.filter(({ messageId }) => fetched.has(messageId)),
      ...(await sameOnServer(
        maildrop,
        durable.filter(({ messageId }) => !fetched.has(messageId)),
        there,
      )),
    ]
    const asked = await ask(tools, same, chosen.policy)
    await recordDeleted(
      tools,
      await maildrop.delete(asked.map((messageId) => there.get(messageId) as ListedMessage)),
      there,
    )
  }
  // whoever has changed their mind meanwhile is heard, as long as the server can be told
  if (!(await stillWants(database.pool, account.accountId, chosen.policy))) await maildrop.reset()
}

/** Whether an account's policy is still the one by which messages were chosen. */
async function stillWants(session: Queryable, accountId: string, policy: DeletionPolicy): Promise<boolean> {
  const [account] = await viewAccounts(session, [accountId])
  return account !== undefined && samePolicy(account.deletionPolicy, policy)
}

/** Records what the end of the session has deleted. */
export async function recordDeleted(
  { account, streams, fence }: CollectTools,
  deleted: readonly ListedMessage[],
  there: ReadonlyMap<string, ListedMessage>,
): Promise<void> {
  if (deleted.length === 0) return
  const gone = new Set(deleted)
  const messageIds = [...there].filter(([, listed]) => gone.has(listed)).map(([messageId]) => messageId)
  const events = groupsOf(messageIds, PIECE).map((ids): AccountEvent => {
    return { type: 'ServerCopiesGone', data: { messageIds: ids, why: 'DELETED' } }
  })
  await streams.record(account.accountId, events, 'POLICY', fence)
}

/** What an account's policy wants deleted, and what was asked before and is no longer wanted. */
type Choice = { policy: DeletionPolicy; copies: PolicyCopy[]; unwanted: PolicyCopy[] }

async function choose(
  session: Queryable,
  accountId: string,
  there: ReadonlyMap<string, ListedMessage>,
): Promise<Choice> {
  const [account] = await viewAccounts(session, [accountId])
  if (!account) return { policy: { kind: 'NEVER' }, copies: [], unwanted: [] }
  const all = (await viewDeletableCopies(session, accountId)).filter(({ messageId }) => there.has(messageId))
  const copies = selectForDeletion(account.deletionPolicy, all, occupancyOf(account), Date.now())
  const wanted = new Set(copies)
  const unwanted = all.filter((copy) => copy.state === 'DELETION_ASKED' && !wanted.has(copy))
  return { policy: account.deletionPolicy, copies, unwanted }
}

/** How full an account's maildrop was when it was last looked at. */
export function occupancyOf({ maildrop, collection }: AccountView): { bytes: number; limit: number | null } {
  return { bytes: maildrop?.bytes ?? 0, limit: collection.limit ?? maildrop?.limit ?? null }
}

/** Records that what was asked to be deleted, and is still there, is not to be deleted any more. */
async function takeBack({ account, streams, fence }: CollectTools, { unwanted }: Choice): Promise<void> {
  const events = unwanted.map((copy): AccountEvent => {
    const { messageId, headerHash, ...listed } = copy
    return { type: 'ServerCopyFound', data: { messageId, ...placeOf({ ...listed, number: 0 }, headerHash) } }
  })
  await streams.record(account.accountId, events, 'POLICY', fence)
}

/** Those of which the content is here, byte for byte. */
async function durableOf(
  { blobs, account, logger }: CollectTools,
  copies: readonly PolicyCopy[],
): Promise<PolicyCopy[]> {
  const durable: PolicyCopy[] = []
  for (const copy of copies) {
    if ((await hashOf(blobs, copy.sha256)) === copy.sha256) durable.push(copy)
    else logger.error({ accountId: account.accountId, messageId: copy.messageId }, 'a content is not here as recorded')
  }
  return durable
}

/**
 * Those that the server has as they are here, of messages that did not come in this session: a UID is certain; a unique-id may
 * have been given again, so that the header is looked at; without either the whole message is.
 */
async function sameOnServer(
  maildrop: Maildrop,
  copies: readonly PolicyCopy[],
  there: ReadonlyMap<string, ListedMessage>,
): Promise<PolicyCopy[]> {
  if (maildrop.names === 'UID') return [...copies]
  const left = new Map(copies.map((copy) => [there.get(copy.messageId) as ListedMessage, copy]))
  const same: PolicyCopy[] = []
  const settle = (listed: ListedMessage, isSame: (copy: PolicyCopy) => boolean) => {
    const copy = left.get(listed)
    left.delete(listed)
    if (copy && isSame(copy)) same.push(copy)
  }
  if (maildrop.names === 'UIDL')
    for await (const { listed, header } of maildrop.headers([...left.keys()]))
      settle(listed, (copy) => copy.headerHash === identityOfHeader(header).headerHash)
  for await (const coming of maildrop.contents([...left.keys()], 1)) {
    if ('refused' in coming) continue
    const hash = createHash('sha256')
    for await (const chunk of coming.content) hash.update(chunk)
    const sha256 = hash.digest('hex')
    settle(coming.listed, (copy) => copy.sha256 === sha256)
  }
  return same
}

async function hashOf(blobs: BlobStore, sha256: string | null): Promise<string | null> {
  if (sha256 === null || !(await blobs.has(sha256))) return null
  const hash = createHash('sha256')
  await pipeline(blobs.read(sha256), hash)
  return hash.digest('hex')
}

/** Records that deletions are about to be asked for, if the policy is still the same. @returns the messages */
async function ask(
  { account, streams, fence }: CollectTools,
  copies: readonly PolicyCopy[],
  policy: DeletionPolicy,
): Promise<readonly string[]> {
  const messageIds = copies.map(({ messageId }) => messageId)
  const { events } = await streams.decide(
    account.accountId,
    (session) => stillWants(session, account.accountId, policy),
    (wants): AccountEvent[] =>
      wants && messageIds.length > 0 ? [{ type: 'ServerDeletionAsked', data: { messageIds } }] : [],
    fence,
    'POLICY',
  )
  return events.length > 0 ? messageIds : []
}
