import { getNullableType, isEnumType, isInputObjectType, isInterfaceType, isListType, isObjectType } from 'graphql'
import type { GraphQLField, GraphQLNamedType, GraphQLSchema } from 'graphql'
import type { ComplexityEstimator } from 'graphql-query-complexity'

/** A field of the schema's own description takes this part of what another takes: it is in memory, and short. */
const WEIGHT = 0.6

/** Fields of `__schema`, and of a query, that lead to a type that the client names: it may be the longest. */
const TO_LONGEST: ReadonlySet<string> = new Set(['__type', 'queryType', 'mutationType', 'subscriptionType'])

/** Estimates what questions about the schema itself cost, by the lengths that its lists have on the average. */
export function introspectionEstimator(schema: GraphQLSchema): ComplexityEstimator {
  const { lengths, longest } = lengthsIn(schema)
  return ({ type, field, childComplexity }) => {
    const { name } = field
    if (!type.name.startsWith('__') && name !== '__schema' && name !== '__type') return undefined
    if (TO_LONGEST.has(name)) return WEIGHT + longest * childComplexity
    // most types are wrapped once or twice, and what a client asks for below that is empty
    if (name === 'ofType') return WEIGHT + childComplexity / 4
    if (!isListType(getNullableType((field as GraphQLField<unknown, unknown>).type))) return WEIGHT + childComplexity
    return WEIGHT + (lengths[name] ?? 1) * childComplexity
  }
}

/** The average lengths of lists, by the fields that they are in, and how many times the average the longest list of fields is. */
function lengthsIn(schema: GraphQLSchema) {
  const types = Object.values(schema.getTypeMap())
  const members = types.map(membersOf).filter((count) => count > 0)
  const fields = types.flatMap((type) => (hasFields(type) ? Object.values(type.getFields()) : []))
  const average = sum(members) / Math.max(1, members.length)
  const lengths: Readonly<Record<string, number>> = {
    types: types.length,
    directives: schema.getDirectives().length,
    fields: average,
    inputFields: average,
    enumValues: average,
    args: sum(fields.map(({ args }) => args.length)) / Math.max(1, fields.length),
  }
  return { lengths, longest: Math.max(1, ...members) / Math.max(1, average) }
}

function membersOf(type: GraphQLNamedType): number {
  if (isEnumType(type)) return type.getValues().length
  return hasFields(type) || isInputObjectType(type) ? Object.keys(type.getFields()).length : 0
}

function hasFields(type: GraphQLNamedType) {
  return isObjectType(type) || isInterfaceType(type)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}
