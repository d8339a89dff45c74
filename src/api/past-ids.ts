import { getNullableType, isLeafType, isListType, isNonNullType, isObjectType } from 'graphql'
import type { GraphQLObjectType, GraphQLOutputType, GraphQLSchema } from 'graphql'
import { PastId } from './ids.js'
import { PastState } from './schema/connect.type.js'

/** Has every mutation, and every query with a payload, refuse the id of a past state among its `errors`. */
export function refusePastIds(schema: GraphQLSchema): void {
  for (const root of [schema.getQueryType(), schema.getMutationType()])
    for (const field of Object.values(root?.getFields() ?? {})) {
      const payload = getNullableType(field.type)
      const { resolve } = field
      if (!resolve || !isObjectType(payload) || !payload.getFields()['errors']) continue
      field.resolve = async (source, given, context, info) => {
        try {
          return (await resolve(source, given, context, info)) as unknown
        } catch (error) {
          if (error instanceof PastId) return refusal(payload, error)
          throw error
        }
      }
    }
}

/** A payload with nothing in it but why. */
function refusal(payload: GraphQLObjectType, { message }: PastId): Record<string, unknown> {
  const fields = Object.values(payload.getFields()).map(({ name, type }) => [name, emptyOf(type)])
  const errors = [Object.assign(new PastState(), { message })]
  // `ids` is what the fields of ChangeMessagesPayload are read by
  return { ...(Object.fromEntries(fields) as Record<string, unknown>), ids: [], errors }
}

/** What a field of a payload has where nothing was done: null, no entries, or a count of 0. */
function emptyOf(type: GraphQLOutputType): unknown {
  if (!isNonNullType(type)) return null
  if (isListType(type.ofType)) return []
  return isLeafType(type.ofType) ? 0 : null
}
