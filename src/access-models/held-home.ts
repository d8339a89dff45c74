import type { AccessModel } from '../mailbox/access-model.js'
import type { ContentPiece } from '../mailbox/content-piece.js'
import type { AccountEvent } from '../mailbox/events.js'
import { endedByServer, type ServerFailed } from '../mailbox/failures.js'
import { isToBeProved } from '../mailbox/work-failure.js'
import { FenceRefused, StreamNotFound } from '../event-store/streams.js'
import { withSmallHeap } from '../platform/heap.js'
import { viewAccounts, type AccountView } from '../projections/account-views.js'
import { viewHasWaiting } from '../projections/operation-views.js'
import { viewContentPlace } from '../projections/message-views.js'
import { quotaOf } from '../protocols/imap/collecting.js'
import { ImapConnection } from '../protocols/imap/imap-connection.js'
import type { AccountHome, HomeTools, LetGo } from './account-home.js'
import { Attempts } from './attempts.js'
import { fetchContent } from './content-fetch.js'
import { keepToSchedule } from './disconnected/keep-to-schedule.js'
import { leaveOut } from './disconnected/left-out.js'
import { SelectedContents, type SelectedTools } from './disconnected/selected-contents.js'
import { Uploads, type UploadTools } from './disconnected/upload.js'
import type { RecordTools } from './disconnected/upload-record.js'
import { Fence } from './fence.js'
import { HeldMailboxes, type Link } from './held-mailboxes.js'
import { dropRefused, giveUp } from './online/give-up.js'
import { isConnectionWanted } from './online/session-terms.js'
import { SideConnection } from './online/side-connection.js'
import { Keeping } from './keeping.js'
import { recordSize } from './record-size.js'
import { tellUnavailable } from './tell-unavailable.js'

/** A job gives its worker back after this long, and asks for another if there is more to do. */
const SLICE = 10_000
/** Milliseconds before the mailboxes are looked at that a client has changed: it may be about to change more, and Dovecot tells of it after 500. */
const AFTER_OPERATION = 600
/** A message of an ONLINE account with more bytes than this is fetched beside what else is done. */
const LARGE = 64 * 1024

/** Milliseconds after which a server that keeps a connection is trusted again: earlier failures are forgotten. */
const LASTING = 60_000
/** Milliseconds after which a job that was asked for, and has not begun, is asked for again: it may have been lost. */
const ASK_AGAIN = 1_000

type Job = (account: AccountView, connection: ImapConnection) => Promise<void>

/** A job that is done once there is a connection. */
const CONNECT_ONLY: Job = async () => undefined

/**
 * Where the work of one account is done of which the mail stays on the server: its connection, held between jobs, and what is known of it for now. What matters
 * is in the log; a home that is lost is built again by the next job.
 */
export class HeldHome implements AccountHome {
  private connection: ImapConnection | null = null
  private readonly fence: Fence
  private readonly mailboxes: HeldMailboxes
  /** when it was looked how full the mail is */
  private measuredAt = 0
  private readonly attempts: Attempts
  private readonly uploads = new Uploads()
  private readonly selected = new SelectedContents()
  private readonly keeping: Keeping
  /** whether everything was looked at over this connection, and what earlier ones may have left behind */
  private isCurrent = false
  private hasLookedForEarlier = false
  /** whether raw messages of an ONLINE account may be here: what was put there by it, or what it had before it was ONLINE */
  private mayHaveContents = true
  /** the model for which the connection was made */
  private model: AccessModel | null = null
  private stopping = false
  /** whether the server is being told what a client waits for: what it says meanwhile is most likely about that */
  private isOperating = false
  /** a second connection, for what may take long (ONLINE accounts) */
  private readonly side = new SideConnection()
  /** jobs that wait for their turn, those that wait or have it, and the one that has it */
  private waiting = 0
  private readonly present = new Set<LetGo>()
  private turn: Promise<unknown> = Promise.resolve()
  /** a sync that was asked for and has not begun */
  private nextSync: Promise<void> | null = null
  private isConnecting = false
  /** why a connection has ended too soon; null once that was told */
  private lost: ServerFailed | null = null
  /** what the connection will be recorded as, once the work that failed before is done over it */
  private unproved: AccountEvent | null = null
  /** when the connection was made, in milliseconds since 1970 */
  private connectedAt = 0
  /** the account's mail server; empty before the first job */
  private host = ''
  /** until when no job is asked for by what the server says, since one was asked for already; in milliseconds since 1970 */
  private signalledUntil = 0

