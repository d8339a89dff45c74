import { anyFailure } from './any-failure.ts'
import fc from 'fast-check'
import type { CopyPlace } from '../../src/mailbox/collection.js'
import type { AccountEvent, RecordedEvent } from '../../src/mailbox/events.js'
import type { MailboxListing } from '../../src/mailbox/events.js'
import type { Flags } from '../../src/mailbox/flags.js'
import type { MessageData } from '../../src/mailbox/message.js'
import { project } from '../../src/projections/project.js'
import type { MailboxColumns, MessageColumns, MessageRow, RowChange } from '../../src/projections/row-changes.js'

/** What may happen next, as numbers that `History` reads by what there is; any sequence of them is a valid history. */
export type Step = readonly [kind: number, one: number, other: number]

export const steps = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.nat(23), fc.nat(1_000_000), fc.nat(1_000_000)), { minLength: 1, maxLength, size: 'max' })

type KnownMailbox = { mailboxId: string; path: string; uidValidity: number; uidNext: number }
type Known = { messageId: string; mailboxId: string; uid: number; flags: Flags; data: MessageData }

const FLAGS: readonly Flags[] = [
  [],
  ['\\Seen'],
  ['\\Flagged', '\\Seen'],
  ['$Work', '\\Flagged'],
  ['\\Answered', '\\Seen'],
]

const NOT_YET = { state: 'NOT_YET' } as const

/** Turns steps into events that a server could have caused, one after the other. */
export class History {
  readonly events: AccountEvent[] = []
  private readonly mailboxes: KnownMailbox[] = []
  private messages: Known[] = []
  private expunged: Known[] = []
  /** messages that a server has, or had, copies of */
  private readonly copied: string[] = []
  private readonly hadCopy = new Set<string>()
  /** operations that were asked for, and what they change */
  private readonly operations: { operationId: string; messageIds: string[] }[] = []
  private made = 0

  constructor(private readonly accountId: string) {
    this.say('AccountConnected', {
      protocol: 'IMAP',
      host: 'mail.example.org',
      port: 993,
      security: 'IMPLICIT_TLS',
      username: accountId,
      model: 'DISCONNECTED',
    })
    this.discover()
  }

  static of(accountId: string, taken: readonly Step[]): History {
    const history = new History(accountId)
    for (const step of taken) history.take(step)
    return history
  }

  take([kind, one, other]: Step): void {
    const mailbox = this.mailboxes[one % Math.max(1, this.mailboxes.length)]
    const message = this.messages[other % Math.max(1, this.messages.length)]
    const expunged = this.expunged[other % Math.max(1, this.expunged.length)]
    if (kind === 0) this.discover(one)
    else if (kind === 1) this.connection(one)
    else if (!mailbox) this.discover(one)
    else if (kind === 2) this.relist(mailbox, other)
    else if (kind === 3) this.synchronize(mailbox, other)
    else if (kind === 4 && other % 3 === 0) this.remove(mailbox)
    else if (kind === 4 && other % 3 === 1) this.leaveOut(mailbox, one)
    else if (kind === 5 && other % 2 === 0) this.reset(mailbox, other)
    else if (kind === 20) this.settle(other)
    else if (kind === 21 && expunged && one % 2) this.restore(expunged, mailbox)
    else if (kind === 21) this.hide(mailbox, other)
    else if (kind >= 22 && message) this.request(message, mailbox, other)
    else if (kind >= 13 || !message) this.add(mailbox, other)
    else if (kind <= 8) this.flag(message, one)
    else if (kind === 9) this.content(message, one)
    else if (kind === 10) this.expunge(message)
    else if (kind === 11 && expunged) this.move(expunged, mailbox, true)
    else this.move(message, mailbox, false)
  }

  private say<Type extends AccountEvent['type']>(
    type: Type,
    data: Extract<AccountEvent, { type: Type }>['data'],
  ): void {
    this.events.push({ type, data } as AccountEvent)
  }

  private id(): string {
    // by the random end of the account's id: those that are made together begin alike
    const own = this.accountId.slice(-12)
    return `${own.slice(0, 8)}-${own.slice(8)}-7000-8000-${(++this.made).toString(16).padStart(12, '0')}`
  }

