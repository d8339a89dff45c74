import { setTimeout as sleep } from 'node:timers/promises'
import type { BlobStore } from '../../content/blobs/blob-store.js'
import { groupsOf } from '../../mailbox/groups.js'
import { decideMailboxSettlement } from '../../mailbox/mailbox-requests.js'
import { decideSettlement } from '../../mailbox/settlement.js'
import { sentTo, type TrackedMessage } from '../../mailbox/tracked-message.js'
import { UploadAnswers } from '../../mailbox/upload-answers.js'
import type { TrackedMailbox, UploadStep } from '../../mailbox/upload-plan.js'
import type { Queryable } from '../../platform/database.js'
import type { Logger } from '../../platform/logs.js'
import {
  viewApartIds,
  viewHasWaiting,
  viewTracked,
  viewTrackedApart,
  viewTrackedMailboxes,
} from '../../projections/operation-views.js'
import { viewUpload, type PlannedUpload } from '../../projections/upload-views.js'
import { canExpunge } from '../../protocols/imap/changing.js'
import type { ImapConnection } from '../../protocols/imap/imap-connection.js'
import { UploadRecord, type RecordTools } from './upload-record.js'
import { takeStep } from './upload-steps.js'

/** Steps that make something on the server that is here already. */
const MAKING: ReadonlySet<string> = new Set(['append', 'copy', 'create'])

/** Messages that are looked at together. */
const PIECE = 1_000

/** Milliseconds for which an upload of an earlier connection may still be under way on the server. */
const SETTLING_TIME = 2_000

/** What an upload works with. */
export type UploadTools = RecordTools & {
  connection: ImapConnection
  blobs: BlobStore
  logger: Logger
  /** mailboxes that the server's list has left out, and that may be gone */
  missing: ReadonlySet<string>
  /** whether the work should be put down for now */
  interrupted: () => boolean
  /** brings mailboxes up to date, by their paths on the server */
  look: (paths: ReadonlySet<string>) => Promise<void>
  /** has mailboxes looked at later, by their paths on the server: what was changed there is known */
  touched: (paths: ReadonlySet<string>) => void
  /** whether any is known to have been changed by others */
  hasChanged: () => boolean
  /** whether anything has come from the server since operations were settled last */
  isUnsettled: () => boolean
  /** takes notice that operations were settled by all that has come, or that none waits */
  settled: () => void
  /** the same, only of those that are known to have changed */
  lookIfChanged: (paths: ReadonlySet<string>) => Promise<void>
  /** asks for the list of mailboxes to be looked at again */
  lookAtList: () => void
}

/**
 * Tells an account's server what was asked for while there was no connection (RFC 4549), and finds out what became of it. What
 * to tell follows from the log at every step, so it can be cut anywhere; this object only remembers what the server said it
 * did, to see when it did not.
 */
export class Uploads {
  private readonly answers = new UploadAnswers()
  /** messages that were missing before the mailboxes were listed last */
  private missingBefore: ReadonlySet<string> = new Set()
  private missing: ReadonlySet<string> = new Set()
  /** whether what an earlier connection may have left under way was waited for */
  private hasWaited = false
  private expunged = false
  private made = false

  /** Whether anything was expunged on the server since this was asked last. */
  hasExpunged(): boolean {
    const { expunged } = this
    this.expunged = false
    return expunged
  }

  /** Whether anything was to be put on the server, or made there, since this was asked last. */
  hasMade(): boolean {
    const { made } = this
    this.made = false
    return made
  }

  /** Takes notice of a new connection: what was sent over the last one may not have been carried out yet. */
  connected(): void {
    this.hasWaited = false
  }

  /** Takes notice that the mailboxes are being listed, and then looked at. */
  listed(): void {
    this.missingBefore = this.missing
  }

  /** Tells the server what waits, as far as it can be told now. @param isAsked whether something is known to wait */
  async upload(tools: UploadTools, isAsked: boolean): Promise<void> {
    if (!isAsked && !(await viewHasWaiting(tools.database.pool, tools.accountId))) return tools.settled()
    await this.waitForEarlier(tools)
    const record = new UploadRecord(tools, canExpunge(tools.connection))
    if (tools.hasChanged()) await tools.lookIfChanged(await this.pathsInvolved(tools))
    // where nothing has come from the server since, nothing has to be settled before it is told more
    let settled = !tools.isUnsettled()
    let wasSettled = false
    for (let after: string | null = null; !tools.interrupted();) {
      if (!settled) await this.settle(tools, record, null)
      wasSettled ||= !settled
      settled = true
      const { plan, view } = await record.sent((session) => this.next(session, tools, after))
      const last = view.messages.length < PIECE ? null : view.messages.at(-1)
      if (plan.steps.length > 0) {
        const { touched, isKnown } = await this.take(tools, record, plan.steps, view.mailboxes)
        if (isKnown && !(await viewHasWaiting(tools.database.pool, tools.accountId))) {
          tools.touched(touched)
          tools.settled()
          return this.answers.clear()
        }
        const isDone = isKnown && touched.size === 0
        // where the server's answers have told all of what was asked for, that is an outcome already
        if (isKnown) await this.settle(tools, record, null)
        await tools.look(touched)
        settled = isDone
        wasSettled = isDone
      } else if (last) after = last.messageId
      // what was asked for and cancels out
      else if (!wasSettled) settled = false
      else return this.answers.clear()
    }
  }

  /** Looks for what became of what was told over an earlier connection. */
  async settleEarlier(tools: UploadTools): Promise<void> {
    if (!(await viewHasWaiting(tools.database.pool, tools.accountId))) return
    await this.waitForEarlier(tools)
    await tools.look(await this.pathsInvolved(tools))
    await this.settle(tools, new UploadRecord(tools, canExpunge(tools.connection)), null)
  }