  constructor(
    private readonly accountId: string,
    private readonly tools: HomeTools,
  ) {
    this.fence = new Fence(accountId, tools)
    this.attempts = new Attempts(accountId, tools, this.fence)
    this.mailboxes = new HeldMailboxes(accountId, tools)
    this.keeping = new Keeping(tools, this.attempts, () => this.selected.beginAgain())
  }

  /** The connection that is held now. */
  get held() {
    const { model, mailboxes } = this
    return this.connection && model ? { model, checkedAt: mailboxes.checkedAt || Date.now() } : null
  }

  /** One job's worth of syncing: connects where needed, then works until all is current or the slice is over. */
  async sync(letGo: LetGo): Promise<void> {
    // a sync that has not begun yet does what this one would do
    if (this.nextSync) letGo()
    return (this.nextSync ??= this.syncNext(letGo).finally(() => (this.nextSync = null)))
  }

  private async syncNext(letGo: LetGo): Promise<void> {
    if (!this.connection && !(await this.inTurn(CONNECT_ONLY, letGo))) return
    const { working } = this.tools
    if (!working.hasPlace(this.host)) letGo()
    await working.run(this.host, async () => {
      this.nextSync = null
      await this.syncOnce(letGo)
    })
  }

  private async syncOnce(letGo: LetGo): Promise<void> {
    await this.inTurn(async (account, connection) => {
      const { mailboxes, uploads } = this
      if (mailboxes.isCheckDue) await this.check(account, connection)
      const isSelective = account.model === 'DISCONNECTED'
      await this.upload(account, connection)
      const deadline = Date.now() + SLICE
      const selected = this.selectedTools(connection, deadline)
      if (isSelective) await this.keeping.later(account, () => leaveOut(selected))
      const isOver = () => Date.now() >= deadline || this.isWanted
      let more = await withSmallHeap(() => mailboxes.sync(this.link(account, connection), isOver))
      // a sync that was put down at once, for another job, has proved nothing
      if ((!more && !mailboxes.isListChanged) || Date.now() >= deadline) await this.proved()
      // what was told so far bears on nothing that is asked for from now on
      if (!(await viewHasWaiting(this.tools.database.pool, this.accountId))) mailboxes.isUnsettled = false
      else if (!more && (await uploads.settleMissing(this.uploadTools(account, connection)))) mailboxes.changed(null)
      if (!more && isSelective) more = (await this.keeping.later(account, () => this.selected.copy(selected))) ?? false
      await this.keeping.endHindrance(account)
      // everything was looked at over this connection, or since
      const isUpToDate = !more && !mailboxes.isListChanged
      if (isUpToDate && account.model === 'ONLINE') await this.isCurrentNow(account)
      if (isUpToDate) await this.attempts.complete()
      else this.tools.ask(account)
      await this.watch(account, connection, isUpToDate && mailboxes.checkedAt > this.measuredAt)
    }, letGo)
  }

  /** Tells the server what a client waits for, before anything else. */
  async operate(letGo: LetGo): Promise<void> {
    const operate: Job = async (account, connection) => {
      const { mailboxes } = this
      connection.rouse()
      if (mailboxes.isListChanged) await this.check(account, connection)
      this.isOperating = true
      try {
        await this.upload(account, connection, true)
      } finally {
        this.isOperating = false
      }
      if (mailboxes.isListChanged) this.tools.ask(account)
      else if (mailboxes.isAnyDue) this.tools.ask(account, AFTER_OPERATION)
      await this.watch(account, connection, this.uploads.hasExpunged())
    }
    await this.inTurn(operate, letGo, true)
  }