  private connection(one: number): void {
    const said = { serverSaid: `no, ${one}` }
    const choice = one % 9
    if (choice === 0) this.say(...(anyFailure(one) as ['WorkUnhindered', never]))
    else if (choice === 1)
      this.say('ConnectionEstablished', { capabilities: ['IMAP4rev2'], server: `Server ${one % 3}` })
    else if (choice === 2) this.say('LoginWasRefused', said)
    else if (choice === 3) this.say('ServerThrottled', { ...said, until: new Date(1.8e12 + one).toISOString() })
    else if (choice === 5) this.collection(one)
    else if (choice === 6)
      this.say('DeletionPolicyChanged', { policy: { kind: 'AFTER_DAYS', days: one }, previous: { kind: 'NEVER' } })
    else if (choice >= 7) this.measure(one, choice === 8)
    else if (one % 2) this.say('CredentialsChanged', {})
    else if (one % 3) this.say('ConflictPolicyChanged', { policy: one % 4 ? 'CLIENT_WINS' : 'SERVER_WINS' })
    else if (one % 12 === 0) this.select(one)
    else if (one % 10 === 0) this.say('AccountCurrent', {})
    else if (one % 10 === 4) this.say('ModelChanged', { model: 'ONLINE', previous: 'DISCONNECTED' })
    else if (one % 10 === 8) this.changeModel(one)
    else if (one % 10 === 2) this.say('ConnectionClosed', { wasCurrent: one % 3 === 0 })
    else this.offline(one)
  }

  /** To OFFLINE, which records copies, or from it, which removes them. */
  private changeModel(one: number): void {
    if (one % 3 === 0) {
      this.copied.length = 0
      return this.say('ModelChanged', { model: 'DISCONNECTED', previous: 'OFFLINE' })
    }
    const known = this.messages.filter(({ messageId }) => !this.hadCopy.has(messageId)).slice(0, 3)
    const copies = known.map(({ messageId, data: { internalDate } }, index) => {
      this.copy(messageId)
      return { messageId, internalDate, sha256: index % 2 ? 'c'.repeat(64) : null, ...this.copyPlace(one + index) }
    })
    if (copies.length > 0) this.say('ServerCopiesRecorded', { copies })
  }

  private copy(messageId: string): void {
    this.copied.push(messageId)
    this.hadCopy.add(messageId)
  }

  private select(one: number): void {
    const mailbox = this.mailboxes[one % 5]
    const selection = { keep: 'WHOLE' as const, newest: one % 7 || null, days: null, maxBytes: one, flags: [] }
    if (one % 24) this.say('SelectionChanged', { mailboxId: mailbox?.mailboxId ?? null, selection })
    else
      this.say('MessagesKept', {
        messageIds: this.messages.slice(0, 3).map(({ messageId }) => messageId),
        kept: one % 48 === 0,
      })
  }

  private offline(one: number): void {
    if (one % 5 === 0) {
      const schedule = { connectAt: `${one % 60} 8 * * *`, disconnectAt: '0 18 * * *', timeZone: 'UTC' }
      this.say('ConnectionScheduleChanged', { schedule: one % 10 ? schedule : null })
    } else if (one % 4) this.say('WentOnline', {})
    else this.say('WentOffline', { until: one % 8 ? new Date(1.9e12 + one).toISOString() : null })
  }

