import type { AccountEvent } from '../../src/mailbox/events.js'
import { sameFlags } from '../../src/mailbox/flags.js'
import type { LocalMessage } from '../../src/mailbox/local-work.js'
import { type Apart, type KnownMessage } from '../../src/mailbox/message-changes.js'
import type { Effect, OperationKind, OperationState, PendingOperation } from '../../src/mailbox/operation.js'
import { hasNoUid, type MessageIdentity, type ServerPlace } from '../../src/mailbox/server-place.js'
import { type Tally } from '../../src/mailbox/settlement.js'
import {
  identityOf,
  isDeletionSent,
  placeShown,
  sentTo,
  type TrackedMessage,
} from '../../src/mailbox/tracked-message.js'

type Operation = {
  kind: OperationKind
  state: OperationState
  version: number
  effects: Map<string, { effect: Effect; outcome: string | null }>
  /** outcomes that the whole has come to: never more than one */
  outcomes: OperationState[]
  /** outcomes of each message */
  ends: Map<string, { outcome: string; reason: string | null }[]>
  tally: Tally
}

/** What is known of an account's messages and operations, folded from its events in memory. */
export class FoldedAccount {
  readonly shown = new Map<string, LocalMessage>()
  private readonly last = new Map<string, LocalMessage>()
  private readonly contents = new Map<string, number>()
  readonly places = new Map<string, { server: ServerPlace; identity: MessageIdentity }>()
  protected readonly expunged = new Map<string, LocalMessage>()
  readonly operations = new Map<string, Operation>()
  /** the operations that wait of each message, oldest first */
  private readonly waitingOf = new Map<string, Set<string>>()
  private version = 0

  /** The contents of messages that a client has asked to be deleted for good, whatever became of it. */
  contentsAskedToGo(): Set<number> {
    return this.contentsOf(({ to }) => to === null)
  }

  /** The contents of which a client has asked for copies. */
  contentsAskedToCopy(): Set<number> {
    return this.contentsOf(({ copyOf }) => copyOf !== undefined)
  }

  private contentsOf(isWanted: (effect: Effect) => boolean): Set<number> {
    const contents = new Set<number>()
    for (const { effects } of this.operations.values())
      for (const [id, { effect }] of effects) {
        const message = this.shown.get(id) ?? this.last.get(id)
        if (isWanted(effect) && message) contents.add(Number(message.data.fingerprint.slice(1)))
      }
    return contents
  }

  protected tallies(): Map<string, Tally> {
    return new Map([...this.operations].map(([id, { tally }]) => [id, { ...tally }]))
  }

  protected serverMessages(name: string): (KnownMessage & { uidValidity: string })[] {
    const found: (KnownMessage & { uidValidity: string })[] = []
    for (const message of this.shown.values()) {
      const { messageId, mailboxId, uidValidity, data } = message
      if (mailboxId !== name || this.places.has(messageId)) continue
      found.push({ messageId, uid: data.uid, flags: data.flags, uidValidity, ...identityOf(message), apart: null })
    }
    for (const [messageId, { server, identity }] of this.places) {
      if (server.state !== 'THERE' || server.mailboxId !== name) continue
      const { uid, flags, uidValidity } = server
      found.push({ messageId, uid, flags, uidValidity, ...identity, apart: this.apart(messageId) })
    }
    return found
  }

  protected apart(messageId: string): Apart | null {
    const place = this.places.get(messageId)
    if (!place) return null
    const shown = this.shown.get(messageId)
    const waiting = this.waiting(messageId)
    return {
      shown: shown ? { mailboxId: shown.mailboxId, uid: shown.data.uid, flags: shown.data.flags } : null,
      isNew: hasNoUid(place.server),
      sentTo: place.server.state === 'UNNUMBERED' ? place.server.mailboxId : sentTo(waiting),
      isDeletionSent: isDeletionSent(shown !== undefined, waiting),
      identity: place.identity,
    }
  }

  protected waiting(messageId: string): PendingOperation[] {
    return [...(this.waitingOf.get(messageId) ?? [])].map((operationId) => {
      const { kind, state, effects } = this.operations.get(operationId) as Operation
      const { effect } = effects.get(messageId) as { effect: Effect }
      return { operationId, kind, isSent: state === 'SENT', effect }
    })
  }

