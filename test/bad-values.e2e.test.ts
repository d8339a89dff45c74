import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import {
  buildSchema,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
} from 'graphql'
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { mail } from './support/mail.ts'
import { Service, type Answer } from './support/service.ts'

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))

let dovecot: Dovecot
let service: Service
/** Ids that are there, by what they are of. */
let ids: Record<string, string>

beforeAll(async () => {
  dovecot = await Dovecot.start()
  await dovecot.fill('alice', { INBOX: [1, 2, 3].map((number) => mail(number)), Work: [mail(4)] })
  service = await Service.start({
    MAILFOLD_TLS_CA: dovecot.authorityFile,
    MAILFOLD_CONNECT_TIMEOUT: '500',
    MAILFOLD_CONTENT_TIMEOUT: '2000',
    MAILFOLD_LOG_LEVEL: 'warn',
  })
  const account = await service.connect({
    host: 'localhost',
    port: dovecot.imapsPort,
    username: 'alice',
    password: PASSWORD,
  })
  await service.synced(account)
  type Found = { account: { mailboxes: { id: string }[]; messages: { nodes: { id: string }[] } } }
  const query = 'query ($id: ID!) { account(id: $id) { mailboxes { id } messages { nodes { id } } } }'
  const { account: found } = await service.ask<Found>(query, { id: account })
  const nobody = (type: string) => Buffer.from(`${type}:01a210be-7f7a-706a-9cd6-6bfc63ab2289`).toString('base64url')
  ids = {
    account,
    mailbox: found.mailboxes[0]?.id ?? '',
    message: found.messages.nodes[0]?.id ?? '',
    operation: nobody('Operation'),
    session: nobody('Session'),
    nobody: nobody('Account'),
  }
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
})

type Input = Pick<GraphQLArgument | GraphQLInputField, 'name' | 'type'>
type Field = { of: string; field: GraphQLField<unknown, unknown> }
/** An argument, or a field of one, that takes a single value, and how it is reached. */
type Leaf = Field & { path: string[]; type: string }

/** Every field that has arguments. */
const FIELDS: Field[] = Object.values(schema.getTypeMap())
  .filter(isObjectType)
  .filter((type) => !type.name.startsWith('__'))
  .flatMap((type) => Object.values(type.getFields()).map((field) => ({ of: type.name, field })))
  .filter(({ field }) => field.args.length > 0)

function leavesOf({ name, type }: Input): { path: string[]; type: string }[] {
  const named = getNamedType(type)
  const below = isInputObjectType(named) ? Object.values(named.getFields()).flatMap(leavesOf) : []
  if (!isInputObjectType(named)) return [{ path: [name], type: named.name }]
  return below.map((leaf) => ({ ...leaf, path: [name, ...leaf.path] }))
}

const LEAVES: Leaf[] = FIELDS.flatMap((place) =>
  place.field.args.flatMap((arg) => leavesOf(arg).map((leaf) => ({ ...place, ...leaf }))),
)

/** Where objects with arguments of their own are found. */
const AROUND: Record<string, (inner: string) => string> = {
  Query: (inner) => inner,
  Mutation: (inner) => inner,
  Subscription: (inner) => inner,
  Account: (inner) => `account(id: "${ids['account']}") { ${inner} }`,
  Mailbox: (inner) => `mailbox(id: "${ids['mailbox']}") { ${inner} }`,
  Message: (inner) => `message(id: "${ids['message']}") { ${inner} }`,
  CandidateGroup: (inner) => `account(id: "${ids['account']}") { deletionCandidates { ${inner} } }`,
}

/** What the account must not lose while the test goes on is asked of one that is not there. */
const HARMFUL = /forget|changeModel|changeCredentials|deleteCandidates/

function idFor({ field }: Field, name: string): string {
  if (/operation/i.test(name)) return ids['operation'] ?? ''
  if (/session/i.test(name)) return ids['session'] ?? ''
  if (/mailbox/i.test(name) || /^parent/.test(name)) return ids['mailbox'] ?? ''
  if (/message|replaces/i.test(name) || /^message|^thread/.test(field.name)) return ids['message'] ?? ''
  if (/mailbox/i.test(field.name)) return ids['mailbox'] ?? ''
  return (HARMFUL.test(field.name) ? ids['nobody'] : ids['account']) ?? ''
}

