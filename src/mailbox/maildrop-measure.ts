import type { AccountEvent } from './events.js'
import { levelOf, type CollectionSettings, type MaildropSize } from './maildrop.js'

/** What is known of a maildrop, and what the user has set about it. */
export type KnownMaildrop = {
  collection: Pick<CollectionSettings, 'limit' | 'warnAt'>
  maildrop: (MaildropSize & { level: number }) | null
}

/**
 * Decides what a look at a maildrop changes: how full it is, where that is other than before, and a warning for each level that it has
 * passed.
 *
 * @param told what the server says; the limit that the user has set comes before its own
 */
export function decideMeasured({ collection, maildrop: before }: KnownMaildrop, told: MaildropSize): AccountEvent[] {
  const size = { ...told, limit: collection.limit ?? told.limit }
  const { level, passed } = levelOf(size, collection.warnAt, before?.level ?? 0)
  const isSame =
    before?.messages === size.messages &&
    before.bytes === size.bytes &&
    before.limit === size.limit &&
    before.level === level
  if (isSame) return []
  const warnings = passed.map((each): AccountEvent => {
    return { type: 'MaildropLevelPassed', data: { ...size, level: each } }
  })
  return [{ type: 'MaildropMeasured', data: { ...size, level } }, ...warnings]
}
