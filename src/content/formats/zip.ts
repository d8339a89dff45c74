import { Readable } from 'node:stream'
import yazl from 'yazl'
import type { ExportedMessage } from './message-file.js'

/** Messages as a zip of .eml files, in folders by mailbox, each byte for byte; packed while it is read. */
export function zipOf(messages: AsyncIterable<ExportedMessage>): Readable {
  const zip = new yazl.ZipFile()
  const output = zip.outputStream as Readable
  const write = async () => {
    for await (const message of messages) await add(zip, output, message)
    zip.end()
  }
  write().catch((error: unknown) => output.destroy(error as Error))
  return output
}

/** Resolves when a message is through; rejects when nobody reads the zip any more, since that leaves the message open. */
function add(zip: yazl.ZipFile, output: Readable, message: ExportedMessage): Promise<void> {
  const { internalDate, content, size } = message
  return new Promise((resolve, reject) => {
    let stream: Readable | null = null
    const left = () => {
      stream?.destroy()
      reject(new Error('the zip is not read to its end'))
    }
    if (output.destroyed) return left()
    output.once('close', left)
    // asked for when all before it is through, so that one message at a time is open
    zip.addReadStreamLazy(nameOf(message), { mtime: dosTime(internalDate), size }, (given) => {
      stream = Readable.from(content)
      stream.once('end', resolve).once('error', reject)
      stream.once('close', () => output.off('close', left))
      given(null, stream)
    })
  })
}

/** Times in a zip begin with 1980. */
function dosTime(date: Date): Date {
  return new Date(Math.max(date.getTime(), Date.UTC(1980, 0, 2)))
}

/** A name that every file system takes: mailbox, time, the beginning of the subject, and what makes it the only one. */
function nameOf({ path, internalDate, subject, messageId }: ExportedMessage): string {
  const safe = (text: string) =>
    text
      // eslint-disable-next-line no-control-regex
      .replace(/[\u0000-\u001f\u007f<>:"/\\|?*]+/g, ' ')
      .trim()
      .replace(/^\.+|[. ]+$/g, '_')
  const folder = path
    .split('/')
    .map((level) => safe(level) || '_')
    .join('/')
  const time = internalDate.toISOString().slice(0, 19).replaceAll(':', '')
  return `${folder}/${time} ${safe(subject.slice(0, 60))} ${messageId}.eml`.replaceAll('  ', ' ')
}
