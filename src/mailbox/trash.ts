import type { AccountEvent } from './events.js'
import type { Decision } from './local-work.js'
import { delimiterOf, requestMailbox, requestMailboxAgain, type NamingView } from './mailbox-requests.js'
import { pathOnServer } from './namespaces.js'
import { requestDeletion, type Request } from './requests.js'
import type { TrackedMessage } from './tracked-message.js'
import type { TrackedMailbox } from './upload-plan.js'

/*
 * Where messages go that are deleted, on a server. A server may have no mailbox for Trash: then one is made with the first
 * deletion. That is an operation of its own, of which the server is told first.
 */

/** What a mailbox for Trash is called that Mailfold makes. */
const NAME = 'Trash'

/** The mailbox for Trash; undefined where none is shown. */
export function trashOf(mailboxes: readonly TrackedMailbox[]): TrackedMailbox | undefined {
  return mailboxes.find(({ specialUse, isHidden }) => specialUse === '\\Trash' && !isHidden)
}

/**
 * Asks for messages to be deleted into Trash, and for Trash to be made where the server has none.
 *
 * @param makeId gives the new mailbox and its operation their ids
 */
export function requestIntoTrash(
  messages: readonly TrackedMessage[],
  view: NamingView,
  request: Request,
  makeId: () => string,
): Decision {
  const making: Request = { operationId: makeId(), kind: 'CREATE_MAILBOX', mailboxId: null, retryOf: null }
  const trash = requestTrash(view, making, makeId)
  if (trash === null) {
    const reason = `has to be true: the server has no Trash, and ${NAME} cannot hold messages`
    return { failure: { kind: 'InvalidSettings', field: 'forGood', reason } }
  }
  return { events: [...trash.events, ...requestDeletion(messages, trash.mailboxId, false, request)] }
}

/** Finds Trash, or asks for it to be made, once more where the server refused that before; null where it cannot be. */
function requestTrash(
  view: NamingView,
  making: Request,
  makeId: () => string,
): { mailboxId: string; events: AccountEvent[] } | null {
  const { mailboxes, namespaces } = view
  const name = pathOnServer(NAME, delimiterOf(mailboxes), namespaces)
  const known = trashOf(mailboxes) ?? mailboxes.find(({ path, isHidden }) => path === name && !isHidden)
  if (known) {
    const { mailboxId, serverPath, operations, selectable } = known
    if (!selectable) return null
    const isAwaited = operations.some(({ kind }) => kind === 'CREATE_MAILBOX')
    return { mailboxId, events: serverPath === null && !isAwaited ? requestMailboxAgain(known, making) : [] }
  }
  const made = requestMailbox(view, NAME, making, makeId, '\\Trash')
  if ('failure' in made) return null
  const [opening] = made.events
  const mailboxId = opening?.type === 'OperationRequested' ? opening.data.mailboxId : null
  const hidden = mailboxes.find((each) => each.mailboxId === mailboxId)
  return mailboxId === null || hidden?.selectable === false ? null : { mailboxId, events: [...made.events] }
}
