import type { CopyPlace } from './collection.js'
import type { AccountEvent, MailboxListing, StoredContent } from './events.js'
import type { MailboxPlace } from './message-changes.js'
import type { MessageData, Origin } from './message.js'
import { redactMessage } from './redaction.js'

/** A mailbox that is kept here (OFFLINE accounts), with what a change of it needs. Its UIDs are given here. */
export type LocalMailbox = MailboxPlace & {
  path: string
  specialUse: string | null
  /** the UID that the next message gets; never given twice (RFC 9051 §2.3.1.1) */
  uidNext: number
  messages: number
  /** messages that the first run was to bring */
  serverMessages: number
  /** whether the first run is through */
  complete: boolean
}

/** What stands between the levels of the paths of mailboxes that are kept here. */
export const DELIMITER = '/'

const FIRST: readonly { path: string; specialUse: string }[] = [
  { path: 'INBOX', specialUse: '\\Inbox' },
  { path: 'Drafts', specialUse: '\\Drafts' },
  { path: 'Sent', specialUse: '\\Sent' },
  { path: 'Trash', specialUse: '\\Trash' },
]

/** How a mailbox that is made here is listed. */
export function localListing(path: string, specialUse: string | null = null): MailboxListing {
  return { path, specialUse, delimiter: DELIMITER, attributes: [], subscribed: true, selectable: true, objectId: null }
}

/** The path here of a mailbox on the server. */
export function localPathOf(path: string, delimiter: string | null): string {
  if (path.toUpperCase() === 'INBOX') return 'INBOX'
  return delimiter === null || delimiter === DELIMITER || path.includes(DELIMITER)
    ? path
    : path.split(delimiter).join(DELIMITER)
}

/** How a new mailbox comes by its id and its numbering. */
export type Maker = { makeId: () => string; uidValidity: string }

/**
 * Makes the mailboxes that collected mail goes to, and, with an account's first run, those that every account has.
 *
 * @param expected how many messages the run has for each path
 */
export function decideOpened(
  mailboxes: readonly LocalMailbox[],
  expected: ReadonlyMap<string, number>,
  { makeId, uidValidity }: Maker,
): AccountEvent[] {
  const known = new Set(mailboxes.map((mailbox) => mailbox.path))
  const events: AccountEvent[] = []
  const first = mailboxes.length === 0 ? FIRST : []
  const wanted = [...first, ...[...expected.keys()].map((path) => ({ path, specialUse: specialUseOf(path) }))]
  for (const { path, specialUse } of wanted) {
    if (known.has(path)) continue
    known.add(path)
    const mailboxId = makeId()
    events.push({ type: 'MailboxCreated', data: { mailboxId, uidValidity, ...localListing(path, specialUse) } })
    const serverMessages = expected.get(path)
    if (serverMessages === undefined) continue
    const place = { mailboxId, uidValidity, uidNext: 1, highestModseq: null, serverMessages, complete: false }
    events.push({ type: 'MailboxSynchronized', data: place })
  }
  return events
}

const specialUseOf = (path: string) => FIRST.find((each) => each.path === path)?.specialUse ?? null

/**
 * Makes the mailboxes that messages from elsewhere go to and that are not there yet, and those that every account has.
 *
 * @returns what is to be recorded, and the mailboxes that it makes
 */
export function decideMade(
  known: readonly LocalMailbox[],
  paths: readonly string[],
  maker: Maker,
): { events: AccountEvent[]; mailboxes: LocalMailbox[] } {
  const { makeId, uidValidity } = maker
  const events = decideOpened(known, new Map(), maker)
  const there = new Set(
    [...known, ...events.flatMap(({ data }) => ('path' in data ? data : []))].map(({ path }) => path),
  )
  for (const path of new Set(paths)) {
    if (there.has(path)) continue
    events.push({ type: 'MailboxCreated', data: { mailboxId: makeId(), uidValidity, ...localListing(path) } })
  }
  const mailboxes = events.flatMap((event): LocalMailbox[] => {
    if (event.type !== 'MailboxCreated') return []
    const { mailboxId, path, specialUse } = event.data
    return [{ mailboxId, uidValidity, path, specialUse, uidNext: 1, messages: 0, serverMessages: 0, complete: true }]
  })
  return { events, mailboxes }
}

/** Closes the first run of the mailboxes that still have it open. */
export function decideCompleted(mailboxes: readonly LocalMailbox[]): AccountEvent[] {
  return mailboxes.filter((mailbox) => !mailbox.complete).map((mailbox) => numbered({ ...mailbox, complete: true }))
}

/** A message that was put into the blob store, or is too large for it, and is to be in a mailbox here. */
export type NewMessage = {
  /** path of the mailbox */
  path: string
  message: Omit<MessageData, 'uid' | 'modseq'>
  /** null where it is not kept */
  content: StoredContent | null
  serverCopy: CopyPlace | null
}

/** What is known that bears on new messages. */
export type NewMessagesView = {
  mailboxes: readonly LocalMailbox[]
  /** the fingerprints among theirs of messages that were forgotten */
  forgotten: ReadonlySet<string>
}

/**
 * Adds messages to mailboxes here, each under the next UID. What was forgotten stays forgotten: only its place is recorded.
 *
 * @param origin null for messages that were collected: those of a first run were there, later ones arrived
 * @throws Error when a mailbox is not there
 */
export function decideNewMessages(
  added: readonly NewMessage[],
  view: NewMessagesView,
  origin: Origin | null,
  makeId: () => string,
): AccountEvent[] {
  const mailboxes = new Map(view.mailboxes.map((mailbox) => [mailbox.path, { ...mailbox }]))
  const touched = new Set<LocalMailbox>()
  const events: AccountEvent[] = []
  for (const { path, message, content, serverCopy } of added) {
    const mailbox = mailboxes.get(path)
    if (!mailbox) throw new Error(`there is no mailbox ${path}`)
    touched.add(mailbox)
    const isForgotten = view.forgotten.has(message.fingerprint)
    const told = { ...message, uid: mailbox.uidNext++, modseq: null }
    const { mailboxId, uidValidity } = mailbox
    events.push({
      type: 'MessageAdded',
      data: {
        ...{ messageId: makeId(), mailboxId, uidValidity },
        ...{ origin: origin ?? (mailbox.complete ? 'ARRIVED' : 'EXISTING'), copyOf: null },
        ...(content && { content: isForgotten ? { sha256: null, size: 0 } : content }),
        ...(serverCopy && { serverCopy }),
        ...(isForgotten ? redactMessage(told) : told),
      },
    })
  }
  return [...events, ...[...touched].map(numbered)]
}

/** Records where a mailbox's numbering stands. */
export function numbered({ mailboxId, uidValidity, uidNext, serverMessages, complete }: LocalMailbox): AccountEvent {
  const data = { mailboxId, uidValidity, uidNext, highestModseq: null, serverMessages, complete }
  return { type: 'MailboxSynchronized', data }
}
