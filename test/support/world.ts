import { changeFlags, hasFlag, normaliseFlags, type Flags } from '../../src/mailbox/flags.js'
import {
  decideAdded,
  decideExpunged,
  decideFlags,
  staysWhenRenumbered,
  type Apart,
  type KnownMessage,
  type Lookalike,
  type MailboxPlace,
} from '../../src/mailbox/message-changes.js'
import type { MessageData } from '../../src/mailbox/message.js'
import type { ConflictPolicy, OperationKind, ServerChange } from '../../src/mailbox/operation.js'
import {
  decideUndo,
  requestAppend,
  requestCopies,
  requestDeletion,
  requestFlags,
  requestMove,
  type Request,
} from '../../src/mailbox/requests.js'
import type { PlaceThere } from '../../src/mailbox/server-place.js'
import { decideRefusal, decideSettlement, decideStored, type SettlementTerms } from '../../src/mailbox/settlement.js'
import { messagesOf, planUpload, type TrackedMailbox, type UploadStep } from '../../src/mailbox/upload-plan.js'
import {
  aspectOf,
  decideCopiedToMove,
  decidePlaced,
  decideSent,
  decideUnnumbered,
} from '../../src/mailbox/upload-results.js'

import { FoldedAccount } from './folded-account.ts'
import { dataOf, dateOf, FLAGS, MAILBOXES, reported, Server, toggled, type Stored } from './model-server.ts'

/** Messages of which the server says how they are after a change; of more it says nothing. */
const FEW = 2

/** What the connection does next, to a step of an upload. */
export type Fate = 'works' | 'cut before' | 'cut after' | 'refused'

/** What servers differ in. */
export type Abilities = { move: boolean; uidplus: boolean; policy: ConflictPolicy }

/** An account that is disconnected at times, its server, and others who work on that; all in memory, folded from events. */
export class World extends FoldedAccount {
  readonly server = new Server()
  private readonly known = new Map<string, { uidValidity: number; uidNext: number }>(
    MAILBOXES.map((name) => [name, { uidValidity: 1, uidNext: 1 }]),
  )
  private made = 0
  private meanwhile: () => void = () => undefined
  private readonly attempts = new Map<string, number>()
  /** messages that the server would not expunge: what was copied to be moved is there twice then */
  refusedExpunges = 0
  /** how often a mailbox was numbered anew */
  renumberings = 0
  readonly abilities: Abilities

  constructor(abilities: Abilities) {
    super()
    this.abilities = abilities
  }

  private readonly makeId = () => `m${++this.made}`

  // ---- what others do on the server

  deliver(name: string): void {
    const content = this.made++
    const born = this.server.born(content, 'delivered')
    this.server.add(name, { born, content, flags: [], internalDate: dateOf(content) })
  }

  /** What another client does: a message is chosen by number among all. */
  other(action: number, which: number, detail: number): void {
    const all = MAILBOXES.flatMap((name) => this.server.of(name).messages.map((message) => ({ name, message })))
    const chosen = all[which % Math.max(1, all.length)]
    if (!chosen) return
    const { name, message } = chosen
    const to = MAILBOXES[detail % MAILBOXES.length] ?? 'A'
    if (action === 0) message.flags = toggled(message.flags, FLAGS[detail % FLAGS.length] ?? '')
    else if (action === 1 && to !== name) {
      this.server.move(name, message.uid, to)
      this.server.movedByOthers.add(message.born)
    } else if (action === 2) {
      this.server.remove(name, message.uid)
      this.server.expungedByOthers.add(message.born)
    } else if (action === 3) {
      const born = this.server.born(message.content, 'copied by others')
      this.server.add(to, { ...message, born })
    } else if (action === 4) {
      const mailbox = this.server.of(name)
      this.renumberings++
      mailbox.uidValidity++
      mailbox.uidNext = 1
      for (const each of mailbox.messages) each.uid = mailbox.uidNext++
    }
  }

  // ---- what the client of the account asks for

  ask(action: number, which: number, detail: number): void {
    const ids = [...this.shown.keys()]
    const messages = this.tracked(ids.filter((_, index) => (index + which) % 3 === 0 || ids.length < 3))
    const to = MAILBOXES[detail % MAILBOXES.length] ?? 'A'
    const request = (kind: OperationKind): Request => {
      return { operationId: `o${++this.made}`, kind, mailboxId: null, retryOf: null }
    }
    const flag = [FLAGS[detail % FLAGS.length] ?? '']
    switch (action) {
      case 0:
        return this.record(requestFlags(messages, () => ({ add: flag, remove: [] }), request('CHANGE_FLAGS')))
      case 1:
        return this.record(requestFlags(messages, () => ({ add: [], remove: flag }), request('CHANGE_FLAGS')))
      case 2:
        return this.record(requestMove(messages, to, request('MOVE')))
      case 3:
        return this.record(requestDeletion(messages.slice(0, 1), null, true, request('DELETE')))
      case 4:
        return this.record(requestCopies(messages.slice(0, 2), to, request('COPY'), this.makeId))
      case 5: {
        const content = this.made++
        const data = dataOf(content, 0, [], dateOf(content))
        const replaced = detail % 2 ? (messages[0] ?? null) : null
        const stored = { sha256: String(content), size: 1 }
        return this.record(
          requestAppend({ messageId: this.makeId(), data, content: stored }, to, replaced, request('APPEND')),
        )
      }
      default:
        return this.undo(which)
    }
  }

