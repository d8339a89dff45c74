import { v7 as newId } from 'uuid'
import type { BlobStore } from '../../content/blobs/blob-store.js'
import { isRefusal } from '../../mailbox/failures.js'
import { decideMailboxGone } from '../../mailbox/mailbox-requests.js'
import type { ServerChange } from '../../mailbox/operation.js'
import type { PlaceThere } from '../../mailbox/server-place.js'
import type { UploadAnswers } from '../../mailbox/upload-answers.js'
import {
  flagsNotKept,
  messagesOf,
  operationOf,
  type TrackedMailbox,
  type UploadSet,
  type UploadStep,
} from '../../mailbox/upload-plan.js'
import {
  aspectOf,
  changeOfRefusal,
  decideCopiedToMove,
  decidePlaced,
  decideUnnumbered,
} from '../../mailbox/upload-results.js'
import type { Logger } from '../../platform/logs.js'
import {
  appendMessage,
  canExpunge,
  canMove,
  copyMessages,
  createMailbox,
  deleteMailbox,
  expungeMessages,
  moveMessages,
  renameMailbox,
  storeFlags,
  subscribeMailbox,
  type NewUids,
} from '../../protocols/imap/changing.js'
import type { FlagsReport, ImapConnection } from '../../protocols/imap/imap-connection.js'
import { causeOfRefusal, type Needs } from '../../protocols/imap/refusal-causes.js'
import type { UploadRecord } from './upload-record.js'

/** What the steps of one round work with. */
export type StepTools = {
  accountId: string
  connection: ImapConnection
  blobs: BlobStore
  logger: Logger
  record: UploadRecord
  /** the mailboxes as they were when the steps were planned, by their ids */
  mailboxes: ReadonlyMap<string, TrackedMailbox>
  /** whether nothing more of the plan is told after this step: only then can operations come to their outcomes */
  isLast: boolean
  /** what the server has answered so far */
  answers: UploadAnswers
  /** asks for the list of mailboxes to be looked at again */
  lookAtList: () => void
}

type Step<Kind extends UploadStep['kind']> = Extract<UploadStep, { kind: Kind }>

/**
 * What is known of what the server did. ALL: its mailboxes need not be looked at. ITS_OWN: where the messages of the step are, and with
 * which flags. NOT_ALL: that shows when they are looked at.
 */
export type Knowledge = 'ALL' | 'ITS_OWN' | 'NOT_ALL'

/**
 * Tells the server one thing, and records what it says.
 *
 * @throws ServerFailed, but for refusals, which are outcomes
 */
export async function takeStep(tools: StepTools, planned: UploadStep): Promise<Knowledge> {
  const { untold: step, told } = tools.answers.part(planned)
  // it was looked at since, and is not so; or it is, and cannot be told again
  if (told?.kind === 'copy')
    await tools.record.ofMessages(messagesOf(told), (messages) => decideUnnumbered(messages, told.to))
  else if (told) await refuse(tools, told, 'SERVER_REFUSED')
  if (!step) return 'NOT_ALL'
  const knowledge = await tell(tools, step)
  return told ? 'NOT_ALL' : knowledge
}

async function tell(tools: StepTools, step: UploadStep): Promise<Knowledge> {
  try {
    if (!(await isPossible(tools, step))) return 'NOT_ALL'
    if (step.kind === 'store') return (await store(tools, step)) ? 'ALL' : 'NOT_ALL'
    return (await send(tools, step)) ? 'ITS_OWN' : 'NOT_ALL'
  } catch (error) {
    if (!isRefusal(error)) throw error
    const { failure } = error
    tools.logger.info({ accountId: tools.accountId, step: step.kind, failure }, 'a server refused an operation')
    const change = failure.command === 'SELECT' ? null : await meaningOf(tools, step, failure.code)
    if (
      step.kind === 'move' &&
      change === 'SERVER_REFUSED' &&
      canMove(tools.connection) &&
      canExpunge(tools.connection)
    ) {
      // what MOVE does not do, COPY and UID EXPUNGE may (RFC 6851 §3.3)
      tools.connection.refusesMove = true
      return tell(tools, step)
    }
    // the mailbox may be gone: the list says so for certain, and what becomes of the operation follows from that
    if (change === null) tools.lookAtList()
    const refused = change === null ? tools.answers.refused(step) : step
    if (refused) await refuse(tools, refused, change ?? 'SERVER_REFUSED')
    return 'NOT_ALL'
  }
}

