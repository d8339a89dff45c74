/** A message's flags and keywords, sorted, each once. System flags begin with a backslash (RFC 9051 §2.3.2). */
export type Flags = readonly string[]

/** Flags of one message that are kept, the first ones in their order, and characters of each. */
const MOST_FLAGS = 500
const LONGEST_FLAG = 255

/** The system flags as they are written (RFC 9051 §2.3.2), by their names in lower case: case means nothing in them. */
const SYSTEM_FLAGS: ReadonlyMap<string, string> = new Map(
  ['\\Answered', '\\Deleted', '\\Draft', '\\Flagged', '\\Seen'].map((flag) => [flag.toLowerCase(), flag]),
)

/**
 * Brings flags into their one form. `\Recent` belongs to a session and not to the message, so it is left out. System flags come first: what is beyond the
 * bounds of a message is most likely no flag that anybody has set.
 */
export function normaliseFlags(flags: Iterable<string>): Flags {
  const kept = new Map<string, string>() // by lower case, in which flags are compared
  for (const given of flags) {
    const flag = given.slice(0, LONGEST_FLAG)
    const name = flag.toLowerCase()
    if (name !== '' && name !== '\\recent' && !kept.has(name)) kept.set(name, SYSTEM_FLAGS.get(name) ?? flag)
  }
  const sorted = [...kept].sort(([one], [other]) => (one < other ? -1 : 1))
  return (sorted.length > MOST_FLAGS ? mostWanted(sorted) : sorted).map(([, flag]) => flag)
}

function mostWanted(sorted: readonly [string, string][]): [string, string][] {
  const isSystem = ([name]: [string, string]) => name.startsWith('\\')
  const wanted = [...sorted.filter(isSystem), ...sorted.filter((flag) => !isSystem(flag))].slice(0, MOST_FLAGS)
  return wanted.sort(([one], [other]) => (one < other ? -1 : 1))
}

/** Whether two sets of flags, both in their one form, are the same. */
export function sameFlags(one: Flags, other: Flags): boolean {
  return one.length === other.length && one.every((flag, index) => flag.toLowerCase() === other[index]?.toLowerCase())
}

/** Flags with some added and others removed; where one is in both, it is added. */
export function changeFlags(flags: Flags, add: readonly string[], remove: readonly string[]): Flags {
  return normaliseFlags([...flags.filter((flag) => !hasFlag(remove, flag)), ...add])
}

/** Whether a flag is among the given ones. */
export function hasFlag(flags: Flags, flag: string): boolean {
  const name = flag.toLowerCase()
  return flags.some((each) => each.toLowerCase() === name)
}
