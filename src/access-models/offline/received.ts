import type { CopyPlace, ListedMessage } from '../../mailbox/collection.js'
import type { Flags } from '../../mailbox/flags.js'
import { listOf } from '../../mailbox/message-bounds.js'
import type { NewMessage } from '../../mailbox/local-mailboxes.js'
import type { BlobName, BlobStore } from '../../content/blobs/blob-store.js'
import type { TakenIn } from '../../content/intake.js'
import { receiveContent, type ReceivedContent } from '../../content/received-content.js'
import type { Coming } from './maildrop.js'

/** A message that has come whole from a server. */
export type Received = {
  listed: ListedMessage
  flags: Flags
  /** INTERNALDATE in ISO 8601; null over POP3 */
  internalDate: string | null
  content: ReceivedContent
}

/** What comes, without what a server refuses. */
export type Given = Extract<Coming, { content: unknown }>

/** Takes a message in as it comes from a server. @throws TooLong when more comes than `maxBytes` */
export async function receive(coming: Given, blobs: BlobStore, maxBytes: number): Promise<Received> {
  const { listed, flags, internalDate } = coming
  return { listed, flags, internalDate, content: await receiveContent(coming.content, blobs, maxBytes) }
}

/** No message has come in the future, whatever a header says. */
function dateOf(told: string | null): string {
  const now = Date.now()
  return new Date(Math.min(told === null ? now : Date.parse(told), now)).toISOString()
}

/** The message that was received, for the log. @param serverCopy where it was collected from, null where it was not */
export function newMessageOf(
  { flags, internalDate }: Pick<Received, 'flags' | 'internalDate'>,
  { metadata, blob }: Pick<TakenIn, 'metadata'> & { blob: BlobName | null },
  path: string,
  serverCopy: CopyPlace | null,
): NewMessage {
  const { size, envelope, structure, references, listId, fingerprint, defects } = metadata
  return {
    path,
    message: {
      ...{
        flags,
        internalDate: dateOf(internalDate ?? metadata.receivedAt),
        size,
        envelope,
        structure,
        references,
        ...listOf(listId ?? null),
        fingerprint,
        defects,
      },
      ...{ emailId: null, threadId: null },
    },
    content: blob,
    serverCopy,
  }
}

/** Where a listed message is, for the log. */
export function placeOf(
  { mailbox, uidValidity, uid, uidl, size }: ListedMessage,
  headerHash: string | null,
): CopyPlace {
  return { mailbox, uidValidity, uid, uidl, size, headerHash }
}
