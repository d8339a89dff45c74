import { parseCopyUid } from 'imapflow/lib/commands/copyuid-parser.js'
import { formatDateTime } from 'imapflow/lib/tools.js'
import type { Flags } from '../../mailbox/flags.js'
import { groupsOf } from '../../mailbox/groups.js'
import { formatUidSet, parseUidSet, uidSetOf, type UidSet } from '../../mailbox/uid-set.js'
import { expungesSingly, flagsNotKept } from '../../mailbox/upload-plan.js'
import { changedBeforeExpunge } from '../../mailbox/upload-results.js'
import type { FlagsReport, ImapAnswer, ImapConnection } from './imap-connection.js'

/*
 * What changes mail on an IMAP server. Of the selected mailbox, by UID. Every call rejects with ServerFailed; what was refused
 * has changed nothing, as far as the server keeps to the standard.
 */

/** Messages of which the server is asked to say how they are after a change, rather than to change them in silence. */
const FEW = 50

/** UIDs in one command: a set of them stays a line that every server reads. */
const MOST_UIDS = 500

/** Where messages are that were copied, moved or appended: their new UIDs by the old ones (RFC 4315 §3). */
export type NewUids = { uidValidity: string; uids: ReadonlyMap<number, number> }

/** Whether single messages can be expunged (RFC 4315 §2.1). */
export function canExpunge(connection: Pick<ImapConnection, 'offers'>): boolean {
  return expungesSingly((capability) => connection.offers(capability))
}

/** Whether messages can be moved (RFC 6851): a server that offers it, and has refused it without a reason, is not asked for it again. */
export function canMove(connection: Pick<ImapConnection, 'offers'> & { refusesMove?: boolean }): boolean {
  if (connection.refusesMove) return false
  return connection.offers('MOVE') || connection.offers('IMAP4REV2')
}

/**
 * Adds flags to messages, or removes them (STORE, RFC 9051 §6.4.6).
 *
 * @returns the flags that the messages have now, as the server says; null where they show when the mailbox is looked at the next
 *   time: of many it says nothing
 */
export async function storeFlags(
  connection: ImapConnection,
  uids: readonly number[],
  how: 'add' | 'remove',
  flags: Flags,
): Promise<FlagsReport[] | null> {
  const { condstore } = connection.abilities
  const isSilent = condstore && uids.length > FEW
  const item = atom(`${how === 'add' ? '+' : '-'}FLAGS${isSilent ? '.SILENT' : ''}`)
  const reports = new Map<number, FlagsReport>()
  // those of others may come along, and are worth as much
  const take = (report: FlagsReport) => reports.set(report.uid, report)
  for (const group of groupsOf(uids, MOST_UIDS)) {
    const attributes = [sequence(group), item, flags.map(atom)]
    if (isSilent) await connection.execute('UID STORE', attributes)
    else await connection.executeForFlags('UID STORE', attributes, take)
  }
  return uids.every((uid) => reports.has(uid)) ? [...reports.values()] : null
}

/** Copies messages (COPY, RFC 9051 §6.4.7). @returns null where the server does not say where they are */
export function copyMessages(
  connection: ImapConnection,
  uids: readonly number[],
  path: string,
): Promise<NewUids | null> {
  return transfer(connection, 'UID COPY', uids, path)
}

/** Moves messages (MOVE, RFC 6851). @returns null where the server does not say where they are */
export function moveMessages(
  connection: ImapConnection,
  uids: readonly number[],
  path: string,
): Promise<NewUids | null> {
  return transfer(connection, 'UID MOVE', uids, path)
}

async function transfer(
  connection: ImapConnection,
  command: 'UID COPY' | 'UID MOVE',
  uids: readonly number[],
  path: string,
): Promise<NewUids | null> {
  const found = new Map<number, number>()
  let uidValidity: string | null = null
  const take = (answer: object) => {
    const map: { uidValidity?: bigint; uidMap?: Map<number, number> } = {}
    parseCopyUid(answer as never, map as never)
    if (map.uidValidity !== undefined) uidValidity = map.uidValidity.toString()
    for (const [before, after] of map.uidMap ?? []) found.set(before, after)
  }
  for (const group of groupsOf(uids, MOST_UIDS)) {
    const attributes = [sequence(group), atom(connection.encoded(path))]
    take(await connection.execute(command, attributes, { untagged: 'OK', take }))
  }
  return uidValidity === null ? null : { uidValidity, uids: found }
}

/**
 * Marks messages as deleted and expunges them, and no others (UID EXPUNGE, RFC 4315 §2.1). Where the server cannot expunge
 * single messages they are only marked: a bare EXPUNGE would take along what others have marked.
 *
 * What somebody has changed since it was looked at stays as it is: a server with CONDSTORE does not mark it (UNCHANGEDSINCE, RFC 7162 §3.1.3); the
 * answers of others to the mark tell its flags, and the mark is taken away again.
 *
 * @param messages with the flags that each is known to have
 * @param unchangedSince the MODSEQ up to which all changes are known; null without
 * @returns the UIDs of those that were expunged, or marked
 */
