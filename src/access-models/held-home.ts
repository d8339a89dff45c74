import { setTimeout as sleep } from 'node:timers/promises'
import { v7 as newId } from 'uuid'
import { ServerFailed } from '../mailbox/failures.js'
import { fetchOrder } from '../mailbox/mailbox-list.js'
import { decideList } from '../mailbox/mailbox-requests.js'
import { looksChanged } from '../mailbox/sync-plan.js'
import type { FenceToken } from '../event-store/streams.js'
import type { Queryable } from '../platform/database.js'
import { withSmallHeap } from '../platform/heap.js'
import { viewAccounts, type AccountView } from '../projections/account-views.js'
import { viewTallies, viewTrackedIn, viewTrackedMailboxes } from '../projections/operation-views.js'
import { viewMailboxes, type MailboxView } from '../projections/sync-views.js'
import { canExpunge } from '../protocols/imap/changing.js'
import { ImapConnection } from '../protocols/imap/imap-connection.js'
import type { AccountHome, HomeTools } from './account-home.js'
import { Attempts } from './attempts.js'
import { fetchContent } from './content-fetch.js'
import { decideSchedule } from './disconnected/connection-schedule.js'
import { SelectedContents, type SelectedTools } from './disconnected/selected-contents.js'
import { Uploads, type UploadTools } from './disconnected/upload.js'
import { Suspects, syncMailbox, type SyncTools } from './mailbox-sync.js'

/** A job gives its worker back after this long, and asks for another if there is more to do. */
const SLICE = 10_000

/** Milliseconds after which a mailbox that is missing is looked for again before it counts as gone. */
const SECOND_LOOK = 500

/** Mailboxes of one account that the server said have changed, in the order in which it said so. */
type Dirty = Set<string>

/**
 * Where the work of one account is done of which the mail stays on the server: its connection, held between jobs, and what is known of it for now. What matters
 * is in the log; a home that is lost is built again by the next job.
 */