  /** A client asks for something of a message: it is shown so, and the server's place kept apart. */
  private request(message: Known, to: KnownMailbox, of: number): void {
    const operationId = this.id()
    const { messageId, mailboxId, uid, flags } = message
    const kind = (['CHANGE_FLAGS', 'MOVE', 'DELETE'] as const)[of % 3] ?? 'MOVE'
    const effect = { messageId, added: ['\\Seen'], from: mailboxId, to: kind === 'MOVE' ? to.mailboxId : null }
    const target = kind === 'MOVE' ? to.mailboxId : null
    this.say('OperationRequested', { operationId, kind, mailboxId: target, effects: [effect], retryOf: null })
    this.operations.push({ operationId, messageIds: [messageId] })
    const { fingerprint, internalDate, emailId } = message.data
    const identity = { fingerprint, internalDate, emailId }
    const place = { mailboxId, uidValidity: String(of), uid, flags, modseq: of % 2 ? '7' : null }
    const there = { state: 'THERE', ...place } as const
    const server = of % 5 ? there : of % 2 ? NOT_YET : ({ state: 'GONE', mailboxId, flags } as const)
    this.say('ServerPlacesChanged', { messages: [{ messageId, server, identity }] })
    if (kind === 'CHANGE_FLAGS') this.flag(message, of)
    else if (kind === 'DELETE') this.expunge(message)
    else this.move(message, to, false, true)
  }

  private settle(of: number): void {
    const operation = this.operations[of % Math.max(1, this.operations.length)]
    if (!operation) return
    const { operationId, messageIds } = operation
    if (of % 3 === 0) return this.say('OperationsSent', { operationIds: [operationId] })
    this.operations.splice(this.operations.indexOf(operation), 1)
    const outcome = (['APPLIED', 'SUPERSEDED', 'REJECTED', 'UNDONE'] as const)[of % 4] ?? 'APPLIED'
    const reason = of % 5 ? null : 'MESSAGE_GONE'
    const messages = messageIds.map((messageId) => ({ messageId, server: null }))
    this.say('ServerPlacesChanged', { messages })
    const settled = [{ outcome, reason, messageIds } as const]
    this.say('OperationSettled', { operationId, settled, outcome: of % 7 ? outcome : null, reason })
  }

  private restore(message: Known, { mailboxId, uidValidity }: KnownMailbox): void {
    this.expunged.splice(this.expunged.indexOf(message), 1)
    const restored = { ...message, mailboxId, uid: 0, data: { ...message.data, uid: 0 } }
    this.messages.push(restored)
    const { messageId, data } = restored
    const place = { messageId, mailboxId, uidValidity: String(uidValidity), origin: 'RESTORED' as const, copyOf: null }
    restored.flags = data.flags
    this.say('MessageAdded', { ...place, ...data })
  }

  private hide({ mailboxId, path }: KnownMailbox, of: number): void {
    if (of % 2) return this.say('MailboxHidden', { mailboxId, hidden: of % 3 === 0 })
    if (of % 8 === 0) return this.say('DeletionHeld', { mailboxId, messages: of % 3 })
    if (of % 8 === 2) return this.say('DeletionConfirmed', { mailboxId })
    this.say('ServerMailboxChanged', { mailboxId, path: of % 3 ? path : null, subscribed: of % 4 > 0 })
  }

  private collection(one: number): void {
    const settings = { everyMinutes: (one % 100) + 1, mailboxes: ['INBOX', `Wörk ${one % 3}`], warnAt: [80, 90] }
    this.say('CollectionChanged', {
      ...settings,
      removal: one % 2 ? 'EXPUNGE' : 'MOVE_TO_TRASH',
      limit: one % 4 ? one : null,
    })
  }

  private measure(one: number, warns: boolean): void {
    const size = { messages: one % 1000, bytes: one, limit: one % 3 ? one * 2 : null, level: one % 100 }
    this.say('MaildropMeasured', size)
    if (warns) this.say('MaildropLevelPassed', size)
  }

  /** What became of the server's copies of messages, be those still here or not. */
  private copies(of: number): void {
    const ids = this.copied.filter((_, index) => (index + of) % 3 > 0)
    const [messageId] = ids
    if (messageId === undefined) return
    if (of % 4 === 0) this.say('ServerCopyFound', { messageId, ...this.copyPlace(of) })
    else if (of % 4 === 1) this.say('ServerDeletionAsked', { messageIds: ids })
    else this.say('ServerCopiesGone', { messageIds: ids, why: of % 2 ? 'DELETED' : 'ABSENT' })
  }

  private copyPlace(of: number): CopyPlace {
    const headerHash = of % 7 ? of.toString(16).padStart(64, 'c') : null
    const named =
      of % 2 ? { uidValidity: null, uid: null, uidl: `ü${of}` } : { uidValidity: '7', uid: of + 1, uidl: null }
    return { mailbox: `Server ${of % 3}`, size: of, headerHash, ...named }
  }

