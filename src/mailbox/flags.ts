/** A message's flags and keywords, sorted, each once. System flags begin with a backslash (RFC 9051 §2.3.2). */
export type Flags = readonly string[]

/** Brings flags into their one form. `\Recent` belongs to a session and not to the message, so it is left out. */
export function normaliseFlags(flags: Iterable<string>): Flags {
  const kept = new Map<string, string>() // by lower case, in which flags are compared
  for (const flag of flags) {
    const name = flag.toLowerCase()
    if (name !== '\\recent' && !kept.has(name)) kept.set(name, flag)
  }
  return [...kept].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, flag]) => flag)
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
