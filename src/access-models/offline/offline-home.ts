import { isDeepStrictEqual } from 'node:util'
import { keepingFailureOf } from '../../content/blobs/keeping-failure.js'
import type { AccountEvent } from '../../mailbox/events.js'
import { isHindered, isToBeProved } from '../../mailbox/work-failure.js'
import { nextRun } from '../../mailbox/run-times.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { viewContentPlace } from '../../projections/message-views.js'
import { ImapConnection } from '../../protocols/imap/imap-connection.js'
import { Pop3Connection } from '../../protocols/pop3/pop3-connection.js'
import type { AccountHome, HomeTools, LetGo } from '../account-home.js'
import { Attempts } from '../attempts.js'
import { Fence } from '../fence.js'
import { collect } from './collect.js'
import type { CollectTools } from './collect-tools.js'
import { ConnectionEnders } from '../connection-enders.js'
import { deleteCollected, recordDeleted } from './delete-collected.js'
import { ImapMaildrop } from './imap-maildrop.js'
import type { Maildrop } from './maildrop.js'
import { Pop3Maildrop } from './pop3-maildrop.js'
import { proveKeeping } from '../prove-keeping.js'
import { dueAt, setDueAfterRun } from './schedule.js'

/** Milliseconds after which messages are asked for again that were longer than they may be. */
const TRY_AGAIN = 3_600_000

