import DataLoader from 'dataloader'
import type { CopyState } from '../mailbox/collection.js'
import type { Structure } from '../mailbox/message.js'
import type { Queryable } from '../platform/database.js'
import { viewAccounts, type AccountView } from '../projections/account-views.js'
import { viewCopyStates } from '../projections/copy-views.js'
import { viewMailboxList, type MailboxListView } from '../projections/mailbox-views.js'
import { viewOperations, viewWaiting, type OperationView } from '../projections/operation-views.js'
import { viewPastAccount, type PastAccount } from '../projections/past-accounts.js'
import { viewPastMessagesById, viewPastStructures } from '../projections/past-messages.js'
import { viewMessagesById, viewStructures, type MessageView } from '../projections/message-views.js'

/** What the resolvers of one operation share: each thing is read once, however many fields ask for it. */
export type ApiContext = Loaders & {
  /** aborts when nobody waits for the answer any more */
  signal: AbortSignal
  /** who asks */
  client: string
  /** an account as it was at a version */
  past: (accountId: string, version: number) => PastContext
  /** has everything be read again: something is about to be changed */
  readAgain: () => void
}

type Loaders = {
  accounts: DataLoader<string, AccountView | null>
  mailboxes: DataLoader<string, MailboxListView | null>
  mailboxesOf: DataLoader<string, MailboxListView[]>
  messages: DataLoader<string, MessageView | null>
  structures: DataLoader<string, Structure | null>
  copyStates: DataLoader<string, CopyState | null>
  operations: DataLoader<string, OperationView | null>
  /** ids of the operations that wait for their outcomes, by message */
  waiting: DataLoader<string, string[]>
}

/** The same for an account at a version of the past. */
export type PastContext = {
  account: () => Promise<PastAccount>
  messages: DataLoader<string, MessageView | null>
  structures: DataLoader<string, Structure | null>
}

/** Makes the context of one operation. */
export function makeContext(session: Queryable, client: string, signal: AbortSignal): ApiContext {
  const pasts = new Map<string, PastContext>()
  const past = (accountId: string, version: number) => {
    const key = `${accountId}@${version}`
    const made = pasts.get(key) ?? makePast(session, accountId, version)
    pasts.set(key, made)
    return made
  }
  const loaders = makeLoaders(session)
  const readAgain = () => Object.values(loaders).forEach((each) => each.clearAll())
  return { ...loaders, client, signal, past, readAgain }
}

function makeLoaders(session: Queryable): Loaders {
  return {
    accounts: loader(
      (ids) => viewAccounts(session, ids),
      (account) => account.accountId,
    ),
    mailboxes: loader(
      (ids) => viewMailboxList(session, { ids }),
      (mailbox) => mailbox.mailboxId,
    ),
    mailboxesOf: new DataLoader(async (accounts) => {
      const mailboxes = await viewMailboxList(session, { accounts })
      return accounts.map((account) => mailboxes.filter((mailbox) => mailbox.accountId === account))
    }),
    messages: loader(
      (ids) => viewMessagesById(session, ids),
      (message) => message.messageId,
    ),
    structures: structureLoader((ids) => viewStructures(session, ids)),
    copyStates: new DataLoader(async (ids) => {
      const states = await viewCopyStates(session, ids)
      return ids.map((id) => states.get(id) ?? null)
    }),
    operations: loader(
      (ids) => viewOperations(session, ids),
      (operation) => operation.operationId,
    ),
    waiting: new DataLoader(async (ids) => {
      const waiting = await viewWaiting(session, ids)
      return ids.map((id) => (waiting.get(id) ?? []).map(({ operationId }) => operationId))
    }),
  }
}

function makePast(session: Queryable, accountId: string, version: number): PastContext {
  let account: Promise<PastAccount> | null = null
  return {
    account: () => (account ??= viewPastAccount(session, accountId, version)),
    messages: loader(
      async (ids) => {
        const messages = await viewPastMessagesById(session, version, ids)
        return messages.filter((message) => message.accountId === accountId)
      },
      (message) => message.messageId,
    ),
    structures: structureLoader((ids) => viewPastStructures(session, version, ids)),
  }
}

type Structures = Map<string, Structure | null>

function structureLoader(read: (ids: readonly string[]) => Promise<Structures>) {
  return new DataLoader<string, Structure | null>(async (ids) => {
    const structures = await read(ids)
    return ids.map((id) => structures.get(id) ?? null)
  })
}

function loader<View>(
  read: (ids: readonly string[]) => Promise<View[]>,
  idOf: (view: View) => string,
): DataLoader<string, View | null> {
  return new DataLoader(async (ids) => {
    const found = new Map((await read(ids)).map((view) => [idOf(view), view]))
    return ids.map((id) => found.get(id) ?? null)
  })
}
