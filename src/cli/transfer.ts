import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { access, constants, mkdir, readdir, stat, utimes } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, pack } from 'tar-stream'
import { counted, EXIT, fileFailure } from '../platform/exit-codes.js'
import { ApiClient, ApiFailure } from './api-client.js'
import { whole } from './partial.js'
import { progressBar } from './progress-bar.js'

/** What `export` may be told. */
export type ExportOptions = {
  format: 'mbox' | 'maildir' | 'zip'
  account?: string
  mailbox?: string
  from?: string
  subject?: string
  since?: string
  before?: string
  unread?: boolean
  flagged?: boolean
  json?: boolean
}

/** What `import` may be told. */
export type ImportOptions = { account?: string; mailbox: string; json?: boolean }

/** Writes mail into a file or folder, which is there only when it is whole. @returns the exit code */
export async function exportMail(target: string, options: ExportOptions): Promise<number> {
  const toStandardOutput = target === '-'
  if (!toStandardOutput && existsSync(target))
    throw new ApiFailure(`${target} is there already: give a name that is not`, EXIT.CANNOT_CREATE)
  if (toStandardOutput && options.format === 'maildir') throw new ApiFailure('a Maildir needs a folder', EXIT.USAGE)
  if (!toStandardOutput) await refuseNoFolder(dirname(target))
  const client = await ApiClient.find(process.env)
  const account = await client.account(options.account)
  const query = await queryOf(client, account, options)
  const response = await client.request(`/accounts/${account}/export?${query.toString()}`)
  const messages = Number(response.headers.get('mailfold-messages'))
  // with the mail itself on standard output, nothing else is
  const out = toStandardOutput ? process.stderr : process.stdout
  const progress = new Progress(Number(response.headers.get('mailfold-bytes')), options.json === true, out)
  const content = Readable.fromWeb(response.body as never).compose<Readable>(progress.counter())
  try {
    if (toStandardOutput) await pipeline(content, process.stdout, { end: false })
    else await whole(target, (partial) => write(content, partial, options.format))
  } catch (error) {
    if (toStandardOutput) Object.assign(error as Error, { path: 'standard output' })
    if (error instanceof ApiFailure || fileFailure(error)) throw error
    throw new ApiFailure('the service broke the export off: nothing was written')
  }
  progress.end(
    { messages, target },
    `${counted(messages, 'message')} in ${toStandardOutput ? 'standard output' : target}`,
  )
  return 0
}

/** @throws ApiFailure when nothing can be made in a folder */
async function refuseNoFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => null)
  if (!found?.isDirectory()) throw new ApiFailure(`there is no folder ${folder}`, EXIT.CANNOT_CREATE)
  await access(folder, constants.W_OK).catch(() => {
    throw new ApiFailure(`nothing can be written into ${folder}`, EXIT.CANNOT_CREATE)
  })
}

async function queryOf(client: ApiClient, account: string, options: ExportOptions): Promise<URLSearchParams> {
  const { format, mailbox, from, subject, since, before, unread, flagged } = options
  const query = new URLSearchParams({ format })
  if (mailbox !== undefined) query.set('mailbox', await mailboxId(client, account, mailbox))
  if (from !== undefined) query.set('from', from)
  if (subject !== undefined) query.set('subject', subject)
  if (since !== undefined) query.set('since', moment('--since', since))
  if (before !== undefined) query.set('before', moment('--before', before))
  if (unread) query.set('isUnread', 'true')
  if (flagged) query.set('isFlagged', 'true')
  return query
}

function moment(option: string, text: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new ApiFailure(`${option} must be a time in ISO 8601`, EXIT.USAGE)
  return new Date(time).toISOString()
}

async function mailboxId(client: ApiClient, account: string, path: string): Promise<string> {
  type Found = { account: { mailboxes: { id: string; path: string }[] } | null }
  const found = await client.ask<Found>('query ($id: ID!) { account(id: $id) { mailboxes { id path } } }', {
    id: account,
  })
  const mailbox = found.account?.mailboxes.find((each) => each.path === path)
  if (!mailbox) throw new ApiFailure(`there is no mailbox ${path}`, EXIT.NO_INPUT)
  return mailbox.id
}

async function write(content: Readable, target: string, format: ExportOptions['format']): Promise<void> {
  if (format !== 'maildir') return pipeline(content, createWriteStream(target, { mode: 0o600 }))
  await mkdir(target, { mode: 0o700 })
  const tar = extract()
  const fed = pipeline(content, tar)
  fed.catch(() => undefined)
  for await (const entry of tar) {
    const { name, type, mtime } = entry.header
    const path = join(target, name)
    // the names are the service's own; none of them leaves the folder
    if (path !== target && !path.startsWith(`${target}/`)) throw new ApiFailure(`${name} is no name of a Maildir`)
    if (type === 'directory') await mkdir(path, { recursive: true, mode: 0o700 })
    else {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await pipeline(entry, createWriteStream(path, { mode: 0o600 }))
      if (mtime) await utimes(path, mtime, mtime)
    }
    entry.resume()
  }
  await fed
}