  private listing(path: string, of = 0): MailboxListing {
    const attributes = of % 2 ? ['\\HasNoChildren'] : []
    const flags = { attributes, subscribed: of % 3 > 0, selectable: true, specialUse: of % 5 ? null : '\\Sent' }
    return { path, delimiter: '/', objectId: null, ...flags }
  }

  private discover(of = 0): void {
    const mailboxId = this.id()
    const path = this.mailboxes.some((mailbox) => mailbox.path === 'INBOX') ? `Bøx/${this.made}` : 'INBOX'
    this.mailboxes.push({ mailboxId, path, uidValidity: this.made, uidNext: 1 })
    if (of % 4 === 3) {
      const pending = of % 8 === 3 ? { pending: true as const } : {}
      this.say('MailboxCreated', { mailboxId, uidValidity: String(this.made), ...this.listing(path), ...pending })
      return
    }
    this.say('MailboxDiscovered', { mailboxId, foundLater: this.made % 2 > 0, ...this.listing(path) })
  }

  private relist(mailbox: KnownMailbox, of: number): void {
    const { mailboxId, path: previousPath } = mailbox
    const pending = of % 4 ? {} : { pending: true as const }
    if (of % 2) return this.say('MailboxChanged', { mailboxId, ...this.listing(mailbox.path, of) })
    mailbox.path = `Renamed/${of}`
    this.say('MailboxRenamed', { mailboxId, previousPath, ...this.listing(mailbox.path, of), ...pending })
  }

  private synchronize({ mailboxId, uidValidity, uidNext }: KnownMailbox, of: number): void {
    const place = { uidValidity: String(uidValidity), uidNext, highestModseq: of % 4 ? String(of) : null }
    this.say('MailboxSynchronized', { mailboxId, ...place, serverMessages: of % 100, complete: of % 3 > 0 })
  }

  /** Left out of the index, in one go or in the middle of it. */
  private leaveOut(mailbox: KnownMailbox, of: number): void {
    const { mailboxId } = mailbox
    this.say('MailboxLeftOut', { mailboxId, complete: false })
    for (const message of this.messages.filter((each) => each.mailboxId === mailboxId)) this.expunge(message, true)
    if (of % 2) this.say('MailboxLeftOut', { mailboxId, complete: true })
  }

  private remove(mailbox: KnownMailbox): void {
    this.mailboxes.splice(this.mailboxes.indexOf(mailbox), 1)
    this.messages = this.messages.filter((message) => message.mailboxId !== mailbox.mailboxId)
    this.say('MailboxDeleted', { mailboxId: mailbox.mailboxId, path: mailbox.path })
  }

  /** What the server still has is found again, under other UIDs; the rest is expunged. */
  private reset(mailbox: KnownMailbox, of: number): void {
    const previousUidValidity = String(mailbox.uidValidity)
    const ofMailbox = this.messages.filter((message) => message.mailboxId === mailbox.mailboxId)
    const newestInternalDate = ofMailbox[0]?.data.internalDate ?? null
    mailbox.uidValidity = ++this.made
    mailbox.uidNext = 1
    const uidValidity = String(mailbox.uidValidity)
    const { mailboxId } = mailbox
    this.say('MailboxReset', { mailboxId, uidValidity, previousUidValidity, newestInternalDate })
    const kept = ofMailbox.filter((_, index) => (index + of) % 5 > 0)
    for (const message of kept) message.uid = mailbox.uidNext++
    const messages = kept.map(({ messageId, uid }) => ({ messageId, uid, modseq: of % 2 ? String(uid) : null }))
    if (messages.length > 0) this.say('MessagesRenumbered', { mailboxId, uidValidity, messages })
    for (const message of ofMailbox) if (!kept.includes(message)) this.expunge(message)
  }

