import {
  defaultFieldResolver,
  execute,
  getNamedType,
  getOperationAST,
  isInputObjectType,
  OperationTypeNode,
  GraphQLError,
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
import type { ApiContext } from './context.js'

/** Documents whose parsed, validated and compiled forms are kept. */
const KEPT_DOCUMENTS = 500
const LONGEST_DOCUMENT = 20_000
const MOST_TOKENS = 4_000
/** What a request may cost: about one for each field that it can answer with. */
export const HIGHEST_COST = 20_000

/**
 * Parses, validates and runs operations, for HTTP and WebSocket alike. Parsed and validated forms are cached; a document
 * is compiled when it comes for the second time, since compiling is dear and a hostile client could ask for it each time.
 */
export class Executor {
  private readonly documents = new LRUCache<string, { document: DocumentNode; errors: readonly GraphQLError[] }>({
    max: KEPT_DOCUMENTS,
  })
  private readonly compiled = new LRUCache<string, CompiledQuery | 'seen once'>({ max: KEPT_DOCUMENTS })
  private readonly costs = new LRUCache<string, number>({ max: KEPT_DOCUMENTS })
  private readonly sources = new WeakMap<DocumentNode, string>()

  constructor(readonly schema: GraphQLSchema) {
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {}))
      field.resolve = readingAgain(field as Mutation)
  }

  /** @throws GraphQLError for a document that is too long or no GraphQL */
  parse(source: string): DocumentNode {
    const known = this.documents.get(source)
    if (known) return known.document
    if (source.length > LONGEST_DOCUMENT) throw new GraphQLError(`A document may have ${LONGEST_DOCUMENT} characters.`)
    const document = parse(source, { maxTokens: MOST_TOKENS })
    this.documents.set(source, { document, errors: validate(this.schema, document, specifiedRules, { maxErrors: 20 }) })
    this.sources.set(document, source)
    return document
  }

  /** What is wrong with a document; nothing for one that can be run. */
  validate(document: DocumentNode): readonly GraphQLError[] {
    const source = this.sources.get(document)
    return (source === undefined ? undefined : this.documents.get(source)?.errors) ?? validate(this.schema, document)
  }

  /** Runs a query or mutation, if what it asks for does not cost too much. */
  run(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    const tooDear = this.whyTooDear(args)
    if (tooDear) return { errors: [tooDear] }
    const compiled = this.compile(args)
    if (!compiled) return execute(args)
    return compiled.query(args.rootValue, args.contextValue, args.variableValues)
  }

  /** The error for an operation that costs too much, null for one that does not. */
  whyTooDear(args: ExecutionArgs): GraphQLError | null {
    const cost = this.costOf(args)
    if (cost instanceof GraphQLError || cost === null) return cost
    if (cost <= HIGHEST_COST) return null
    const extensions = { code: 'TOO_EXPENSIVE', cost, highestCost: HIGHEST_COST }
    return new GraphQLError(`The operation could answer with about ${cost} fields; ${HIGHEST_COST} are allowed.`, {
      extensions,
    })
  }

  /** Costs depend on numbers alone, page sizes above all: an operation that comes again with the same ones is known. */
  private costOf({ document, variableValues, operationName }: ExecutionArgs): number | GraphQLError | null {
    const source = this.sources.get(document)
    const numbers = Object.entries(variableValues ?? {}).filter(([, value]) => typeof value === 'number')
    const key = source === undefined ? null : `${operationName ?? ''}\n${JSON.stringify(numbers)}\n${source}`
    const known = key === null ? undefined : this.costs.get(key)
    if (known !== undefined) return known
    try {
      const estimators = [fieldExtensionsEstimator(), simpleEstimator({ defaultComplexity: 1 })]
      const operation = operationName ? { operationName } : {}
      const cost = getComplexity({
        schema: this.schema,
        query: document,
        variables: { ...variableValues },
        estimators,
        ...operation,
      })
      if (key !== null) this.costs.set(key, cost)
      return cost
    } catch (error) {
      // variables that don't fit are told better by the execution itself
      return error instanceof GraphQLError ? null : new GraphQLError((error as Error).message)
    }
  }

  private compile({ document, operationName }: ExecutionArgs): CompiledQuery | null {
    const source = this.sources.get(document)
    if (source === undefined) return null
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

/** Of several mutations in one operation, which are run one after the other, each is answered with what it has led to. */
function readingAgain({ resolve = defaultFieldResolver }: Mutation): Mutation['resolve'] {
  return (source, args, context, info) => {
    context.readAgain()
    return resolve(source, args, context, info)
  }
}

type Mutation = GraphQLField<unknown, ApiContext>
