import {
  defaultFieldResolver,
  execute,
  getIntrospectionQuery,
  getNamedType,
  getOperationAST,
  getVariableValues,
  isInputObjectType,
  OperationTypeNode,
  GraphQLError,
  NoFragmentCyclesRule,
  parse,
  specifiedRules,
  typeFromAST,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLField,
  type GraphQLSchema,
  type NamedTypeNode,
  type OperationDefinitionNode,
} from 'graphql'
import { compileQuery, isCompiledQuery, type CompiledQuery } from 'graphql-jit'
import { fieldExtensionsEstimator, getComplexity, simpleEstimator } from 'graphql-query-complexity'
import { LRUCache } from 'lru-cache'
import { checkArguments } from './argument-check.js'
import { refusePastIds } from './past-ids.js'
import { describeRootTypes } from './schema/root-types.js'
import type { ApiContext } from './context.js'
import { measureDocument, MOST_SELECTIONS, tooExpensive } from './document-size.js'
import { introspectionEstimator } from './introspection-cost.js'
import { hasTooManyFields } from './variables-size.js'

/** Documents whose parsed, validated and compiled forms are kept, and their characters in all. */
const KEPT_DOCUMENTS = 500
const KEPT_CHARACTERS = 400_000
const LONGEST_DOCUMENT = 20_000
const MOST_TOKENS = 4_000
/** Most selections, with fragments expanded, of a document that is compiled. */
const MOST_COMPILED = 500
/** Longest form of the variables under which a cost is kept. */
const LONGEST_KEY = 1_000
/** Times that the introspection is run before the service listens; at the fourth it is about as fast as ever. */
const WARM_UP_TURNS = 4
/** Most characters of the message about a value that cannot be used. */
const LONGEST_MESSAGE = 1_000
/** What a request may cost: about one for each field that it can answer with. */
export const HIGHEST_COST = 20_000

/**
 * Parses, validates and runs operations, for HTTP and WebSocket alike. Parsed and validated forms are cached; a document
 * is compiled when it comes for the second time, since compiling is dear and a hostile client could ask for it each time.
 */
export class Executor {
  private readonly documents = new LRUCache<string, Known>(KEPT)
  private readonly compiled = new LRUCache<string, CompiledQuery | 'seen once'>(KEPT)
  private readonly costs = new LRUCache<string, number>(KEPT)
  private readonly sources = new WeakMap<DocumentNode, string>()
  private readonly estimators

