import type { AccountEvent } from '../../mailbox/events.js'
import type { NewMessage } from '../../mailbox/local-mailboxes.js'
import type { Database } from '../../platform/database.js'
import { removeUnreferred } from '../unreferred.js'

/** Removes what came again of messages that were forgotten: their contents were stored before that was known. */
export async function removeForgotten(
  tools: { database: Database },
  messages: readonly NewMessage[],
  recorded: readonly AccountEvent[],
): Promise<void> {
  const kept = recorded.flatMap((event) =>
    event.type === 'MessageAdded' && event.data.content ? [event.data.content] : [],
  )
  if (kept.every(({ sha256 }) => sha256 !== null)) return
  const named = new Set(kept.map(({ sha256 }) => sha256))
  const stored = messages.flatMap(({ content }) => content?.sha256 ?? [])
  await removeUnreferred(
    tools,
    stored.filter((sha256) => !named.has(sha256)),
  )
}
