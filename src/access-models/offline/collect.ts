import { createHash } from 'node:crypto'
import { v7 as newId } from 'uuid'
import {
  matchByHeaders,
  matchByName,
  worthALook,
  listedName,
  type HeadedMessage,
  type ListedMessage,
  type NamedCopy,
  type SameMessage,
} from '../../mailbox/collection.js'
import type { AccountEvent, MailboxProblem } from '../../mailbox/events.js'
import { groupsOf } from '../../mailbox/groups.js'
import { decideCompleted, decideOpened } from '../../mailbox/local-mailboxes.js'
import { collectionProblem, decideProblem } from '../../mailbox/mailbox-problem.js'
import { decideMeasured } from '../../mailbox/maildrop-measure.js'
import { identityOfHeader } from '../../content/message-metadata.js'
import { viewAccounts } from '../../projections/account-views.js'
import { viewAwaitedContents, viewGoneCopies, viewNamedCopies, viewServerCopies } from '../../projections/copy-views.js'
import { viewLocalMailboxes, viewProblems } from '../../projections/local-views.js'
import type { CollectTools } from './collect-tools.js'
import { CollectionRun, placeInList as placeOf, type Found } from './collection-run.js'
import type { LookedAt, Maildrop } from './maildrop.js'

/** Messages of which one event tells that they are gone. */
const PIECE = 500

/** What a run has found: the messages that are on the server now, by the messages that they are here. */
export type Collected = {
  there: Map<string, ListedMessage>
  /** those of them of which the content came in this session */
  fetched: ReadonlySet<string>
  isComplete: boolean
  /** whether the deletion of any was asked for before, and is not certain */
  wereAsked: boolean
  /** what was listed, as a hash; null where the names in it do not hold, or not all of it could be had */
  listing: string | null
}

/**
 * Collects every message that is not here yet, once: see collection.ts for how each is told. Whatever ends it before its end,
 * the next run goes on from what was recorded.
 */
export async function collect(tools: CollectTools, maildrop: Maildrop): Promise<Collected> {
  const { account, database } = tools
  const lookedAt = await maildrop.list(account.collection.mailboxes)
  const isWholeList = lookedAt.every(({ refused, unlisted }) => refused === null && unlisted === 0)
  const listing = maildrop.names === null || !isWholeList ? null : hashOf(lookedAt)
  if (listing !== null && listing === tools.lastListing && account.deletionPolicy.kind === 'NEVER') {
    await measure(tools, maildrop, null)
    return { there: new Map(), fetched: new Set(), isComplete: true, wereAsked: false, listing }
  }
  const read = lookedAt.filter(({ refused }) => refused === null)
  const paths = new Map(read.map(({ mailbox, localPath }) => [mailbox, localPath]))
  const known = (await viewNamedCopies(database.pool, account.accountId)).filter((copy) => paths.has(copy.mailbox))
  const byName = matchByName(
    known,
    read.flatMap(({ listed }) => listed),
  )
  await openMailboxes(tools, lookedAt)
  const unknown = await maildrop.withSizes(byName.unknown)
  await measure(tools, maildrop, [...byName.same.map(({ copy }) => copy), ...unknown])
  const found = await findAgain(tools, maildrop, unknown, byName.missing)
  const there = new Map(byName.same.map(({ listed, copy }) => [copy.messageId, listed]))
  const awaited = await awaitedContents(tools, maildrop, byName.same)
  const run = new CollectionRun(tools, maildrop, paths, there, { ...found, awaited })
  const isComplete = await run.take([...awaited.keys(), ...found.unknown])
  const left = new Map(lookedAt.map((looked) => [looked.localPath, leftOut(looked, there, run)]))
  if (isComplete) await finish(tools, byName.missing, there, left)
  const wereAsked = known.some((copy) => copy.state === 'DELETION_ASKED')
  const isAllHere = run.refused === 0 && [...left.values()].every((problem) => problem === null)
  return { there, fetched: run.fetched, isComplete, wereAsked, listing: isAllHere ? listing : null }
}

/** What keeps a mailbox from being collected whole: each message that the server counts in it is here, or named by this. */
function leftOut(
  { listed, unlisted, refused }: LookedAt,
  there: ReadonlyMap<string, ListedMessage>,
  run: CollectionRun,
): MailboxProblem | null {
  const here = new Set([...there.values()].map(placeOf))
  const ungiven = listed.filter((message) => !here.has(placeOf(message)))
  const said = ungiven.flatMap((message) => run.said.get(placeOf(message)) ?? [])
  return collectionProblem(refused, unlisted, { count: ungiven.length, serverSaid: said[0] ?? null })
}

/** The listed messages that are known and of which the content is to come, with the messages that they are. */
async function awaitedContents(
  { account, database, maxMessageBytes, tooLong, enders }: CollectTools,
  maildrop: Maildrop,
  same: readonly SameMessage<NamedCopy>[],
): Promise<Map<ListedMessage, string>> {
  const wanted = new Set(await viewAwaitedContents(database.pool, account.accountId))
  const known = same.filter(({ copy }) => wanted.has(copy.messageId))
  if (known.length === 0) return new Map()
  const ids = new Map(known.map(({ listed, copy }) => [placeOf(listed), copy.messageId]))
  const sized = await maildrop.withSizes(known.map(({ listed }) => listed))
  return new Map(
    sized
      .filter(
        (listed) =>
          listed.size <= maxMessageBytes && !tooLong.has(listedName(listed)) && !enders.has(listedName(listed)),
      )
      .map((listed) => [listed, ids.get(placeOf(listed)) as string] as const),
  )
}

