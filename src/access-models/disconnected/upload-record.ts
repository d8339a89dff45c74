import type { FenceToken, Streams } from '../../event-store/streams.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { decideMailboxRefusal, decideUnmade } from '../../mailbox/mailbox-requests.js'
import { decideFlags, type MailboxPlace } from '../../mailbox/message-changes.js'
import type { ConflictPolicy, OperationKind, ServerChange } from '../../mailbox/operation.js'
import { decideRefusal, decideStored, type SettlementTerms } from '../../mailbox/settlement.js'
import type { TrackedMessage } from '../../mailbox/tracked-message.js'
import type { TrackedMailbox } from '../../mailbox/upload-plan.js'
import { decideSent } from '../../mailbox/upload-results.js'
import type { Database, Queryable } from '../../platform/database.js'
import { together } from '../../platform/together.js'
import type { PlannedUpload } from '../../projections/upload-views.js'
import { viewTallies, viewTracked, viewTrackedIn, viewTrackedMailboxes } from '../../projections/operation-views.js'
import { viewMessages } from '../../projections/sync-views.js'
import type { FlagsReport } from '../../protocols/imap/imap-connection.js'

/** What recording an upload works with. */
export type RecordTools = {
  accountId: string
  streams: Streams
  database: Database
  /** the worker's token; without one where there is no connection */
  fence: FenceToken
  conflictPolicy: ConflictPolicy
}

/** Records what becomes of operations, each decided on what is known when it is recorded. */
export class UploadRecord {
  constructor(
    private readonly tools: RecordTools,
    private readonly canExpunge: boolean,
  ) {}

  /** Decides on messages. */
  async ofMessages(
    ids: readonly string[],
    decide: (messages: readonly TrackedMessage[], terms: SettlementTerms) => readonly AccountEvent[],
  ): Promise<void> {
    if (ids.length === 0) return
    await this.decide(
      (session) => this.view(session, ids),
      ({ messages, terms }) => decide(messages, terms),
    )
  }

  /** Decides on the mailboxes. */
  async ofMailboxes(decide: (mailboxes: readonly TrackedMailbox[], terms: SettlementTerms) => readonly AccountEvent[]) {
    const load = (session: Queryable) => viewTrackedMailboxes(session, this.tools.accountId)
    const decided = (mailboxes: readonly TrackedMailbox[]) => decide(mailboxes, { ...this.terms, tallies: new Map() })
    // most often there is nothing to record, which needs no transaction to find out
    if (decided(await load(this.tools.database.pool)).length > 0) await this.decide(load, decided)
  }

  /** Decides on one mailbox, if it is still there. */
  async ofMailbox(
    mailboxId: string,
    decide: (
      mailbox: TrackedMailbox,
      terms: SettlementTerms,
      all: readonly TrackedMailbox[],
    ) => readonly AccountEvent[],
  ): Promise<void> {
    await this.ofMailboxes((mailboxes, terms) => {
      const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
      return mailbox ? decide(mailbox, terms, mailboxes) : []
    })
  }

  /**
   * The server says which flags messages of a mailbox have now.
   *
   * @param ids of those of which the operations may come to their outcomes by that
   */
  async flagsAre(ids: readonly string[], place: MailboxPlace, reports: readonly FlagsReport[]): Promise<void> {
    await this.decide(
      async (session) => {
        const { messages, terms } = await this.view(session, ids)
        const { events, others } = decideStored(messages, place, reports, terms)
        const uids = others.map(({ uid }) => uid)
        return { events, others, known: uids.length > 0 ? await viewMessages(session, place, uids) : new Map() }
      },
      ({ events, others, known }) => [...decideFlags(place, others, known), ...events],
    )
  }

  /** The server would not do what is asked of messages. */
  refused(ids: readonly string[], aspect: { flags: readonly string[] } | 'place', change: ServerChange): Promise<void> {
    return this.ofMessages(ids, (messages, terms) => decideRefusal(messages, aspect, change, terms))
  }

  /** The server would not do what is asked of a mailbox. */
  async mailboxRefused(mailboxId: string, kind: OperationKind, change: ServerChange): Promise<void> {
    if (kind === 'CREATE_MAILBOX') await this.unmade(mailboxId, change)
    await this.ofMailbox(mailboxId, (mailbox, terms, all) => decideMailboxRefusal(all, mailbox, kind, change, terms))
  }

  private async unmade(mailboxId: string, change: ServerChange): Promise<void> {
    await this.decide(
      async (session) => {
        const messages = await viewTrackedIn(session, [mailboxId])
        const ids = messages.map(({ messageId }) => messageId)
        return { messages, terms: { ...this.terms, tallies: await viewTallies(session, ids) } }
      },
      ({ messages, terms }) => decideUnmade(mailboxId, messages, change, terms),
    )
  }

  /** The server has a mailbox under a path, or with a subscription. */
  mailboxIs(mailboxId: string, path: string, subscribed?: boolean): Promise<void> {
    return this.ofMailbox(mailboxId, (mailbox) => {
      const data = { mailboxId, path, subscribed: subscribed ?? mailbox.serverSubscribed }
      return [{ type: 'ServerMailboxChanged', data }]
    })
  }

  /** Records that what a plan tells the server is being sent, on what the plan is made of. @returns the plan and that */
  sent(load: (session: Queryable) => Promise<PlannedUpload>): Promise<PlannedUpload> {
    return this.decide(load, ({ plan, view }) => decideSent(plan.steps, view))
  }

  private async view(session: Queryable, ids: readonly string[]) {
    const [messages, tallies] = await together([viewTracked(session, ids), viewTallies(session, ids)])
    return { messages, terms: { ...this.terms, tallies } }
  }

  private get terms(): Omit<SettlementTerms, 'tallies'> {
    return { policy: this.tools.conflictPolicy, isEverywhereLooked: false, canExpunge: this.canExpunge }
  }

  private async decide<View>(
    load: (session: Queryable) => Promise<View>,
    decide: (view: View) => readonly AccountEvent[],
  ): Promise<View> {
    const { streams, accountId, fence } = this.tools
    return (await streams.decide(accountId, load, decide, fence, 'SERVER')).view
  }
}
