import type { IncomingMessage, Server } from 'node:http'
import { Injectable } from '@nestjs/common'
import { AbstractGraphQLDriver, type GqlModuleOptions } from '@nestjs/graphql'
import type { FastifyInstance, FastifyReply } from 'fastify'
import {
  getOperationAST,
  GraphQLError,
  OperationTypeNode,
  subscribe,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLFormattedError,
} from 'graphql'
import { createHandler } from 'graphql-http/lib/use/fastify'
import type { Context as SocketContext } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { forClient, type ClientScope } from '../platform/client-sessions.js'
import { inSpan } from '../platform/traces.js'
import { isAuthorized } from './bearer.js'
import { clientOf, REQUEST_OVER, tooMany, toldOf, type Clients } from './clients.js'
import type { ApiContext } from './context.js'
import { Executor } from './execution.js'

/** What the driver needs beside the schema. */
export type DriverOptions = GqlModuleOptions & {
  token: string
  /** what goes on for clients */
  clients: Clients
  /** makes what the resolvers of one operation share */
  makeContext: (client: string, signal: AbortSignal) => ApiContext
  /** takes notice of an exception that no client caused. @returns the id under which the log tells of it */
  report: (error: unknown) => string
}

const LARGEST_MESSAGE = 256 * 1024
/** Bytes that a client of a WebSocket may leave unread. */
const MOST_UNREAD = 4 * 1024 ** 2
/** Operations, subscriptions above all, that one WebSocket may have at once. */
const MOST_ON_SOCKET = 200
const KEEP_ALIVE = 12_000
const INIT_TIMEOUT = 5_000

/**
 * Serves the schema over HTTP (graphql-http) and graphql-transport-ws (graphql-ws), both through one executor. Nest's
 * own drivers stand on servers that are slower, or less true to the two protocols.
 */
@Injectable()
export class GraphQLDriver extends AbstractGraphQLDriver<DriverOptions> {
  private stopSockets: () => unknown = () => undefined

  async start(options: DriverOptions): Promise<void> {
    if (!options.schema) throw new Error('there is no schema')
    const executor = new Executor(options.schema)
    await executor.warmUp()
    const fastify = this.httpAdapterHost.httpAdapter.getInstance<FastifyInstance>()
    this.serveHttp(fastify, executor, options)
    this.serveSockets(fastify.server, executor, options)
  }

  async stop(): Promise<void> {
    await this.stopSockets()
  }

  private serveHttp(fastify: FastifyInstance, executor: Executor, options: DriverOptions): void {
    const handler = createHandler({
      schema: executor.schema,
      parse: (source) => executor.parse(typeof source === 'string' ? source : source.body),
      validate: (_, document) => executor.validate(document),
      execute: (args) => traced(args, () => done(args, executor, options)),
      context: ({ raw, context: { reply } }) => options.makeContext(clientOf(raw.ip), endOf(reply)) as never,
    })
    fastify.all('/graphql', async (request, reply) => {
      if (isAuthorized(request.headers.authorization, options.token)) {
        await options.clients.turns.next(clientOf(request.ip))
        return handler.call(fastify, request, reply)
      }
      const refusal = { errors: [{ message: 'A bearer token is needed.', extensions: { code: 'UNAUTHENTICATED' } }] }
      return reply.code(401).header('www-authenticate', 'Bearer').send(refusal)
    })
  }

  private serveSockets(server: Server, executor: Executor, options: DriverOptions): void {
    // one message a turn of the event loop: thousands come in one packet
    const sockets = new WebSocketServer({
      noServer: true,
      maxPayload: LARGEST_MESSAGE,
      allowSynchronousEvents: false,
    })
    server.on('upgrade', (request, socket, head) => {
      if (request.url?.split('?')[0] !== '/graphql') return socket.destroy()
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request))
    })
    const aborts = new WeakMap<SocketContext, Map<string, AbortController>>()
    const abortOf = new WeakMap<object, AbortController>()
    const abortsOf = (context: SocketContext): Map<string, AbortController> => {
      const known = aborts.get(context) ?? new Map<string, AbortController>()
      aborts.set(context, known)
      return known
    }
    const disposable = useServer(
      {
        connectionInitWaitTimeout: INIT_TIMEOUT,
        // false closes the socket with 4403: a client that retries for ever with the wrong token is told so
        onConnect: ({ connectionParams, extra }) =>
          mayConnect(connectionParams, (extra as { request: IncomingMessage }).request, options.token),
        onSubscribe: (context, id, payload): ExecutionArgs | readonly GraphQLError[] => {
          if (abortsOf(context).size >= MOST_ON_SOCKET)
            return [tooMany(`A WebSocket may have ${MOST_ON_SOCKET} operations at once.`)]
          const document = parsed(executor, payload.query)
          if (document instanceof GraphQLError) return [document]
          const abort = new AbortController()
          const { request } = context.extra as { request: IncomingMessage }
          const client = clientOf(request.socket.remoteAddress)
          const args = {
            schema: executor.schema,
            operationName: payload.operationName ?? undefined,
            document,
            variableValues: payload.variables ?? {},
            contextValue: options.makeContext(client, abort.signal),
          }
          const invalid = executor.validate(document)
          const errors = invalid.length > 0 ? invalid : executor.whyNot(args)
          if (errors.length > 0) return errors
          if (kindOf(args) === OperationTypeNode.SUBSCRIPTION) {
            const end = options.clients.subscriptions.take(client)
            if (!end) return [tooMany('The client has too many subscriptions.')]
            abort.signal.addEventListener('abort', end, { once: true })
          }
          abortsOf(context).set(id, abort)
          abortOf.set(args.contextValue, abort)
          return args
        },
        execute: (args) => traced(args, () => done(args, executor, options)),
        subscribe: (args) => followed(args, () => abortOf.get(args.contextValue as object)?.abort(REQUEST_OVER)),
        onNext: (_context, _id, _payload, _args, result) => tell(result, options),
        onError: (_context, _id, _payload, errors) => tell({ errors }, options).errors as GraphQLError[],
        onComplete: (context, id) => {
          abortsOf(context).get(id)?.abort(REQUEST_OVER)
          abortsOf(context).delete(id)
        },
        onDisconnect: (context) => {
          for (const abort of abortsOf(context).values()) abort.abort(REQUEST_OVER)
        },
      },
      sockets,
      KEEP_ALIVE,
    )
    // behind graphql-ws, which has taken each connection already
    sockets.on('connection', (socket) => {
      // a frame that is none, or too long: ws closes the socket and says why, and graphql-ws would print it
      socket.removeAllListeners('error').on('error', () => undefined)
      socket.on('message', () => {
        // a client that asks and does not read what it is answered
        if (socket.bufferedAmount > MOST_UNREAD) socket.terminate()
      })
    })
    this.stopSockets = async () => {
      for (const socket of sockets.clients) socket.close(1012, 'the service stops')
      const timer = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), 300)
      await disposable.dispose()
      clearTimeout(timer)
    }
  }
}