  private async upload(account: AccountView, connection: ImapConnection, isAsked = false): Promise<void> {
    const tools = this.uploadTools(account, connection)
    if (account.model === 'ONLINE' && !this.hasLookedForEarlier) {
      await this.uploads.settleEarlier(tools)
      await giveUp(tools, 'SENT', tools.missing)
      this.hasLookedForEarlier = tools.missing.size === 0
    }
    const isPutDown = (await this.keeping.now(account, () => this.uploads.upload(tools, isAsked))) === null
    if (account.model !== 'ONLINE') return
    // what a client of an ONLINE account waits for does not wait for the blob store
    if (isPutDown) await giveUp(this.recordTools(account), 'UNSENT')
    if (this.uploads.hasMade()) this.mayHaveContents = true
    await this.keepNothing(account)
  }

  /** Of an ONLINE account nothing is here but the index. */
  private async keepNothing(account: AccountView): Promise<void> {
    if (!this.mayHaveContents) return this.keeping.endHindrance(account)
    const tools = { ...this.tools, ...this.recordTools(account), interrupted: () => this.stopping }
    const isLeft = await this.keeping.later(account, async () => {
      await dropRefused(tools)
      return this.selected.drop(tools, true)
    })
    this.mayHaveContents = isLeft ?? true
    await this.keeping.endHindrance(account)
  }

  /** The work was done: a failure of it is over, and the connection by which it was done is recorded. */
  private async proved(): Promise<void> {
    this.attempts.proved()
    if (this.unproved) await this.attempts.record([this.unproved])
    this.unproved = null
  }

  private async isCurrentNow({ accountId, model }: Pick<AccountView, 'accountId' | 'model'>): Promise<void> {
    if (this.isCurrent) return
    this.isCurrent = true
    // first, since only an account that was up to date once may be without a connection
    await this.tools.streams.record(accountId, [{ type: 'AccountCurrent', data: {} }], 'SERVER', this.fence.held)
    // looked at without a session, it has its connection ended
    if (!(await this.isConnectionWanted())) this.tools.ask({ accountId, model })
  }

  /**
   * Waits for news: in INBOX, or, in a session, where it works, if the server tells of the other mailboxes as well.
   *
   * @param isMeasured whether it is looked how full the mail is; that is recorded when news can come already
   */
  private async watch({ model }: AccountView, connection: ImapConnection, isMeasured = false): Promise<void> {
    if (this.stopping) return
    const quota = isMeasured ? await quotaOf(connection) : null
    const stays = model === 'ONLINE' && connection.watchesAll
    await connection.watch((stays ? connection.selected : null) ?? 'INBOX')
    if (!isMeasured) return
    this.measuredAt = Date.now()
    await recordSize(this.tools.streams, this.accountId, quota, this.fence.held)
  }

  /** Fetches a message's content; the outcome is an event, or for an ONLINE account passes through memory. */
  async fetch(messageId: string, piece: ContentPiece | null, letGo: LetGo): Promise<void> {
    const { tools, attempts } = this
    const fetch: Job = (account, connection) =>
      fetchContent({ ...tools, account, connection, fence: this.fence.held, attempts }, messageId, piece)
    if (this.model !== 'ONLINE') this.selected.wasAsked(messageId)
    if ((this.present.size > 0 || (await this.isLarge(messageId))) && (await this.beside(fetch))) return
    const isDone = await this.inTurn(async (account, connection) => {
      await fetch(account, connection)
      await this.watch(account, connection)
    }, letGo)
    if (!isDone && !this.stopping) await this.tellUnavailable(messageId)
  }

