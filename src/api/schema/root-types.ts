import type { GraphQLSchema } from 'graphql'

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  Query: 'What can be asked. Most fields answer as of any moment of the past as well.',
  Mutation: 'What can be changed. Expected failures are among the `errors` of the answer.',
  Subscription: 'What can be followed as it happens, and resumed after any cursor.',
}

/** Gives the root types their descriptions, which Nest has no place for. */
export function describeRootTypes(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()])
    if (type) type.description = DESCRIPTIONS[type.name]
  return schema
}
