import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import type { AccountEvent } from '../../mailbox/events.js'
import type { ChangeFailure, Decision } from '../../mailbox/local-work.js'
import { AnswerOperation, UndoOperation, type ChangeOutcome } from '../../mailbox/mail-commands.js'
import { decideMailboxDiscard, decideMailboxUndo, requestMailboxAgain } from '../../mailbox/mailbox-requests.js'
import type { Effect } from '../../mailbox/operation.js'
import {
  decideDiscard,
  decideUndo,
  requestAppendAgain,
  requestCopies,
  requestDeletion,
  requestFlags,
  requestMove,
  requestRestore,
  type Request,
} from '../../mailbox/requests.js'
import { requestIntoTrash } from '../../mailbox/trash.js'
import type { TrackedMessage } from '../../mailbox/tracked-message.js'
import { Streams } from '../../event-store/streams.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import {
  viewEffects,
  viewIsRetried,
  viewOffers,
  viewOperations,
  viewTracked,
  viewTrackedMailboxes,
  type OperationView,
} from '../../projections/operation-views.js'
import { decideOrFail } from '../decide-or-fail.js'
import { OnlineRequests } from '../online/online-requests.js'
import { into, Requests, type RequestView } from './requests.js'

const failed = (failure: ChangeFailure) => ({ failure })

@CommandHandler(UndoOperation)
class UndoOperationHandler implements ICommandHandler<UndoOperation, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
  ) {}

  async execute({ operationId }: UndoOperation): Promise<ChangeOutcome> {
    const [found] = await viewOperations(this.platform.database.pool, [operationId])
    if (!found) return failed({ kind: 'OperationNotFound' })
    const { accountId } = found
    const outcome = await decideOrFail(
      this.streams,
      accountId,
      async (session) => {
        const [operation = found] = await viewOperations(session, [operationId])
        const effects = await viewEffects(session, operationId)
        const messages = await viewTracked(
          session,
          effects.map(({ effect }) => effect.messageId),
        )
        return { operation, messages, mailboxes: await viewTrackedMailboxes(session, accountId) }
      },
      undo,
    )
    return 'failure' in outcome ? outcome : { accountId, ids: touchedBy(outcome.events), operationId }
  }
}

type UndoView = { operation: OperationView } & Omit<RequestView, 'namespaces'>

function undo({ operation, messages, mailboxes }: UndoView): Decision {
  const { operationId, state, mailboxId } = operation
  if (operation.messages > 0 || state !== 'PENDING') return decideUndo(operation, messages)
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId)
  return mailbox ? decideMailboxUndo(mailboxes, mailbox, operationId) : { events: [] }
}

const touchedBy = (events: readonly AccountEvent[]) => [
  ...new Set(events.flatMap(({ data }) => ('messageId' in data ? [data.messageId] : []))),
]

/** Does what is offered about an operation that was rejected, as a new operation; each once. */
@CommandHandler(AnswerOperation)
class AnswerOperationHandler implements ICommandHandler<AnswerOperation, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly requests: Requests,
    private readonly online: OnlineRequests,
  ) {}

  async execute({ operationId, answer }: AnswerOperation): Promise<ChangeOutcome> {
    const { pool } = this.platform.database
    const [operation] = await viewOperations(pool, [operationId])
    if (!operation) return failed({ kind: 'OperationNotFound' })
    const { offers, rejected, gone } = await viewOffers(pool, operation)
    if (!offers.includes(answer)) return failed({ kind: 'NotOffered', answer })
    if (answer === 'DISCARD') return this.discard(operation, rejected)
    if (await viewIsRetried(pool, operationId)) return failed({ kind: 'NotOffered', answer })
    return answer === 'RETRY' ? this.retry(operation, rejected) : this.restore(operation, gone)
  }

  private async requestsOf(accountId: string): Promise<Requests> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    return account?.model === 'ONLINE' ? this.online : this.requests
  }

  private async retry(operation: OperationView, effects: readonly Effect[]): Promise<ChangeOutcome> {
    const { accountId, kind, operationId } = operation
    const ids = effects.flatMap((effect) => (kind === 'COPY' ? (effect.copyOf ?? []) : [effect.messageId]))
    const byId = new Map(effects.map((effect) => [effect.messageId, effect]))
    const decide = (view: RequestView, request: Request): Decision => {
      const { messages, mailboxes } = view
      const target = operation.mailboxId ?? ''
      switch (kind) {
        case 'CHANGE_FLAGS': {
          const change = (id: string) => ({ add: byId.get(id)?.added ?? [], remove: byId.get(id)?.removed ?? [] })
          return { events: requestFlags(messages, change, request) }
        }
        case 'MOVE':
          return into(view, target, () => requestMove(messages, target, request))
        case 'DELETE': {
          const isForGood = !effects.some(({ to }) => to)
          if (!isForGood) return requestIntoTrash(messages, view, request, newId)
          return { events: requestDeletion(messages, null, true, request) }
        }
        case 'COPY':
          return into(view, target, () => requestCopies(messages, target, request, newId))
        case 'APPEND':
          return { events: requestAppendAgain(messages, request) }
        default: {
          const mailbox = mailboxes.find(({ mailboxId }) => mailboxId === target)
          return mailbox ? { events: requestMailboxAgain(mailbox, request) } : { failure: { kind: 'MailboxNotFound' } }
        }
      }
    }
    return (await this.requestsOf(accountId)).recorded(accountId, async () => ids, kind, decide, operationId)
  }

  private async restore(operation: OperationView, gone: readonly TrackedMessage[]): Promise<ChangeOutcome> {
    return (await this.requestsOf(operation.accountId)).recorded(
      operation.accountId,
      async () => [],
      'APPEND',
      (view, request) => {
        const wanted = [operation.mailboxId, gone[0]?.last?.mailboxId]
        const isThere = (id: string | null | undefined) =>
          view.mailboxes.some(({ mailboxId, isHidden }) => mailboxId === id && !isHidden)
        const inbox = view.mailboxes.find(({ path }) => path.toUpperCase() === 'INBOX')?.mailboxId
        const target = wanted.find(isThere) ?? inbox ?? ''
        return into(view, target, () => requestRestore(gone, target, request, newId))
      },
      operation.operationId,
    )
  }

  private async discard({ accountId, operationId, mailboxId }: OperationView, effects: readonly Effect[]) {
    const ids = effects.map(({ messageId }) => messageId)
    const outcome = await decideOrFail(
      this.streams,
      accountId,
      async (session) => ({
        messages: await viewTracked(session, ids),
        mailboxes: await viewTrackedMailboxes(session, accountId),
      }),
      ({ messages, mailboxes }) => {
        const mailbox = effects.length === 0 ? mailboxes.find((each) => each.mailboxId === mailboxId) : undefined
        return mailbox ? decideMailboxDiscard(mailbox) : { events: decideDiscard(messages) }
      },
    )
    return 'failure' in outcome ? outcome : { accountId, ids, operationId }
  }
}

/** What is done about operations that were asked for. */
export const OPERATION_HANDLERS = [UndoOperationHandler, AnswerOperationHandler]
