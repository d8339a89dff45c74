// Prints the GraphQL schema that the resolvers in dist/ make; fails when something in it has no description.
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

const app = await NestFactory.createApplicationContext(GraphQLSchemaBuilderModule, { logger: false })
const schema = lexicographicSortSchema(
  await app.get(GraphQLSchemaFactory).create(RESOLVERS, [], { scalarsMap: SCALARS }),
)
const missing = []
for (const type of Object.values(schema.getTypeMap())) {
  if (type.name.startsWith('__')) continue
  const isRoot = ['Query', 'Mutation', 'Subscription'].includes(type.name)
  if (!type.description && !isRoot) missing.push(type.name)
  if (isEnumType(type))
    for (const value of type.getValues()) if (!value.description) missing.push(`${type.name}.${value.name}`)
  if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue
  for (const field of Object.values(type.getFields())) {
    if (!field.description) missing.push(`${type.name}.${field.name}`)
    for (const arg of field.args ?? []) if (!arg.description) missing.push(`${type.name}.${field.name}(${arg.name})`)
  }
}
if (missing.length > 0) {
  console.error(`without a description: ${missing.join(', ')}`)
  process.exit(1)
}
process.stdout.write(`# Generated from the resolvers in src/api: npm run schema\n\n${printSchema(schema)}\n`)
process.exit(0)