/** What a refusal means: as its response code says, or, where there is none, as the server says when it is asked. */
async function meaningOf(
  tools: StepTools,
  step: UploadStep,
  code: string | null | undefined,
): Promise<ServerChange | null> {
  const change = changeOfRefusal(code)
  if (change !== 'SERVER_REFUSED') return change
  return (await causeOfRefusal(tools.connection, needsOf(tools, step))) ?? change
}

function needsOf(tools: StepTools, step: UploadStep): Needs {
  const into = (mailboxId: string, bytes: number): Needs => {
    const path = pathOf(tools, mailboxId)
    return { rights: [{ path, right: 'i' }], room: { path, bytes }, free: null }
  }
  const on = (path: string, ...rights: string[]): Needs => {
    return { rights: rights.map((right) => ({ path, right })), room: null, free: null }
  }
  switch (step.kind) {
    case 'append':
      return into(step.mailboxId, step.content.size)
    case 'copy':
      return into(
        step.to,
        step.copies.reduce((sum, { size }) => sum + size, 0),
      )
    case 'move': {
      // as a copy, and then an expunge (RFC 6851 §3.3)
      const { rights, ...rest } = into(step.to, 0)
      return { rights: [...rights, ...on(pathOf(tools, step.from.mailboxId), 't', 'e').rights], ...rest }
    }
    case 'store':
      return on(pathOf(tools, step.on.mailboxId), ...[...step.add, ...step.remove].map(rightOf))
    case 'expunge':
      return on(pathOf(tools, step.on.mailboxId), 't', 'e')
    case 'create':
      return { ...on(step.path), free: step.path }
    case 'rename':
      return { ...on(step.from, 'x'), free: step.to }
    case 'delete':
      return on(step.path, 'x')
    case 'subscribe':
      return on(step.path)
  }
}

/** The right that a flag needs (RFC 4314 §2.1). */
function rightOf(flag: string): string {
  if (/^\\seen$/i.test(flag)) return 's'
  return /^\\deleted$/i.test(flag) ? 't' : 'w'
}

/** @returns whether the server said what it did */
async function send(tools: StepTools, step: Exclude<UploadStep, { kind: 'store' }>): Promise<boolean> {
  const { connection, record, answers } = tools
  switch (step.kind) {
    case 'create':
      await createMailbox(connection, step.path)
      answers.said(step)
      tools.lookAtList()
      await record.mailboxIs(step.mailboxId, step.path, false)
      return true
    case 'rename':
      await renameMailbox(connection, step.from, step.to)
      answers.said(step)
      tools.lookAtList()
      return takeAllAlong(tools, [{ mailboxId: step.mailboxId, path: step.to }, ...step.below])
    case 'subscribe':
      await subscribeMailbox(connection, step.path, step.subscribed)
      answers.said(step)
      await record.mailboxIs(step.mailboxId, step.path, step.subscribed)
      return true
    case 'delete':
      await deleteMailbox(connection, step.path)
      answers.said(step)
      tools.lookAtList()
      await record.ofMailbox(step.mailboxId, (mailbox, terms) => decideMailboxGone(mailbox, [], null, terms))
      return true
    case 'append':
      return append(tools, step)
    case 'copy': {
      const uids = step.copies.map(({ uid }) => uid)
      const placed = await copyMessages(connection, uids, pathOf(tools, step.to))
      answers.said(step)
      return found(tools, step.copies, step.to, placed, false)
    }
    case 'move': {
      const isMove = canMove(connection)
      const placed = await (isMove ? moveMessages : copyMessages)(connection, uidsOf(step.from), pathOf(tools, step.to))
      answers.said(step)
      return found(tools, step.from.messages, step.to, placed, !isMove)
    }
    case 'expunge':
      await expunge(tools, step)
      return false
  }
}