  private undo(which: number): void {
    const waiting = [...this.operations].filter(([, { state }]) => state === 'PENDING')
    const [operationId, operation] = waiting[which % Math.max(1, waiting.length)] ?? []
    if (operationId === undefined || !operation) return
    const ids = [...operation.effects].flatMap(([id, { outcome }]) => (outcome === null ? [id] : []))
    const decision = decideUndo({ operationId, state: operation.state }, this.tracked(ids))
    if ('events' in decision) this.record(decision.events)
  }

  // ---- what the account's worker does

  /**
   * A connection: everything is looked at, what waits is told, and what was touched is looked at again.
   *
   * @param meanwhile what a client does while the server is being told of the first thing
   * @returns whether it held
   */
  connect(fates: readonly Fate[], meanwhile: () => void = () => undefined): boolean {
    const left = [...fates]
    this.meanwhile = meanwhile
    for (const name of MAILBOXES) this.look(name)
    for (let round = 0; round < 50; round++) {
      this.settle(false)
      const steps = this.plan()
      if (steps.length === 0) break
      this.record(
        decideSent(steps, { messages: this.tracked(steps.flatMap(messagesOf)), mailboxes: TRACKED_MAILBOXES }),
      )
      this.isKnown = true
      for (const step of steps) {
        this.isLast = step === steps.at(-1)
        if (!this.take(step, left.shift() ?? 'works')) return false
      }
      if (this.isKnown) this.settle(false)
      for (const name of MAILBOXES) this.look(name)
    }
    this.settle(true)
    return true
  }

  /** A connection that ends when some mailboxes were looked at, one bit of `which` each, and before anything was told. */
  glance(which: number): void {
    for (const [index, name] of MAILBOXES.entries()) if (which & (1 << index)) this.look(name)
  }

  private plan(): UploadStep[] {
    const messages = this.tracked([...this.places.keys()])
    const originals = new Map(
      messages
        .flatMap(({ operations }) => operations.flatMap(({ effect }) => effect.copyOf ?? []))
        .flatMap((id) => this.tracked([id]))
        .flatMap(({ messageId, server }) => (server.state === 'THERE' ? [[messageId, server] as const] : [])),
    )
    const { steps, impossible } = planUpload({
      mailboxes: TRACKED_MAILBOXES,
      messages,
      originals,
      canExpunge: this.abilities.uidplus,
    })
    if (impossible.length > 0)
      this.refuse(
        impossible.map(({ messageId }) => messageId),
        'place',
        'MESSAGE_GONE',
      )
    return steps
  }

  /** @returns whether the connection held */
  private take(step: UploadStep, fate: Fate): boolean {
    if (fate === 'cut before') return false
    if (fate === 'refused') {
      this.isKnown = false
      if (step.kind === 'expunge') this.refusedExpunges += step.on.messages.length
      this.refuse(messagesOf(step), aspectOf(step), 'SERVER_REFUSED')
      return true
    }
    const record = this.carryOut(step)
    const isStored = step.kind === 'store' && step.on.messages.length <= FEW
    const isPlaced = this.abilities.uidplus && ['append', 'copy', 'move'].includes(step.kind)
    if (!isStored && !isPlaced) this.isKnown = false
    this.meanwhile()
    this.meanwhile = () => undefined
    if (fate === 'cut after') return false
    record()
    const key = `${step.kind} ${messagesOf(step).join()}`
    this.attempts.set(key, (this.attempts.get(key) ?? 0) + 1)
    if ((this.attempts.get(key) ?? 0) > 20) throw new Error(`${key} is told over and over`)
    return true
  }

