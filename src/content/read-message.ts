import { pipeline } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import { MailParser, type AttachmentStream, type MessageText } from 'mailparser'

/** The readable bodies of a message. `html` is as the sender wrote it, for a sandbox, never for a page of one's own. */
export type Bodies = { text: string | null; html: string | null; truncated: boolean }

/** UTF-16 units of each body that are handed out; the raw message has the rest. */
const LONGEST_BODY = 4_000_000

/** How messages are read, and the bounds on hostile ones: bytes of a part's header, and parts. */
const PARSING = {
  skipTextToHtml: true,
  skipImageLinks: true,
  maxHtmlLengthToParse: LONGEST_BODY,
  maxHeadSize: 4 * 1024 ** 2,
  maxChildNodes: 3_000,
}

/** Takes the bodies out of a raw message; attachments are passed over without being held in memory. */
export async function readBodies(raw: Readable): Promise<Bodies> {
  const parser = new MailParser(PARSING)
  let found: MessageText | null = null
  parser.on('data', (part: AttachmentStream | MessageText) => {
    if (part.type === 'text') found = part
    else discard(part)
  })
  // a message beyond the bounds is read as far as they go
  const isWhole = await pipeline(raw, parser).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EMAXLEN') throw error
      return false
    },
  )
  const { text, html } = (found ?? {}) as { text?: string; html?: string | false }
  const bounded = (body: string | false | undefined) => (body ? body.slice(0, LONGEST_BODY) : null)
  return {
    text: bounded(text),
    html: bounded(html),
    truncated: !isWhole || (text?.length ?? 0) > LONGEST_BODY || (html || '').length > LONGEST_BODY,
  }
}

/** One attachment, decoded, as a stream; with what it is. */
export type Attachment = { content: Readable; type: string; filename: string | null }

/**
 * Streams one part of a raw message, decoded.
 *
 * @param part the part's number, as in the structure ("2", "3.1")
 * @returns null when the message has no such attachment
 */
export function readAttachment(raw: Readable, part: string): Promise<Attachment | null> {
  return new Promise((resolve, reject) => {
    const parser = new MailParser(PARSING)
    let content: Readable | null = null
    parser.on('data', (found: AttachmentStream | MessageText) => {
      if (found.type === 'text') return
      // a message that is nothing else has one part, without a number of its own (RFC 9051 §6.4.5)
      const { partId } = found as AttachmentStream & { partId?: string | null }
      if ((partId ?? '1') !== part) return discard(found)
      content = found.content
      content.once('end', () => found.release?.())
      // what comes behind it is not needed, nor the rest of it by a reader that has gone
      content.once('close', () => raw.destroy())
      resolve({ content, type: found.contentType, filename: found.filename ?? null })
    })
    pipeline(raw, parser).then(
      () => resolve(null),
      (error: Error) => {
        content?.destroy(error)
        reject(error)
      },
    )
  })
}

function discard(part: AttachmentStream): void {
  const content = part.content
  content.once('end', () => part.release?.())
  content.resume()
}