  /**
   * Settles what was found nowhere, once every mailbox was listed and looked at after it was missing.
   *
   * @returns whether the mailboxes have to be listed again for that
   */
  async settleMissing(tools: UploadTools): Promise<boolean> {
    const missing = new Set<string>()
    for await (const piece of piecesOf(tools))
      for (const { messageId, server, shown } of piece)
        if (server.state === 'GONE' || (shown === null && server.state === 'NOT_YET')) missing.add(messageId)
    const uncopied = (await this.next(tools.database.pool, tools, null)).plan.impossible.map(
      ({ messageId }) => messageId,
    )
    for (const id of uncopied) missing.add(id)
    const certain = new Set([...missing].filter((id) => this.missingBefore.has(id)))
    this.missing = missing
    const record = new UploadRecord(tools, canExpunge(tools.connection))
    await record.refused(
      uncopied.filter((id) => certain.has(id)),
      'place',
      'MESSAGE_GONE',
    )
    if (certain.size > 0) await this.settle(tools, record, certain)
    return certain.size < missing.size
  }

  /** @param certain messages that are nowhere for certain; null to settle the others */
  private async settle(tools: UploadTools, record: UploadRecord, certain: ReadonlySet<string> | null): Promise<void> {
    if (certain === null) await record.ofMailboxes(decideMailboxSettlement)
    const apart = await viewApartIds(tools.database.pool, tools.accountId)
    const ids = apart.filter((id) => certain === null || certain.has(id))
    for (const piece of groupsOf(ids, PIECE)) {
      await record.ofMessages(piece, (messages, terms) =>
        decideSettlement(messages, { ...terms, isEverywhereLooked: certain !== null }),
      )
    }
    if (certain === null) tools.settled()
  }

  /** An upload over a connection that ended may reach its mailbox a moment later; sent again, it would be there twice. */
  private async waitForEarlier(tools: UploadTools): Promise<void> {
    if (this.hasWaited) return
    this.hasWaited = true
    for await (const piece of piecesOf(tools)) {
      if (!piece.some(({ server, operations }) => server.state === 'NOT_YET' && sentTo(operations) !== null)) continue
      await sleep(SETTLING_TIME)
      return tools.look(await this.pathsInvolved(tools))
    }
  }

  /** The mailboxes in which something of what waits is, or is to come to be. */
  private async pathsInvolved(tools: UploadTools): Promise<Set<string>> {
    const ids = new Set<string>()
    const originals: string[] = []
    for await (const piece of piecesOf(tools))
      for (const { server, shown, operations } of piece) {
        originals.push(...operations.flatMap(({ effect }) => effect.copyOf ?? []))
        if ('mailboxId' in server) ids.add(server.mailboxId)
        if (shown) ids.add(shown.mailboxId)
        ids.add(sentTo(operations) ?? '')
      }
    const copied = await viewTracked(tools.database.pool, originals)
    for (const { server } of copied) if ('mailboxId' in server) ids.add(server.mailboxId)
    const mailboxes = await viewTrackedMailboxes(tools.database.pool, tools.accountId)
    return new Set(
      mailboxes.flatMap(({ mailboxId, serverPath, isHidden }) =>
        serverPath !== null && (isHidden || ids.has(mailboxId)) ? [serverPath] : [],
      ),
    )
  }

  private next(session: Queryable, tools: UploadTools, after: string | null): Promise<PlannedUpload> {
    const { accountId, missing, connection } = tools
    return viewUpload(session, { accountId, missing, canExpunge: canExpunge(connection), after, limit: PIECE })
  }

  /**
   * Takes the steps.
   *
   * @returns the mailboxes that they have touched and that are to be looked at, by their paths; and whether the server said of all
   * messages what became of them
   */
  private async take(
    tools: UploadTools,
    record: UploadRecord,
    steps: readonly UploadStep[],
    planned: readonly TrackedMailbox[],
  ): Promise<{ touched: Set<string>; isKnown: boolean }> {
    const mailboxes = new Map(planned.map((mailbox) => [mailbox.mailboxId, mailbox]))
    const { accountId, connection, blobs, logger, lookAtList } = tools
    const { answers } = this
    answers.planned(steps)
    const stepTools = { accountId, connection, blobs, logger, record, mailboxes, answers, lookAtList }
    const touched = new Set<string>()
    let isKnown = true
    for (const step of steps) {
      if (tools.interrupted()) return { touched, isKnown: false }
      const knowledge = await takeStep({ ...stepTools, isLast: step === steps.at(-1) }, step)
      if (knowledge === 'NOT_ALL') isKnown = false
      if (step.kind === 'expunge') this.expunged = true
      if (MAKING.has(step.kind)) this.made = true
      if (knowledge === 'ALL') continue
      for (const id of mailboxesOf(step)) touched.add(mailboxes.get(id)?.serverPath ?? '')
    }
    return { touched, isKnown }
  }
}

async function* piecesOf({ database, accountId }: UploadTools): AsyncGenerator<TrackedMessage[]> {
  for (let after: string | null = null; ;) {
    const piece: TrackedMessage[] = await viewTrackedApart(database.pool, accountId, after, PIECE)
    if (piece.length > 0) yield piece
    if (piece.length < PIECE) return
    after = piece.at(-1)?.messageId ?? null
  }
}

/** The mailboxes in which something is other after a step. */
function mailboxesOf(step: UploadStep): string[] {
  switch (step.kind) {
    case 'append':
      return [step.mailboxId]
    case 'copy':
      return [step.to, step.from]
    case 'store':
    case 'expunge':
      return [step.on.mailboxId]
    case 'move':
      return [step.to, step.from.mailboxId]
    default:
      return []
  }
}