  /** Does on the server what a step asks for. @returns what records it */
  private carryOut(step: UploadStep): () => void {
    const { server, abilities } = this
    const nothing = () => undefined
    switch (step.kind) {
      case 'append': {
        const content = Number(step.content.sha256)
        const born = server.born(content, 'appended')
        const stored = server.add(step.mailboxId, { born, content, flags: step.flags, internalDate: step.internalDate })
        const { messageId, mailboxId } = step
        if (!abilities.uidplus) return () => this.record(decideUnnumbered(this.tracked([messageId]), mailboxId))
        return this.placer(new Map([[messageId, stored]]), mailboxId, false)
      }
      case 'copy': {
        const placed = new Map<string, Stored>()
        for (const { messageId, uid } of step.copies) {
          const original = server.of(step.from).messages.find((message) => message.uid === uid)
          if (!original) continue
          const born = server.born(original.content, 'copied')
          placed.set(messageId, server.add(step.to, { ...original, born }))
        }
        return this.placer(placed, step.to, false)
      }
      case 'store': {
        const { mailboxId, messages } = step.on
        const place = { mailboxId, uidValidity: String(server.of(mailboxId).uidValidity) }
        const reports: { uid: number; flags: Flags; modseq: null }[] = []
        for (const { uid } of messages) {
          const message = server.of(mailboxId).messages.find((each) => each.uid === uid)
          if (!message) continue
          const kept = message.flags.filter((flag) => !hasFlag(step.remove, flag))
          message.flags = normaliseFlags([...kept, ...step.add])
          reports.push({ uid, flags: message.flags, modseq: null })
        }
        // of many the server does not say it
        return messages.length > FEW
          ? nothing
          : () => this.flagsAre(this.isLast ? messagesOf(step) : [], place, reports)
      }
      case 'move': {
        const placed = new Map<string, Stored>()
        const from = step.from.mailboxId
        for (const { messageId, uid } of step.from.messages) {
          const original = server.of(from).messages.find((message) => message.uid === uid)
          if (!original) continue
          // copied in order to be moved, it is the same message to whoever counts them
          const stored = abilities.move ? server.move(from, uid, step.to) : server.add(step.to, original)
          if (stored) placed.set(messageId, stored)
        }
        return this.placer(placed, step.to, !abilities.move)
      }
      case 'expunge':
        for (const { uid } of step.on.messages) {
          const message = server.of(step.on.mailboxId).messages.find((each) => each.uid === uid)
          // as much as can be done without UID EXPUNGE (RFC 4315)
          if (!abilities.uidplus && message) message.flags = changeFlags(message.flags, ['\\Deleted'], [])
          else server.remove(step.on.mailboxId, uid)
        }
        return nothing
      default:
        throw new Error('no mailbox changes here')
    }
  }

  private flagsAre(
    ids: readonly string[],
    place: MailboxPlace,
    reports: readonly { uid: number; flags: Flags; modseq: null }[],
  ): void {
    const { events, others } = decideStored(this.tracked(ids), place, reports, this.terms(false))
    const known = this.serverMessages(place.mailboxId).filter(({ uidValidity }) => uidValidity === place.uidValidity)
    this.record([...decideFlags(place, others, new Map(known.map((message) => [message.uid, message]))), ...events])
  }

  private placer(stored: ReadonlyMap<string, Stored>, mailboxId: string, isForMove: boolean): () => void {
    return () => {
      if (!this.abilities.uidplus) return
      const uidValidity = String(this.server.of(mailboxId).uidValidity)
      const messages = this.tracked([...stored.keys()])
      const placed = new Map<string, PlaceThere>()
      for (const { messageId, server, shown } of messages) {
        const { uid = 0 } = stored.get(messageId) ?? {}
        const flags = server.state === 'THERE' ? server.flags : (shown?.data.flags ?? [])
        placed.set(messageId, { mailboxId, uidValidity, uid, flags, modseq: null })
      }
      const terms = this.isLast ? this.terms(false) : null
      this.record(
        isForMove ? decideCopiedToMove(messages, placed, terms, this.makeId) : decidePlaced(messages, placed, terms),
      )
    }
  }

  /** whether the step that is being taken is the last of its plan */
  private isLast = false
  /** whether the server has said of all messages of a plan what became of them */
  private isKnown = true

  private settle(isEverywhereLooked: boolean): void {
    const messages = this.tracked([...this.places.keys()])
    this.record(decideSettlement(messages, this.terms(isEverywhereLooked)))
  }

  private terms(isEverywhereLooked: boolean): SettlementTerms {
    const { policy, uidplus: canExpunge } = this.abilities
    return { policy, tallies: this.tallies(), isEverywhereLooked, canExpunge }
  }

  private refuse(ids: readonly string[], aspect: { flags: readonly string[] } | 'place', change: ServerChange): void {
    this.record(decideRefusal(this.tracked(ids), aspect, change, this.terms(false)))
  }

