import { Injectable } from '@nestjs/common'
import { EventBus } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import { WorkNeeded } from '../../mailbox/commands.js'
import type { AccountEvent, RecordedEvent } from '../../mailbox/events.js'
import type { ChangeFailure, Decision } from '../../mailbox/local-work.js'
import { BlobWent } from '../../content/blobs/blob-removal.js'
import { MOST_MATCHED, type AppendedMessage, type ChangeOutcome } from '../../mailbox/mail-commands.js'
import {
  requestMailbox,
  requestMailboxDeletion,
  requestRename,
  requestSubscription,
  type NamingView,
} from '../../mailbox/mailbox-requests.js'
import { massDeletionOf } from '../../mailbox/mass-deletion.js'
import type { OperationKind } from '../../mailbox/operation.js'
import {
  requestAppend,
  requestCopies,
  requestDeletion,
  requestFlags,
  requestMove,
  type Request,
} from '../../mailbox/requests.js'
import type { TrackedMessage } from '../../mailbox/tracked-message.js'
import { requestIntoTrash, trashOf } from '../../mailbox/trash.js'
import type { TrackedMailbox } from '../../mailbox/upload-plan.js'
import { Streams } from '../../event-store/streams.js'
import type { Queryable } from '../../platform/database.js'
import { together } from '../../platform/together.js'
import { viewNamespaces } from '../../projections/account-views.js'
import { viewTracked, viewTrackedMailboxes } from '../../projections/operation-views.js'
import { viewMatchingIds } from '../../projections/message-views.js'
import { AppendedContents } from '../appended-contents.js'
import { addedBy, decideOrFail } from '../decide-or-fail.js'
import type { MailWork, WantedMessages } from '../mail-work.js'

/** What a request is decided on. */
export type RequestView = NamingView & { messages: TrackedMessage[]; mailboxes: TrackedMailbox[] }

/** What was recorded of a request, or why nothing was; `isUnknown` where its outcome was waited for and did not come. */
export type RecordedRequest =
  | { accountId: string; ids: string[]; operationId: string; events: readonly RecordedEvent[]; isUnknown?: true }
  | { failure: ChangeFailure }

/** Operations that may give a mailbox a path. */
const NAMING: ReadonlySet<OperationKind> = new Set(['CREATE_MAILBOX', 'RENAME_MAILBOX', 'DELETE'])

const none: WantedMessages = async () => []

/**
 * Work on mail that is on its server (DISCONNECTED accounts): shown at once, recorded as an operation, and uploaded by the
 * account's worker as soon as it can be.
 */
@Injectable()
export class Requests implements MailWork {
  constructor(
    private readonly streams: Streams,
    private readonly contents: AppendedContents,
    protected readonly bus: EventBus,
  ) {}

  changeFlags(accountId: string, messages: WantedMessages, add: readonly string[], remove: readonly string[]) {
    return this.recorded(accountId, messages, 'CHANGE_FLAGS', (view, request) => ({
      events: requestFlags(view.messages, () => ({ add, remove }), request),
    }))
  }

  move(accountId: string, messages: WantedMessages, mailboxId: string) {
    return this.recorded(accountId, messages, 'MOVE', (view, request) =>
      into(view, mailboxId, () => requestMove(view.messages, mailboxId, request)),
    )
  }

  async copy(accountId: string, messages: WantedMessages, mailboxId: string): Promise<ChangeOutcome> {
    const outcome = await this.recorded(accountId, messages, 'COPY', (view, request) =>
      into(view, mailboxId, () => requestCopies(view.messages, mailboxId, request, newId)),
    )
    return 'failure' in outcome ? outcome : { ...outcome, ids: addedBy(outcome.events) }
  }

  delete(accountId: string, messages: WantedMessages, forGood: boolean, isConfirmed: boolean) {
    return this.recorded(accountId, messages, 'DELETE', (view, request) => {
      const { messages, mailboxes } = view
      if (!forGood) return requestIntoTrash(messages, view, request, newId)
      const trash = trashOf(mailboxes)?.mailboxId ?? null
      const mass = isConfirmed ? null : massDeletionOf(messages, mailboxes, trash, forGood)
      if (mass) return { failure: { kind: 'MassDeletion', ...mass } }
      return { events: requestDeletion(messages, trash, forGood, request) }
    })
  }

  async append(
    accountId: string,
    mailboxId: string,
    message: AppendedMessage,
    replaces: string | null,
  ): Promise<ChangeOutcome> {
    const taken = await this.contents.take(message)
    if ('failure' in taken) return taken
    const { content, message: data } = taken
    const sha256 = content?.sha256 ?? null
    if (!content || sha256 === null) throw new Error('what was taken in has no name')
    let isHeld = false
    const wanted: WantedMessages = async (session) => {
      isHeld = await this.contents.hold(session, sha256)
      return replaces === null ? [] : [replaces]
    }
    const record = () =>
      this.recorded(accountId, wanted, 'APPEND', (view, request) => {
        if (!isHeld) throw new BlobWent()
        const [replaced = null] = view.messages
        return into(view, mailboxId, () =>
          requestAppend({ messageId: newId(), data, content }, mailboxId, replaced, request),
        )
      })
    const outcome = await this.contents.recorded(taken, record)
    return 'failure' in outcome ? outcome : { ...outcome, ids: addedBy(outcome.events) }
  }

