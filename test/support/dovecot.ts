import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ImapFlow } from 'imapflow'
import { createTransport, type Transporter } from 'nodemailer'
import { answers, freePorts, imapClient, killGroup, PASSWORD, type MailServer } from './imap-server.ts'
import { install } from './install.ts'
import { fillMaildir } from './maildir.ts'

const run = promisify(execFile)

const PACKAGES = ['dovecot-imapd', 'dovecot-pop3d', 'dovecot-lmtpd', 'openssl']
const PROGRAMS = ['/usr/lib/dovecot/imap', '/usr/lib/dovecot/pop3', '/usr/lib/dovecot/lmtp']
const FILES = ['/usr/sbin/dovecot', ...PROGRAMS, '/usr/bin/openssl']

type Ports = readonly [imap: number, imaps: number, pop3: number, pop3s: number, lmtp: number]

/** A real Dovecot of this process's own: free ports, a folder that goes with it, TLS from an authority made for it. */
export class Dovecot implements MailServer {
  private readonly transport: Transporter

  private readonly folder: string
  private child: ChildProcess
  private readonly lmtpPort: number
  /** plain text and STARTTLS */
  readonly imapPort: number
  readonly imapsPort: number
  /** plain text and STLS */
  readonly pop3Port: number
  readonly pop3sPort: number

  private constructor(
    folder: string,
    child: ChildProcess,
    [imapPort, imapsPort, pop3Port, pop3sPort, lmtpPort]: Ports,
  ) {
    this.folder = folder
    this.child = child
    this.imapPort = imapPort
    this.imapsPort = imapsPort
    this.pop3Port = pop3Port
    this.pop3sPort = pop3sPort
    this.lmtpPort = lmtpPort
    const options = {
      lmtp: true,
      host: '127.0.0.1',
      port: lmtpPort,
      ignoreTLS: true,
      pool: true,
      maxConnections: 4,
      maxMessages: Infinity,
    }
    this.transport = createTransport(options as object)
  }

  /** PEM file of the authority that signed the server's certificate (for "localhost"). */
  get authorityFile(): string {
    return join(this.folder, 'ca.pem')
  }

  /** Address on which the server offers no extension at all, as old servers do. */
  static readonly plainAddress = '127.0.0.2'

  /** @param more of its configuration, at the end */
  static async start(more = ''): Promise<Dovecot> {
    await install(PACKAGES, FILES)
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-dovecot-'))
    await run('chmod', ['0755', folder])
    await makeCertificate(folder)
    const ports = (await freePorts(5)) as unknown as Ports
    const [imap, , , , lmtp] = ports
    for (const name of ['mail', 'run', 'state']) await mkdir(join(folder, name))
    await run('chown', ['mail:mail', join(folder, 'mail')])
    await writeFile(join(folder, 'dovecot.conf'), configuration(folder, ports) + more)
    const child = launch(folder)
    const dovecot = new Dovecot(folder, child, ports)
    await answers(imap)
    await answers(lmtp)
    return dovecot
  }

  /** Ends the server, as if its machine had lost power, and every connection with it. */
  kill(): Promise<void> {
    return killGroup(this.child)
  }

  /** Starts it again on the same mail and ports. */
  async restart(): Promise<void> {
    this.child = launch(this.folder)
    await answers(this.imapPort)
    await answers(this.lmtpPort)
  }

