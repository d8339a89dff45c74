import { execFile } from 'node:child_process'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const someFlags = (number: number) => `${number % 3 === 0 ? 'S' : ''}${number % 50 === 0 ? 'F' : ''}`

/**
 * Fills a mailbox of a Maildir by writing its files, which is much faster than to deliver: for generated mailboxes that
 * are there before anybody looks.
 *
 * @param mailbox its name; null for INBOX
 * @param count how many messages; `make` gives each by its number
 * @param from the place in time of the first of them
 * @param flagsOf the flags of each, as Maildir writes them
 */
export async function fillMaildir(
  maildir: string,
  mailbox: string | null,
  count: number,
  make: (number: number) => string | Buffer,
  from = 0,
  flagsOf: (number: number) => string = someFlags,
): Promise<void> {
  const folder = mailbox === null ? maildir : join(maildir, `.${mailbox.replaceAll('/', '.')}`)
  for (const name of ['cur', 'new', 'tmp']) await mkdir(join(folder, name), { recursive: true })
  if (mailbox !== null) await writeFile(join(folder, 'maildirfolder'), '')
  for (let at = 0; at < count; at += 200) {
    const piece = Array.from({ length: Math.min(200, count - at) }, (_, index) => at + index)
    await Promise.all(
      piece.map(async (number) => {
        const seconds = 1_767_225_600 + (from + number) * 60
        const path = join(folder, 'cur', `${seconds}.M${number}P1.localhost:2,${flagsOf(number)}`)
        await writeFile(path, make(number))
        await utimes(path, seconds, seconds)
      }),
    )
  }
  // the user's home is above the Maildir, and Dovecot makes files in both
  await run('chown', ['-R', 'mail:mail', join(maildir, '..')])
}
