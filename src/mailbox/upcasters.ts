import { EVENT_SHAPES } from './event-shapes.js'
import type { AccountEvent } from './events.js'

/** An event as it lies in the store: its data in the shape of when it was written. */
export type StoredEvent = { type: string; shape: number; data: unknown }

/** The store holds an event that this version of Mailfold does not know: a newer one wrote it. */
export class UnknownEvent extends Error {}

/** Brings data of one shape into the next. */
type Upcaster = (data: never) => unknown

/** By type, the way from shape 1 to 2, from 2 to 3, and so on. */
export type Upcasters = { readonly [Type in AccountEvent['type']]?: readonly Upcaster[] }

/**
 * Every step from an earlier shape to the next. When a shape changes: raise it in EVENT_SHAPES, add the step here, and
 * keep the fixture of the earlier one (test/fixtures/events).
 */
const UPCASTERS: Upcasters = {
  // nobody noted it then; as before, no message in it is looked for elsewhere
  MailboxDiscovered: [(data: object) => ({ ...data, foundLater: false })],
}

/** Brings a stored event into its present shape; one that has it already is returned as it is. @throws UnknownEvent */
export function upcast(
  stored: StoredEvent,
  shapes: Readonly<Record<string, number>> = EVENT_SHAPES,
  upcasters: Upcasters = UPCASTERS,
): AccountEvent {
  const { type, shape } = stored
  const present = shapes[type]
  if (present === undefined || shape > present) throw new UnknownEvent(`${type} in shape ${shape} is not known`)
  let data = stored.data
  for (let from = shape; from < present; from++) {
    const step = upcasters[type as AccountEvent['type']]?.[from - 1]
    if (!step) throw new UnknownEvent(`${type} in shape ${from} cannot be brought into the next`)
    data = step(data as never)
  }
  return { type, data } as AccountEvent
}