  emptyTrash(accountId: string): Promise<ChangeOutcome> {
    const wanted: WantedMessages = async (session) => {
      const trash = trashOf(await viewTrackedMailboxes(session, accountId))
      return trash ? viewMatchingIds(session, accountId, trash.mailboxId, {}, MOST_MATCHED + 1) : []
    }
    return this.recorded(accountId, wanted, 'DELETE', (view, request) => ({
      events: requestDeletion(view.messages, null, true, request),
    }))
  }

  async createMailbox(accountId: string, path: string): Promise<ChangeOutcome> {
    const outcome = await this.recorded(accountId, none, 'CREATE_MAILBOX', (view, request) =>
      requestMailbox(view, path, request, newId),
    )
    if ('failure' in outcome) return outcome
    const [opening] = outcome.events
    const mailboxId = opening?.type === 'OperationRequested' ? opening.data.mailboxId : null
    return { ...outcome, ids: mailboxId === null ? [] : [mailboxId] }
  }

  renameMailbox(accountId: string, mailboxId: string, path: string) {
    return this.ofMailbox(accountId, mailboxId, 'RENAME_MAILBOX', (view, request) =>
      requestRename(view, mailboxId, path, request),
    )
  }

  deleteMailbox(accountId: string, mailboxId: string) {
    return this.ofMailbox(accountId, mailboxId, 'DELETE_MAILBOX', ({ mailboxes }, request) =>
      requestMailboxDeletion(mailboxes, mailboxId, request),
    )
  }

  subscribe(accountId: string, mailboxId: string, subscribed: boolean) {
    return this.ofMailbox(accountId, mailboxId, 'SUBSCRIBE', ({ mailboxes }, request) =>
      requestSubscription(mailboxes, mailboxId, subscribed, request),
    )
  }

  /**
   * Decides and records a request in one transaction, and has the account's worker look for it.
   *
   * @param retryOf the rejected operation that is tried again; null as a rule
   */
  async recorded(
    accountId: string,
    wanted: WantedMessages,
    kind: OperationKind,
    decide: (view: RequestView, request: Request) => Decision,
    retryOf: string | null = null,
  ): Promise<RecordedRequest> {
    const operationId = newId()
    let ids: readonly string[] = []
    const outcome = await decideOrFail(
      this.streams,
      accountId,
      async (session) => {
        const load = async () => {
          ids = await wanted(session)
          return this.view(session, accountId, ids, NAMING.has(kind))
        }
        const [failure, view] = await together([this.whyRefused(session, accountId), load()])
        return { failure, view }
      },
      ({ failure, view }) => {
        if (failure) return { failure }
        return whyNot(ids, view) ?? decide(view, { operationId, kind, mailboxId: null, retryOf })
      },
    )
    if ('failure' in outcome) return outcome
    this.announce(accountId)
    return { accountId, ids: [...ids], operationId, events: outcome.events }
  }

  /** Why nothing can be asked for at present; null where it can. */
  protected async whyRefused(_session: Queryable, _accountId: string): Promise<ChangeFailure | null> {
    return null
  }

  /** Has the account's worker look for what was asked for. */
  protected announce(accountId: string): void {
    this.bus.publish(new WorkNeeded(accountId, 'DISCONNECTED'))
  }

  private async ofMailbox(
    accountId: string,
    mailboxId: string,
    kind: OperationKind,
    decide: (view: RequestView, request: Request) => Decision,
  ): Promise<ChangeOutcome> {
    const outcome = await this.recorded(accountId, none, kind, decide)
    return 'failure' in outcome ? outcome : { ...outcome, ids: [mailboxId] }
  }

  private async view(
    session: Queryable,
    accountId: string,
    ids: readonly string[],
    isNaming: boolean,
  ): Promise<RequestView> {
    const [messages, mailboxes, namespaces] = await together([
      viewTracked(session, ids.length > MOST_MATCHED ? [] : ids),
      viewTrackedMailboxes(session, accountId),
      isNaming ? viewNamespaces(session, accountId) : Promise.resolve(null),
    ])
    return { messages, mailboxes, namespaces }
  }
}

function whyNot(ids: readonly string[], { messages }: RequestView): { failure: ChangeFailure } | null {
  if (ids.length > MOST_MATCHED) return { failure: { kind: 'TooManyMessages', most: MOST_MATCHED } }
  const shown = messages.filter((message) => message.shown !== null)
  return shown.length < ids.length ? { failure: { kind: 'MessageNotFound' } } : null
}

/** What goes into a mailbox goes into one that is there and can hold messages. */
export function into({ mailboxes }: RequestView, mailboxId: string, decide: () => AccountEvent[]): Decision {
  const mailbox = mailboxes.find((each) => each.mailboxId === mailboxId && !each.isHidden)
  if (!mailbox) return { failure: { kind: 'MailboxNotFound' } }
  if (mailbox.selectable) return { events: decide() }
  return { failure: { kind: 'InvalidSettings', field: 'mailboxId', reason: 'is of a mailbox that holds no messages' } }
}
