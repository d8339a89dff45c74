import { whyNotPossible, type AccessModel, type Protocol } from './access-model.js'
import { decideOffline, type BeforeOffline } from './becoming-offline.js'
import type { AccountEvent } from './events.js'
import { decideNoLongerOffline, partKept, type KeptMail, type Parted } from './leaving-offline.js'
import type { Decision } from './local-work.js'
import { FIRST_SELECTION } from './selection.js'

/** What a change of an account's access model would do; messages, and bytes. */
export type ModelChangePreview = {
  /** operations that wait for the server, and would be given up, or stay here alone */
  waitingOperations: number
  /** messages that are here and on no server, and would be dropped */
  onlyHereMessages: number
  /** messages of which the flags or the place here would give way to those of the server, which may be other ones */
  givingWayMessages: number
  /** raw messages that are here and on the server, and would be dropped, and their bytes */
  dropMessages: number
  dropBytes: number
  /** messages that are here and on no server, and would be uploaded, and their bytes */
  uploadMessages: number
  uploadBytes: number
  /** messages of the index of which the content would be fetched, and their bytes */
  fetchMessages: number
  fetchBytes: number
}

/** What does nothing. */
const NOTHING: ModelChangePreview = {
  ...{ waitingOperations: 0, onlyHereMessages: 0, givingWayMessages: 0, dropMessages: 0, dropBytes: 0 },
  ...{ uploadMessages: 0, uploadBytes: 0, fetchMessages: 0, fetchBytes: 0 },
}

/** What is known of an account of which the model is to be changed. */
export type ModelView = {
  model: AccessModel
  protocol: Protocol
  waitingOperations: number
  /** messages that were made here and have not come to the server */
  madeHere: number
  /** raw messages that are here, and their bytes */
  contents: { messages: number; bytes: number }
  isScheduled: boolean
  hasSelection: boolean
  /** mailboxes that have a selection of their own, and messages that are kept whatever the selections say, by their ids */
  selectedMailboxes: readonly string[]
  keptMessages: readonly string[]
  /** the mail of an account that is to become OFFLINE; null for other changes */
  before: BeforeOffline | null
  /** the mail of an account that is OFFLINE; null for others */
  kept: KeptMail | null
}

/** How what is new is named. */
export type ModelMaker = { makeId: () => string; uidValidity: string }

/** A change: what it does, and the events that make it. */
export type ModelChange = { preview: ModelChangePreview; events: AccountEvent[] }

/**
 * Changes how an account is worked with. What waits, and what is nowhere but here, is given up only where that is confirmed; raw messages
 * that the server has are dropped where nothing is kept. Only one that is DISCONNECTED has selections and a schedule.
 */
export function decideModelChange(
  view: ModelView,
  model: AccessModel,
  isConfirmed: boolean,
  maker: ModelMaker,
): ModelChange | Extract<Decision, { failure: unknown }> {
  const { model: previous, protocol } = view
  if (model === previous) return { preview: NOTHING, events: [] }
  const reason = whyNotPossible(protocol, model)
  if (reason) return { failure: { kind: 'ModelNotPossible', reason } }
  const parted = view.kept && partKept(view.kept)
  const preview = previewOf(view, model, parted)
  const { waitingOperations: operations, onlyHereMessages, givingWayMessages } = preview
  if (!isConfirmed && operations + onlyHereMessages + givingWayMessages > 0)
    return { failure: { kind: 'WouldBeLost', operations, messages: onlyHereMessages + givingWayMessages } }
  const events: AccountEvent[] = model === 'DISCONNECTED' ? [] : unselected(view)
  if (view.before) {
    const decision = decideOffline(view.before, maker.uidValidity)
    if ('failure' in decision) return decision
    events.push(...decision.events)
  }
  if (view.kept && parted && model !== 'OFFLINE')
    events.push(...decideNoLongerOffline(view.kept, parted, model, maker.makeId))
  return { preview, events: [...events, { type: 'ModelChanged', data: { model, previous } }] }
}

function previewOf(view: ModelView, model: AccessModel, parted: Parted | null): ModelChangePreview {
  const { waitingOperations, contents, before } = view
  if (before) {
    const missing = before.copies.filter(({ sha256 }) => sha256 === null)
    return { ...NOTHING, waitingOperations, fetchMessages: missing.length, fetchBytes: bytesOf(missing) }
  }
  if (!parted) {
    if (model !== 'ONLINE') return NOTHING
    const { messages: dropMessages, bytes: dropBytes } = contents
    return { ...NOTHING, waitingOperations, onlyHereMessages: view.madeHere, dropMessages, dropBytes }
  }
  const { same, moved, onlyHere, empty } = parted
  if (model === 'DISCONNECTED') {
    const upload = { uploadMessages: onlyHere.length, uploadBytes: bytesOf(onlyHere) }
    return { ...NOTHING, ...upload, onlyHereMessages: empty.length }
  }
  const there = [...same.values()].flat()
  const copied = [...there, ...moved].filter(({ sha256 }) => sha256 !== null)
  return {
    ...{ ...NOTHING, onlyHereMessages: onlyHere.length + empty.length },
    givingWayMessages: moved.length + there.filter(({ flags }) => flags.length > 0).length,
    ...{ dropMessages: copied.length, dropBytes: bytesOf(copied) },
  }
}

const bytesOf = (all: readonly { size: number }[]) => all.reduce((sum, { size }) => sum + size, 0)

function unselected({ isScheduled, hasSelection, selectedMailboxes, keptMessages }: ModelView): AccountEvent[] {
  const events: AccountEvent[] = selectedMailboxes.map((mailboxId) => {
    return { type: 'SelectionChanged', data: { mailboxId, selection: null } }
  })
  if (hasSelection) events.push({ type: 'SelectionChanged', data: { mailboxId: null, selection: FIRST_SELECTION } })
  if (keptMessages.length > 0) events.push({ type: 'MessagesKept', data: { messageIds: keptMessages, kept: false } })
  if (isScheduled) events.push({ type: 'ConnectionScheduleChanged', data: { schedule: null } })
  return events
}
