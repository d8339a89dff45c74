/** How much a maildrop holds, or, of an account of which the mail stays on the server, all its mailboxes. */
export type MaildropSize = {
  /** messages in it */
  messages: number
  /** their bytes */
  bytes: number
  /** bytes that it may hold, where the server or the user tells; null elsewhere */
  limit: number | null
}

/** How an IMAP server is made to delete: for good (RFC 4315 UID EXPUNGE), or into its mailbox for Trash (RFC 6851 MOVE). */
export type Removal = 'EXPUNGE' | 'MOVE_TO_TRASH'

/** How an offline account collects. */
export type CollectionSettings = {
  /** minutes between two runs */
  everyMinutes: number
  /** paths of the server's mailboxes that are collected from; INBOX alone over POP3 */
  mailboxes: readonly string[]
  /** how the server is made to delete; over POP3 there is but one way */
  removal: Removal
  /** the maildrop's limit in bytes, for servers that do not tell it */
  limit: number | null
  /** percentages of the limit at which a warning is recorded, ascending */
  warnAt: readonly number[]
}

/** What accounts have that never chose. */
export const DEFAULT_COLLECTION: CollectionSettings = {
  everyMinutes: 10,
  mailboxes: ['INBOX'],
  removal: 'EXPUNGE',
  limit: null,
  warnAt: [80, 90, 95],
}

/** A setting that cannot be used, and why. */
export type BadCollectionSetting = { field: keyof CollectionSettings; reason: string }

/** Checks settings as a client gave them. @returns null when nothing is wrong */
export function whyNoCollection(
  { everyMinutes, mailboxes, removal, limit, warnAt }: CollectionSettings,
  protocol: 'IMAP' | 'POP3',
): BadCollectionSetting | null {
  const bad = (field: keyof CollectionSettings, reason: string) => ({ field, reason })
  if (!Number.isInteger(everyMinutes) || everyMinutes < 1 || everyMinutes > 10_080)
    return bad('everyMinutes', 'must be a whole number from 1 to 10080 (a week)')
  if (mailboxes.length === 0 || mailboxes.length > 500) return bad('mailboxes', 'must name 1 to 500 mailboxes')
  // eslint-disable-next-line no-control-regex
  if (mailboxes.some((path) => path === '' || path.length > 1_000 || /[\u0000-\u001f]/.test(path)))
    return bad('mailboxes', 'must be paths of 1 to 1000 characters, without control characters')
  if (protocol === 'POP3' && (mailboxes.length > 1 || mailboxes[0]?.toUpperCase() !== 'INBOX'))
    return bad('mailboxes', 'POP3 has one maildrop, INBOX')
  if (protocol === 'POP3' && removal !== 'EXPUNGE') return bad('removal', 'POP3 has no Trash to move to')
  if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0))
    return bad('limit', 'must be a number of bytes above 0')
  if (warnAt.length > 10 || warnAt.some((level) => !Number.isInteger(level) || level < 1 || level > 100))
    return bad('warnAt', 'must be up to 10 whole numbers from 1 to 100')
  return null
}

/** How many points below a level the use has to fall before the level can be passed again. */
const HYSTERESIS = 5

/** The level at which a maildrop stands, and the levels that it has passed just now. Percent of the limit; 0 below all. */
export type LevelChange = { level: number; passed: number[] }

/**
 * Compares how full a maildrop is with the levels at which the user wants to be warned. Each is passed once, and again only
 * after the use was five points below it.
 *
 * @param before the level at which it stood
 */
export function levelOf({ bytes, limit }: MaildropSize, warnAt: readonly number[], before: number): LevelChange {
  const used = limit === null ? 0 : (bytes / limit) * 100
  const reached = warnAt.filter((level) => level <= used)
  const held = warnAt.filter((level) => level <= before && level - HYSTERESIS <= used)
  return {
    level: Math.max(0, ...reached, ...held),
    passed: reached.filter((level) => level > before).sort((a, b) => a - b),
  }
}
