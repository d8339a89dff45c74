import type { AccessModel } from './access-model.js'
import { noDeletion } from './becoming-offline.js'
import type { DeletionPolicy } from './deletion-policy.js'
import type { AccountEvent } from './events.js'
import type { Flags } from './flags.js'
import { groupsOf } from './groups.js'
import { DELIMITER, localPathOf, type LocalMailbox } from './local-mailboxes.js'
import type { Effect, OperationKind } from './operation.js'
import type { MessageIdentity, ServerPlace } from './server-place.js'

/*
 * An account that was OFFLINE has its mail on the server from now on. What a message is here tells what is to become of it:
 *
 *   the server has it  | and it is here          | DISCONNECTED                       | ONLINE
 *   -------------------+-------------------------+------------------------------------+-----------------------------------
 *   yes                | in that mailbox         | the same message, under its UID    | the same message, under its UID
 *   yes                | with flags              | they are added on the server       | those of the server hold
 *   yes                | in another mailbox      | it is moved on the server          | leaves the index, to be found there again
 *   no, or not for sure| with its content        | it is uploaded                     | dropped, where that is confirmed
 *   no, or not for sure| without it              | dropped, where that is confirmed   | dropped, where that is confirmed
 *   yes                | not: it was deleted     | it is found there again            | it is found there again
 *
 * That the server was asked to delete it, and has not said that it did, is "not for sure".
 */

/** Messages of which one event tells. */
const PIECE = 500

/** A message that is kept here. */
export type KeptMessage = {
  messageId: string
  mailboxId: string
  uid: number
  flags: Flags
  identity: MessageIdentity
  /** its content's SHA-256, null where that is not here, and bytes */
  sha256: string | null
  size: number
  /** where the server has it; null where it has not, or that is not for sure */
  copy: { mailbox: string; uidValidity: string; uid: number } | null
}

/** What bears on an account's being OFFLINE no longer. */
export type KeptMail = {
  mailboxes: readonly LocalMailbox[]
  messages: readonly KeptMessage[]
  /** the mailboxes on the server that are collected from, by their paths */
  collectedFrom: readonly string[]
  deletionPolicy: DeletionPolicy
}

/** What becomes of each message: the table above, by its lines. */
export type Parted = {
  /** the mailboxes here that are on the server, by their ids, and their ids by their paths there */
  there: ReadonlyMap<string, MailboxThere>
  atServer: ReadonlyMap<string, string>
  /** by the mailbox that they are in */
  same: Map<string, KeptMessage[]>
  moved: KeptMessage[]
  onlyHere: KeptMessage[]
  /** only here, and without content */
  empty: KeptMessage[]
}

/** A mailbox of the server that mail was collected from, and its numbering there; null where nothing of it is here. */
type MailboxThere = { path: string; delimiter: string; uidValidity: string | null; uidNext: number }

/** What stands between the levels of a path on the server, which was collected from under another one here. */
const DELIMITERS = [DELIMITER, '.', '\\']

/** Tells messages apart by what is to become of them. */
export function partKept(kept: KeptMail): Parted {
  const there = mailboxesThere(kept)
  const atServer = new Map([...there].map(([mailboxId, { path }]) => [path, mailboxId]))
  const parted: Parted = { there, atServer, same: new Map(), moved: [], onlyHere: [], empty: [] }
  for (const message of kept.messages) {
    const home = message.copy && atServer.get(message.copy.mailbox)
    const isCurrent = home && there.get(home)?.uidValidity === message.copy?.uidValidity
    if (isCurrent) (home === message.mailboxId ? sameIn(parted, home) : parted.moved).push(message)
    else (message.sha256 === null ? parted.empty : parted.onlyHere).push(message)
  }
  return parted
}

function sameIn({ same }: Parted, mailboxId: string): KeptMessage[] {
  const messages = same.get(mailboxId) ?? []
  same.set(mailboxId, messages)
  return messages
}

