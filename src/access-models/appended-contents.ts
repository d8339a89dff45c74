import { Injectable } from '@nestjs/common'
import { normaliseFlags } from '../mailbox/flags.js'
import type { NewMessage } from '../mailbox/local-mailboxes.js'
import type { ChangeFailure } from '../mailbox/local-work.js'
import type { AppendedMessage } from '../mailbox/mail-commands.js'
import { holdBlob } from '../content/blobs/blob-removal.js'
import { BlobStore } from '../content/blobs/blob-store.js'
import { Intake, type TakenIn } from '../content/intake.js'
import type { Queryable } from '../platform/database.js'
import { Platform } from '../platform/platform.js'
import { newMessageOf } from './offline/received.js'
import { recordKept, removeUnreferred } from './unreferred.js'
import { receiveContent, takeIn, TooLong } from '../content/received-content.js'

/** Takes in messages that clients put into mailboxes: durable before anything names them. */
@Injectable()
export class AppendedContents {
  constructor(
    private readonly platform: Platform,
    private readonly blobs: BlobStore,
    private readonly intake: Intake,
  ) {}

  /** Takes one in, with what is read off it. Its path is still to be said. */
  async take({ content, flags, internalDate }: AppendedMessage): Promise<NewMessage | { failure: ChangeFailure }> {
    try {
      const maxBytes = this.platform.settings.MAILFOLD_MAX_MESSAGE_BYTES
      const received = await receiveContent(content() as AsyncIterable<Buffer>, this.blobs, maxBytes)
      const [taken] = (await takeIn(this.intake, [received])) as [TakenIn]
      const date = new Date(internalDate ?? Date.now())
      // INTERNALDATE has whole seconds (RFC 9051 §9, date-time): a server gives it back without the rest
      date.setUTCMilliseconds(0)
      return newMessageOf({ flags: normaliseFlags(flags), internalDate: date.toISOString() }, taken, '', null)
    } catch (error) {
      if (!(error instanceof TooLong)) throw error
      return { failure: { kind: 'InvalidSettings', field: 'raw', reason: error.message } }
    }
  }

  /** Records a message that was taken in. Where that is refused its content goes again, unless something else refers to it. */
  async recorded<T extends object>({ content }: NewMessage, record: () => Promise<T | { failure: ChangeFailure }>) {
    const names = content?.sha256 ? [content.sha256] : []
    const outcome = await recordKept(this.platform, names, record())
    if ('failure' in outcome) await removeUnreferred(this.platform, names)
    return outcome
  }

  /** Keeps a content from being removed until a transaction ends. @returns whether it is there */
  hold(session: Queryable, sha256: string): Promise<boolean> {
    return holdBlob(session, this.blobs, sha256)
  }
}