  /** Fetches the contents of several messages at once; that one of them could not be had is told for the first of those. */
  async fetchTogether(messageIds: readonly string[], letGo: LetGo): Promise<void> {
    let left = messageIds
    await this.inTurn(async (account, connection) => {
      const tools = { ...this.selectedTools(connection, Infinity), interrupted: () => this.stopping }
      if (account.model === 'DISCONNECTED')
        left = (await this.keeping.now(account, () => this.selected.fetchAsked(tools, messageIds))) ?? left
      await this.watch(account, connection)
    }, letGo)
    if (left[0] && !this.stopping) await this.tellUnavailable(left[0], 'It could not be fetched with others.')
  }

  /** Whoever waits for a content is told that there is no connection to fetch it by. */
  private async tellUnavailable(messageId: string, why?: string): Promise<void> {
    const tools = { ...this.tools, accountId: this.accountId }
    await this.unlessTaken(async () => tellUnavailable(tools, messageId, await this.fence.token(), why))
  }

  private async isLarge(messageId: string): Promise<boolean> {
    const place = this.model === 'ONLINE' ? await viewContentPlace(this.tools.database.pool, messageId) : null
    return (place?.size ?? 0) > LARGE
  }

  /** Does something over the second connection of an ONLINE account that has one already. @returns whether it was done */
  private async beside(work: Job): Promise<boolean> {
    if (this.model !== 'ONLINE' || !this.connection || this.stopping) return false
    const [account] = await viewAccounts(this.tools.database.pool, [this.accountId])
    if (account?.model !== 'ONLINE') return false
    return this.side.use(
      () => this.openConnection(account),
      (connection) => work(account, connection),
    )
  }

  /** Has the server asked what a client waits to know; where that cannot be, the client is told so. */
  async answer(questionId: string, letGo: LetGo): Promise<void> {
    const { questions } = this.tools
    if (await this.beside((_, connection) => questions.answer(questionId, connection))) return
    await this.inTurn(async (account, connection) => {
      await questions.answer(questionId, connection)
      await this.watch(account, connection)
    }, letGo)
    await questions.answer(questionId, null)
  }

  /** Somebody asks for a sync now: a pause after a failure is over. */
  hurry(): void {
    this.attempts.hurry()
  }

  /** Puts the work down and closes the connection. */
  async stop(): Promise<void> {
    this.stopping = true
    await Promise.all([this.connection?.close(), this.side.stop()])
  }

  /**
   * One job at a time has the connection; a sync puts its work down when another waits.
   *
   * @param letGo gives the place of the job back while a connection is made
   * @param isAsked whether a client has asked for it, in a session that was open then
   * @returns whether it was done
   */
  private async inTurn(job: Job, letGo: LetGo, isAsked = false): Promise<boolean> {
    this.waiting++
    this.present.add(letGo)
    if (this.isConnecting) letGo()
    const mine = this.turn
      .then(() => {
        this.waiting--
        return this.unlessTaken(() => this.work(job, isAsked))
      })
      .finally(() => this.present.delete(letGo))
    this.turn = mine.catch(() => undefined)
    return mine
  }

  /** Does something, unless another process has the account now, or it was forgotten. @returns whether it was done */
  private async unlessTaken(work: () => Promise<boolean | void>): Promise<boolean> {
    try {
      return (await work()) !== false
    } catch (error) {
      // beside the server: what failed is told, and the job has failed
      await this.attempts.stopped(null, error)
      if (!(error instanceof FenceRefused || error instanceof StreamNotFound)) throw error
      this.fence.lost()
      return false
    }
  }