export async function expungeMessages(
  connection: ImapConnection,
  messages: readonly { uid: number; flags: Flags }[],
  unchangedSince: string | null,
): Promise<number[]> {
  const { changed, reports } = await markDeleted(connection, messages, unchangedSince)
  const late = changedBeforeExpunge(messages, reports).filter((uid) => !changed.has(uid))
  const unmark = (uids: readonly number[]) => storeFlags(connection, uids, 'remove', ['\\Deleted'])
  if (late.length > 0) await unmark(late)
  const uids = messages.map(({ uid }) => uid).filter((uid) => !changed.has(uid) && !late.includes(uid))
  if (!canExpunge(connection)) return uids
  try {
    for (const group of groupsOf(uids, MOST_UIDS)) await connection.execute('UID EXPUNGE', [sequence(group)])
    return uids
  } catch (error) {
    // left marked, they would go with the next client that expunges the mailbox
    await unmark(uids).catch(() => undefined)
    throw error
  }
}

/** Marks messages as deleted, but for those that have changed. @returns the UIDs of these, and what the server says of the others' flags */
async function markDeleted(
  connection: ImapConnection,
  messages: readonly { uid: number }[],
  unchangedSince: string | null,
): Promise<{ changed: ReadonlySet<number>; reports: FlagsReport[] }> {
  const since = unchangedSince !== null && connection.abilities.condstore ? unchangedSince : null
  const changed = new Set<number>()
  const reports: FlagsReport[] = []
  const condition = since === null ? [] : [[atom('UNCHANGEDSINCE'), atom(since)]]
  const item = atom(since === null ? '+FLAGS' : '+FLAGS.SILENT')
  for (const group of groupsOf(messages, MOST_UIDS)) {
    const attributes = [sequence(group.map(({ uid }) => uid)), ...condition, item, [atom('\\Deleted')]]
    const answer = await connection.executeForFlags('UID STORE', attributes, (report) => reports.push(report))
    const modified = modifiedIn(answer)
    for (const { uid } of group) if (hasUid(modified, uid)) changed.add(uid)
  }
  return { changed, reports }
}

/** The UIDs of messages that a conditional STORE has left as they are (MODIFIED, RFC 7162 §3.1.3). */
function modifiedIn({ attributes }: ImapAnswer): UidSet {
  const [code, uids] = attributes?.[0]?.section ?? []
  if (typeof code?.value !== 'string' || code.value.toUpperCase() !== 'MODIFIED') return []
  return typeof uids?.value === 'string' ? parseUidSet(uids.value) : []
}

const hasUid = (set: UidSet, uid: number) => set.some(([first, last]) => uid >= first && uid <= last)

/**
 * Puts a message into a mailbox (APPEND, RFC 9051 §6.3.12). imapflow's own APPEND looks for the message before it says that the server has it.
 *
 * @returns null where the server does not say where it is
 */
export async function appendMessage(
  connection: ImapConnection,
  path: string,
  raw: Buffer,
  flags: Flags,
  internalDate: Date,
): Promise<{ uidValidity: string; uid: number } | null> {
  // what the selected mailbox is known not to keep, some servers refuse
  const known = connection.selected === path && !connection.isReadOnly ? connection.permanentFlags : null
  const kept = flags.filter((flag) => !flagsNotKept(flags, known).includes(flag)).map(atom)
  const isLiteral8 = connection.offers('BINARY') && raw.includes(0)
  const literal = { type: 'LITERAL', value: raw, isLiteral8 }
  const date = { type: 'STRING', value: formatDateTime(internalDate) }
  const answer = await connection.execute('APPEND', [atom(connection.encoded(path)), kept, date, literal])
  const [code, uidValidity, uid] = answer.attributes?.[0]?.section ?? []
  if (String(code?.value).toUpperCase() !== 'APPENDUID') return null
  if (!/^[1-9]\d*$/.test(String(uidValidity?.value)) || !/^[1-9]\d*$/.test(String(uid?.value))) return null
  return { uidValidity: String(uidValidity?.value), uid: Number(uid?.value) }
}

/** Makes a mailbox (CREATE, RFC 9051 §6.3.4). */
export async function createMailbox(connection: ImapConnection, path: string): Promise<void> {
  await connection.execute('CREATE', [atom(connection.encoded(path))])
}

/** Gives a mailbox another path, and those below it with it (RENAME, RFC 9051 §6.3.6). It must not be selected. */
export async function renameMailbox(connection: ImapConnection, from: string, to: string): Promise<void> {
  await connection.execute('RENAME', [atom(connection.encoded(from)), atom(connection.encoded(to))])
}

/** Deletes a mailbox (DELETE, RFC 9051 §6.3.5). It must not be selected. */
export async function deleteMailbox(connection: ImapConnection, path: string): Promise<void> {
  await connection.execute('DELETE', [atom(connection.encoded(path))])
}

/** Subscribes to a mailbox, or no longer (RFC 9051 §6.3.7, §6.3.8). */
export async function subscribeMailbox(connection: ImapConnection, path: string, subscribed: boolean): Promise<void> {
  await connection.execute(subscribed ? 'SUBSCRIBE' : 'UNSUBSCRIBE', [atom(connection.encoded(path))])
}

const atom = (value: string) => ({ type: 'ATOM', value })
const sequence = (uids: readonly number[]) => ({ type: 'SEQUENCE', value: formatUidSet(uidSetOf(uids)) })