/** The mailboxes here that are on the server, by their ids. */
function mailboxesThere({ mailboxes, messages, collectedFrom }: KeptMail): Map<string, MailboxThere> {
  const there = new Map<string, MailboxThere>()
  const copies = Map.groupBy(
    messages.flatMap(({ copy }) => copy ?? []),
    ({ mailbox }) => mailbox,
  )
  for (const path of new Set([...copies.keys(), ...collectedFrom])) {
    const under = (delimiter: string) => mailboxes.find((each) => each.path === localPathOf(path, delimiter))
    const delimiter = DELIMITERS.find(under)
    const mailbox = delimiter && under(delimiter)
    if (!mailbox) continue
    const of = copies.get(path) ?? []
    const newest = of.reduce((most, { uidValidity }) => (BigInt(uidValidity) > most ? BigInt(uidValidity) : most), 0n)
    const uids = of.flatMap(({ uidValidity, uid }) => (BigInt(uidValidity) === newest ? [uid] : []))
    const uidNext = uids.reduce((most, uid) => Math.max(most, uid), 0) + 1
    const uidValidity = of.length > 0 ? newest.toString() : null
    there.set(mailbox.mailboxId, { path, delimiter, uidValidity, uidNext })
  }
  return there
}

/**
 * Decides what becomes of the mail of an account that is OFFLINE no longer.
 *
 * @param makeId gives each operation its id
 */
export function decideNoLongerOffline(
  kept: KeptMail,
  parted: Parted,
  model: Exclude<AccessModel, 'OFFLINE'>,
  makeId: () => string,
): AccountEvent[] {
  const { there } = parted
  const events = noDeletion(kept.deletionPolicy)
  const dropped = model === 'ONLINE' ? [...parted.onlyHere, ...parted.moved, ...parted.empty] : parted.empty
  events.push(...dropped.flatMap(drop))
  for (const mailbox of kept.mailboxes) {
    const place = there.get(mailbox.mailboxId)
    if (place) events.push(...putBack(mailbox, place))
  }
  const inMailbox = Map.groupBy(kept.messages, ({ mailboxId }) => mailboxId)
  for (const mailbox of kept.mailboxes) {
    const { uidValidity } = there.get(mailbox.mailboxId) ?? {}
    const messages = parted.same.get(mailbox.mailboxId) ?? []
    const taken = new Set(inMailbox.get(mailbox.mailboxId)?.map(({ uid }) => uid))
    if (uidValidity) events.push(...numberedAsThere(mailbox, messages, taken, uidValidity))
  }
  if (model === 'DISCONNECTED') events.push(...toUpload(kept, parted, makeId))
  const isUsed = new Set(
    model === 'DISCONNECTED' ? [...parted.moved, ...parted.onlyHere].map((each) => each.mailboxId) : [],
  )
  for (const { mailboxId, path } of kept.mailboxes)
    if (!there.has(mailboxId) && !isUsed.has(mailboxId))
      events.push({ type: 'MailboxDeleted', data: { mailboxId, path } })
  return events
}

function drop({ messageId, mailboxId, uid, flags, identity, sha256 }: KeptMessage): AccountEvent[] {
  const expunged: AccountEvent = { type: 'MessageExpunged', data: { messageId, mailboxId, uid, flags, ...identity } }
  return sha256 === null ? [expunged] : [{ type: 'MessageContentDropped', data: { messageId } }, expunged]
}

/** It stands where mail was collected up to; the first look at it brings the rest, and what became of flags. */
function putBack(mailbox: LocalMailbox, { path, delimiter, uidValidity, uidNext }: MailboxThere): AccountEvent[] {
  const { mailboxId, path: previousPath, specialUse } = mailbox
  const listing = { path, specialUse, delimiter, attributes: [], subscribed: true, selectable: true, objectId: null }
  const place = { mailboxId, uidValidity: uidValidity ?? mailbox.uidValidity, uidNext, highestModseq: null }
  return [
    ...(path === previousPath
      ? []
      : [{ type: 'MailboxRenamed' as const, data: { mailboxId, previousPath, ...listing } }]),
    { type: 'MailboxSynchronized', data: { ...place, serverMessages: 0, complete: false } },
  ]
}

/**
 * Messages of a mailbox get the UIDs that they have on the server; those that have them already keep them.
 *
 * @param taken the UIDs that messages of the mailbox have here
 */