  async stop(): Promise<void> {
    this.transport.close()
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Delivers a raw message into a user's INBOX, as a mail server would (LMTP). */
  async deliver(user: string, raw: string | Buffer): Promise<void> {
    await this.transport.sendMail({ envelope: { from: 'sender@example.org', to: [user] }, raw })
  }

  /** Another mail client on the same mailbox, to change things as its user would. */
  client(user: string): Promise<ImapFlow> {
    return imapClient(this.imapPort, user)
  }

  async fill(user: string, mailboxes: Readonly<Record<string, readonly string[]>>): Promise<void> {
    for (const [path, messages] of Object.entries(mailboxes)) {
      const at = path === 'INBOX' ? null : path
      await fillMaildir(
        this.mailOf(user),
        at,
        messages.length,
        (number) => messages[number] ?? '',
        0,
        () => '',
      )
    }
  }

  /** The plugin `acl` has to be loaded: see RIGHTS_AND_QUOTA. */
  async allow(user: string, path: string, rights: string): Promise<void> {
    await appendFile(join(this.mailOf(user), `.${path}`, 'dovecot-acl'), `owner ${rights}\n`)
  }

  async renumber(user: string, path: string): Promise<void> {
    const list = join(this.mailOf(user), `.${path}`, 'dovecot-uidlist')
    const text = await readFile(list, 'utf8')
    await writeFile(
      list,
      text.replace(/V(\d+)/, (_, number: string) => `V${Number(number) + 7}`),
    )
  }

  /** How often a user has logged in. */
  async logins(user: string): Promise<number> {
    const log = await readFile(join(this.folder, 'dovecot.log'), 'utf8')
    return log.split(`Login: user=<${user}>`).length - 1
  }

  /** Runs doveadm against this server. */
  async doveadm(...args: string[]): Promise<string> {
    const { stdout } = await run('doveadm', ['-c', join(this.folder, 'dovecot.conf'), ...args], {
      maxBuffer: 64 * 1024 ** 2,
    })
    return stdout
  }

  /** A user's Maildir. */
  mailOf(user: string): string {
    return join(this.folder, 'mail', user, 'Maildir')
  }
}

function launch(folder: string): ChildProcess {
  return spawn('dovecot', ['-F', '-c', join(folder, 'dovecot.conf')], { stdio: 'ignore', detached: true })
}

async function makeCertificate(folder: string): Promise<void> {
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '30',
    '-subj',
    '/CN=Mailfold test authority',
  )
  await openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  await writeFile(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.pem',
    '-days',
    '30',
    '-extfile',
    'names',
  )
}

function configuration(folder: string, [imap, imaps, pop3, pop3s, lmtp]: Ports): string {
  return `
protocols = imap pop3 lmtp
listen = 127.0.0.1, ${Dovecot.plainAddress}
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = yes
ssl_cert = <${folder}/server.pem
ssl_key = <${folder}/server.key
disable_plaintext_auth = no
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_home = ${folder}/mail/%u
mail_location = maildir:~/Maildir
mail_fsync = never
mailbox_list_index = yes
auth_username_chars =
auth_failure_delay = 0
mail_max_userip_connections = 200
default_vsz_limit = 0
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${folder}/mail/%u
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \\Sent
    auto = subscribe
  }
  mailbox Drafts {
    special_use = \\Drafts
    auto = create
  }
  mailbox Junk {
    special_use = \\Junk
    auto = create
  }
  mailbox Trash {
    special_use = \\Trash
    auto = create
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  process_min_avail = 1
  service_count = 0
  client_limit = 1000
  inet_listener imap {
    port = ${imap}
  }
  inet_listener imaps {
    port = ${imaps}
    ssl = yes
  }
}
service imap {
  process_limit = 1000
}
service pop3-login {
  process_min_avail = 1
  service_count = 0
  client_limit = 1000
  inet_listener pop3 {
    port = ${pop3}
  }
  inet_listener pop3s {
    port = ${pop3s}
    ssl = yes
  }
}
service pop3 {
  process_limit = 1000
}
protocol pop3 {
  # one session at a time, as RFC 1939 §4 wants it; a second one learns after a second that it has to wait
  pop3_lock_session = yes
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtp}
  }
}
protocol lmtp {
  mail_fsync = never
}
local ${Dovecot.plainAddress} {
  protocol imap {
    imap_capability = IMAP4rev1 IDLE LITERAL+
  }
}
`
}
