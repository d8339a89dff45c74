import type { AccountEvent } from './events.js'
import type { PendingOperation } from './operation.js'
import { hideShown, showAsOnServer, type TrackedMessage } from './tracked-message.js'
import { Settling, type SettlementTerms } from './settlement.js'

/*
 * For an ONLINE account nothing waits for a connection. What the server was not told of when there is none is given up; what it was,
 * perhaps, told of is looked for over the next connection, and given up where it was not done.
 */

/** UNSENT: messages of which the server was told nothing. SENT: those of which it was, perhaps, told something. */
export type GivenUp = 'UNSENT' | 'SENT'

/** Whether what is asked of something is among what is given up. */
export function isGivenUp(operations: readonly Pick<PendingOperation, 'isSent'>[], which: GivenUp): boolean {
  return operations.length > 0 && operations.some(({ isSent }) => isSent) === (which === 'SENT')
}

/** Gives up what is asked of messages: each is shown as the server has it, and one that the server never had no longer. */
export function decideGivenUp(
  messages: readonly TrackedMessage[],
  which: GivenUp,
  terms: SettlementTerms,
): AccountEvent[] {
  const settling = new Settling(terms)
  for (const message of messages) {
    const { server, operations } = message
    if (!isGivenUp(operations, which)) continue
    settling.settle(message, operations, 'REJECTED', 'NO_CONNECTION')
    const shown = server.state === 'THERE' ? showAsOnServer(message) : hideShown(message)
    settling.show(message, shown, true)
  }
  return settling.events()
}
