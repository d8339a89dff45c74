import { setTimeout as sleep } from 'node:timers/promises'
import { v7 as newId } from 'uuid'
import type { AccessModel } from '../mailbox/access-model.js'
import { isRefusal } from '../mailbox/failures.js'
import { fetchOrder } from '../mailbox/mailbox-list.js'
import { decideProblem } from '../mailbox/mailbox-problem.js'
import { decideList } from '../mailbox/mailbox-requests.js'
import type { ConflictPolicy } from '../mailbox/operation.js'
import { looksChanged } from '../mailbox/sync-plan.js'
import type { FenceToken } from '../event-store/streams.js'
import { viewTallies, viewTrackedIn, viewTrackedMailboxes } from '../projections/operation-views.js'
import { viewMailboxes, type MailboxView } from '../projections/sync-views.js'
import { canExpunge } from '../protocols/imap/changing.js'
import type { ImapConnection } from '../protocols/imap/imap-connection.js'
import type { MailboxReport } from '../protocols/imap/listing.js'
import type { HomeTools } from './account-home.js'
import { record, type SyncTools } from './mailbox-record.js'
import { readAgain, syncMailbox, type Remainder } from './mailbox-sync.js'
import { Suspects } from './suspects.js'

/** Milliseconds after which a mailbox that is missing is looked for again. */
const NEXT_LOOK = 500
/** A mailbox counts as gone when it was missing for so many milliseconds: Dovecot's list may lack what was renamed for a second and more. */
const GONE_AFTER = 2_000

/** The longest time after which a mailbox that the server refused is tried again, in milliseconds. */
const LONGEST_REFUSAL = 3_600_000
/** Milliseconds after which messages that could not be read are read again. */
const READ_AGAIN = 3_600_000

/** Of a mailbox of which nothing is being committed. */
const NOTHING: Remainder = { committed: Promise.resolve() }

/** The connection over which mailboxes are looked at, and on what terms. */
export type Link = {
  connection: ImapConnection
  fence: FenceToken
  conflictPolicy: ConflictPolicy
  model: AccessModel
}

/** What is known, for now, of the mailboxes of an account of which the mail stays on the server: which are to be looked at. */
export class HeldMailboxes {
  /** mailboxes that the server said have changed, by their paths, in the order in which it said so */
  private readonly dirty = new Set<string>()
  /** those in which only Mailfold itself has changed something, as far as is known: that is recorded, and where they stand is not */
  private readonly own = new Set<string>()
  private listChanged = true
  private lastCheck = 0
  /** whether mailboxes are being read for the first time */
  private isFirstReading = false
  /** when INBOX was looked at last because of that, in milliseconds since 1970 */
  private inboxAt = 0
  /** mailboxes that the last check missed, and since when checks have done so, in milliseconds since 1970 */
  private missed: ReadonlyMap<string, number> = new Map()
  /** mailboxes that the list leaves out and that the server knows by their names, by their ids */
  private readonly unlisted = new Set<string>()
  private readonly suspects = new Suspects()
  /** mailboxes that the server refused to open or to read, by their paths: how often in a row, and when each is tried again, in milliseconds since 1970 */
  private readonly refused = new Map<string, { times: number; tryAt: number }>()
  /** when messages that could not be read were read again last */
  private readAgainAt = 0
  /** mailboxes of which a deletion waits to be confirmed; they are looked at again at the next check */
  private readonly held = new Set<string>()
  /** whether anything has come from the server since operations were settled last */
  isUnsettled = true

  constructor(
    private readonly accountId: string,
    private readonly tools: HomeTools,
  ) {}

  /** Takes notice of a new connection: everything is to be looked at. */
  connected(): void {
    this.listChanged = true
    this.isUnsettled = true
    this.readAgainAt = 0
  }

  /** Takes notice that a mailbox has changed, or, for null, the list of them. */
  changed(path: string | null): void {
    if (path === null) this.listChanged = true
    else this.dirty.add(path)
  }

  /** Takes notice of what Mailfold has changed itself, and recorded. */
  touched(paths: ReadonlySet<string>): void {
    for (const path of paths) this.own.add(path)
  }

  /** Whether the list has to be looked at before anything else. */
  get isListChanged(): boolean {
    return this.listChanged
  }

  /** Whether any mailbox is known to have been changed by others. */
  get hasChanged(): boolean {
    return this.dirty.size > 0
  }

  /** Whether any is to be looked at, in time. */
  get isAnyDue(): boolean {
    return this.dirty.size + this.own.size > 0
  }

  /** When the list was looked at last, in milliseconds since 1970. */
  get checkedAt(): number {
    return this.lastCheck
  }

  /** Mailboxes that the list has left out, and that may be gone, by their ids. */
  get missing(): ReadonlySet<string> {
    return new Set(this.missed.keys())
  }

