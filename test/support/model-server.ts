import { hasFlag, normaliseFlags, type Flags } from '../../src/mailbox/flags.js'
import type { MessageData } from '../../src/mailbox/message.js'

export const MAILBOXES = ['INBOX', 'A', 'B'] as const
export const FLAGS = ['\\Seen', '\\Flagged', 'work'] as const

/** A message as a server has it. `born` tells each that was ever made, and goes along when it is moved. */
export type Stored = { uid: number; born: number; content: number; flags: Flags; internalDate: string }

class ServerMailbox {
  uidValidity = 1
  uidNext = 1
  messages: Stored[] = []
}

/** A mail server, as far as RFC 9051 says what it does. */
export class Server {
  readonly mailboxes = new Map<string, ServerMailbox>(MAILBOXES.map((name) => [name, new ServerMailbox()]))
  /** what was made of each content, and by which way */
  readonly births: { content: number; by: 'delivered' | 'copied by others' | 'appended' | 'copied' }[] = []
  /** messages that somebody else expunged */
  readonly expungedByOthers = new Set<number>()
  readonly movedByOthers = new Set<number>()

  of(name: string): ServerMailbox {
    return this.mailboxes.get(name) as ServerMailbox
  }

  add(name: string, message: Omit<Stored, 'uid'>): Stored {
    const mailbox = this.of(name)
    const stored = { ...message, uid: mailbox.uidNext++ }
    mailbox.messages.push(stored)
    return stored
  }

  born(content: number, by: Server['births'][number]['by']): number {
    return this.births.push({ content, by }) - 1
  }

  find(name: string, uidValidity: string, uid: number): Stored | undefined {
    const mailbox = this.of(name)
    if (String(mailbox.uidValidity) !== uidValidity) return undefined
    return mailbox.messages.find((message) => message.uid === uid)
  }

  remove(name: string, uid: number): void {
    const mailbox = this.of(name)
    mailbox.messages = mailbox.messages.filter((message) => message.uid !== uid)
  }

  /** Moves by MOVE: the same message, under another UID. */
  move(from: string, uid: number, to: string): Stored | undefined {
    const message = this.of(from).messages.find((each) => each.uid === uid)
    if (!message) return undefined
    this.remove(from, uid)
    return this.add(to, message)
  }
}

export function dateOf(content: number): string {
  return new Date(1.77e12 + content * 1000).toISOString()
}

export function dataOf(content: number, uid: number, flags: Flags, internalDate: string): MessageData {
  const nobody = { from: [], sender: [], replyTo: [], to: [], cc: [], bcc: [], inReplyTo: null, messageId: null }
  const envelope = { date: null, subject: '', ...nobody }
  const rest = { modseq: null, size: 1, envelope, structure: null, references: [], emailId: null, threadId: null }
  return { uid, flags, internalDate, ...rest, fingerprint: `c${content}`, defects: [] }
}

export function reported({ uid, content, flags, internalDate }: Stored): MessageData {
  return dataOf(content, uid, flags, internalDate)
}

export function toggled(flags: Flags, flag: string): Flags {
  return hasFlag(flags, flag) ? flags.filter((each) => each !== flag) : normaliseFlags([...flags, flag])
}