/**
 * Records that mailboxes were renamed, and takes their subscriptions along: one is of a name, and stays with the old one when a mailbox is renamed (RFC 9051
 * §6.3.6, §6.3.7). Where the connection ends at that, the rest is told as any subscription that differs.
 */
async function takeAllAlong(tools: StepTools, renamed: readonly { mailboxId: string; path: string }[]): Promise<true> {
  const { connection, record, mailboxes } = tools
  for (const { mailboxId, path } of renamed) await record.mailboxIs(mailboxId, path, false)
  for (const { mailboxId, path } of renamed) {
    const { serverPath, serverSubscribed } = mailboxes.get(mailboxId) ?? {}
    if (!serverSubscribed || !(await unlessRefused(subscribeMailbox(connection, path, true)))) continue
    await record.mailboxIs(mailboxId, path, true)
    // to what is no longer there; some servers have moved it along, or will not have it ended
    await unlessRefused(subscribeMailbox(connection, serverPath ?? '', false))
  }
  return true
}

/** @returns whether the server did it: it may have given the mailbox another name than it was told */
async function unlessRefused(asked: Promise<void>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    if (!isRefusal(error)) throw error
    return false
  }
}

async function expunge({ connection, mailboxes, answers }: StepTools, step: Step<'expunge'>): Promise<void> {
  const { highestModseq = null } = mailboxes.get(step.on.mailboxId) ?? {}
  const uids = new Set(await expungeMessages(connection, step.on.messages, highestModseq))
  const messages = step.on.messages.filter(({ uid }) => uids.has(uid))
  answers.said({ ...step, on: { ...step.on, messages } })
}

async function store(tools: StepTools, step: Step<'store'>): Promise<boolean> {
  const { connection, record, mailboxes, answers } = tools
  const refused = flagsNotKept(step.add, connection.permanentFlags)
  const ids = messagesOf(step)
  // where none can be set, the user may not
  const change = connection.permanentFlags?.length === 0 ? 'NO_PERMISSION' : 'KEYWORD_NOT_ALLOWED'
  if (refused.length > 0) await record.refused(ids, { flags: refused }, change)
  const add = step.add.filter((flag) => !refused.includes(flag))
  const uids = uidsOf(step.on)
  const { mailboxId } = step.on
  const { uidValidity = null } = mailboxes.get(mailboxId) ?? {}
  let flags: FlagsReport[] | null = []
  if (add.length > 0) flags = await storeFlags(connection, uids, 'add', add)
  if (step.remove.length > 0) flags = await storeFlags(connection, uids, 'remove', step.remove)
  answers.said({ ...step, add })
  if (flags && uidValidity !== null) await record.flagsAre(tools.isLast ? ids : [], { mailboxId, uidValidity }, flags)
  return flags !== null
}

async function append(tools: StepTools, step: Step<'append'>): Promise<boolean> {
  const { messageId, mailboxId, flags, internalDate, content } = step
  const { connection, blobs, record, isLast, answers } = tools
  const { sha256 } = content
  if (sha256 === null || !(await blobs.has(sha256))) {
    await refuse(tools, step, 'SERVER_REFUSED')
    return false
  }
  const raw = Buffer.concat(await blobs.read(sha256).toArray())
  const placed = await appendMessage(connection, pathOf(tools, mailboxId), raw, flags, new Date(internalDate))
  answers.said(step)
  if (!placed) {
    // before anything is looked at, since the connection may end at that: it is there, whatever becomes of it
    await record.ofMessages([messageId], (messages) => decideUnnumbered(messages, mailboxId))
    return false
  }
  const place: PlaceThere = { mailboxId, ...placed, flags, modseq: null }
  await record.ofMessages([messageId], (messages, terms) =>
    decidePlaced(messages, new Map([[messageId, place]]), isLast ? terms : null),
  )
  return true
}

