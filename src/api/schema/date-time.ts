import { GraphQLScalarType, Kind } from 'graphql'
import { z } from 'zod'
import { badInput } from '../ids.js'
import { isNear } from '../moments.js'

/** A day, or a time of a day with or without its distance from UTC; as in a calendar, and of a year of four digits. */
const FORMAT = z.union([z.iso.date(), z.iso.datetime({ offset: true, local: true })])

function read(value: unknown): Date {
  const { success, data } = FORMAT.safeParse(value)
  const time = success ? new Date(data) : null
  if (!time || Number.isNaN(time.getTime()) || !isNear(time.getTime()))
    throw badInput(`${JSON.stringify(value)?.slice(0, 100)} is no date and time, as in "2026-12-03T09:54:33Z".`)
  return time
}

/** A moment, written as in ISO 8601. Nest's own takes whatever JavaScript's Date takes, and makes a date that is none of the rest. */
export const DateTime = new GraphQLScalarType({
  name: 'DateTime',
  description:
    'A moment in the form of RFC 3339, such as 2019-12-03T09:54:33Z. Answers are at UTC. In arguments, a day alone stands for its beginning at UTC.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
  serialize: (value) => (value instanceof Date ? value.toISOString() : null),
  parseValue: read,
  parseLiteral: (node) => read(node.kind === Kind.STRING ? node.value : null),
})

/** The scalars of the schema that Nest does not make as they should be. */
export const SCALARS = [{ type: Date, scalar: DateTime }]
