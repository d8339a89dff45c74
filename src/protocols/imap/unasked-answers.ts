/* What a server tells unasked, and imapflow has no public door for. */
import type { ImapFlow } from 'imapflow'
import { parseUidSet, uidCount, type UidSet } from '../../mailbox/uid-set.js'

const atom = (value: string) => ({ type: 'ATOM' as const, value })

const MESSAGE_EVENTS = [atom('MessageNew'), atom('MessageExpunge'), atom('FlagChange')]

/** The events of which NOTIFY has the server tell, in all personal mailboxes (RFC 5465 §6). */
export const NOTIFY_ALL = [
  atom('SET'),
  [atom('SELECTED'), MESSAGE_EVENTS],
  [atom('PERSONAL'), [...MESSAGE_EVENTS, atom('MailboxName'), atom('SubscriptionChange')]],
]

/**
 * Has messages that vanished told as the runs of UIDs that they came as (RFC 7162 §3.2.10). imapflow walks through them one by one; a few bytes can name
 * four thousand million of them.
 */
export function hearVanished(client: ImapFlow, vanished: (path: string, gone: UidSet) => void): void {
  const door = client as unknown as {
    untaggedVanished: (untagged: UntaggedVanished, mailbox?: { path: string; exists?: number }) => Promise<void>
  }
  door.untaggedVanished = async ({ attributes = [] }, opening) => {
    const mailbox = opening ?? (client.mailbox || undefined)
    const isEarlier = Array.isArray(attributes[0])
    const { value } = (attributes[isEarlier ? 1 : 0] ?? {}) as { value?: unknown }
    if (!mailbox || typeof value !== 'string') return
    const gone = parseUidSet(value)
    if (!isEarlier && mailbox.exists !== undefined) mailbox.exists = Math.max(0, mailbox.exists - uidCount(gone))
    vanished(mailbox.path, gone)
  }
}

/**
 * Has STATUS and LIST answers told that come when nobody asked, by NOTIFY: imapflow hands them only to a command that asks. @param signal takes the path of
 * the mailbox, or null for the list of mailboxes
 */
export function hearNotifications(client: ImapFlow, signal: (path: string | null) => void): void {
  const { untaggedHandlers } = client as unknown as {
    untaggedHandlers: Record<string, (untagged: UntaggedStatus) => void>
  }
  untaggedHandlers['STATUS'] = ({ attributes }) => {
    const path = attributes?.[0]?.value
    signal(typeof path === 'string' && /^[\x20-\x25\x27-\x7e]+$/.test(path) ? path : null)
  }
  untaggedHandlers['LIST'] = () => signal(null)
}

type UntaggedStatus = { attributes?: { value?: unknown }[] }

type UntaggedVanished = { attributes?: unknown[] }
