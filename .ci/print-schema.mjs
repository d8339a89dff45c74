// Prints the GraphQL schema that the resolvers in dist/ make; fails when something in it has no description that stands alone.
import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import { GraphQLSchemaBuilderModule, GraphQLSchemaFactory } from '@nestjs/graphql'
import {
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql'
import { RESOLVERS } from '../dist/api/api.module.js'
import { SCALARS } from '../dist/api/schema/date-time.js'
import { describeRootTypes } from '../dist/api/schema/root-types.js'

const app = await NestFactory.createApplicationContext(GraphQLSchemaBuilderModule, { logger: false })
const made = await app.get(GraphQLSchemaFactory).create(RESOLVERS, [], { scalarsMap: SCALARS })
const schema = lexicographicSortSchema(describeRootTypes(made))

/** How a description begins that needs another beside it: tools sort and quote them one by one. */
const NEEDS_ANOTHER = /^(The same( as |,|\.)|Their |Those |These |Them |Which\.|What\.|Why\.|How many\.)/
const wrong = []
const judge = (name, { description }) => {
  if (!description) wrong.push(`${name} has no description`)
  else if (NEEDS_ANOTHER.test(description)) wrong.push(`${name} does not stand alone: ${description}`)
}
for (const type of Object.values(schema.getTypeMap())) {
  if (type.name.startsWith('__')) continue
  judge(type.name, type)
  if (isEnumType(type)) for (const value of type.getValues()) judge(`${type.name}.${value.name}`, value)
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue
  for (const field of Object.values(type.getFields())) {
    judge(`${type.name}.${field.name}`, field)
    for (const arg of field.args ?? []) judge(`${type.name}.${field.name}(${arg.name})`, arg)
  }
}
if (wrong.length > 0) {
  console.error(wrong.join('\n'))
  process.exit(1)
}
process.stdout.write(`# Generated from the resolvers in src/api: npm run schema\n\n${printSchema(schema)}\n`)
process.exit(0)
