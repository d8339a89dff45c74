import type { AccountEvent } from '../../src/mailbox/events.js'

type EventPair = {
  [Type in AccountEvent['type']]: [Type, Extract<AccountEvent, { type: Type }>['data']]
}[AccountEvent['type']]

/** Something that keeps an account from being worked on, or is over; the same for the same number. */
export function anyFailure(one: number): EventPair {
  const kind = one % 2 ? 'BUG' : 'DISK_FULL'
  const failure = { kind, reason: `failed ${one}`, failureId: String(one) } as const
  const choice = one % 5
  if (choice === 0) return ['WorkStopped', failure]
  if (choice === 1) return ['WorkHindered', failure]
  if (choice === 2) return ['WorkUnhindered', {}]
  if (choice === 3) return ['ConnectionLost', { reason: `lost ${one}` }]
  return ['ConnectionLost', { reason: `lost ${one}`, remedy: 'CHANGE_SETTINGS' }]
}
