import { GraphQLID, getNullableType, isInputObjectType, isListType, isObjectType } from 'graphql'
import type { GraphQLArgument, GraphQLInputType, GraphQLSchema } from 'graphql'
import { badInput } from './ids.js'

/** Most characters of a text that a client gives, filters above all. */
export const LONGEST_TEXT = 1_000

/** The longer ones: messages, bounded by the request, and OAuth tokens. */
const LONGER: Readonly<Record<string, number>> = {
  'AppendMessageInput.raw': Infinity,
  'ConnectAccountInput.password': 10_000,
  'ChangeCredentialsInput.password': 10_000,
}

/** Why a text cannot be used in any argument; null where it can. Postgres keeps no NUL, and UTF-8 no half of a surrogate pair. */
export function whyNoText(text: string, longest = LONGEST_TEXT): string | null {
  if (text.length > longest) return `may have ${longest} characters`
  if (text.includes('\0')) return 'may not have a NUL'
  return text.isWellFormed() ? null : 'has half of a surrogate pair'
}

/** Has the arguments of every field checked before it is resolved, whatever the field makes of them. */
export function checkArguments(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue
    for (const field of Object.values(type.getFields())) {
      if (field.args.length === 0) continue
      const { resolve, subscribe, args } = field
      if (resolve)
        field.resolve = (source, given, context, info) => {
          // of a subscription, each event is resolved with the arguments that it was started with
          if (!subscribe) check(args, given as Given)
          return resolve(source, given, context, info) as unknown
        }
      if (subscribe)
        field.subscribe = (source, given, context, info) => {
          check(args, given as Given)
          return subscribe(source, given, context, info) as unknown
        }
    }
  }
}

type Given = Readonly<Record<string, unknown>>

/** @throws GraphQLError BAD_USER_INPUT */
function check(args: readonly GraphQLArgument[], given: Given): void {
  for (const { name, type } of args) checkValue(given[name], type, name, LONGEST_TEXT)
}

function checkValue(value: unknown, nullable: GraphQLInputType, name: string, longest: number): void {
  const type = getNullableType(nullable)
  // an id that is empty is none, and never means "all of them"
  if (value === '' && type === GraphQLID) throw badInput(`\`${name}\` is no id of this API.`)
  if (typeof value === 'string') {
    const why = whyNoText(value, longest)
    if (why) throw badInput(`\`${name}\` ${why}.`)
  } else if (isListType(type) && Array.isArray(value))
    for (const each of value) checkValue(each, type.ofType as GraphQLInputType, name, longest)
  else if (isInputObjectType(type) && value !== null && value !== undefined)
    for (const field of Object.values(type.getFields()))
      checkValue(
        (value as Given)[field.name],
        field.type,
        field.name,
        LONGER[`${type.name}.${field.name}`] ?? LONGEST_TEXT,
      )
}