/** A document, or why it is none: an error closes the socket when it is thrown, and with it all else that goes on there. */
function parsed(executor: Executor, source: string): DocumentNode | GraphQLError {
  try {
    return executor.parse(source)
  } catch (error) {
    if (error instanceof GraphQLError) return error
    throw error
  }
}

/** Runs an operation as its client's. What changes something is done to its end, whether its client is there or not. */
async function done(args: ExecutionArgs, executor: Executor, options: DriverOptions): Promise<ExecutionResult> {
  const { client, signal } = args.contextValue as ApiContext
  const isChange = kindOf(args) === OperationTypeNode.MUTATION
  const errors = executor.whyNot(args)
  if (errors.length > 0) return { errors }
  const cost = executor.costOf(args)
  try {
    const scope = { client, signal: isChange ? null : signal }
    // a change takes its time at a mail server, rather than here
    const share = isChange || typeof cost !== 'number' ? 0 : cost
    return tell(await options.clients.run(scope, share, () => executor.runAllowed(args)), options)
  } catch (error) {
    const told = toldOf(error)
    if (!told) throw error
    return { errors: [new GraphQLError(told.message, { extensions: { code: told.code } })] }
  }
}

/**
 * Starts a subscription as its client's.
 *
 * @param end ends what it follows: a generator that waits for an event returns only when that has come
 */
async function followed(
  args: ExecutionArgs,
  end: () => void,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const { client, signal } = args.contextValue as ApiContext
  const scope: ClientScope = { client, signal }
  const result = await forClient(scope, () => subscribe(args))
  if (!(Symbol.asyncIterator in result)) return result
  const events: AsyncIterableIterator<ExecutionResult> = {
    [Symbol.asyncIterator]: () => events,
    next: () => forClient(scope, () => result.next()),
    return: () => {
      end()
      return result.return(undefined)
    },
  }
  return events
}

function kindOf({ document, operationName }: ExecutionArgs): OperationTypeNode | undefined {
  return getOperationAST(document, operationName)?.operation
}

/** By the name that the client has given its operation, which says nothing of its values. */
function traced<T>({ document, operationName }: ExecutionArgs, work: () => Promise<T>): Promise<T> {
  const name = operationName ?? getOperationAST(document)?.name?.value
  return inSpan('GraphQL', { 'graphql.operation.name': name ?? '' }, work)
}

function mayConnect(
  params: Readonly<Record<string, unknown>> | undefined,
  request: IncomingMessage,
  token: string,
): boolean {
  const given = params?.['authorization'] ?? params?.['Authorization'] ?? request.headers.authorization
  return typeof given === 'string' && isAuthorized(given, token)
}

/** Aborts when the answer is sent, or the client is gone before that. */
function endOf(reply: FastifyReply): AbortSignal {
  const abort = new AbortController()
  reply.raw.once('close', () => abort.abort(REQUEST_OVER))
  return abort.signal
}

/** What is told of an error that nobody foresaw. */
const INTERNAL = 'Something went wrong inside the service.'

type Told = { errors?: readonly (GraphQLError | GraphQLFormattedError)[] }

/** What a client did is told as it is; what went wrong inside is logged, and told as nothing but that. */
function tell<Result extends Told>(result: Result, { report }: DriverOptions): Result {
  if (!result.errors) return result
  const errors = result.errors.map((error) => {
    const original = error instanceof GraphQLError ? error.originalError : undefined
    if (!original || original instanceof GraphQLError) return error
    const told = toldOf(original)
    if (told && !told.isOperators)
      return new GraphQLError(told.message, { path: error.path, extensions: { code: told.code } })
    const extensions = { code: told?.code ?? 'INTERNAL', failureId: report(original) }
    return new GraphQLError(told?.message ?? INTERNAL, { path: error.path, extensions })
  })
  return { ...result, errors }
}
