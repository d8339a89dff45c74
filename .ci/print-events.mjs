// Prints docs/events.md from src/mailbox/events.ts; fails when an event or a field of one has no description.
import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'

const ROOT = 'src/mailbox/events.ts'
const SHAPES = 'src/mailbox/event-shapes.ts'
const NAMED = [
  'MailboxListing',
  'MessageData',
  'Envelope',
  'Address',
  'Structure',
  'Flags',
  'Origin',
  'Defect',
  'Cause',
  'Protocol',
  'Security',
  'Authentication',
  'Effect',
  'ServerPlace',
  'PlaceThere',
  'PlaceLeft',
  'MessageIdentity',
  'OperationKind',
  'OperationOutcome',
  'OutcomeReason',
  'ServerChange',
  'ConflictPolicy',
  'Namespaces',
  'NamespacePrefix',
  'Selection',
  'ConnectionSchedule',
  'AccessModel',
  'ConnectionRemedy',
  'WorkFailureKind',
  'StoredContent',
  'CopyPlace',
  'DeletionPolicy',
  'Removal',
]
const config = ts.readConfigFile('tsconfig.json', ts.sys.readFile).config
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.')
const program = ts.createProgram([ROOT, SHAPES], options)
const checker = program.getTypeChecker()
const missing = []

/** Exported types of the core, by name, with their declarations. */
const types = new Map()
for (const file of program.getSourceFiles()) {
  if (file.isDeclarationFile) continue
  file.forEachChild((node) => {
    if (ts.isTypeAliasDeclaration(node)) types.set(node.name.text, node)
  })
}

const docOf = (symbol) =>
  ts.displayPartsToString(symbol?.getDocumentationComment(checker) ?? []).replace(/\s*\n\s*/g, ' ')
const aliasDoc = (name) => docOf(checker.getSymbolAtLocation(types.get(name).name))
const escape = (text) => text.replaceAll('|', '\\|')
const written = (type) =>
  checker
    .typeToString(
      type,
      undefined,
      ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseSingleQuotesForStringLiteralType,
    )
    .replaceAll('readonly ', '')

function fields(type, owner) {
  const rows = checker.getPropertiesOfType(type).map((property) => {
    const doc = docOf(property)
    if (!doc) missing.push(`${owner}.${property.name}`)
    const optional = property.flags & ts.SymbolFlags.Optional ? '?' : ''
    const of = written(checker.getTypeOfSymbol(property)).replace(/ \| undefined$/, '')
    return `| \`${property.name}${optional}\` | \`${escape(of)}\` | ${escape(doc)} |`
  })
  return rows.length === 0 ? '' : ['| field | type | what it is |', '| --- | --- | --- |', ...rows].join('\n') + '\n'
}

function event(name, shape) {
  const type = checker.getTypeAtLocation(types.get(name))
  const data = checker.getTypeOfSymbol(type.getProperty('data'))
  const doc = aliasDoc(name)
  if (!doc) missing.push(name)
  return `### ${name}\n\n${doc} Shape ${shape}.\n\n${fields(data, name)}`
}

function named(name) {
  const node = types.get(name)
  const type = checker.getTypeAtLocation(node)
  const doc = aliasDoc(name)
  if (!doc) missing.push(name)
  const isObject = ts.isTypeLiteralNode(node.type)
  const of = isObject ? fields(type, name) : `\`${node.type.getText().replace(/\s+/g, ' ').replace(/^\| /, '')}\`\n`
  return `### ${name}\n\n${doc}\n\n${of}`
}

const shapes = new Map()
const source = program.getSourceFile(SHAPES)
source.forEachChild((node) => {
  const declaration = ts.isVariableStatement(node) ? node.declarationList.declarations[0] : undefined
  if (declaration?.name.getText() === 'EVENT_SHAPES')
    for (const { name, initializer } of declaration.initializer.properties)
      shapes.set(name.getText(), initializer.getText())
})
const union = types.get('AccountEvent').type.types.map((node) => node.getText())

// a shape that changed without a new number would no longer be that of the stored log
const FIXTURES = 'test/fixtures/events'
const stored = readdirSync(FIXTURES).flatMap((name) => JSON.parse(readFileSync(`${FIXTURES}/${name}`, 'utf8')))
for (const name of union) {
  const data = checker.getTypeOfSymbol(checker.getTypeAtLocation(types.get(name)).getProperty('data'))
  const properties = checker.getPropertiesOfType(data)
  for (const { data: kept } of stored.filter(
    ({ type, shape }) => type === name && String(shape) === shapes.get(name),
  )) {
    const wanted = properties.filter((each) => each.name in kept || !(each.flags & ts.SymbolFlags.Optional))
    const [one, other] = [wanted.map((each) => each.name), Object.keys(kept)].map((names) => names.sort().join())
    if (one === other) continue
    console.error(`${name} has the fields ${one}, and in the stored log ${other}: raise its shape, and add an upcaster`)
    process.exit(1)
  }
}

const page = `<!-- Generated from src/mailbox/events.ts: npm run events -->

# Events

Everything that can have happened to an account is one of the events below. They are numbered from 1 without a gap, by
account; each has its version, the time at which it was recorded, and its cause. Their data is stored as JSON, with the
number of its shape: when a shape changes, stored events stay as they are, and are brought into the present one when
they are read (src/mailbox/upcasters.ts). The only thing that rewrites an event's data is forgetting.

Over GraphQL, \`Change.type\` carries these names.

## The events

${union.map((name) => event(name, shapes.get(name))).join('\n')}
## What their data is made of

${NAMED.map(named).join('\n')}`
if (missing.length > 0) {
  console.error(`without a description: ${missing.join(', ')}`)
  process.exit(1)
}
process.stdout.write(page)
