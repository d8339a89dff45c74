import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ImapFlow } from 'imapflow'
import { answers, freePorts, imapClient, PASSWORD } from './imap-server.ts'
import { install, unpack } from './install.ts'

const run = promisify(execFile)

const PACKAGES = ['cyrus-common', 'sasl2-bin', 'libsasl2-modules']
const FILES = ['/usr/sbin/cyrmaster', '/usr/sbin/saslpasswd2']

/** The mailboxes that every user has beside INBOX. */
const MAILBOXES = ['Drafts', 'Sent', 'Trash']

/** A real Cyrus IMAP of this process's own: a free port, and a folder that goes with it. */
export class Cyrus {
  private readonly folder: string
  private readonly child: ChildProcess
  /** plain text */
  readonly imapPort: number

  private constructor(folder: string, child: ChildProcess, imapPort: number) {
    this.folder = folder
    this.child = child
    this.imapPort = imapPort
  }

  static async start(): Promise<Cyrus> {
    await install(PACKAGES, FILES)
    // Debian's Cyrus and its Dovecot cannot be installed at the same time
    const programs = await unpack('cyrus-imapd', 'usr/lib/cyrus/bin')
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-cyrus-'))
    const [port = 0] = await freePorts(1)
    for (const name of ['config', 'spool', 'run']) await mkdir(join(folder, name))
    await writeFile(join(folder, 'imapd.conf'), imapdConfiguration(folder))
    await writeFile(join(folder, 'cyrus.conf'), masterConfiguration(folder, programs, port))
    await run('chown', ['-R', 'cyrus:mail', folder])
    const args = ['-C', join(folder, 'imapd.conf'), '-M', join(folder, 'cyrus.conf'), '-p', join(folder, 'run/pid')]
    const child = spawn('/usr/sbin/cyrmaster', args, { stdio: 'ignore', detached: true })
    await answers(port)
    return new Cyrus(folder, child, port)
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.child.once('exit', done))
    if (this.child.pid) process.kill(-this.child.pid, 'SIGKILL')
    await ended
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Makes a user with INBOX and the usual mailboxes. */
  async addUser(user: string): Promise<void> {
    const args = ['-p', '-c', '-f', join(this.folder, 'sasldb2'), '-u', 'localhost', user]
    const child = run('/usr/sbin/saslpasswd2', args)
    child.child.stdin?.end(PASSWORD)
    await child
    await run('chown', ['cyrus:mail', join(this.folder, 'sasldb2')])
  }

  /** Another mail client on the same mailbox, to change things as its user would. */
  client(user: string): Promise<ImapFlow> {
    return imapClient(this.imapPort, user)
  }
}

function imapdConfiguration(folder: string): string {
  const settings = {
    configdirectory: join(folder, 'config'),
    'partition-default': join(folder, 'spool'),
    defaultpartition: 'default',
    servername: 'localhost',
    admins: 'cyrus',
    altnamespace: 'yes',
    unixhierarchysep: 'yes',
    allowplaintext: 'yes',
    sasl_pwcheck_method: 'auxprop',
    sasl_auxprop_plugin: 'sasldb',
    sasl_sasldb_path: join(folder, 'sasldb2'),
    sasl_mech_list: 'PLAIN LOGIN',
    autocreate_quota: '0',
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