  constructor(readonly schema: GraphQLSchema) {
    this.estimators = [
      introspectionEstimator(schema),
      fieldExtensionsEstimator(),
      simpleEstimator({ defaultComplexity: 1 }),
    ]
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {}))
      field.resolve = readingAgain(field as Mutation)
    describeRootTypes(schema)
    refusePastIds(schema)
    checkArguments(schema)
  }

  /**
   * Runs the dearest usual operation, the introspection that tools begin with, before any client waits: code that runs for the first time takes
   * five times as long, and nothing else goes on meanwhile.
   */
  async warmUp(): Promise<void> {
    for (let turn = 0; turn < WARM_UP_TURNS; turn++) {
      const document = this.parse(getIntrospectionQuery() + ' '.repeat(turn))
      this.whyNot({ schema: this.schema, document })
      await execute({ schema: this.schema, document })
    }
    this.documents.clear()
    this.costs.clear()
  }

  /** @throws GraphQLError for a document that is too long, too large with its fragments expanded, or no GraphQL */
  parse(source: string): DocumentNode {
    if (source.length > LONGEST_DOCUMENT) throw new GraphQLError(`A document may have ${LONGEST_DOCUMENT} characters.`)
    const known = this.documents.get(source)
    if (known) return known.document
    const document = parsed(source)
    // before anything that expands it: validation, its cost, compilation
    const { selections, isCyclic } = measureDocument(document)
    const rules = isCyclic ? [NoFragmentCyclesRule] : specifiedRules
    const errors = validate(this.schema, document, rules, { maxErrors: 20 })
    this.documents.set(source, { document, errors, selections })
    this.sources.set(document, source)
    return document
  }

  /** What is wrong with a document; nothing for one that can be run. */
  validate(document: DocumentNode): readonly GraphQLError[] {
    const source = this.sources.get(document)
    return (source === undefined ? undefined : this.documents.get(source)?.errors) ?? validate(this.schema, document)
  }

  /** Runs a query or mutation, if its variables fit and it does not cost too much. */
  run(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    const errors = this.whyNot(args)
    return errors.length > 0 ? { errors } : this.runAllowed(args)
  }

  /** Runs a query or mutation for which `whyNot` has told nothing. */
  runAllowed(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    const compiled = this.compile(args)
    if (!compiled) return execute(args)
    return compiled.query(args.rootValue, args.contextValue, args.variableValues)
  }

  /** Why an operation is not run: variables that do not fit, or a cost that is too high, or unknown. Nothing for one that may run. */
  whyNot(args: ExecutionArgs): readonly GraphQLError[] {
    const cost = this.costOf(args)
    if (typeof cost !== 'number') return cost
    if (cost <= HIGHEST_COST) return []
    const message = `The operation could answer with about ${cost} fields; ${HIGHEST_COST} are allowed.`
    return [tooExpensive(message, { cost, highestCost: HIGHEST_COST })]
  }

  /**
   * What an operation costs, or why that is not told. It depends on page sizes and conditions, and not on what strings say: an operation that
   * comes again with the same ones is known.
   */
  costOf({ document, variableValues, operationName }: ExecutionArgs): number | readonly GraphQLError[] {
    const operation = getOperationAST(document, operationName)
    // which operation is meant is not known; the execution says so
    if (!operation) return 0
    const definitions = operation.variableDefinitions ?? []
    const given = { ...variableValues }
    if (hasTooManyFields(given))
      return [asBadInput(new GraphQLError('An object among the variables has too many fields.'))]
    const { errors } = getVariableValues(this.schema, definitions, given, { maxErrors: 5 })
    if (errors) return errors.map(asBadInput)
    const source = this.sources.get(document)
    const key = source === undefined ? null : keyOf(source, operation, variableValues)
    const known = key === null ? undefined : this.costs.get(key)
    if (known !== undefined) return known
    const cost = this.estimate(document, variableValues, operationName)
    if (key !== null && typeof cost === 'number') this.costs.set(key, cost)
    return cost
  }

  /** An operation whose cost cannot be told is not run. */
  private estimate(
    document: DocumentNode,
    variableValues: ExecutionArgs['variableValues'],
    operationName: ExecutionArgs['operationName'],
  ): number | readonly GraphQLError[] {
    try {
      const cost = getComplexity({
        schema: this.schema,
        query: document,
        variables: { ...variableValues },
        estimators: this.estimators,
        maxQueryNodes: 2 * MOST_SELECTIONS,
        ...(operationName ? { operationName } : {}),
      })
      if (Number.isFinite(cost)) return cost
    } catch (error) {
      if (error instanceof GraphQLError && (error.nodes ?? []).length > 0) return [asBadInput(error)]
    }
    return [tooExpensive('What the operation would cost cannot be told.')]
  }

  private compile({ document, operationName }: ExecutionArgs): CompiledQuery | null {
    const source = this.sources.get(document)
    if (source === undefined || (this.documents.peek(source)?.selections ?? Infinity) > MOST_COMPILED) return null
    const key = `${operationName ?? ''}\n${source}`
    const known = this.compiled.get(key)
    if (known === undefined) this.compiled.set(key, 'seen once')
    if (known !== 'seen once') return known ?? null
    const operation = getOperationAST(document, operationName)
    // graphql-jit 0.8 does not fill in defaults inside of input objects, which mutations live by; and none of them is hot
    if (operation?.operation !== OperationTypeNode.QUERY || this.hasDefaults(operation)) return null
    const compiled = compileQuery(this.schema, document, operationName ?? undefined)
    if (!isCompiledQuery(compiled)) return null
    this.compiled.set(key, compiled)
    return compiled
  }

  /** Whether a variable is an input object that has fields with defaults. */
  private hasDefaults({ variableDefinitions }: OperationDefinitionNode): boolean {
    return (variableDefinitions ?? []).some(({ type: node }) => {
      const type = getNamedType(typeFromAST(this.schema, node as NamedTypeNode))
      return (
        isInputObjectType(type) && Object.values(type.getFields()).some((field) => field.defaultValue !== undefined)
      )
    })
  }
}

type Known = { document: DocumentNode; errors: readonly GraphQLError[]; selections: number }

/** A compiled or parsed document takes memory in the measure of its text. */
const KEPT = {
  max: KEPT_DOCUMENTS,
  maxSize: KEPT_CHARACTERS,
  sizeCalculation: (_: unknown, key: string): number => key.length + 1,
}

/** @throws GraphQLError for what is no GraphQL */
function parsed(source: string): DocumentNode {
  try {
    return parse(source, { maxTokens: MOST_TOKENS })
  } catch (error) {
    if (error instanceof RangeError) throw tooExpensive('The document is nested too deeply.')
    throw error
  }
}

/** What the cost of an operation depends on, as text; null where that is too long to be kept. Numbers and conditions count, strings do not. */
function keyOf(
  source: string,
  { name, variableDefinitions }: OperationDefinitionNode,
  values: ExecutionArgs['variableValues'],
): string | null {
  const given = (variableDefinitions ?? []).map(({ variable }) => [variable.name.value, values?.[variable.name.value]])
  const costly = given.filter(([, value]) => value !== undefined && typeof value !== 'string')
  const variables = JSON.stringify(costly, (_, value: unknown) => (typeof value === 'string' ? '' : value))
  return variables.length > LONGEST_KEY ? null : `${name?.value ?? ''}\n${variables}\n${source}`
}

function asBadInput(error: GraphQLError): GraphQLError {
  const { nodes, source, positions, path, extensions } = error
  // the message repeats the value, however long that is
  return new GraphQLError(error.message.slice(0, LONGEST_MESSAGE), {
    ...{ nodes, source, positions, path },
    extensions: { ...extensions, code: 'BAD_USER_INPUT' },
  })
}

/** Of several mutations in one operation, which are run one after the other, each is answered with what it has led to. */
function readingAgain({ resolve = defaultFieldResolver }: Mutation): Mutation['resolve'] {
  return (source, args, context, info) => {
    context.readAgain()
    return resolve(source, args, context, info)
  }
}

type Mutation = GraphQLField<unknown, ApiContext>
