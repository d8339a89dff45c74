import { readFileSync } from 'node:fs'
import { buildSchema, getIntrospectionQuery, type ExecutionResult } from 'graphql'
import { Executor } from './execution.js'

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))

/** What becomes of a document that is sent twice: the second time is when it would be compiled. */
async function outcomeOf(source: string, variableValues: Record<string, unknown> = {}) {
  const executor = new Executor(schema)
  const outcome = async (): Promise<ExecutionResult> => {
    try {
      const document = executor.parse(source)
      const errors = executor.validate(document)
      return errors.length > 0 ? { errors } : await executor.run({ schema, document, variableValues })
    } catch (error) {
      return { errors: [error as never] }
    }
  }
  await outcome()
  const { data, errors = [] } = await outcome()
  return { data, code: errors[0]?.extensions['code'], message: errors[0]?.message }
}

/** Fragments that spread the next one twice. */
const doubling = (count: number) =>
  `{ account(id: "x") { ...F0 } } ${Array.from({ length: count }, (_, at) => `fragment F${at} on Account { ...F${at + 1} ...F${at + 1} }`).join(' ')} fragment F${count} on Account { id }`

const times = (count: number, text: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => text(at)).join(' ')

test.each([
  ['22 fragments that spread the next one twice', doubling(22)],
  ['250 fragments that spread the next one twice', doubling(250)],
  ['fields of one name, with selections', `{ ${times(900, () => 'accounts { id }')} }`],
  ['fields of one name, without', `{ accounts { ${times(3_900, () => 'id')} } }`],
  [
    'fields of one name on each of many levels',
    `{ ${times(60, () => 'account(id: 1) { a: mailboxes { id } a: mailboxes { id } }')} ${times(150, () => 'account(id: 1) { mailboxes { id } }')} }`,
  ],
  [
    'fragments beside each other',
    `{ accounts { ${times(250, (at) => `...F${at}`)} } } ${times(250, (at) => `fragment F${at} on Account { a${at}: id }`)}`,
  ],
  ['fragments that nobody uses', `{ accounts { id } } ${doubling(60).replace('{ account(id: "x") { ...F0 } }', '')}`],
  ['a thousand levels', `{ accounts ${'{ a '.repeat(1_000)} { id } ${'}'.repeat(1_000)} }`],
  ['introspection by many names', `{ ${times(200, (at) => `a${at}: __schema { types { fields { name } } }`)} }`],
  [
    'one long type by many names',
    `{ ${times(150, (at) => `a${at}: __type(name: "Mutation") { fields { args { name description } type { fields { name } } } }`)} }`,
  ],
])('%s are refused', async (_, source) => {
  expect(await outcomeOf(source)).toMatchObject({ data: undefined, code: 'TOO_EXPENSIVE' })
})

test('fragments that spread each other in a circle are told as that', async () => {
  expect(
    (await outcomeOf('{ accounts { ...A } } fragment A on Account { ...B } fragment B on Account { ...A }')).message,
  ).toContain('within itself')
})

test('what tools ask about the schema is answered', async () => {
  expect(
    await outcomeOf(getIntrospectionQuery({ oneOf: true, specifiedByUrl: true, inputValueDeprecation: true })),
  ).toMatchObject({ data: { __schema: {} }, code: undefined })
})

test('variables that do not fit are bad input, whatever the cost', async () => {
  const source = 'query ($id: ID!) { account(id: $id) { id } }'
  expect(await outcomeOf(source)).toMatchObject({ code: 'BAD_USER_INPUT' })
  expect(await outcomeOf(source, { id: { a: 1 } })).toMatchObject({ code: 'BAD_USER_INPUT' })
})

test('an input with thousands of fields that it does not have, or a long value, is refused in few words', async () => {
  const source = 'mutation ($input: ConnectAccountInput!) { connectAccount(input: $input) { account { id } } }'
  const fields = Object.fromEntries(Array.from({ length: 40_000 }, (_, at) => [`pasword${at}`, 'x']))
  for (const input of [fields, { host: [fields] }, 'x'.repeat(500_000), { model: 'x'.repeat(500_000) }]) {
    const { code, message } = await outcomeOf(source, { input })
    expect(code).toBe('BAD_USER_INPUT')
    expect(message?.length).toBeLessThanOrEqual(1_000)
  }
})

test('a cost is not taken for that of the same document with other conditions', async () => {
  const executor = new Executor(schema)
  const source = `query ($all: Boolean!, $id: ID!) { account(id: $id) { id ${times(90, (at) => `a${at}: mailboxes @include(if: $all) { id }`)} } }`
  const args = { schema, document: executor.parse(source) }
  const costs = [false, true].map((all) => executor.costOf({ ...args, variableValues: { all, id: 'x' } }))
  expect(costs).toEqual([2, 182])
})