/** What a list comes to, when all names in it hold: the same list has nothing that was not there. */
function hashOf(lookedAt: readonly LookedAt[]): string {
  const hash = createHash('sha256')
  for (const { mailbox, listed } of lookedAt) {
    let text = `${mailbox}\n`
    for (const { uidValidity, uid, uidl, size } of listed) text += `${uidValidity} ${uid} ${uidl} ${size}\n`
    hash.update(text)
  }
  return hash.digest('hex')
}

/** Makes the mailboxes here that the collected mail goes to. */
async function openMailboxes({ account, streams, fence }: CollectTools, lookedAt: readonly LookedAt[]): Promise<void> {
  const expected = new Map(lookedAt.map(({ localPath, listed }) => [localPath, listed.length]))
  const maker = { makeId: newId, uidValidity: String(Math.floor(Date.now() / 1000)) }
  await streams.decide(
    account.accountId,
    (session) => viewLocalMailboxes(session, account.accountId),
    (mailboxes) => decideOpened(mailboxes, expected, maker),
    fence,
  )
}

/**
 * Records how full the maildrop is, where that is other than before, and warns.
 *
 * @param listed the messages in it; null for the same as when it was measured last
 */
async function measure(
  tools: CollectTools,
  maildrop: Maildrop,
  listed: readonly { size: number }[] | null,
): Promise<void> {
  const { account, streams, fence } = tools
  const told = await maildrop.occupancy()
  const count = (all: readonly { size: number }[]) => ({
    messages: all.length,
    bytes: all.reduce((sum, { size }) => sum + size, 0),
  })
  await streams.decide(
    account.accountId,
    async (session) => (await viewAccounts(session, [account.accountId]))[0],
    (now): AccountEvent[] => {
      if (!now) return []
      const counted = listed ? count(listed) : (now.maildrop ?? count([]))
      const { messages, bytes } = counted
      return decideMeasured(now, { messages, bytes: told?.bytes ?? bytes, limit: told?.limit ?? null })
    },
    fence,
  )
}

/** Tells messages that are not known under the names that the server gives them, by names of before and by headers. */
async function findAgain(
  { account, database }: CollectTools,
  maildrop: Maildrop,
  unknown: readonly ListedMessage[],
  named: readonly NamedCopy[],
): Promise<Omit<Found, 'awaited'>> {
  if (unknown.length === 0) return { same: [], unknown: [], missing: [] }
  const missing = await viewServerCopies(
    database.pool,
    named.map(({ messageId }) => messageId),
  )
  const gone = await viewGoneCopies(database.pool, account.accountId, unknown)
  const back = matchByName(gone, unknown)
  const candidates = [...missing, ...back.missing]
  const headed: HeadedMessage[] = []
  for await (const { listed, header } of maildrop.headers(worthALook(back.unknown, candidates)))
    headed.push({ listed, ...identityOfHeader(header) })
  const byHeaders = matchByHeaders(headed, candidates)
  const told = new Set(byHeaders.map(({ listed }) => listed))
  const used = new Set(byHeaders.map(({ copy }) => copy))
  return {
    same: [...back.same, ...byHeaders],
    unknown: back.unknown.filter((listed) => !told.has(listed)),
    missing: candidates.filter((copy) => !used.has(copy)),
  }
}

/**
 * Records what the server no longer has, that the first run is through, and what keeps mailboxes from being complete.
 *
 * @param left what was left out of the mailboxes that were looked at, by their paths here
 */
async function finish(
  { account, streams, fence }: CollectTools,
  missing: readonly NamedCopy[],
  there: ReadonlyMap<string, ListedMessage>,
  left: ReadonlyMap<string, MailboxProblem | null>,
): Promise<void> {
  const gone = missing.map(({ messageId }) => messageId).filter((messageId) => !there.has(messageId))
  const events = groupsOf(gone, PIECE).map((messageIds): AccountEvent => {
    return { type: 'ServerCopiesGone', data: { messageIds, why: 'ABSENT' } }
  })
  await streams.decide(
    account.accountId,
    async (session) => {
      const mailboxes = await viewLocalMailboxes(session, account.accountId)
      return { mailboxes, problems: await viewProblems(session, account.accountId) }
    },
    ({ mailboxes, problems }) => {
      // of a mailbox that could not be read, the first run is still to come
      const read = mailboxes.filter(({ path }) => left.get(path)?.kind !== 'REFUSED')
      const changes = problems.flatMap(({ mailboxId, path, problem }) =>
        decideProblem(mailboxId, problem, left.get(path) ?? null),
      )
      return [...events, ...decideCompleted(read), ...changes]
    },
    fence,
  )
}
