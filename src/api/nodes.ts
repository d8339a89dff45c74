import { Injectable } from '@nestjs/common'
import { Streams } from '../event-store/streams.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts, viewEveryAccountId } from '../projections/account-views.js'
import { viewMailboxOwner } from '../projections/mailbox-views.js'
import { viewMessageOwner } from '../projections/message-views.js'
import type { ApiContext } from './context.js'
import { badInput, type NodeRef } from './ids.js'
import { Account, accountOf } from './schema/account.type.js'
import type { AsOf } from './schema/as-of.type.js'
import { Mailbox, mailboxOf } from './schema/mailbox.type.js'
import { messageOf, type Message } from './schema/message.type.js'
import type { Node } from './schema/node.type.js'
import { Operation, operationOf } from './schema/operation.type.js'

/** Accounts, mailboxes and messages by their ids, now and at any moment; null for what is, or was, not there. */
@Injectable()
export class Nodes {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
  ) {}

  /** All accounts, in the order in which they were connected. @throws GraphQLError BAD_USER_INPUT for a version */
  async accounts(asOf: AsOf | null | undefined, context: ApiContext): Promise<Account[]> {
    const { reads } = this.platform.database
    if (!asOf) return (await viewAccounts(reads)).map((view) => accountOf(view))
    if (!asOf.time) throw badInput('A version is one of a single account: ask for all of them as of a time.')
    const found = await Promise.all((await viewEveryAccountId(reads)).map((id) => this.account(id, asOf, context)))
    const order = ({ connectedAt, accountId }: Account) => `${connectedAt.toISOString()} ${accountId}`
    return found.filter((account) => account !== null).sort((one, other) => (order(one) < order(other) ? -1 : 1))
  }

  /** Anything by what its id names, now or in the past; null for what is not there, and for sessions. */
  async node({ type, id, at }: NodeRef, context: ApiContext): Promise<Node | null> {
    if (type === 'Session') return null
    if (type === 'Operation') return this.operation(id, context)
    // after the restore of a backup, an account may not have come again to where it was
    if (at !== null && !(await this.hasComeTo(type, id, at))) return null
    const asOf = at === null ? null : { version: at }
    if (type === 'Account') return this.account(id, asOf, context)
    return type === 'Mailbox' ? this.mailbox(id, asOf, context) : this.message(id, asOf, context)
  }

  private async hasComeTo(type: 'Account' | 'Mailbox' | 'Message', id: string, version: number): Promise<boolean> {
    const { reads } = this.platform.database
    const ownerOf = {
      Account: () => id,
      Mailbox: () => viewMailboxOwner(reads, id),
      Message: async () => (await viewMessageOwner(reads, id))?.accountId ?? null,
    }
    const accountId = await ownerOf[type]()
    return accountId !== null && version <= (await this.streams.version(accountId))
  }

  /** One account. @throws GraphQLError BAD_USER_INPUT for a moment that is none */
  async account(accountId: string, asOf: AsOf | null | undefined, context: ApiContext): Promise<Account | null> {
    const at = await this.versionOf(accountId, asOf)
    const view =
      at === null ? await context.accounts.load(accountId) : (await context.past(accountId, at).account()).account
    return view && Object.assign(new Account(), accountOf(view, at))
  }

  /** One mailbox. @throws GraphQLError BAD_USER_INPUT for a moment that is none */
  async mailbox(mailboxId: string, asOf: AsOf | null | undefined, context: ApiContext): Promise<Mailbox | null> {
    if (!asOf) return this.mailboxAt(mailboxId, null, context)
    const accountId = await viewMailboxOwner(this.platform.database.reads, mailboxId)
    if (accountId === null) return null
    return this.mailboxAt(mailboxId, { accountId, at: await this.versionOf(accountId, asOf) }, context)
  }

  /** A mailbox as it is now, or at the version at which something of its account is shown. */
  async mailboxAt(
    mailboxId: string,
    shown: { accountId: string; at: number | null } | null,
    context: ApiContext,
  ): Promise<Mailbox | null> {
    if (shown === null || shown.at === null) {
      const view = await context.mailboxes.load(mailboxId)
      return view && Object.assign(new Mailbox(), mailboxOf(view))
    }
    const { mailboxes } = await context.past(shown.accountId, shown.at).account()
    const view = mailboxes.find((mailbox) => mailbox.mailboxId === mailboxId)
    return view ? Object.assign(new Mailbox(), mailboxOf(view, shown.at)) : null
  }

  /** One message. @throws GraphQLError BAD_USER_INPUT for a moment that is none */
  async message(messageId: string, asOf: AsOf | null | undefined, context: ApiContext): Promise<Message | null> {
    if (!asOf) {
      const view = await context.messages.load(messageId)
      return view && messageOf(view)
    }
    const owner = await viewMessageOwner(this.platform.database.reads, messageId)
    const at = owner && (await this.versionOf(owner.accountId, asOf))
    const view = owner && at !== null && (await context.past(owner.accountId, at).messages.load(messageId))
    return view ? messageOf(view) : null
  }

  /** One operation, as it is now. */
  async operation(operationId: string, context: ApiContext): Promise<Operation | null> {
    const view = await context.operations.load(operationId)
    return view && Object.assign(new Operation(), operationOf(view))
  }

  /**
   * The version of an account's stream at a moment; null for now.
   *
   * @throws GraphQLError BAD_USER_INPUT for one that is none, or that the account has not come to
   */
  async versionOf(accountId: string, asOf: AsOf | null | undefined): Promise<number | null> {
    if (!asOf) return null
    const { version, time } = asOf
    const hasVersion = typeof version === 'number'
    if (hasVersion === time instanceof Date) throw badInput('`asOf` is a version or a time: give exactly one.')
    if (!hasVersion) return this.streams.versionAt(accountId, time as Date)
    if (!Number.isSafeInteger(version) || version < 0) throw badInput('A version is a whole number, 0 or more.')
    const head = await this.streams.version(accountId)
    if (version > head) throw badInput(`The account has not come to version ${version}: it is at ${head}.`)
    return version
  }
}
