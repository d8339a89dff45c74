import type { CopyPlace } from './collection.js'
import { DEFAULT_POLICY, samePolicy, type DeletionPolicy } from './deletion-policy.js'
import type { AccountEvent } from './events.js'
import { groupsOf } from './groups.js'
import type { Decision } from './local-work.js'
import { localListing, localPathOf } from './local-mailboxes.js'
import type { CollectionSettings } from './maildrop.js'

/*
 * An account becomes OFFLINE: what is shown of it stays, kept here from now on, and independent of the server. Where the server has each
 * message is recorded, so that none is collected a second time, and those of which the content is not here are fetched.
 */

/** Messages, or copies, of which one event tells. */
const PIECE = 500

/** A mailbox of an account of which the mail has been on the server. */
export type MailboxBefore = {
  mailboxId: string
  /** as it is shown */
  path: string
  delimiter: string | null
  specialUse: string | null
  selectable: boolean
  isHidden: boolean
  /** whether its messages are left out of the index */
  isLeftOut: boolean
  /** null where the server does not have it */
  serverPath: string | null
  /** null where it was never opened */
  uidValidity: string | null
  uidNext: number
  serverMessages: number
  complete: boolean
  /** messages that are shown in it and have no UID in its numbering, oldest first */
  unnumbered: readonly string[]
}

/** A message that the server has. */
export type CopyBefore = Omit<CopyPlace, 'uidl' | 'headerHash'> & {
  messageId: string
  sha256: string | null
  internalDate: string
}

/** What bears on an account's becoming OFFLINE. */
export type BeforeOffline = {
  mailboxes: readonly MailboxBefore[]
  copies: readonly CopyBefore[]
  /** messages of which something else is shown than the server has */
  apart: readonly string[]
  /** operations that wait for the server, with the messages of theirs that do */
  waiting: readonly { operationId: string; messageIds: readonly string[] }[]
  collection: CollectionSettings
  deletionPolicy: DeletionPolicy
}

/** Most mailboxes that are collected from. */
const MOST_MAILBOXES = 500

/**
 * Decides what becomes of the mail of an account that becomes OFFLINE. Mail is collected from every mailbox that was in the index; nothing is
 * deleted from the server before a client sets that anew.
 *
 * @param uidValidity numbers the mailboxes that have no numbering yet
 */
export function decideOffline(before: BeforeOffline, uidValidity: string): Decision {
  const kept = before.mailboxes.filter(staysHere)
  const paths = kept.flatMap(({ serverPath }) => serverPath ?? [])
  if (paths.length > MOST_MAILBOXES) {
    const reason = `Mail is collected from ${MOST_MAILBOXES} mailboxes at most, and the account has ${paths.length}.`
    return { failure: { kind: 'ModelNotPossible', reason } }
  }
  const mailboxes = paths.length > 0 ? paths : ['INBOX']
  const events: AccountEvent[] = [
    ...before.waiting.map(untold),
    ...groupsOf(before.apart, PIECE).map(asShown),
    ...before.mailboxes.filter((each) => !staysHere(each)).map(deleted),
    ...kept.flatMap((mailbox) => keptHere(mailbox, uidValidity)),
    ...groupsOf(before.copies, PIECE).map(recorded),
    { type: 'CollectionChanged', data: { ...before.collection, mailboxes } },
    ...noDeletion(before.deletionPolicy),
  ]
  return { events }
}

/** Nothing is deleted from the server before a client sets that anew. */
export function noDeletion(previous: DeletionPolicy): AccountEvent[] {
  if (samePolicy(previous, DEFAULT_POLICY)) return []
  return [{ type: 'DeletionPolicyChanged', data: { policy: DEFAULT_POLICY, previous } }]
}

/** What is only a level of a path, is to be deleted, or is left out has nothing to be kept. */
function staysHere({ selectable, isHidden, isLeftOut, unnumbered }: MailboxBefore): boolean {
  return unnumbered.length > 0 || (selectable && !isHidden && !isLeftOut)
}

function untold({ operationId, messageIds }: BeforeOffline['waiting'][number]): AccountEvent {
  const end = { outcome: 'SUPERSEDED', reason: 'MODEL_CHANGED' } as const
  const settled = messageIds.length > 0 ? [{ ...end, messageIds }] : []
  return { type: 'OperationSettled', data: { operationId, settled, ...end } }
}

function asShown(messageIds: readonly string[]): AccountEvent {
  return {
    type: 'ServerPlacesChanged',
    data: { messages: messageIds.map((messageId) => ({ messageId, server: null })) },
  }
}

function deleted({ mailboxId, path }: MailboxBefore): AccountEvent {
  return { type: 'MailboxDeleted', data: { mailboxId, path } }
}

/** Its numbering goes on from the server's; what has no UID yet gets one. */
function keptHere(mailbox: MailboxBefore, fresh: string): AccountEvent[] {
  const { mailboxId, path: previousPath, delimiter, specialUse, serverMessages, complete, unnumbered } = mailbox
  const uidValidity = mailbox.uidValidity ?? fresh
  const listing = localListing(localPathOf(previousPath, delimiter), specialUse)
  const listed: AccountEvent =
    listing.path === previousPath
      ? { type: 'MailboxChanged', data: { mailboxId, ...listing } }
      : { type: 'MailboxRenamed', data: { mailboxId, previousPath, ...listing } }
  const numbered = groupsOf(unnumbered, PIECE).map((piece, index): AccountEvent => {
    const first = mailbox.uidNext + index * PIECE
    const messages = piece.map((messageId, at) => ({ messageId, uid: first + at, modseq: null }))
    return { type: 'MessagesRenumbered', data: { mailboxId, uidValidity, messages } }
  })
  const uidNext = mailbox.uidNext + unnumbered.length
  const place = { mailboxId, uidValidity, uidNext, highestModseq: null, serverMessages, complete }
  return [listed, ...numbered, { type: 'MailboxSynchronized', data: place }]
}

function recorded(copies: readonly CopyBefore[]): AccountEvent {
  const data = { copies: copies.map((copy) => ({ ...copy, uidl: null, headerHash: null })) }
  return { type: 'ServerCopiesRecorded', data }
}
