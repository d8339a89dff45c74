import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { WorkNeeded } from '../../mailbox/commands.js'
import { samePolicy, selectForDeletion, whyNoPolicy, type DeletionPolicy } from '../../mailbox/deletion-policy.js'
import type { ChangeFailure } from '../../mailbox/local-work.js'
import type { ChangeOutcome } from '../../mailbox/mail-commands.js'
import { whyNoCollection, type CollectionSettings } from '../../mailbox/maildrop.js'
import {
  SetCollection,
  SetDeletionPolicy,
  type DeletionPreview,
  type PolicyOutcome,
} from '../../mailbox/offline-commands.js'
import { Streams } from '../../event-store/streams.js'
import type { Queryable } from '../../platform/database.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts, type AccountView } from '../../projections/account-views.js'
import { viewDeletableCopies } from '../../projections/copy-views.js'
import { deletionOffered } from '../../protocols/imap/collecting.js'
import { occupancyOf } from './delete-collected.js'
import { makeDue } from './schedule.js'

@CommandHandler(SetDeletionPolicy)
export class SetDeletionPolicyHandler implements ICommandHandler<SetDeletionPolicy, PolicyOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
  ) {}

  async execute({ accountId, policy, isSet }: SetDeletionPolicy): Promise<PolicyOutcome> {
    const { pool } = this.platform.database
    const [account] = await viewAccounts(pool, [accountId])
    if (!account) return { failure: { kind: 'AccountNotFound' } }
    const failure = whyNoOffline(account) ?? whyBadPolicy(account, policy)
    if (failure) return { failure }
    if (!isSet) return { preview: await preview(pool, account, policy) }
    let found: DeletionPreview = { messages: 0, bytes: 0 }
    await this.streams.decide(
      accountId,
      async (session) => {
        const [now] = await viewAccounts(session, [accountId])
        found = await preview(session, now ?? account, policy)
        return (now ?? account).deletionPolicy
      },
      (previous) =>
        samePolicy(previous, policy) ? [] : [{ type: 'DeletionPolicyChanged', data: { policy, previous } }],
    )
    return { preview: found }
  }
}

/** What a policy would have deleted at the next connection, of what is known to be there. */
async function preview(session: Queryable, account: AccountView, policy: DeletionPolicy): Promise<DeletionPreview> {
  const collected = new Set(account.collection.mailboxes)
  const copies = (await viewDeletableCopies(session, account.accountId)).filter(({ mailbox }) => collected.has(mailbox))
  const chosen = selectForDeletion(policy, copies, occupancyOf(account), Date.now())
  return { messages: chosen.length, bytes: chosen.reduce((sum, { size }) => sum + size, 0) }
}

function whyNoOffline({ model }: AccountView): ChangeFailure | null {
  if (model === 'OFFLINE') return null
  return { kind: 'ModelNotPossible', reason: 'Only OFFLINE accounts are collected from; this one is not.' }
}

/** Of mail that stays on the server, only how full it may be can be set. */
function whyNotSet(account: AccountView, settings: Partial<CollectionSettings>): ChangeFailure | null {
  const isOfQuota = Object.keys(settings).every((name) => name === 'limit' || name === 'warnAt')
  return isOfQuota ? null : whyNoOffline(account)
}

function whyBadPolicy(account: AccountView, policy: DeletionPolicy): ChangeFailure | null {
  const reason = whyNoPolicy(policy)
  if (reason !== null) return { kind: 'InvalidSettings', field: 'policy', reason }
  if (policy.kind === 'WHEN_QUOTA_PASSES' && occupancyOf(account).limit === null)
    return {
      kind: 'InvalidSettings',
      field: 'policy',
      reason: 'the server does not tell how much the maildrop may hold: set the limit of the collection first',
    }
  return policy.kind === 'NEVER' ? null : whyNoDeletion(account, account.collection)
}

/** A server that has neither UID EXPUNGE nor MOVE cannot delete without taking along what others have marked. */
function whyNoDeletion(
  { protocol, capabilities }: AccountView,
  { removal }: Pick<CollectionSettings, 'removal'>,
): ChangeFailure | null {
  if (protocol === 'POP3' || capabilities.length === 0) return null
  const has = new Set(capabilities.map((capability) => capability.toUpperCase()))
  if (deletionOffered((capability) => has.has(capability), removal) !== null) return null
  const reason = `the server has no ${removal === 'EXPUNGE' ? 'UIDPLUS' : 'MOVE'}, so that it cannot delete single messages`
  return { kind: 'InvalidSettings', field: 'removal', reason }
}

@CommandHandler(SetCollection)
export class SetCollectionHandler implements ICommandHandler<SetCollection, ChangeOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  async execute({ accountId, settings }: SetCollection): Promise<ChangeOutcome> {
    const { pool } = this.platform.database
    const [account] = await viewAccounts(pool, [accountId])
    if (!account) return { failure: { kind: 'AccountNotFound' } }
    const failure = whyNotSet(account, settings) ?? whyBad(account, { ...account.collection, ...settings })
    if (failure) return { failure }
    await this.streams.decide(
      accountId,
      async (session) => (await viewAccounts(session, [accountId]))[0]?.collection ?? account.collection,
      (before) => {
        const after = inOrder({ ...before, ...settings })
        return JSON.stringify(inOrder(before)) === JSON.stringify(after)
          ? []
          : [{ type: 'CollectionChanged', data: after }]
      },
    )
    // the next run is found anew by the new settings
    if (account.model === 'OFFLINE') await makeDue(pool, accountId)
    this.bus.publish(new WorkNeeded(accountId, account.model))
    return { accountId, ids: [], operationId: null }
  }
}

function whyBad(account: AccountView, settings: CollectionSettings): ChangeFailure | null {
  const bad = whyNoCollection(settings, account.protocol)
  if (bad) return { kind: 'InvalidSettings', ...bad }
  return account.deletionPolicy.kind === 'NEVER' ? null : whyNoDeletion(account, settings)
}

function inOrder({ everyMinutes, mailboxes, removal, limit, warnAt }: CollectionSettings): CollectionSettings {
  const levels = [...new Set(warnAt)].sort((one, other) => one - other)
  // INBOX is one mailbox, however it is written (RFC 9051 §5.1)
  const paths = new Set(mailboxes.map((path) => (path.toUpperCase() === 'INBOX' ? 'INBOX' : path)))
  return { everyMinutes, mailboxes: [...paths], removal, limit, warnAt: levels }
}
