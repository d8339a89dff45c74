/** Most fields of one object among the values of variables: no input type has as many. */
const MOST_FIELDS = 100

/**
 * Whether an object in the values of variables has more fields than any input type. For each field that a type does not have, the check of the values would
 * write all of them into an error.
 */
export function hasTooManyFields(values: Readonly<Record<string, unknown>>): boolean {
  const left: unknown[] = Object.values(values)
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null) continue
    const below = Object.values(value)
    if (!Array.isArray(value) && below.length > MOST_FIELDS) return true
    for (const each of below) left.push(each)
  }
  return false
}
