import { setTimeout as sleep } from 'node:timers/promises'
import { DisconnectedAccount } from './disconnected.ts'
import { PASSWORD } from './imap-server.ts'
import { OnlineAccount } from './online.ts'
import { headerItem, ScriptedImap } from './scripted-imap.ts'
import type { Service } from './service.ts'

/** What is odd about a server's mailboxes. */
export type Oddities = {
  /** what it makes of a name that it is given for a new mailbox */
  named?: (wanted: string) => string
  /** whether it makes the same of a name that it is asked for */
  isNamedOnAsking?: boolean
  /** commands that it refuses, and its answer */
  refused?: { command: RegExp; answer: string }
  /** commands that get OK, and nothing is done */
  ignored?: RegExp
  /** milliseconds that it takes for STATUS */
  statusTakes?: number
  /** milliseconds that it takes for FETCH */
  fetchTakes?: number
}

type Held = { uid: number; subject: string }

/** An IMAP4rev1 server without extensions, with mailboxes that can be made and renamed in odd ways, and with messages that can be copied. */
export class ScriptedMailboxes {
  readonly commands: string[] = []
  readonly mailboxes = new Map<string, Held[]>()
  readonly subscribed = new Set<string>()
  server!: ScriptedImap
  private selected = ''
  private uidNext = 101
  private readonly oddities: Oddities

  private constructor(oddities: Oddities) {
    this.oddities = oddities
  }

  /** @param mailboxes the subjects of the messages in each */
  static async start(mailboxes: Record<string, string[]>, oddities: Oddities = {}): Promise<ScriptedMailboxes> {
    const scripted = new ScriptedMailboxes(oddities)
    for (const [path, subjects] of Object.entries(mailboxes))
      scripted.mailboxes.set(
        path,
        subjects.map((subject) => ({ uid: scripted.uidNext++, subject })),
      )
    scripted.server = await ScriptedImap.start((command, say) => scripted.answer(command, say))
    return scripted
  }

  /** Connects an account. */
  account(service: Service, model: 'DISCONNECTED' | 'ONLINE' = 'DISCONNECTED'): Promise<DisconnectedAccount> {
    const client = async () => ({ close: () => undefined }) as never
    const server = { imapPort: this.server.port, client }
    const account = model === 'ONLINE' ? OnlineAccount : DisconnectedAccount
    return account.connect(service, server, `user ${PASSWORD.length}`)
  }

  /** How often it was told something. */
  asked(pattern: RegExp): number {
    return this.commands.filter((command) => pattern.test(command)).length
  }

  private async answer(command: string, say: (line: string) => void): Promise<string | null> {
    this.commands.push(command)
    const { refused, ignored, statusTakes = 0, fetchTakes = 0 } = this.oddities
    if (ignored?.test(command)) return 'OK done'
    if (refused?.command.test(command)) return refused.answer
    if (/^STATUS/i.test(command) && statusTakes > 0) await sleep(statusTakes)
    if (/^UID FETCH/i.test(command) && fetchTakes > 0) await sleep(fetchTakes)
    if (/^IDLE/i.test(command)) {
      say('+ idling')
      return null
    }
    return this.ofMailboxes(command, say) ?? this.ofMessages(command, say) ?? 'OK done'
  }