/**
 * Records where messages are that were copied or moved. Where the server does not say it, they are found when their new
 * mailbox is looked at.
 *
 * @param isForMove whether they were copied in order to be moved
 * @returns whether the server said it of all
 */
async function found(
  tools: StepTools,
  messages: readonly { messageId: string; uid: number }[],
  mailboxId: string,
  placed: NewUids | null,
  isForMove: boolean,
): Promise<boolean> {
  if (!placed) return false
  const { uidValidity, uids } = placed
  const newUids = new Map(messages.map(({ messageId, uid }) => [messageId, uids.get(uid)]))
  await tools.record.ofMessages([...newUids.keys()], (tracked, terms) => {
    const places = new Map<string, PlaceThere>()
    for (const { messageId, server, shown } of tracked) {
      const uid = newUids.get(messageId)
      const flags = server.state === 'THERE' ? server.flags : (shown?.data.flags ?? [])
      if (uid !== undefined) places.set(messageId, { mailboxId, uidValidity, uid, flags, modseq: null })
    }
    const final = tools.isLast ? terms : null
    return isForMove ? decideCopiedToMove(tracked, places, final, newId) : decidePlaced(tracked, places, final)
  })
  return messages.every(({ uid }) => uids.has(uid))
}

/** Has the right mailbox selected for a step, or the wrong one not. @returns false where the step was refused, or has to wait */
async function isPossible(tools: StepTools, step: UploadStep): Promise<boolean> {
  const { connection, mailboxes } = tools
  if (step.kind === 'create' || step.kind === 'subscribe' || step.kind === 'append') return true
  if (step.kind === 'rename' || step.kind === 'delete') {
    const path = step.kind === 'rename' ? step.from : step.path
    if (step.kind === 'delete') {
      await connection.select(path)
      if (connection.exists > 0) {
        await refuse(tools, step, 'MAILBOX_NOT_EMPTY')
        return false
      }
    }
    // a server may end the connection over it (Dovecot), over one below as well
    const below = step.kind === 'rename' ? step.below.map(({ mailboxId }) => pathOf(tools, mailboxId)) : []
    if ([path, ...below].includes(connection.selected ?? '')) await connection.select('INBOX', true)
    return true
  }
  const mailbox = mailboxes.get(step.kind === 'copy' || step.kind === 'move' ? fromOf(step) : step.on.mailboxId)
  const path = mailbox?.serverPath ?? ''
  if (connection.selected !== path || connection.isReadOnly) {
    const { uidValidity } = await connection.select(path)
    // numbered anew a moment ago: it is looked at before anything is done by UIDs of before
    if (mailbox?.uidValidity !== uidValidity) return false
  }
  if (step.kind === 'copy' || !connection.isReadOnly) return true
  await refuse(tools, step, 'NO_PERMISSION')
  return false
}

const fromOf = (step: Step<'copy'> | Step<'move'>) => (step.kind === 'copy' ? step.from : step.from.mailboxId)
const pathOf = ({ mailboxes }: StepTools, mailboxId: string) => mailboxes.get(mailboxId)?.serverPath ?? ''
const uidsOf = ({ messages }: UploadSet): number[] => messages.map(({ uid }) => uid)

async function refuse(tools: StepTools, step: UploadStep, change: ServerChange): Promise<void> {
  const ids = messagesOf(step)
  if (ids.length > 0) return tools.record.refused(ids, aspectOf(step), change)
  const kind = operationOf(step)
  if (kind === null || !('mailboxId' in step)) return
  tools.lookAtList()
  await tools.record.mailboxRefused(step.mailboxId, kind, change)
}
