import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, pack, type Headers } from 'tar-stream'
import { hasFlag, type Flags } from '../../mailbox/flags.js'
import type { ImportedMessage } from '../../mailbox/offline-commands.js'
import { UnreadableFile, type ExportedMessage } from './message-file.js'

/*
 * Maildir, as one tar where it travels: INBOX at the top, every other mailbox in a folder ".One.Two" beside it (Maildir++), each with
 * cur, new and tmp; flags in the files' names, INTERNALDATE as their times. Keywords have no place in a Maildir.
 */

const FLAGS: readonly [letter: string, flag: string][] = [
  ['D', '\\Draft'],
  ['F', '\\Flagged'],
  ['R', '\\Answered'],
  ['S', '\\Seen'],
  ['T', '\\Deleted'],
]

/** The folder of a mailbox: empty for INBOX. A dot in a name would part it in two, and is written %2E. */
export function folderOf(path: string): string {
  if (path === 'INBOX') return ''
  const levels = path.split('/').map((level) => level.replaceAll('%', '%25').replaceAll('.', '%2E'))
  return `.${levels.join('.')}`
}

/** The mailbox of a folder of a Maildir. */
export function mailboxOf(folder: string): string {
  if (folder === '') return 'INBOX'
  const levels = folder.replace(/^\./, '').split('.')
  return levels.map((level) => level.replaceAll('%2E', '.').replaceAll('%25', '%')).join('/')
}

/** Messages as a Maildir in a tar. */
export function maildirOf(messages: AsyncIterable<ExportedMessage>): Readable {
  const tar = pack()
  const write = async () => {
    const made = new Set<string>()
    const make = async (folder: string) => {
      if (!made.has(folder))
        for (const name of ['cur', 'new', 'tmp']) await add(tar, { name: join(folder, name), type: 'directory' })
      made.add(folder)
    }
    // whatever is in it: without these three it is no Maildir
    await make('')
    for await (const message of messages) {
      const folder = folderOf(message.path)
      await make(folder)
      const { messageId, flags, internalDate, size, content } = message
      const letters = FLAGS.filter(([, flag]) => hasFlag(flags, flag)).map(([letter]) => letter)
      const seconds = Math.max(0, Math.floor(internalDate.getTime() / 1000))
      const name = join(folder, `cur/${seconds}.${messageId}.mailfold,S=${size}:2,${letters.join('')}`)
      await add(tar, { name, size, mode: 0o600, mtime: internalDate }, content)
    }
    tar.finalize()
  }
  write().catch((error: unknown) => tar.destroy(error as Error))
  return tar
}

const join = (...parts: readonly string[]) => parts.filter((part) => part !== '').join('/')

async function add(tar: ReturnType<typeof pack>, header: Headers, content?: AsyncIterable<Buffer>): Promise<void> {
  if (!content)
    return new Promise((resolve, reject) => void tar.entry(header, (error) => (error ? reject(error) : resolve())))
  await pipeline(Readable.from(content), tar.entry(header))
}

/** The messages of a Maildir in a tar, those of cur and new, in the order of the tar. */
export async function* readMaildir(source: Readable): AsyncGenerator<ImportedMessage> {
  const tar = extract()
  const fed = pipeline(source, tar).catch(() => {
    throw new UnreadableFile('The file is no tar, or was cut off.')
  })
  fed.catch(() => undefined)
  for await (const entry of entriesOf(tar)) {
    const { name, type, mtime } = entry.header
    const [, above = '', file] = /^(?:\.\/)?(?:(.+)\/)?(?:cur|new)\/([^/]+)$/.exec(name) ?? []
    if (type === 'file' && file !== undefined && !file.startsWith('.')) {
      // whatever folder the Maildir itself lay in
      const folder = /(?:^|\/)(\.[^/]+)$/.exec(above)?.[1] ?? ''
      yield {
        path: mailboxOf(folder),
        flags: flagsOf(file),
        internalDate: mtime ?? null,
        content: entry as AsyncIterable<Buffer>,
      }
    }
    entry.resume()
  }
  await fed
}

async function* entriesOf(tar: ReturnType<typeof extract>) {
  try {
    yield* tar
  } catch {
    // the end of the source says what was wrong with it
  }
}

function flagsOf(file: string): Flags {
  const letters = /:2,([A-Za-z]*)$/.exec(file)?.[1] ?? ''
  return FLAGS.filter(([letter]) => letters.includes(letter)).map(([, flag]) => flag)
}