function numberedAsThere(
  mailbox: LocalMailbox,
  messages: readonly KeptMessage[],
  taken: ReadonlySet<number>,
  uidValidity: string,
): AccountEvent[] {
  const { mailboxId } = mailbox
  const isSameNumbering = mailbox.uidValidity === uidValidity
  const changing = messages.filter(({ uid, copy }) => !isSameNumbering || uid !== copy?.uid)
  // where a UID that one gets is that which another has now, all give theirs up first
  const isTaken = isSameNumbering && changing.some(({ copy }) => copy !== null && taken.has(copy.uid))
  return [
    ...(isTaken ? renumbered(mailboxId, '0', changing, () => 0) : []),
    ...renumbered(mailboxId, uidValidity, changing, ({ copy }) => copy?.uid ?? 0),
  ]
}

function renumbered(
  mailboxId: string,
  uidValidity: string,
  messages: readonly KeptMessage[],
  uidOf: (message: KeptMessage) => number,
): AccountEvent[] {
  return groupsOf(messages, PIECE).map((piece) => {
    const named = piece.map((message) => ({ messageId: message.messageId, uid: uidOf(message), modseq: null }))
    return { type: 'MessagesRenumbered', data: { mailboxId, uidValidity, messages: named } }
  })
}

/** Operations that bring to the server what is only here: mailboxes, messages, where they are, and their flags. */
function toUpload({ mailboxes }: KeptMail, parted: Parted, makeId: () => string): AccountEvent[] {
  const events: AccountEvent[] = []
  const request = (kind: OperationKind, mailboxId: string | null, effects: readonly Effect[]) =>
    events.push({
      type: 'OperationRequested',
      data: { operationId: makeId(), kind, mailboxId, effects, retryOf: null },
    })
  const { there, atServer } = parted
  const moved = Map.groupBy(parted.moved, ({ mailboxId }) => mailboxId)
  const added = Map.groupBy(parted.onlyHere, ({ mailboxId }) => mailboxId)
  for (const { mailboxId } of mailboxes) {
    const [moves, appends] = [moved.get(mailboxId) ?? [], added.get(mailboxId) ?? []]
    if (moves.length + appends.length === 0) continue
    if (!there.has(mailboxId)) {
      request('CREATE_MAILBOX', mailboxId, [])
      events.push({ type: 'ServerMailboxChanged', data: { mailboxId, path: null, subscribed: false } })
    }
    const from = ({ copy }: KeptMessage) => atServer.get(copy?.mailbox ?? '') ?? mailboxId
    if (moves.length > 0)
      request(
        'MOVE',
        mailboxId,
        moves.map((message) => ({ messageId: message.messageId, from: from(message), to: mailboxId })),
      )
    if (appends.length > 0)
      request(
        'APPEND',
        mailboxId,
        appends.map(({ messageId }) => ({ messageId, to: mailboxId })),
      )
    events.push(...renumbered(mailboxId, '0', [...moves, ...appends], () => 0))
  }
  const onServer = [...[...parted.same.values()].flat(), ...parted.moved]
  // what the server has of them is not known: what is set here is set there, and nothing is taken away
  const flagged = onServer.filter(({ flags }) => flags.length > 0)
  if (flagged.length > 0)
    request(
      'CHANGE_FLAGS',
      null,
      flagged.map(({ messageId, flags }) => ({ messageId, added: flags, removed: [] })),
    )
  const isMoved = new Set(parted.moved)
  const apart = onServer.filter((message) => message.flags.length > 0 || isMoved.has(message))
  const placeOf = ({ copy }: KeptMessage): ServerPlace => {
    const mailboxId = atServer.get(copy?.mailbox ?? '')
    if (!copy || !mailboxId) return { state: 'NOT_YET' }
    return { state: 'THERE', mailboxId, uidValidity: copy.uidValidity, uid: copy.uid, flags: [], modseq: null }
  }
  const places = [
    ...parted.onlyHere.map(({ messageId, identity }) => ({
      messageId,
      server: { state: 'NOT_YET' } as const,
      identity,
    })),
    ...apart.map((message) => ({ messageId: message.messageId, server: placeOf(message), identity: message.identity })),
  ]
  events.push(
    ...groupsOf(places, PIECE).map((messages): AccountEvent => ({ type: 'ServerPlacesChanged', data: { messages } })),
  )
  return events
}