  private async work(job: Job, isAsked: boolean): Promise<boolean> {
    const account = await keepToSchedule({ ...this.tools, accountId: this.accountId, fence: () => this.fence.token() })
    if (!account || this.stopping) return false
    this.host = account.host.toLowerCase()
    this.signalledUntil = 0
    await this.fence.token()
    const isOnline = account.model === 'ONLINE'
    if (this.model !== account.model) await this.changeModel(account)
    if (account.model === 'OFFLINE') return false
    const isWanted = !isOnline || this.isLookDue(account) || (isAsked && this.connection !== null)
    if (!isWanted && !(await this.isConnectionWanted())) return this.endSession(account).then(() => false)
    if (!this.attempts.mayBegin(account)) {
      if (isOnline) await giveUp(this.recordTools(account), 'UNSENT')
      await this.hangUp(account)
      this.attempts.askAgain(account)
      return false
    }
    if (!this.mayLogIn(account)) return false
    try {
      if (this.lost) throw this.lost
      const connection = this.connection ?? (await this.connect(account))
      if (connection) await job(account, connection)
      if (connection && job !== CONNECT_ONLY && this.hasLasted) this.attempts.succeeded()
      return connection !== null
    } catch (error) {
      const { connection } = this
      this.connection = null
      this.lost = null
      connection?.drop()
      if (this.stopping) return false
      if (isOnline) await giveUp(this.recordTools(account), 'UNSENT').catch(() => undefined)
      await this.attempts.failed(account, error)
      return false
    }
  }

  /** At a server that has had enough of logins, accounts that nobody waits for come one after the other. */
  private mayLogIn(account: AccountView): boolean {
    if (this.connection || account.model === 'ONLINE') return true
    const wait = this.tools.hostLimits.login(account.host, Date.now())
    if (wait > 0) this.tools.ask(account, wait)
    return wait === 0
  }

  /** Whether the server has kept the connection for long enough to be trusted again. */
  private get hasLasted(): boolean {
    return Date.now() - this.connectedAt >= LASTING
  }

  private isConnectionWanted(): Promise<boolean> {
    return isConnectionWanted(this.tools.database.pool, this.accountId)
  }

  /** Whether an ONLINE account is to be looked at without a session, so that a mailbox which fills up is noticed. */
  private isLookDue({ currentAsOf }: AccountView): boolean {
    const { onlineInterval } = this.tools
    return onlineInterval > 0 && currentAsOf !== null && Date.now() - currentAsOf.getTime() >= onlineInterval
  }

  /** Another model begins with a connection of its own. */
  private async changeModel({ model }: AccountView): Promise<void> {
    const { connection } = this
    this.model = model
    this.connection = null
    this.mayHaveContents = true
    await Promise.all([connection?.close(), this.side.close()])
  }

  /** What a client has asked for comes before what is going on. */
  private async hangUp({ state }: AccountView): Promise<void> {
    const { connection } = this
    if (state !== 'OFFLINE' || !connection) return
    this.connection = null
    await connection.close()
  }

  /** No session is open: an ONLINE account costs no connection then. */
  private async endSession(account: AccountView): Promise<void> {
    const { connection, isCurrent: wasCurrent } = this
    this.connection = null
    this.isCurrent = false
    await Promise.all([connection?.close(), this.side.close()])
    await giveUp(this.recordTools(account), 'UNSENT')
    await this.keepNothing(account)
    if (account.state === 'NO_SESSION' || account.state === 'LOGIN_REFUSED') return
    const closed = { type: 'ConnectionClosed' as const, data: { wasCurrent: wasCurrent && connection !== null } }
    await this.tools.streams.record(this.accountId, [closed], 'POLICY', await this.fence.token())
  }

  private async openConnection(account: AccountView): Promise<ImapConnection> {
    const { policy, logger, passwordOf } = this.tools
    if (this.stopping) throw new Error('the work for this account was put down')
    const connection = await ImapConnection.open(account, await passwordOf(this.accountId), policy, logger)
    connection.guard(() => this.tools.isHeld(this.accountId))
    return connection
  }

  /** Makes the connection. Whoever waits for it holds no place of a job meanwhile. */
  private async newConnection(account: AccountView): Promise<ImapConnection> {
    this.isConnecting = true
    for (const letGo of this.present) letGo()
    try {
      return await this.tools.connecting.run(this.host, () => this.openConnection(account))
    } finally {
      this.isConnecting = false
    }
  }