  /**
   * Whether it is time to look at the list. A check may take longer than the interval between two of them, so while mailboxes are read for the first time
   * none comes between; INBOX is looked at instead.
   */
  get isCheckDue(): boolean {
    const since = Date.now() - this.lastCheck
    if (this.listChanged || (this.missed.size > 0 && since >= NEXT_LOOK)) return true
    if (since < this.tools.checkInterval) return false
    if (this.isFirstReading && Date.now() - this.inboxAt >= this.tools.checkInterval) {
      this.inboxAt = Date.now()
      this.dirty.add('INBOX')
    }
    return !this.isFirstReading
  }

  /** Looks at all mailboxes at once: which there are, and which have changed. Proves the connection alive as well. */
  async check({ connection, fence, conflictPolicy, model }: Link): Promise<void> {
    this.listChanged = false
    this.isUnsettled = true
    const reports = await connection.listMailboxes()
    const { streams } = this.tools
    const { gone: believedGone, unlisted } = await this.lookFor(connection, reports)
    reports.push(...unlisted)
    const listed = reports.map((report) => report.listed)
    let stillMissing: ReadonlySet<string> = new Set()
    await streams.decide(
      this.accountId,
      async (session) => {
        const messages = await viewTrackedIn(session, [...believedGone])
        return {
          known: await viewMailboxes(session, this.accountId),
          tracked: await viewTrackedMailboxes(session, this.accountId),
          messages,
          tallies: await viewTallies(
            session,
            messages.map(({ messageId }) => messageId),
          ),
        }
      },
      ({ tallies, ...view }) => {
        const terms = { policy: conflictPolicy, isEverywhereLooked: false, canExpunge: canExpunge(connection) }
        const { events, missing } = decideList(view, listed, believedGone, { ...terms, tallies }, newId)
        stillMissing = missing
        return events
      },
      fence,
    )
    this.lastCheck = Date.now()
    this.missed = new Map([...stillMissing].map((id) => [id, this.missed.get(id) ?? this.lastCheck]))
    if (stillMissing.size > 0) this.tools.ask({ accountId: this.accountId, model }, NEXT_LOOK)
    const known = new Map((await this.mailboxes()).map((mailbox) => [mailbox.path, mailbox]))
    for (const { listed, place } of reports) {
      const mailbox = known.get(listed.path)
      // what is still being read for the first time is gone on with anyway
      if (!mailbox?.place.complete || !listed.selectable) continue
      // without CONDSTORE a change of flags shows nowhere but in the mailbox itself
      if (place === null || !connection.abilities.condstore || looksChanged(mailbox.place, place))
        this.dirty.add(listed.path)
    }
    this.held.clear()
  }

  /**
   * Looks for mailboxes that the list leaves out by their names. Of those that checks have missed for long enough, what the server does not know either is
   * gone. What it knows is there as it was, without where it stands; from then on it is asked for at each check.
   */
  private async lookFor(
    connection: ImapConnection,
    reports: readonly MailboxReport[],
  ): Promise<{ gone: ReadonlySet<string>; unlisted: MailboxReport[] }> {
    const gone = new Set<string>()
    const unlisted: MailboxReport[] = []
    if (this.missed.size + this.unlisted.size === 0) return { gone, unlisted }
    const paths = new Set(reports.map(({ listed }) => listed.path))
    for (const mailbox of await this.mailboxes()) {
      const { mailboxId, path } = mailbox
      const isLate = Date.now() - (this.missed.get(mailboxId) ?? Date.now()) >= GONE_AFTER
      const isUnlisted = this.unlisted.delete(mailboxId)
      if (paths.has(path) || !(isLate || isUnlisted)) continue
      if (await connection.hasMailbox(path)) {
        this.unlisted.add(mailboxId)
        unlisted.push({ listed: { ...mailbox, uidValidity: null, messages: null }, place: null })
      } else if (isLate) gone.add(mailboxId)
    }
    return { gone, unlisted }
  }

  /**
   * Works through what changed, then what is still to be fetched.
   *
   * @param isOver whether the work is to be put down for now
   * @returns whether something is left
   */
  async sync(link: Link, isOver: () => boolean): Promise<boolean> {
    /** the mailbox whose last pieces are being committed while the next one is fetched */
    let behind: string | undefined
    let committed: Promise<void> = Promise.resolve()
    const isWanted = () => isOver() || this.hasChanged || this.listChanged
    // where a session works it goes on, with that mailbox selected
    const last = link.model === 'ONLINE' ? link.connection.selected : null
    try {
      while (!isOver() && !this.listChanged) {
        const mailbox = await this.nextMailbox(behind, last)
        if (!mailbox && behind === undefined) {
          await this.readAgain(link, isWanted)
          return false
        }
        const remainder = mailbox ? await this.syncOne(link, mailbox, isWanted, committed) : NOTHING
        await committed
        committed = remainder.committed
        behind = remainder === NOTHING ? undefined : mailbox?.mailboxId
        // lets whoever else has work in this process have a turn
        await sleep(0)
      }
      return true
    } finally {
      await committed
    }
  }