  private add(mailbox: KnownMailbox, of: number): void {
    const data = this.message(mailbox, of)
    const { mailboxId, uidValidity } = mailbox
    const origin = (['EXISTING', 'ARRIVED', 'COPIED', 'UPLOADED_AGAIN'] as const)[of % 4] ?? 'ARRIVED'
    const messageId = this.id()
    this.messages.push({ messageId, mailboxId, uid: data.uid, flags: data.flags, data })
    const content = of % 5 ? {} : { content: { sha256: of % 10 ? of.toString(16).padStart(64, 'd') : null, size: of } }
    const serverCopy = of % 15 ? {} : { serverCopy: this.copyPlace(of) }
    if (of % 15 === 0) this.copy(messageId)
    const at = { messageId, mailboxId, uidValidity: String(uidValidity), origin, copyOf: null }
    this.say('MessageAdded', { ...at, ...content, ...serverCopy, ...data })
  }

  private message(mailbox: KnownMailbox, of: number): MessageData {
    const person = { name: `Pérson ${of % 7}`, address: `p${of % 7}@example.org` }
    const people = { from: [person], sender: [person], replyTo: [], to: [person], cc: [], bcc: [] }
    const part = { part: '1', type: 'text/plain', size: of, encoding: '7bit', charset: 'utf-8', disposition: null }
    return {
      uid: mailbox.uidNext++,
      flags: FLAGS[of % FLAGS.length] ?? [],
      modseq: of % 3 ? String(of) : null,
      // dates that come twice, and out of order
      internalDate: new Date(1.7e12 + (of % 50) * 1000).toISOString(),
      size: of,
      envelope: {
        date: null,
        subject: `Sübject ${of}`,
        inReplyTo: null,
        messageId: of % 2 ? `<${of}@x>` : null,
        ...people,
      },
      structure: of % 4 ? { ...part, filename: of % 2 ? `f${of}.txt` : null, contentId: null, children: [] } : null,
      references: of % 3 ? [`<${of}@y>`] : [],
      ...(of % 5 ? {} : { listId: `l${of % 3}.example.org` }),
      emailId: null,
      threadId: null,
      fingerprint: of.toString(16).padStart(64, '0'),
      defects: of % 11 ? [] : ['HEADER_TRUNCATED'],
    }
  }

  private flag(message: Known, of: number): void {
    const { messageId, mailboxId, uid, flags: previousFlags } = message
    message.flags = FLAGS[of % FLAGS.length] ?? []
    const modseq = of % 3 ? String(of) : null
    this.say('MessageFlagsChanged', { messageId, mailboxId, uid, flags: message.flags, previousFlags, modseq })
  }

  private content({ messageId, data }: Known, of: number): void {
    if (of % 5 === 0) return this.copies(of)
    if (of % 9 === 0) {
      this.say('MessageForgotten', { messageId, fingerprint: data.fingerprint, requestedBy: 'somebody' })
      return
    }
    if (of % 4 === 0) return this.say('MessageContentUnavailable', { messageId, reason: `none, ${of}` })
    if (of % 7 === 0) return this.say('MessageContentDropped', { messageId })
    this.say('MessageContentStored', { messageId, sha256: of.toString(16).padStart(64, 'a'), size: of })
  }

  private expunge(message: Known, isLeftOut = false): void {
    this.messages.splice(this.messages.indexOf(message), 1)
    this.expunged.push(message)
    const { messageId, mailboxId, uid, flags, data } = message
    const { fingerprint, internalDate, emailId } = data
    const leftOut = isLeftOut ? { leftOut: true as const } : {}
    this.say('MessageExpunged', { messageId, mailboxId, uid, flags, fingerprint, internalDate, emailId, ...leftOut })
  }

  private move(message: Known, to: KnownMailbox, wasExpunged: boolean, isPending = false): void {
    const list = wasExpunged ? this.expunged : this.messages
    list.splice(list.indexOf(message), 1)
    const { messageId, mailboxId, uid, flags, data } = message
    const from = { mailboxId, uid, flags, wasExpunged }
    const moved = { ...data, uid: isPending ? 0 : to.uidNext++, flags: FLAGS[to.uidNext % FLAGS.length] ?? [] }
    this.messages.push({ messageId, mailboxId: to.mailboxId, uid: moved.uid, flags: moved.flags, data: moved })
    const uidValidity = String(to.uidValidity)
    this.say('MessageMoved', { messageId, mailboxId: to.mailboxId, uidValidity, from, ...moved })
  }
}

