// Fails when a client cannot ask for all fields of all members of a union or an interface in one query, without aliases.
import { readFileSync } from 'node:fs'
import {
  buildSchema,
  getNamedType,
  isAbstractType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  OverlappingFieldsCanBeMergedRule,
  parse,
  validate,
} from 'graphql'

const source = readFileSync(process.argv[2] ?? 'schema.graphql', 'utf8')
const schema = buildSchema(source)
const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType)
// a field of the query for each of them, since a union need not be the type of any
const everything = buildSchema(`${printable(source)}
  type Members { ${abstract.map(({ name }) => `all${name}: ${name}`).join('\n')} }`)

let failures = 0
for (const type of abstract) {
  const members = schema.getPossibleTypes(type).map((member) => `... on ${member.name} { ${fieldsOf(member)} }`)
  const document = parse(`{ all${type.name} { __typename ${members.join(' ')} } }`)
  for (const { message } of validate(everything, document, [OverlappingFieldsCanBeMergedRule])) {
    failures++
    console.error(`${type.name}: ${message}`)
  }
}
if (failures > 0) process.exit(1)
console.log(`the members of ${abstract.length} unions and interfaces can be asked for together`)

/** The schema with its members' query in the place of its own. */
function printable(text) {
  return `schema { query: Members }\n${text}`
}

/** All fields of a type that need no argument; of objects only their type, which tells whether they may be null. */
function fieldsOf(type) {
  return Object.values(type.getFields())
    .filter(({ args }) => !args.some(isRequiredArgument))
    .map((field) => {
      const named = getNamedType(field.type)
      return isLeafType(named) || !(isObjectType(named) || isAbstractType(named))
        ? field.name
        : `${field.name} { __typename }`
    })
    .join(' ')
}
