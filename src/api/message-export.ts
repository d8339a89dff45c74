import { GraphQLError } from 'graphql'
import { Readable } from 'node:stream'
import type { ExportedMessage } from '../content/formats/message-file.js'
import { maildirOf } from '../content/formats/maildir.js'
import { mboxOf } from '../content/formats/mbox.js'
import { zipOf } from '../content/formats/zip.js'
import type { Queryable } from '../platform/database.js'
import { viewMailboxList } from '../projections/mailbox-views.js'
import type { MessageFilter } from '../mailbox/message-filter.js'
import { viewMessageList, type ListPlace, type MessageView } from '../projections/message-views.js'
import type { MessageContents } from './message-content.js'

/** The formats of an export, with their media types and what their files are called. */
export const FORMATS = {
  mbox: { type: 'application/mbox', extension: 'mbox', pack: mboxOf },
  maildir: { type: 'application/x-tar', extension: 'maildir.tar', pack: maildirOf },
  zip: { type: 'application/zip', extension: 'zip', pack: zipOf },
} as const

/** Messages of a page; one page is held at a time. */
const PAGE = 200

/** What is exported: an account, or one of its mailboxes, as far as a filter holds. */
export type ExportScope = { accountId: string; mailboxId: string | null; filter: MessageFilter }

/**
 * The messages of an export, oldest first, each with its content, fetched where it is not here. One of which the content cannot
 * be had is there as a note that says so.
 */
export async function* exportedMessages(
  session: Queryable,
  contents: MessageContents,
  { accountId, mailboxId, filter }: ExportScope,
  signal: AbortSignal,
): AsyncGenerator<ExportedMessage> {
  const paths = new Map<string, string>()
  let from: ListPlace | null = null
  for (;;) {
    const page = await viewMessageList(session, accountId, mailboxId, filter, { size: PAGE, from, direction: 'newer' })
    for (const { mailboxId: id, path } of await viewMailboxList(session, { accounts: [accountId] })) paths.set(id, path)
    const ids = page.messages.map(({ messageId }) => messageId)
    await contents.together(accountId, ids, signal)
    for (const message of [...page.messages].reverse()) {
      const { size, content } = await contentOf(contents, message, signal)
      try {
        yield { ...describe(message, paths.get(message.mailboxId) ?? 'INBOX'), size, content }
      } finally {
        // one that was not read to its end would stay open
        if (content instanceof Readable) content.destroy()
      }
    }
    const newest = page.messages[0]
    if (!page.hasMore || !newest || signal.aborted) return
    from = { internalDate: newest.internalDate, messageId: newest.messageId }
  }
}

function describe(message: MessageView, path: string) {
  const { messageId, flags, internalDate, subject } = message
  return { messageId, path, flags, internalDate, subject, sender: message.from[0]?.address ?? '' }
}

async function contentOf(
  contents: MessageContents,
  message: MessageView,
  signal: AbortSignal,
): Promise<Pick<ExportedMessage, 'size' | 'content'>> {
  try {
    const raw = await contents.raw(message.messageId, signal)
    if (raw) return { size: raw.size, content: raw.read() }
    return noteOf(message, 'it went while it was exported')
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    return noteOf(message, error.message)
  }
}

/** Stands in the place of a message of which the content cannot be had. */
function noteOf({ messageId, internalDate }: MessageView, reason: string): Pick<ExportedMessage, 'size' | 'content'> {
  const lines = [
    `Date: ${internalDate.toUTCString().replace('GMT', '+0000')}`,
    'From: Mailfold <mailfold@localhost>',
    'Subject: A message that could not be exported',
    `X-Mailfold-Missing: ${messageId}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    `The content of this message could not be had: ${reason}`,
    '',
  ]
  const bytes = Buffer.from(lines.join('\r\n'))
  async function* note() {
    yield bytes
  }
  return { size: bytes.length, content: note() }
}