  /** Looks at a mailbox, as a sync does. */
  private look(name: string): void {
    const mailbox = this.server.of(name)
    const known = this.known.get(name) as { uidValidity: number; uidNext: number }
    const place = { mailboxId: name, uidValidity: String(mailbox.uidValidity) }
    if (known.uidValidity !== mailbox.uidValidity) this.lookAfterReset(name, place)
    else {
      const news = mailbox.messages.filter(({ uid }) => uid >= known.uidNext).map(reported)
      if (news.length > 0) this.addNews(name, place, news)
      const byUid = new Map(this.serverMessages(name).map((message) => [message.uid, message]))
      const flags = mailbox.messages.map(({ uid, flags }) => ({ uid, flags, modseq: null }))
      this.record(decideFlags(place, flags, byUid))
    }
    const there = new Set(mailbox.messages.map(({ uid }) => uid))
    const gone = this.serverMessages(name).filter(({ uid, uidValidity }) => {
      return uidValidity !== place.uidValidity || !there.has(uid)
    })
    this.record(decideExpunged(name, gone))
    this.known.set(name, { uidValidity: mailbox.uidValidity, uidNext: mailbox.uidNext })
  }

  private addNews(name: string, place: MailboxPlace, news: readonly MessageData[]): void {
    const knownUids = new Set(this.serverMessages(name).map(({ uid }) => uid))
    const movesByCopy = !this.abilities.move
    const lookalikes = this.lookalikes()
    const view = { movesByCopy, knownUids, lookalikes, unconfirmed: new Map(), forgotten: new Set<string>() }
    this.record(decideAdded(place, news, view, 'news', this.makeId))
  }

  private lookAfterReset(name: string, place: MailboxPlace): void {
    const unconfirmed = new Map<string, (KnownMessage & { apart: Apart | null })[]>()
    const placedAnew = new Set<number>()
    for (const each of this.serverMessages(name)) {
      if (each.uidValidity === place.uidValidity) placedAnew.add(each.uid)
      else unconfirmed.set(each.fingerprint, [...(unconfirmed.get(each.fingerprint) ?? []), each])
    }
    const lookalikes = this.lookalikes(({ apart, mailboxId }) => apart !== null || mailboxId !== name)
    const movesByCopy = !this.abilities.move
    const view = { movesByCopy, knownUids: placedAnew, lookalikes, unconfirmed, forgotten: new Set<string>() }
    const all = this.server.of(name).messages.map(reported)
    this.record(decideAdded(place, all, view, { resetAfter: null }, this.makeId))
  }

  private lookalikes(isWanted: (each: Lookalike) => boolean = () => true): Map<string, Lookalike[]> {
    const lookalikes = new Map<string, Lookalike[]>()
    for (const { fingerprint, ...each } of this.candidates())
      if (isWanted(each)) lookalikes.set(fingerprint, [...(lookalikes.get(fingerprint) ?? []), each])
    return lookalikes
  }

  private candidates(): (Lookalike & { fingerprint: string })[] {
    const there = MAILBOXES.flatMap((name) => this.serverMessages(name).map((message) => ({ name, message })))
    const found = there.map(({ name, message }) => {
      const { messageId, uid, uidValidity, flags, fingerprint, internalDate, apart } = message
      const isRenumbered = String(this.server.of(name).uidValidity) !== uidValidity
      const stillThere = isRenumbered
        ? staysWhenRenumbered(apart, !this.abilities.move)
        : this.server.find(name, uidValidity, uid) !== undefined
      return {
        messageId,
        mailboxId: name,
        uid,
        uidValidity,
        flags,
        fingerprint,
        internalDate,
        apart,
        stillThere,
        wasExpunged: false,
      }
    })
    const nowhere = [...this.places].flatMap(([messageId, { server, identity }]) => {
      if (server.state === 'THERE') return []
      const [mailboxId, flags] = server.state === 'NOT_YET' ? ['', []] : [server.mailboxId, server.flags]
      const rest = { uid: 0, uidValidity: null, stillThere: false, wasExpunged: true, apart: this.apart(messageId) }
      return [
        {
          messageId,
          mailboxId,
          flags,
          fingerprint: identity.fingerprint,
          internalDate: identity.internalDate,
          ...rest,
        },
      ]
    })
    const gone = [...this.expunged.values()].flatMap(({ messageId, mailboxId, data }) => {
      if (this.places.has(messageId)) return []
      const { uid, flags, fingerprint, internalDate } = data
      const rest = { uidValidity: null, stillThere: false, wasExpunged: true, apart: null }
      return [{ messageId, mailboxId, uid, flags, fingerprint, internalDate, ...rest }]
    })
    return [...found, ...nowhere, ...gone]
  }
}

const TRACKED_MAILBOXES = MAILBOXES.map((name): TrackedMailbox => {
  const listing = { path: name, delimiter: '/', attributes: [], specialUse: null, subscribed: true, selectable: true }
  const place = { serverPath: name, serverSubscribed: true, uidValidity: '1', highestModseq: null, messages: 0 }
  return { mailboxId: name, ...listing, objectId: null, isHidden: false, ...place, operations: [] }
})