export class HeldHome implements AccountHome {
  private connection: ImapConnection | null = null
  private fence: FenceToken | null = null
  private readonly dirty: Dirty = new Set()
  private listChanged = true
  private checkedAt = 0
  /** mailboxes that the last check missed: gone if the next one misses them too */
  private missing: ReadonlySet<string> = new Set()
  private readonly attempts: Attempts
  private readonly suspects = new Suspects()
  private readonly uploads = new Uploads()
  private readonly selected = new SelectedContents()
  private refusedMailboxes = new Set<string>()
  /** mailboxes of which a deletion waits to be confirmed; they are looked at again at the next check */
  private readonly heldMailboxes = new Set<string>()
  private isGuarded = false
  private stopping = false
  /** jobs that wait for their turn, and the one that has it */
  private waiting = 0
  private turn: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly accountId: string,
    private readonly tools: HomeTools,
  ) {
    this.attempts = new Attempts(accountId, tools)
  }

  /** One job's worth of syncing: connects where needed, then works until all is current or the slice is over. */
  async sync(): Promise<void> {
    await this.inTurn(async (account, connection) => {
      if (this.isCheckDue()) await this.check(account, connection)
      const upload = account.model === 'DISCONNECTED' ? this.uploadTools(account, connection) : null
      if (upload) await this.uploads.upload(upload)
      const deadline = Date.now() + SLICE
      let more = await withSmallHeap(() => this.syncMailboxes(connection, deadline))
      if (!more && upload && (await this.uploads.settleMissing(upload))) this.listChanged = true
      if (!more && upload) {
        const tools = this.selectedTools(connection, deadline)
        more = (await this.selected.fetch(tools)) || (await this.selected.drop(tools))
      }
      if (more || this.listChanged) this.tools.ask(account)
      if (!this.stopping) await connection.watch('INBOX')
    })
  }

  /** Fetches a message's content; the outcome is an event, or for an ONLINE account passes through memory. */
  async fetch(messageId: string): Promise<void> {
    await this.inTurn(async (account, connection) => {
      await fetchContent({ ...this.tools, account, connection, fence: this.fence as FenceToken }, messageId)
      if (!this.stopping) await connection.watch('INBOX')
    })
  }

  /** Somebody asks for a sync now: a pause after a failure is over. */
  hurry(): void {
    this.attempts.hurry()
  }

  /** Puts the work down and closes the connection. */
  async stop(): Promise<void> {
    this.stopping = true
    await this.connection?.close()
  }

  /** One job at a time has the connection; a sync puts its work down when another waits. */
  private async inTurn(job: (account: AccountView, connection: ImapConnection) => Promise<void>): Promise<void> {
    this.waiting++
    const mine = this.turn.then(() => {
      this.waiting--
      return this.work(job)
    })
    this.turn = mine.catch(() => undefined)
    await mine
  }

  private async work(job: (account: AccountView, connection: ImapConnection) => Promise<void>): Promise<void> {
    const account = await this.keepToSchedule()
    if (!account || this.stopping) return
    if (!this.attempts.mayBegin(account)) return this.hangUp(account)
    try {
      const connection = this.connection ?? (await this.connect(account))
      await job(account, connection)
    } catch (error) {
      const { connection } = this
      this.connection = null
      connection?.drop()
      if (!this.stopping) await this.attempts.failed(account, error)
    }
  }

  /** Has the connection ended when its schedule says so. @returns the account, as it is then */
  private async keepToSchedule(): Promise<AccountView | undefined> {
    const view = (session: Queryable) => viewAccounts(session, [this.accountId])
    const [account] = await view(this.tools.database.pool)
    if (!account || decideSchedule(account, new Date()).length === 0) return account
    await this.tools.streams.decide(
      this.accountId,
      view,
      ([now]) => (now ? decideSchedule(now, new Date()) : []),
      undefined,
      'POLICY',
    )
    return (await view(this.tools.database.pool))[0]
  }

  /** What a client has asked for comes before what is going on. */
  private async hangUp({ state }: AccountView): Promise<void> {
    const { connection } = this
    if (state !== 'OFFLINE' || !connection) return
    this.connection = null
    await connection.close()
  }

  private async connect(account: AccountView): Promise<ImapConnection> {
    const { policy, streams, logger } = this.tools
    const connection = await ImapConnection.open(account, await this.tools.passwordOf(this.accountId), policy, logger)
    this.fence = await streams.takeFence(this.accountId)
    this.connection = connection
    this.listChanged = true
    this.uploads.connected()
    this.selected.connected()
    this.isGuarded = account.model === 'DISCONNECTED'
    this.refusedMailboxes.clear()
    connection.on('signal', (path) => {
      if (path === null) this.listChanged = true
      else this.dirty.add(path)
      this.tools.ask(account)
    })
    connection.once('closed', () => {
      if (this.connection !== connection) return
      this.connection = null
      // whether it comes back is found out by a job, like everything else
      if (!this.stopping) this.tools.ask(account)
    })
    const { capabilities, serverName: server } = connection
    const established = { type: 'ConnectionEstablished' as const, data: { capabilities, server } }
    await streams.decide(
      this.accountId,
      (session) => viewAccounts(session, [this.accountId]),
      // a client may have gone offline while it was being made; the next job ends it then
      ([now]) => (now && this.attempts.mayBegin(now) ? [established] : []),
      undefined,
      'SERVER',
    )
    this.attempts.succeeded()
    return connection
  }

  private isCheckDue(): boolean {
    const since = Date.now() - this.checkedAt
    return this.listChanged || since >= this.tools.checkInterval || (this.missing.size > 0 && since >= SECOND_LOOK)
  }

  /** Looks at all mailboxes at once: which there are, and which have changed. Proves the connection alive as well. */
  private async check(account: AccountView, connection: ImapConnection): Promise<void> {
    this.listChanged = false
    this.uploads.listed()
    const reports = await connection.listMailboxes()
    const { streams } = this.tools
    const listed = reports.map((report) => report.listed)
    const believedGone = await this.believedGone(connection, listed)
    let stillMissing: ReadonlySet<string> = new Set()
    await streams.decide(
      this.accountId,
      async (session) => {
        const messages = await viewTrackedIn(session, [...believedGone])
        return {
          known: await viewMailboxes(session, this.accountId),
          tracked: await viewTrackedMailboxes(session, this.accountId),
          messages,
          tallies: await viewTallies(session, messages),
        }
      },
      ({ tallies, ...view }) => {
        const terms = { policy: account.conflictPolicy, isEverywhereLooked: false, canExpunge: canExpunge(connection) }
        const { events, missing } = decideList(view, listed, believedGone, { ...terms, tallies }, newId)
        stillMissing = missing
        return events
      },
      this.fence as FenceToken,
    )
    this.checkedAt = Date.now()
    this.missing = stillMissing
    if (stillMissing.size > 0) this.tools.ask(account, SECOND_LOOK)
    const known = new Map((await this.mailboxes()).map((mailbox) => [mailbox.path, mailbox]))
    for (const { listed, place } of reports) {
      const mailbox = known.get(listed.path)
      // what is still being read for the first time is gone on with anyway
      if (!mailbox?.place.complete || !listed.selectable) continue
      // without CONDSTORE a change of flags shows nowhere but in the mailbox itself
      if (place === null || !connection.abilities.condstore || looksChanged(mailbox.place, place))
        this.dirty.add(listed.path)
    }
    this.refusedMailboxes.clear()
    this.heldMailboxes.clear()
  }

  /** Of the mailboxes that the last check missed, those that the server does not know by their names either. */
  private async believedGone(
    connection: ImapConnection,
    listed: readonly { path: string }[],
  ): Promise<ReadonlySet<string>> {
    const gone = new Set<string>()
    if (this.missing.size === 0) return gone
    for (const { mailboxId, path } of await this.mailboxes()) {
      if (!this.missing.has(mailboxId) || listed.some((each) => each.path === path)) continue
      if (!(await connection.hasMailbox(path))) gone.add(mailboxId)
    }
    return gone
  }

  /** Whether what is done in the background is to be put down: its time is over, or something else has come up. */
  private isInterrupted(deadline: number): boolean {
    return this.stopping || Date.now() >= deadline || this.waiting > 0 || this.dirty.size > 0 || this.listChanged
  }

  /** Works through what changed, then what is still to be fetched. @returns whether something is left */
  private async syncMailboxes(connection: ImapConnection, deadline: number): Promise<boolean> {
    /** the mailbox whose last pieces are being committed while the next one is fetched */
    let behind: { mailboxId: string; committed: Promise<void> } | null = null
    try {
      while (Date.now() < deadline && !this.stopping && this.waiting === 0 && !this.listChanged) {
        const mailbox: MailboxView | undefined = await this.nextMailbox(behind?.mailboxId)
        if (!mailbox && !behind) return false
        const { committed } = mailbox
          ? await this.syncOne(connection, mailbox, () => this.isInterrupted(deadline))
          : { committed: null }
        await behind?.committed
        behind = mailbox && committed ? { mailboxId: mailbox.mailboxId, committed } : null
        // lets whoever else has work in this process have a turn
        await sleep(0)
      }
      return true
    } finally {
      await behind?.committed
    }
  }

  private async syncOne(connection: ImapConnection, mailbox: MailboxView, interrupted: () => boolean) {
    this.dirty.delete(mailbox.path)
    const { accountId, suspects } = this
    const tools: SyncTools = {
      ...this.tools,
      accountId,
      connection,
      fence: this.fence as FenceToken,
      interrupted,
      suspects,
      isGuarded: this.isGuarded,
      held: (path) => this.heldMailboxes.add(path),
    }
    try {
      return await syncMailbox(tools, mailbox)
    } catch (error) {
      this.passOver(mailbox, error)
      return { committed: null }
    }
  }

  private uploadTools(account: AccountView, connection: ImapConnection): UploadTools {
    const look = async (paths: ReadonlySet<string>, isWanted: (path: string) => boolean) => {
      for (const mailbox of await this.mailboxes())
        if (paths.has(mailbox.path) && mailbox.selectable && isWanted(mailbox.path)) {
          // a first sync that is under way goes on after the upload
          const { committed } = await this.syncOne(connection, mailbox, () => true)
          await committed
        }
    }
    return {
      ...this.tools,
      accountId: this.accountId,
      conflictPolicy: account.conflictPolicy,
      connection,
      fence: this.fence as FenceToken,
      interrupted: () => this.stopping || this.waiting > 0 || this.listChanged,
      missing: this.missing,
      look: (paths) => look(paths, () => true),
      lookIfChanged: (paths) => look(paths, (path) => this.dirty.has(path)),
      lookAtList: () => (this.listChanged = true),
    }
  }

  private selectedTools(connection: ImapConnection, deadline: number): SelectedTools {
    const { accountId, fence } = this
    const interrupted = () => this.isInterrupted(deadline)
    return { ...this.tools, accountId, connection, fence: fence as FenceToken, interrupted }
  }

  private async nextMailbox(except: string | undefined): Promise<MailboxView | undefined> {
    const usable = (await this.mailboxes()).filter(
      ({ selectable, path, isDeletionConfirmed }) =>
        selectable && !this.refusedMailboxes.has(path) && (isDeletionConfirmed || !this.heldMailboxes.has(path)),
    )
    for (const path of this.dirty) {
      if (!usable.some((mailbox) => mailbox.path === path)) this.dirty.delete(path)
    }
    const ordered = fetchOrder(usable.filter((mailbox) => mailbox.mailboxId !== except))
    return (
      ordered.find(({ path, place, isDeletionConfirmed }) => {
        return (this.dirty.has(path) || isDeletionConfirmed) && place.complete
      }) ?? ordered.find((mailbox) => !mailbox.place.complete || this.dirty.has(mailbox.path))
    )
  }

  /** One mailbox that the server will not open keeps none of the others waiting; it is tried again at the next check. */
  private passOver(mailbox: MailboxView, error: unknown): void {
    const failure = error instanceof ServerFailed ? error.failure : null
    if (failure?.kind !== 'CommandRefused') throw error
    this.tools.logger.warn(
      { accountId: this.accountId, mailboxId: mailbox.mailboxId, failure },
      'a mailbox was refused',
    )
    this.refusedMailboxes.add(mailbox.path)
    this.listChanged = failure.command === 'SELECT'
  }

  private mailboxes(): Promise<MailboxView[]> {
    return viewMailboxes(this.tools.database.pool, this.accountId)
  }
}