/** A value that fits, of what has to be given and of what lies on a path. */
function fitting(place: Field, { name, type }: Input, path: readonly string[] | null, value: unknown): unknown {
  const [, ...rest] = path ?? []
  const inner = getNullableType(type)
  if (isListType(inner)) return [fitting(place, { name, type: inner.ofType as GraphQLInputType }, path, value)]
  if (path && rest.length === 0) return value
  if (isInputObjectType(inner)) {
    const fields = Object.values(inner.getFields()).filter(
      (field) => field.name === rest[0] || (isNonNullType(field.type) && field.defaultValue === undefined),
    )
    return Object.fromEntries(
      fields.map((field) => [field.name, fitting(place, field, field.name === rest[0] ? rest : null, value)]),
    )
  }
  if (isEnumType(inner)) return inner.getValues()[0]?.name
  const examples: Record<string, unknown> = {
    ...{ ID: idFor(place, name), String: 'localhost', Int: 1, Float: 1, Boolean: true },
    DateTime: '2026-01-01T00:00:00Z',
  }
  return examples[inner.name]
}

function selectionOf({ field }: Field): string {
  const named = getNamedType(field.type)
  return 'getFields' in named || 'getTypes' in named ? '{ __typename }' : ''
}

/** An operation in which one argument has a value of one's own, and as much of the others as has to be there. */
function operation(leaf: Leaf, value: unknown): { query: string; variables: Record<string, unknown> } {
  const { of, field, path } = leaf
  const given = field.args.filter(({ name, type }) => name === path[0] || isNonNullType(type))
  const variables = Object.fromEntries(
    given.map((arg) => [arg.name, fitting(leaf, arg, arg.name === path[0] ? path : null, value)]),
  )
  const declared = given.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ')
  const args = given.map(({ name }) => `${name}: $${name}`).join(', ')
  const kind = of === 'Mutation' || of === 'Subscription' ? of.toLowerCase() : 'query'
  const around = AROUND[of] as (inner: string) => string
  return { query: `${kind} (${declared}) { ${around(`${field.name}(${args}) ${selectionOf(leaf)}`)} }`, variables }
}

/** The answer, over HTTP or, for a subscription that is to be refused, over WebSocket. */
async function answerTo(leaf: Leaf, value: unknown): Promise<Answer<unknown>> {
  const { query, variables } = operation(leaf, value)
  if (leaf.of !== 'Subscription') return service.answer(query, variables)
  const socket = service.socket()
  try {
    const events = socket.iterate({ query, variables })
    return (await events.next()).value as Answer<unknown>
  } catch (error) {
    return { errors: Array.isArray(error) ? (error as []) : [{ message: String(error) }] }
  } finally {
    await socket.dispose()
  }
}

const cursor = (text: string) => Buffer.from(text).toString('base64url')
const UUID = '01a210be-7f7a-706a-9cd6-6bfc63ab2289'
const FAR = ['9'.repeat(15), '-9007199254740991', '8640000000000000', '9'.repeat(400), '1e5', 'NaN', '-1']
const CURSORS = ['', 'x', '\0', ...FAR].flatMap((place) =>
  ['operation P', `P,${UUID}`, `P~${UUID}`, `P/${UUID}@P`, `1/${UUID}@P`, `${UUID}@P`, `P,\0`].map((form) =>
    cursor(form.replaceAll('P', place)),
  ),
)

const LONG = 'x'.repeat(100_001)
/** What nobody may give, whatever the argument. */
const NEVER: Record<string, readonly unknown[]> = {
  String: ['a\0b', '\ud800', 'x\udc00', LONG, 5, { a: 1 }],
  ID: ['bad', '', 'a\0b', '\ud800', '\u202e', 'x'.repeat(100_000), cursor('Account:x'), cursor(`Nothing:${UUID}`), 1.5],
  Int: [2 ** 31, -(2 ** 31) - 1, 1.5, '1', 1e308, true],
  Float: ['1', '\0', true, {}],
  DateTime: [
    'x',
    '',
    '2026-13-45',
    '2026-02-30',
    '2026-02-30T00:00:00Z',
    '2026-01-01T25:00:00Z',
    '\0',
    '+275760-09-13',
    '-000001-01-01T00:00:00Z',
    0,
    8.64e15,
    true,
  ],
  Boolean: ['x', 0, {}],
}
/** What some arguments take, and others do not. */
const NASTY: Record<string, readonly unknown[]> = {
  String: [
    '',
    ' ',
    '\r\nA1 LOGOUT',
    '%',
    '\\',
    '"',
    "'; drop table messages; --",
    '\u202e',
    '\ufeff',
    '🙈'.repeat(500),
    '../..',
    '\x7f',
    'x'.repeat(1_000),
  ],
  Int: [0, -1, 2 ** 31 - 1, -(2 ** 31), 501],
  Float: [0, -1, 0.5, 1e308, -1e308, 2 ** 53, 2 ** 63, 1e-300],
  DateTime: ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '2026-01-01', '0001-01-01T00:00:00+14:00'],
}