  /** @returns null where a client has gone offline while it was being made: nothing is told or asked over it */
  private async connect(account: AccountView): Promise<ImapConnection | null> {
    const { streams } = this.tools
    const connection = await this.newConnection(account)
    this.connectedAt = Date.now()
    const fence = await this.fence.renew()
    this.connection = connection
    this.lost = null
    this.mailboxes.connected()
    this.uploads.connected()
    this.selected.connected()
    this.hasLookedForEarlier = false
    this.isCurrent = false
    connection.on('signal', (path) => {
      this.mailboxes.changed(path)
      if (!this.isOperating) this.askOnce(account)
    })
    connection.once('closed', () => {
      if (this.connection !== connection) return
      this.connection = null
      if (this.stopping) return
      // one that was there for long just comes back
      if (this.hasLasted && !connection.broken) this.attempts.succeeded()
      else this.lost = connection.broken ?? endedByServer(account.host)
      // whether it comes back is found out by a job, like everything else
      this.tools.ask(account)
    })
    const { capabilities, serverName: server, namespaces } = connection
    const established = { type: 'ConnectionEstablished' as const, data: { capabilities, server, namespaces } }
    const { view } = await streams.decide(
      this.accountId,
      (session) => viewAccounts(session, [this.accountId]),
      ([now]) => (now && this.attempts.mayBegin(now) && !isToBeProved(now) ? [established] : []),
      fence,
      'SERVER',
    )
    this.unproved = view[0] && isToBeProved(view[0]) ? established : null
    if (view[0] && this.attempts.mayBegin(view[0])) return connection
    this.connection = null
    return connection.close().then(() => null)
  }

  /** Asks for a job, once until it begins: a server may have a thousand things to say in the meantime. */
  private askOnce(account: AccountView): void {
    if (Date.now() < this.signalledUntil) return
    this.signalledUntil = Date.now() + ASK_AGAIN
    this.tools.ask(account)
  }

  /** Whether another job waits for its turn, or the process is about to end. */
  private get isWanted(): boolean {
    return this.stopping || this.waiting > 0
  }

  /** Looks at which mailboxes there are, and which have changed. */
  private async check(account: AccountView, connection: ImapConnection): Promise<void> {
    this.uploads.listed()
    await this.mailboxes.check(this.link(account, connection))
  }

  private link({ conflictPolicy, model }: AccountView, connection: ImapConnection): Link {
    return { connection, fence: this.fence.held, conflictPolicy, model }
  }

  private uploadTools(account: AccountView, connection: ImapConnection): UploadTools {
    const { mailboxes } = this
    const link = this.link(account, connection)
    return {
      ...this.tools,
      ...this.recordTools(account),
      connection,
      interrupted: () => this.isWanted || mailboxes.isListChanged,
      missing: mailboxes.missing,
      look: (paths) => mailboxes.look(link, paths),
      hasChanged: () => mailboxes.hasChanged,
      isUnsettled: () => mailboxes.isUnsettled,
      settled: () => (mailboxes.isUnsettled = false),
      touched: (paths) => mailboxes.touched(paths),
      lookIfChanged: (paths) => mailboxes.lookIfChanged(link, paths),
      lookAtList: () => mailboxes.changed(null),
    }
  }

  private recordTools({ conflictPolicy }: AccountView): RecordTools {
    const { streams, database } = this.tools
    return { accountId: this.accountId, streams, database, fence: this.fence.held, conflictPolicy }
  }

  private selectedTools(connection: ImapConnection, deadline: number): SelectedTools {
    const { accountId, fence, mailboxes } = this
    const interrupted = () => Date.now() >= deadline || this.isWanted || mailboxes.hasChanged || mailboxes.isListChanged
    return { ...this.tools, accountId, connection, fence: fence.held, interrupted }
  }
}