/** Puts the mail of a file or folder into an account. @returns the exit code */
export async function importMail(source: string, { account: given, mailbox, json }: ImportOptions): Promise<number> {
  const found = await stat(source).catch(() => null)
  if (!found) throw new ApiFailure(`there is no ${source}`, EXIT.NO_INPUT)
  const isMaildir = found.isDirectory()
  await access(source, isMaildir ? constants.R_OK | constants.X_OK : constants.R_OK)
  if (isMaildir && (await foldersOf(source)).length === 0)
    throw new ApiFailure(`${source} is no Maildir: it has no folder cur`, EXIT.DATA)
  const client = await ApiClient.find(process.env)
  const account = await client.account(given)
  const progress = new Progress(isMaildir ? await sizeOf(source) : found.size, json === true)
  const body = progress.counter()
  let unreadable = null as Error | null
  pipeline(isMaildir ? tarOf(source) : createReadStream(source), body).catch((error: Error) => (unreadable = error))
  const query = new URLSearchParams({ format: isMaildir ? 'maildir' : 'mbox', mailbox })
  type Told = { imported: number; skipped: number; ambiguous?: Ambiguous; done?: boolean; error?: string | null }
  let last: Told = { imported: 0, skipped: 0 }
  try {
    const response = await client.request(`/accounts/${account}/import?${query.toString()}`, {
      method: 'POST',
      headers: { 'content-type': isMaildir ? 'application/x-tar' : 'application/mbox' },
      body: Readable.toWeb(body) as never,
      duplex: 'half',
    } as RequestInit)
    for await (const line of linesOf(response)) {
      last = { ...last, ...(JSON.parse(line) as Told) }
      progress.tell({ imported: last.imported, skipped: last.skipped })
    }
  } catch (error) {
    if (unreadable && fileFailure(unreadable)) throw unreadable
    if (error instanceof ApiFailure) throw error
    throw new ApiFailure(
      `the service broke the import off after ${counted(last.imported, 'message')}: run it again, and it passes over those`,
    )
  }
  const { imported, skipped, ambiguous, done, error } = last
  // of an import that was refused as a whole there is nothing to count
  const counts =
    done || imported + skipped > 0 ? `${counted(imported, 'message')} imported, ${skipped} here already` : null
  progress.end({ imported, skipped, ambiguous, error: error ?? null }, counts)
  if (ambiguous && ambiguous.count > 0 && json !== true) tellAmbiguous(ambiguous)
  if (done) return 0
  process.stderr.write(`mailfold: ${error ?? 'the import was cut off'}\n`)
  return error ? EXIT.DATA : EXIT.UNAVAILABLE
}

/** Lines of an mbox that another program might take otherwise: how many, and the first of them. */
type Ambiguous = { count: number; first: { message: number; line: string }[] }

function tellAmbiguous({ count, first }: Ambiguous): void {
  const lines = first.map(({ message, line }) => `  message ${message}: ${line}\n`)
  const more = count > first.length ? `  and ${count - first.length} more\n` : ''
  const said = `${counted(count, 'line')} with "From " at the beginning may begin a message, and went into the one before`
  process.stderr.write(`${said}:\n${lines.join('')}${more}`)
}

/** The lines of an answer, as they come. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of Readable.fromWeb(response.body as never).setEncoding('utf8')) {
    const lines = (rest + String(piece)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

/** Folders of a Maildir that hold messages, as paths in it. One that was exported without INBOX has nothing at the top. */
async function foldersOf(maildir: string): Promise<string[]> {
  const names = ['', ...(await readdir(maildir)).filter((name) => name.startsWith('.'))]
  const mailboxes = names.filter((name) => existsSync(join(maildir, name, 'cur')))
  return mailboxes.flatMap((mailbox) => ['cur', 'new'].map((name) => join(mailbox, name)))
}

async function filesOf(maildir: string, folder: string): Promise<string[]> {
  const names = await readdir(join(maildir, folder)).catch(() => [])
  return names.filter((name) => !name.startsWith('.')).sort()
}

async function sizeOf(maildir: string): Promise<number> {
  let bytes = 0
  for (const folder of await foldersOf(maildir))
    for (const name of await filesOf(maildir, folder)) bytes += (await stat(join(maildir, folder, name))).size
  return bytes
}

function tarOf(maildir: string): Readable {
  const tar = pack()
  const write = async () => {
    for (const folder of await foldersOf(maildir)) {
      for (const name of await filesOf(maildir, folder)) {
        const path = join(maildir, folder, name)
        const { size, mtime } = await stat(path)
        await pipeline(createReadStream(path), tar.entry({ name: join(folder, basename(name)), size, mtime }))
      }
    }
    tar.finalize()
  }
  write().catch((error: unknown) => tar.destroy(error as Error))
  return tar
}

/** Bytes after which a transfer says again, in JSON, how far it is. */
const TOLD_AGAIN = 1024 * 1024

/** Shows how far a transfer is: a bar on standard error, or JSON lines. */
class Progress {
  private readonly bar = progressBar('{bar} {percentage} % of {total} bytes')
  private bytes = 0
  /** bytes that were told of last */
  private told = 0

  constructor(
    private readonly total: number,
    private readonly json: boolean,
    private readonly out: NodeJS.WriteStream = process.stdout,
  ) {
    if (!json) this.bar.start(total, 0)
  }

  /** Counts what passes. */
  counter(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _, done) => {
        this.bytes += chunk.length
        // what wraps the messages is not counted in the total
        if (!this.json) this.bar.update(Math.min(this.bytes, this.total))
        else if (this.bytes - this.told >= TOLD_AGAIN) this.tell({})
        done(null, chunk)
      },
    })
  }

  tell(told: object): void {
    this.told = this.bytes
    if (this.json) this.out.write(JSON.stringify({ ...told, bytes: this.bytes, of: this.total }) + '\n')
  }

  end(told: object, text: string | null): void {
    this.bar.stop()
    if (this.json) this.out.write(JSON.stringify({ ...told, bytes: this.bytes }) + '\n')
    else if (text !== null) process.stderr.write(`${text}\n`)
  }
}