/** Bad input, or an expected failure as the schema has it; never a fault of the service. */
function codesOf({ errors }: Answer<unknown>): (string | undefined)[] {
  return (errors ?? []).map((error) => error.extensions?.code)
}

const errorsLogged = () =>
  service
    .said()
    .split('\n')
    .filter((line) => /"level":(50|60|"error"|"fatal")/.test(line))

test('every argument of the schema is reached', () => {
  expect(LEAVES.length).toBeGreaterThan(100)
  expect(LEAVES.filter(({ of }) => !(of in AROUND))).toEqual([])
})

test('what no argument takes is bad input for each argument', async () => {
  const surprises: unknown[] = []
  for (const leaf of LEAVES)
    for (const value of NEVER[leaf.type] ?? ['NO_SUCH_VALUE', '\0', 5]) {
      // as long as a message may be
      if (leaf.path.at(-1) === 'raw' && value === LONG) continue
      const answer = await answerTo(leaf, value)
      const codes = codesOf(answer)
      if (codes.length === 0 || codes.some((code) => code !== 'BAD_USER_INPUT'))
        surprises.push([
          leaf.of,
          leaf.field.name,
          leaf.path.join('.'),
          JSON.stringify(value).slice(0, 60),
          JSON.stringify(answer).slice(0, 300),
        ])
    }
  expect(surprises).toEqual([])
  expect(errorsLogged()).toEqual([])
})

test('whatever an argument is given, the service has no fault', async () => {
  const isFine = async (leaf: Leaf, value: unknown) => {
    const codes = codesOf(await answerTo(leaf, value))
    if (codes.some((code) => code !== 'BAD_USER_INPUT' && code !== 'TOO_EXPENSIVE'))
      throw new Error(JSON.stringify([codes, operation(leaf, value)]).slice(0, 500))
  }
  // a subscription that is not refused has no answer
  const leaves = LEAVES.filter((leaf) => leaf.of !== 'Subscription')
  const faults: unknown[] = []
  for (const leaf of leaves)
    for (const value of [...(NASTY[leaf.type] ?? []), ...(/after|before/.test(leaf.path.join('.')) ? CURSORS : [])])
      await isFine(leaf, value).catch((error: Error) => faults.push(error.message))
  expect(faults).toEqual([])
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.string({ unit: 'grapheme', maxLength: 50 }).map((text) => text + '\ud800'),
    fc.double().filter(Number.isFinite),
    fc.integer(),
    fc.date().map((date) => (Number.isNaN(date.getTime()) ? 'x' : date.toISOString())),
    fc.jsonValue(),
    fc.constantFrom(...CURSORS),
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...leaves), anything, (leaf, value) => isFine(leaf, value)),
    { numRuns: 600 },
  )
  expect(errorsLogged()).toEqual([])
})

test('exports and downloads refuse what is no value', async () => {
  const path = `/accounts/${ids['account']}/export?format=mbox`
  const bad = [
    'from=%00',
    'subject=%00',
    `subject=${'x'.repeat(1_001)}`,
    'since=x',
    'since=2026-13-45T00:00:00Z',
    'mailbox=%00',
    'mailbox=x',
    'isUnread=x',
    'x=1',
  ]
  for (const query of bad) expect([query, (await service.fetch(`${path}&${query}`)).status]).toEqual([query, 400])
  const { message = '' } = ids
  const uuid = Buffer.from(message, 'base64url').toString().split(':')[1]
  for (const part of ['%00', '9'.repeat(90), '%ED%A0%80', '1.1.1.1', '-1', "'"])
    // 410: what was done to it meanwhile has deleted it
    expect([400, 404, 410]).toContain((await service.fetch(`/messages/${uuid}/parts/${part}`)).status)
  for (const id of ['x', '%00', '%ff', UUID])
    expect([400, 404]).toContain((await service.fetch(`/messages/${id}/raw`)).status)
  expect(errorsLogged()).toEqual([])
})

test('an id that is none is no error of the service, however often it is asked for', async () => {
  for (let time = 0; time < 4; time++)
    expect(codesOf(await service.answer('{ node(id: "bad") { id } }'))).toEqual(['BAD_USER_INPUT'])
  for (let time = 0; time < 4; time++)
    expect(
      codesOf(await service.answer('{ account(id: "bad") { messages(filter: { since: "x" }) { nodes { id } } } }')),
    ).toEqual(['BAD_USER_INPUT'])
  expect(errorsLogged()).toEqual([])
})