  private ofMailboxes(command: string, say: (line: string) => void): string | null {
    const [name = '', to = ''] = namesIn(command)
    const asked = this.oddities.isNamedOnAsking ? this.made(name) : name
    if (/^CAPABILITY/i.test(command)) say('* CAPABILITY IMAP4rev1 IDLE')
    else if (/^LIST "" ""/i.test(command)) say('* LIST (\\Noselect) "/" ""')
    else if (/^LIST/i.test(command)) {
      for (const path of this.mailboxes.keys()) if (/[*%]/.test(to) || path === to) say(`* LIST () "/" ${quoted(path)}`)
    } else if (/^LSUB/i.test(command)) for (const path of this.subscribed) say(`* LSUB () "/" ${quoted(path)}`)
    else if (/^CREATE/i.test(command)) this.mailboxes.set(this.made(name), [])
    else if (/^(STATUS|SELECT|EXAMINE|RENAME|DELETE|SUBSCRIBE)/i.test(command)) {
      const held = this.mailboxes.get(asked)
      if (!held) return 'NO [NONEXISTENT] there is none'
      if (/^STATUS/i.test(command))
        say(`* STATUS ${quoted(name)} (MESSAGES ${held.length} UIDNEXT ${this.uidNext} UIDVALIDITY 9)`)
      else if (/^SUBSCRIBE/i.test(command)) this.subscribed.add(asked)
      else if (/^(SELECT|EXAMINE)/i.test(command)) this.select(asked, held, say)
      else if (/^DELETE/i.test(command)) this.mailboxes.delete(asked)
      else this.rename(asked, to)
    } else if (/^UNSUBSCRIBE/i.test(command)) this.subscribed.delete(asked)
    else return null
    return 'OK done'
  }

  private made(wanted: string): string {
    return this.oddities.named?.(wanted) ?? wanted
  }

  /** With those below (RFC 9051 §6.3.6). */
  private rename(from: string, to: string): void {
    for (const [path, held] of [...this.mailboxes])
      if (path === from || path.startsWith(`${from}/`)) {
        this.mailboxes.delete(path)
        this.mailboxes.set(this.made(to + path.slice(from.length)), held)
      }
  }

  private select(path: string, held: readonly Held[], say: (line: string) => void): void {
    this.selected = path
    for (const line of [`${held.length} EXISTS`, 'OK [UIDVALIDITY 9] valid', `OK [UIDNEXT ${this.uidNext}] next`])
      say(`* ${line}`)
    say('* FLAGS (\\Seen \\Draft \\Flagged \\Deleted)')
  }

  private ofMessages(command: string, say: (line: string) => void): string | null {
    const held = this.mailboxes.get(this.selected) ?? []
    if (/^UID SEARCH/i.test(command)) {
      const from = Number(/UID (\d+):/.exec(command)?.[1] ?? 1)
      const uids = held.map(({ uid }) => uid)
      say(`* SEARCH ${uids.filter((uid) => uid >= from).join(' ')}`)
    } else if (/^UID FETCH/i.test(command)) {
      for (const [index, { uid, subject }] of held.entries()) {
        const items = [`UID ${uid} FLAGS () INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 10`]
        if (/HEADER\.FIELDS/i.test(command))
          items.push(
            headerItem({ Subject: subject, 'Message-ID': `<${subject}@example.org>` }),
            'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1 NIL NIL NIL NIL)',
          )
        say(`* ${index + 1} FETCH (${items.join(' ')})`)
      }
    } else if (/^UID COPY/i.test(command)) {
      const [, , uids = ''] = command.split(' ')
      const target = this.mailboxes.get(namesIn(command.replace(/^UID COPY \S+/i, 'COPY'))[0] ?? '')
      if (!target) return 'NO [TRYCREATE] there is none'
      for (const { uid, subject } of held)
        if (uids.split(',').includes(String(uid))) target.push({ uid: this.uidNext++, subject })
    } else return null
    return 'OK done'
  }
}

/** The names that a command gives: atoms, quoted strings and literals (RFC 9051 §4). */
function namesIn(command: string): string[] {
  const names = [...command.matchAll(/ (?:"((?:[^"\\]|\\.)*)"|\{(\d+)\+?\}\r\n|([^ "{][^ ]*))/g)]
  return names.map(([, inQuotes, size, atom], index) => {
    if (size === undefined) return inQuotes?.replace(/\\(.)/g, '$1') ?? atom ?? ''
    const at = (names[index]?.index ?? 0) + (names[index]?.[0].length ?? 0)
    return command.slice(at, at + Number(size))
  })
}

const quoted = (name: string) => `"${name.replace(/["\\]/g, '\\$&')}"`
