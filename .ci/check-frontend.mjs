// Compiles the example documents in test/frontend as frontends do: by relay-compiler, and by graphql-codegen, whose types TypeScript then checks.
import { codegen } from '@graphql-codegen/core'
import * as typescript from '@graphql-codegen/typescript'
import * as operations from '@graphql-codegen/typescript-operations'
import { buildSchema, parse } from 'graphql'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { compileForRelay } from '../test/support/relay-artifacts.ts'

const FOLDER = 'test/frontend'

const folder = await mkdtemp(join(tmpdir(), 'mailfold-frontend-'))
try {
  const artifacts = await readdir(await compileForRelay(folder))
  console.log(`relay-compiler: ${artifacts.length} artifacts`)
  const documents = await readDocuments()
  // each plugin makes types of its own for what it needs of the schema
  const files = {
    'schema-types.ts': await typesBy({ typescript }, []),
    'document-types.ts': await typesBy({ operations }, documents),
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const paths = Object.keys(files).map((name) => join(folder, name))
  const program = ts.createProgram(paths, { strict: true, noEmit: true, skipLibCheck: true, types: [] })
  const wrong = ts.getPreEmitDiagnostics(program)
  for (const { messageText } of wrong) console.error(ts.flattenDiagnosticMessageText(messageText, '\n'))
  if (wrong.length > 0) throw new Error('graphql-codegen has made types that are none')
  console.log('graphql-codegen: types of the schema and of all documents')
} finally {
  await rm(folder, { recursive: true })
}

async function readDocuments() {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.graphql'))
  return Promise.all(
    names.map(async (name) => {
      const location = join(FOLDER, name)
      return { location, document: parse(await readFile(location, 'utf8')) }
    }),
  )
}

async function typesBy(pluginMap, documents) {
  const schema = await readFile('schema.graphql', 'utf8')
  return codegen({
    filename: 'types.ts',
    schema: parse(schema),
    schemaAst: buildSchema(schema),
    documents,
    config: { scalars: { DateTime: 'string' }, strictScalars: true },
    plugins: Object.keys(pluginMap).map((name) => ({ [name]: {} })),
    pluginMap,
  })
}
