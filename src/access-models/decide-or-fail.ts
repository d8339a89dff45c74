import { StreamNotFound, type Streams } from '../event-store/streams.js'
import type { AccountEvent, RecordedEvent } from '../mailbox/events.js'
import type { ChangeFailure, Decision } from '../mailbox/local-work.js'
import type { Queryable } from '../platform/database.js'

/** Decides and records in one transaction; a decision that cannot be made, or an account that is gone, is an answer and no error. */
export async function decideOrFail<View>(
  streams: Streams,
  accountId: string,
  load: (session: Queryable) => Promise<View>,
  decide: (view: View) => Decision,
): Promise<{ events: readonly RecordedEvent[] } | { failure: ChangeFailure }> {
  let failure: ChangeFailure | null = null
  try {
    const { events } = await streams.decide(accountId, load, (view) => {
      const decision = decide(view)
      failure = 'failure' in decision ? decision.failure : null
      return 'failure' in decision ? [] : decision.events
    })
    return failure ? { failure } : { events }
  } catch (error) {
    if (error instanceof StreamNotFound) return { failure: { kind: 'AccountNotFound' } }
    throw error
  }
}

/** The ids of the messages that were added. */
export function addedBy(events: readonly AccountEvent[]): string[] {
  return events.flatMap(({ type, data }) => (type === 'MessageAdded' ? [data.messageId] : []))
}
