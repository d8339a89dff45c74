import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { blankStream, rewriteEvents, versionsNaming } from '../event-store/rewriting.js'
import { readEvents } from '../event-store/stored-events.js'
import { StreamNotFound, Streams } from '../event-store/streams.js'
import { ForgetAccount, ForgetMessage, Forgotten, type ForgetOutcome } from '../mailbox/commands.js'
import type { AccountEvent } from '../mailbox/events.js'
import { redact } from '../mailbox/redaction.js'
import { Platform } from '../platform/platform.js'
import { markContents } from '../projections/content-views.js'
import { viewTouched } from '../projections/message-history.js'
import { viewMessageOwner } from '../projections/message-views.js'
import { refoldMessages, removeAccountRows, viewCopies, type Copy } from '../projections/refold.js'

/**
 * Forgets a message and its copies in one transaction: their events lose what they said of the content, and their rows
 * are folded again from those. Their blobs are marked with it, and removed a moment later: see blob-removal.ts.
 */
@CommandHandler(ForgetMessage)
export class ForgetMessageHandler implements ICommandHandler<ForgetMessage, ForgetOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  async execute({ messageId, requestedBy }: ForgetMessage): Promise<ForgetOutcome> {
    const { database } = this.platform
    const owner = await viewMessageOwner(database.pool, messageId)
    if (!owner) return null
    const { accountId } = owner
    let messageIds: string[] = []
    await this.streams.decide(
      accountId,
      async (session): Promise<Copy[]> => {
        const copies = await viewCopies(session, accountId, messageId)
        messageIds = copies.map((copy) => copy.messageId)
        await markContents(session, { accountId, ids: messageIds })
        const naming = await versionsNaming(session, accountId, messageIds)
        const touching = await viewTouched(session, accountId, messageIds)
        const events = await readEvents(session, accountId, naming)
        await rewriteEvents(session, accountId, events.filter(isOf(messageIds)).map(redact))
        await refoldMessages(session, accountId, messageIds, [...new Set([...touching, ...naming])])
        return copies.filter((copy) => !copy.isForgotten)
      },
      (copies) =>
        copies.map((copy): AccountEvent => {
          const { messageId: id, fingerprint } = copy
          return { type: 'MessageForgotten', data: { messageId: id, fingerprint, requestedBy } }
        }),
    )
    this.bus.publish(new Forgotten(accountId, messageIds))
    return { accountId, messageIds }
  }
}

/** Events may also name a message as that of which another is a copy; those are not of it. */
function isOf(ids: readonly string[]): (event: AccountEvent) => boolean {
  return ({ data }) => 'messageId' in data && ids.includes(data.messageId)
}

/** Forgets an account in one transaction: events, rows and credentials; its stream ends with the event that says so. */
@CommandHandler(ForgetAccount)
export class ForgetAccountHandler implements ICommandHandler<ForgetAccount, ForgetOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  async execute({ accountId, requestedBy }: ForgetAccount): Promise<ForgetOutcome> {
    const { credentials } = this.platform
    try {
      await this.streams.decide(
        accountId,
        async (session) => {
          await markContents(session, { accountId, ids: 'all' })
          await removeAccountRows(session, accountId)
          await credentials.remove(session, accountId)
          await blankStream(session, accountId)
        },
        () => [{ type: 'AccountForgotten', data: { requestedBy } }],
      )
    } catch (error) {
      if (error instanceof StreamNotFound) return null
      throw error
    }
    this.bus.publish(new Forgotten(accountId, 'all'))
    return { accountId, messageIds: [] }
  }
}