/** Where the work of one account is done of which the mail is collected: short sessions, each when it is due. */
export class OfflineHome implements AccountHome {
  private readonly fence: Fence
  private readonly attempts: Attempts
  private maildrop: Maildrop | null = null
  private stopping = false
  private lastListing: string | null = null
  private readonly enders = new ConnectionEnders()
  /** messages that were longer than they may be, and when it was last tried whether they still are */
  private readonly tooLong = new Set<string>()
  private triedAt = Date.now()
  private turn: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly accountId: string,
    private readonly tools: HomeTools,
  ) {
    this.fence = new Fence(accountId, tools)
    this.attempts = new Attempts(accountId, tools, this.fence)
  }

  /** The connection of the run that goes on. */
  get held() {
    return this.maildrop ? { model: 'OFFLINE' as const, checkedAt: Date.now() } : null
  }

  /** One run, if one is due; never two at a time. A run that was missed is made up once. */
  async sync(letGo: LetGo): Promise<void> {
    const mine = this.turn.then(() => this.runIfDue(letGo)).catch((error: unknown) => this.stopped(error))
    this.turn = mine.catch(() => undefined)
    await mine
  }

  /** What clients ask for is done without the server; there is no more to do than a run that is due. */
  operate(letGo: LetGo): Promise<void> {
    return this.sync(letGo)
  }

  /** Its server is never asked while a client waits. */
  answer(questionId: string): Promise<void> {
    return this.tools.questions.answer(questionId, null)
  }

  /** All content that can be had is here; what is not is told so. */
  async fetch(messageId: string): Promise<void> {
    const reason = await this.whyUnavailable(messageId)
    if (reason === null) return
    const unavailable: AccountEvent = { type: 'MessageContentUnavailable', data: { messageId, reason } }
    await this.tools.streams.record(this.accountId, [unavailable], 'CLIENT', await this.fence.token())
  }

  /** Nothing is asked of its server: what is missing is told for one of them. */
  async fetchTogether([messageId]: readonly string[]): Promise<void> {
    if (messageId !== undefined) await this.fetch(messageId)
  }

  /** Why a message's content is not here; null where it is, or nobody waits for it. */
  private async whyUnavailable(messageId: string): Promise<string | null> {
    const { database, blobs } = this.tools
    try {
      const place = await viewContentPlace(database.pool, messageId)
      if (!place || (place.sha256 !== null && (await blobs.has(place.sha256)))) return null
      return 'The content of the message is not kept here.'
    } catch (error) {
      const found = keepingFailureOf(error)
      if (!found) throw error
      const [account] = await viewAccounts(database.pool, [this.accountId])
      if (account) await this.attempts.hindered(account, found, error)
      return found.reason
    }
  }

  /** Somebody asks for a run now: a pause after a failure is over, and what was too long is tried again. */
  hurry(): void {
    this.tooLong.clear()
    this.enders.clear()
    this.attempts.hurry()
  }

  /** Has a run put its work down, and ends its session. */
  async stop(): Promise<void> {
    this.stopping = true
    this.maildrop?.drop()
    await this.turn
  }

  /** Beside the server: what failed is told, and the job has failed. */
  private async stopped(error: unknown): Promise<never> {
    await this.attempts.stopped(null, error)
    throw error
  }

  private async runIfDue(letGo: LetGo): Promise<void> {
    const { database, ask, hostLimits } = this.tools
    const [account] = await viewAccounts(database.pool, [this.accountId])
    if (account?.model !== 'OFFLINE' || this.stopping) return
    if (!this.attempts.mayBegin(account)) return this.attempts.askAgain(account)
    const due = await dueAt(database.pool, this.accountId)
    if (due > Date.now()) return ask(account, due - Date.now())
    const slot = hostLimits.take(account.host, Date.now())
    if ('wait' in slot) return ask(account, slot.wait)
    // a run is bounded by its host's places; what it waits for must not hold up the accounts of other hosts
    letGo()
    try {
      await this.run(account, due)
      this.attempts.succeeded()
    } catch (error) {
      this.maildrop?.drop()
      if (!this.stopping) await this.attempts.failed(account, error)
    } finally {
      this.maildrop = null
      slot.release()
    }
  }

  private async run(account: AccountView, due: number): Promise<void> {
    const { database, ask } = this.tools
    const began = Date.now()
    const maildrop = await this.open(account)
    this.maildrop = maildrop
    const fence = await this.fence.renew()
    const connected = this.connectedOnce(account, maildrop)
    if (!isToBeProved(account) && !this.attempts.isFailing) await connected()
    if (began - this.triedAt >= TRY_AGAIN) {
      this.tooLong.clear()
      this.triedAt = began
    }
    const { lastListing, tooLong, enders } = this
    const progressed = () => (isToBeProved(account) ? Promise.resolve() : connected())
    const stopping = () => this.stopping
    const tools: CollectTools = { ...this.tools, account, fence, lastListing, tooLong, enders, stopping, progressed }
    // until this run has come to its end, nothing is known of what it leaves
    this.lastListing = null
    const collected = await collect(tools, maildrop)
    if (collected.isComplete) await deleteCollected(tools, maildrop, collected)
    if (this.stopping) return maildrop.drop()
    await recordDeleted(tools, await maildrop.end(), collected.there)
    await connected()
    await this.proved(account)
    const [now] = await viewAccounts(database.pool, [this.accountId])
    if (!now) return
    const isAtRest = collected.isComplete && !collected.wereAsked && account.deletionPolicy.kind === 'NEVER'
    this.lastListing = isAtRest ? collected.listing : null
    const next = nextRun(began, now.collection.everyMinutes, maildrop.capabilities, Math.random())
    const dueNext = await setDueAfterRun(database.pool, this.accountId, due, next)
    if (collected.isComplete) await this.attempts.complete()
    ask(now, Math.max(0, dueNext - Date.now()))
  }

  private async open(account: AccountView): Promise<Maildrop> {
    const { policy, passwordOf, logger, maxMessageBytes } = this.tools
    const secret = await passwordOf(this.accountId)
    const isHeld = () => this.tools.isHeld(this.accountId)
    if (account.protocol === 'POP3') {
      const connection = await Pop3Connection.open(account, secret, policy)
      connection.guard(isHeld)
      return new Pop3Maildrop(connection)
    }
    const connection = await ImapConnection.open(account, secret, policy, logger)
    connection.guard(isHeld)
    return new ImapMaildrop(connection, account.collection.removal, maxMessageBytes)
  }

  /** The run has come to its end: a failure of the work is over. */
  private async proved(account: AccountView): Promise<void> {
    if (isHindered(account)) await proveKeeping(this.tools.blobs)
    await this.attempts.unhindered(account)
  }

  /**
   * Has the connection recorded, the first time that it is called. After an attempt that failed, a login alone proves nothing: the account would be shown
   * as connected, and as not, at every visit.
   */
  private connectedOnce(account: AccountView, maildrop: Maildrop): () => Promise<void> {
    let isTold = false
    return async () => {
      if (isTold) return
      isTold = true
      await this.recordConnected(account, maildrop)
    }
  }

  /** The state is recorded when it changes, not at each of many short connections. */
  private async recordConnected(account: AccountView, maildrop: Maildrop): Promise<void> {
    const { capabilities, serverName: server, namespaces } = maildrop
    const isSame = account.capabilities.join() === capabilities.join() && account.server === server
    if (account.state === 'CONNECTED' && isSame && isDeepStrictEqual(account.namespaces, namespaces)) return
    await this.attempts.record([{ type: 'ConnectionEstablished', data: { capabilities, server, namespaces } }])
  }
}