/** Changes by which something becomes of a message itself. */
const TOUCHES: ReadonlySet<string> = new Set<RowChange['change']>(['set message', 'drop content', 'remove message'])

const contentOf = (row: Partial<Pick<MessageRow, 'content_sha256' | 'content_size'>> = {}) => ({
  content_sha256: row.content_sha256 ?? null,
  content_size: row.content_size ?? null,
})

/** The rows of an account, folded in memory: what every view has to agree with. */
export class Fold {
  account: Record<string, unknown> | null = null
  readonly mailboxes = new Map<string, MailboxColumns & { messages: number; unseen: number }>()
  readonly messages = new Map<string, MessageRow & MessageColumns>()
  readonly expunged = new Map<string, string>()
  /** of each message, the versions at which something became of it while it was there */
  readonly touched = new Map<string, Set<number>>()
  private version = 0

  static of(events: readonly RecordedEvent[]): Fold {
    const fold = new Fold()
    for (const event of events) {
      fold.version = event.version
      for (const change of project(event)) fold.take(change)
    }
    return fold
  }

  /** A list as the API gives it: newest first, of one mailbox or all. */
  list(mailboxId: string | null): (MessageRow & MessageColumns)[] {
    const key = ({ internal_date, message_id }: MessageRow) => `${internal_date} ${message_id}`
    const wanted = [...this.messages.values()].filter((row) => mailboxId === null || row.mailbox_id === mailboxId)
    return wanted.sort((one, other) => (key(one) < key(other) ? 1 : -1))
  }

  private touch(messageId: string): void {
    this.touched.set(messageId, (this.touched.get(messageId) ?? new Set()).add(this.version))
  }

  private take(change: RowChange): void {
    if (change.change === 'add message' || change.change === 'move message') this.touch(change.row.message_id)
    if ('messageId' in change && TOUCHES.has(change.change) && this.messages.has(change.messageId))
      this.touch(change.messageId)
    switch (change.change) {
      case 'add account':
      case 'set account':
        this.account = { ...this.account, ...change.columns }
        return
      case 'add mailbox':
        return void this.mailboxes.set(change.mailboxId, { messages: 0, unseen: 0, ...change.columns })
      case 'set mailbox':
        return void Object.assign(this.mailboxes.get(change.mailboxId) ?? {}, change.columns)
      case 'count messages': {
        const row = this.mailboxes.get(change.mailboxId)
        if (row) Object.assign(row, { messages: row.messages + change.messages, unseen: row.unseen + change.unseen })
        return
      }
      case 'remove mailbox':
        this.mailboxes.delete(change.mailboxId)
        for (const [id, row] of this.messages) {
          if (row.mailbox_id !== change.mailboxId) continue
          this.touch(id)
          this.messages.delete(id)
        }
        return
      case 'add message':
      case 'move message':
        return void this.messages.set(change.row.message_id, {
          ...change.row,
          // a move leaves the body that was stored
          ...(change.change === 'move message' ? contentOf(this.messages.get(change.row.message_id)) : {}),
        })
      case 'set message':
        return void Object.assign(this.messages.get(change.messageId) ?? {}, change.columns)
      case 'drop content':
        return void Object.assign(this.messages.get(change.messageId) ?? {}, contentOf())
      case 'remove message':
        return void this.messages.delete(change.messageId)
      case 'add expunged':
        return void this.expunged.set(change.row.message_id, change.row.mailbox_id)
      case 'add forgotten':
      case 'set list':
      case 'set place':
      case 'remove place':
      case 'add kept':
      case 'remove kept':
      case 'add operation':
      case 'set operations':
      case 'settle operation':
      case 'add copy':
      case 'set copy':
      case 'remove copies':
      case 'add measure':
        // nothing that is shown
        return
      case 'remove expunged':
        return void this.expunged.delete(change.messageId)
    }
  }
}
