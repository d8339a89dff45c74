import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ImapFlow } from 'imapflow'
import { answers, arrivalOf, freePorts, imapClient, killGroup, PASSWORD, type MailServer } from './imap-server.ts'
import { install, unpack } from './install.ts'

const run = promisify(execFile)

const PACKAGES = ['cyrus-common', 'sasl2-bin', 'libsasl2-modules']
const FILES = ['/usr/sbin/cyrmaster', '/usr/sbin/saslpasswd2']

const ADMINISTRATOR = 'administrator'

/** What ImapFlow can do for commands that it does not know, beside its types. */
type Executing = { exec: (command: string, attributes: object[]) => Promise<{ next: () => void }> }

/** The mailboxes that every user has beside INBOX. */
const MAILBOXES = ['Drafts', 'Junk', 'Sent', 'Trash']

/** A real Cyrus IMAP of this process's own: a free port, and a folder that goes with it. */
export class Cyrus implements MailServer {
  private readonly folder: string
  private child: ChildProcess
  /** plain text */
  readonly imapPort: number

  private constructor(folder: string, child: ChildProcess, imapPort: number) {
    this.folder = folder
    this.child = child
    this.imapPort = imapPort
  }

  /** @param quota what each user has room for, in KiB; 0 for any */
  static async start(quota = 0): Promise<Cyrus> {
    await install(PACKAGES, FILES)
    // Debian's Cyrus and its Dovecot cannot be installed at the same time
    const programs = await unpack('cyrus-imapd', 'usr/lib/cyrus/bin')
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-cyrus-'))
    const [port = 0] = await freePorts(1)
    // where imapd is told of news by idled
    for (const name of ['config/socket', 'spool', 'run']) await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, 'imapd.conf'), imapdConfiguration(folder, quota))
    await writeFile(join(folder, 'cyrus.conf'), masterConfiguration(folder, programs, port))
    await run('chown', ['-R', 'cyrus:mail', folder])
    const child = await launched(folder, port)
    const cyrus = new Cyrus(folder, child, port)
    await cyrus.addUser(ADMINISTRATOR)
    return cyrus
  }

  kill(): Promise<void> {
    return killGroup(this.child)
  }

  async restart(): Promise<void> {
    this.child = await launched(this.folder, this.imapPort)
  }

  async stop(): Promise<void> {
    await this.kill()
    // a process of it that is about to end may still write there
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }

  async fill(user: string, mailboxes: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await this.addUser(user)
    const client = await this.client(user)
    for (const [path, messages] of Object.entries(mailboxes)) {
      if (path !== 'INBOX') {
        await client.mailboxCreate(path)
        await client.mailboxUnsubscribe(path)
      }
      for (const [index, raw] of messages.entries()) await client.append(path, raw, [], arrivalOf(index))
    }
    await client.logout()
  }

  async allow(user: string, path: string, rights: string): Promise<void> {
    const client = await this.client(ADMINISTRATOR)
    const atoms = [`user/${user}/${path}`, user, rights].map((value) => ({ type: 'ATOM', value }))
    const { next } = await (client as unknown as Executing).exec('SETACL', atoms)
    next()
    await client.logout()
  }

  /** The mailbox is made again, with the same messages, and nobody subscribed to it. */
  async renumber(user: string, path: string): Promise<void> {
    const client = await this.client(user)
    await client.mailboxOpen(path)
    const messages = await client.fetchAll('1:*', { source: true, flags: true, internalDate: true })
    await client.mailboxClose()
    await client.mailboxDelete(path)
    await client.mailboxCreate(path)
    await client.mailboxUnsubscribe(path)
    for (const { source, flags, internalDate } of messages)
      await client.append(
        path,
        source ?? '',
        [...(flags ?? [])].filter((flag) => flag !== '\\Recent'),
        internalDate,
      )
    await client.logout()
  }

  /** Makes a user with INBOX and the usual mailboxes. */
  private async addUser(user: string): Promise<void> {
    const args = ['-p', '-c', '-f', join(this.folder, 'sasldb2'), '-u', 'localhost', user]
    const child = run('/usr/sbin/saslpasswd2', args)
    child.child.stdin?.end(PASSWORD)
    await child
    await run('chown', ['cyrus:mail', join(this.folder, 'sasldb2')])
  }

  client(user: string): Promise<ImapFlow> {
    return imapClient(this.imapPort, user)
  }
}

/** After a kill a master may not get its port, or its lock, at once: then it is started again. */
async function launched(folder: string, port: number): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    const child = launch(folder)
    try {
      await answers(port)
      return child
    } catch (error) {
      if (child.exitCode === null && child.signalCode === null) await killGroup(child)
      if (attempt === 3) throw error
    }
  }
}

function launch(folder: string): ChildProcess {
  const args = ['-C', join(folder, 'imapd.conf'), '-M', join(folder, 'cyrus.conf'), '-p', join(folder, 'run/pid')]
  return spawn('/usr/sbin/cyrmaster', args, { stdio: 'ignore', detached: true })
}

function imapdConfiguration(folder: string, quota: number): string {
  const settings = {
    configdirectory: join(folder, 'config'),
    'partition-default': join(folder, 'spool'),
    defaultpartition: 'default',
    servername: 'localhost',
    admins: ADMINISTRATOR,
    altnamespace: 'yes',
    unixhierarchysep: 'yes',
    allowplaintext: 'yes',
    sasl_pwcheck_method: 'auxprop',
    sasl_auxprop_plugin: 'sasldb',
    sasl_sasldb_path: join(folder, 'sasldb2'),
    sasl_mech_list: 'PLAIN LOGIN',
    autocreate_quota: String(quota),
    autocreate_inbox_folders: MAILBOXES.join('|'),
    ...Object.fromEntries(MAILBOXES.map((name) => [`xlist-${name.toLowerCase()}`, name])),
    idlesocket: join(folder, 'run/idle'),
    lmtpsocket: join(folder, 'run/lmtp'),
    expunge_mode: 'immediate',
    delete_mode: 'immediate',
    conversations: 'yes',
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')
}

function masterConfiguration(folder: string, programs: string, port: number): string {
  return `START {
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r -C ${folder}/imapd.conf"
  idled cmd="${programs}/idled -C ${folder}/imapd.conf"
}
SERVICES {
  imap cmd="${programs}/imapd -C ${folder}/imapd.conf" listen="127.0.0.1:${port}" prefork=1 maxchild=100
}
EVENTS {
  checkpoint cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -c -C ${folder}/imapd.conf" period=30
}
`
}