  protected tracked(ids: readonly string[]): TrackedMessage[] {
    return ids.flatMap((messageId): TrackedMessage[] => {
      const shown = this.shown.get(messageId) ?? null
      const place = this.places.get(messageId)
      const content = this.contents.get(messageId)
      const kept = content === undefined ? null : { sha256: String(content), size: 1 }
      const last = shown ?? this.last.get(messageId) ?? null
      if (place) {
        const operations = this.waiting(messageId)
        return [{ messageId, shown, last, ...place, isApart: true, content: kept, operations }]
      }
      if (!shown) return []
      const server = { state: 'THERE' as const, ...placeShown(shown) }
      return [
        { messageId, shown, last, server, identity: identityOf(shown), isApart: false, content: kept, operations: [] },
      ]
    })
  }

  protected record(events: readonly AccountEvent[]): void {
    for (const event of events) {
      this.version++
      this.fold(event)
    }
  }

  private fold(event: AccountEvent): void {
    switch (event.type) {
      case 'MessageAdded': {
        const { messageId, mailboxId, uidValidity, content, origin: _origin, copyOf: _copyOf, ...data } = event.data
        if (this.shown.has(messageId)) throw new Error(`${messageId} is added twice`)
        this.shown.set(messageId, { messageId, mailboxId, uidValidity, data })
        if (content?.sha256) this.contents.set(messageId, Number(content.sha256))
        this.expunged.delete(messageId)
        return
      }
      case 'MessageMoved': {
        const { messageId, mailboxId, uidValidity, from, ...data } = event.data
        if (this.shown.has(messageId) === from.wasExpunged) throw new Error(`${messageId} is moved from nowhere`)
        this.shown.set(messageId, { messageId, mailboxId, uidValidity, data })
        this.expunged.delete(messageId)
        return
      }
      case 'MessagesRenumbered':
        for (const { messageId, uid, modseq } of event.data.messages) {
          const shown = this.shown.get(messageId)
          if (!shown) throw new Error(`${messageId} is numbered and not shown`)
          const { uidValidity } = event.data
          this.shown.set(messageId, { ...shown, uidValidity, data: { ...shown.data, uid, modseq } })
        }
        return
      case 'MessageFlagsChanged': {
        const { messageId, flags, previousFlags } = event.data
        const shown = this.shown.get(messageId)
        if (!shown || !sameFlags(shown.data.flags, previousFlags)) throw new Error(`${messageId} had other flags`)
        this.shown.set(messageId, { ...shown, data: { ...shown.data, flags } })
        return
      }
      case 'MessageExpunged': {
        const { messageId } = event.data
        const shown = this.shown.get(messageId)
        if (!shown) throw new Error(`${messageId} is expunged and not shown`)
        this.shown.delete(messageId)
        this.last.set(messageId, shown)
        this.expunged.set(messageId, shown)
        return
      }
      case 'ServerPlacesChanged':
        for (const message of event.data.messages) {
          if (message.server === null) this.places.delete(message.messageId)
          else this.places.set(message.messageId, { server: message.server, identity: message.identity })
        }
        return
      case 'OperationRequested': {
        const { operationId, kind, effects } = event.data
        const waiting = { waiting: effects.length, APPLIED: 0, SUPERSEDED: 0, REJECTED: 0, UNDONE: 0 }
        const byMessage = new Map(effects.map((effect) => [effect.messageId, { effect, outcome: null }]))
        const rest = { outcomes: [], ends: new Map(), tally: waiting, version: this.version }
        this.operations.set(operationId, { kind, state: 'PENDING', effects: byMessage, ...rest })
        for (const { messageId } of effects)
          this.waitingOf.set(messageId, (this.waitingOf.get(messageId) ?? new Set()).add(operationId))
        return
      }
      case 'OperationsSent':
        for (const id of event.data.operationIds) (this.operations.get(id) as Operation).state = 'SENT'
        return
      case 'OperationSettled': {
        const { operationId, settled, outcome } = event.data
        const operation = this.operations.get(operationId) as Operation
        for (const { outcome: end, reason, messageIds } of settled)
          for (const id of messageIds) {
            const effect = operation.effects.get(id)
            if (effect) effect.outcome = end
            this.waitingOf.get(id)?.delete(operationId)
            operation.ends.set(id, [...(operation.ends.get(id) ?? []), { outcome: end, reason }])
            operation.tally[end]++
            operation.tally.waiting--
          }
        if (outcome === null) return
        operation.state = outcome
        operation.outcomes.push(outcome)
        return
      }
      default:
        throw new Error(`${event.type} is of no message`)
    }
  }
}