  private async syncOne(
    link: Link,
    mailbox: MailboxView,
    interrupted: () => boolean,
    before: Promise<void> = Promise.resolve(),
  ): Promise<Remainder> {
    this.dirty.delete(mailbox.path)
    this.own.delete(mailbox.path)
    this.isUnsettled = true
    const tools = this.syncTools(link, interrupted, before)
    try {
      const remainder = await syncMailbox(tools, mailbox)
      this.refused.delete(mailbox.path)
      return remainder
    } catch (error) {
      await this.passOver(tools, mailbox, error)
      return NOTHING
    }
  }

  /** Reads messages again that could not be read: once for each connection, and every hour. */
  private async readAgain(link: Link, interrupted: () => boolean): Promise<void> {
    if (Date.now() - this.readAgainAt < READ_AGAIN) return
    this.readAgainAt = Date.now()
    await readAgain(this.syncTools(link, interrupted), await this.mailboxes()).catch((error: unknown) => {
      // a mailbox that is refused is found to be so elsewhere
      if (!isRefusal(error)) throw error
    })
  }

  private syncTools(
    { connection, fence, model }: Link,
    interrupted: () => boolean,
    before: Promise<void> = Promise.resolve(),
  ): SyncTools {
    const { accountId, suspects } = this
    return {
      ...this.tools,
      accountId,
      connection,
      fence,
      before,
      interrupted,
      suspects,
      isGuarded: model === 'DISCONNECTED',
      held: (path) => this.held.add(path),
    }
  }

  /** Brings mailboxes up to date, by their paths on the server, as far as that is not a first reading, which goes on afterwards. */
  async look(link: Link, paths: ReadonlySet<string>, isWanted: (path: string) => boolean = () => true): Promise<void> {
    for (const mailbox of await this.mailboxes())
      if (paths.has(mailbox.path) && mailbox.selectable && isWanted(mailbox.path)) {
        const { committed } = await this.syncOne(link, mailbox, () => true)
        await committed
      }
  }

  /** The same, only of those that are known to have changed. */
  lookIfChanged(link: Link, paths: ReadonlySet<string>): Promise<void> {
    return this.look(link, paths, (path) => this.dirty.has(path))
  }

  /** @param except the mailbox that is being committed @param last the path of one before which others come that have changed */
  private async nextMailbox(except: string | undefined, last: string | null): Promise<MailboxView | undefined> {
    const usable = (await this.mailboxes()).filter(
      ({ mailboxId, selectable, isLeftOut, path, isDeletionConfirmed }) =>
        selectable &&
        !isLeftOut &&
        !this.missed.has(mailboxId) &&
        (this.refused.get(path)?.tryAt ?? 0) <= Date.now() &&
        (isDeletionConfirmed || !this.held.has(path)),
    )
    for (const paths of [this.dirty, this.own])
      for (const path of paths) if (!usable.some((mailbox) => mailbox.path === path)) paths.delete(path)
    const isDue = (path: string) => this.dirty.has(path) || this.own.has(path)
    this.isFirstReading = usable.some(({ place }) => !place.complete)
    const ordered = fetchOrder(usable.filter((mailbox) => mailbox.mailboxId !== except))
    const changed = ordered.filter(
      ({ path, place, isDeletionConfirmed }) => (isDue(path) || isDeletionConfirmed) && place.complete,
    )
    return (
      changed.find(({ path }) => path !== last) ??
      changed[0] ??
      ordered.find(({ path, place }) => !place.complete || place.uidValidity === null || isDue(path))
    )
  }

  /**
   * One mailbox that the server will not open keeps none of the others waiting, and is shown with the server's words. It is tried again at the next regular
   * check, and more and more seldom after that. The first time the list is looked at again: the mailbox may be gone.
   */
  private async passOver(tools: SyncTools, { mailboxId, path, problem }: MailboxView, error: unknown): Promise<void> {
    if (!isRefusal(error)) throw error
    const { failure } = error
    const times = (this.refused.get(path)?.times ?? 0) + 1
    const pause = Math.min(this.tools.checkInterval * 2 ** (times - 1), LONGEST_REFUSAL)
    this.refused.set(path, { times, tryAt: Date.now() + pause })
    if (times === 1 && failure.command === 'SELECT') this.listChanged = true
    const found = { kind: 'REFUSED' as const, message: failure.serverSaid }
    const events = decideProblem(mailboxId, problem, found)
    if (events.length === 0) return
    this.tools.logger.warn({ accountId: this.accountId, mailboxId, failure }, 'a mailbox was refused')
    await record(tools, events)
  }

  private mailboxes(): Promise<MailboxView[]> {
    return viewMailboxes(this.tools.database.pool, this.accountId)
  }
}
