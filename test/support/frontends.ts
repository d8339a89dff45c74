import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { createClient, fetchExchange, subscriptionExchange, type AnyVariables } from '@urql/core'
import { cacheExchange } from '@urql/exchange-graphcache'
import { buildSchema, introspectionFromSchema, isAbstractType, isObjectType, OperationTypeNode } from 'graphql'
import type { Client as Socket } from 'graphql-ws'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  createOperationDescriptor,
  Environment,
  fetchQuery,
  getSingularSelector,
  Network,
  Observable,
  RecordSource,
  requestSubscription,
  Store,
  type ConcreteRequest,
  type GraphQLSingularResponse,
  type ReaderFragment,
  type RequestParameters,
  type Variables,
} from 'relay-runtime'
import type { Service } from './service.ts'

/** A row of a list of messages. */
export type Row = { id: string; presentId: string; flags: readonly string[] }
/** A message at two moments. */
export type Difference = { messageId: string; before: Row | null; after: Row | null }
/** The moment of a past state. */
export type Version = { version: number } | null

/** What a webmail does with one of the libraries: it asks the service, and reads what its cache then has. */
export type Frontend = {
  /** Has a list of the newest messages fetched. */
  fetchInbox(asOf: Version): Promise<void>
  /** The list as the cache has it, without asking the service. */
  inbox(asOf: Version): Promise<Row[]>
  /** Has fetched what has changed since a moment. */
  fetchSince(from: Version): Promise<void>
  /** What has changed, as the cache has it. */
  since(from: Version): Promise<Difference[]>
  /** Marks messages read. */
  markRead(messageIds: string[]): Promise<void>
  /** Brings changes into the cache as they come, from right after the list that is shown. */
  follow(): Promise<void>
}

type Inbox = { account: { messages: { streamCursor: string; edges: { node: Row }[] } } }
type Since = { account: { difference: { nodes: Difference[] } } }
type Changes = { changes: { __typename: string; messageId?: string; flags?: string[] } }

const SCHEMA = buildSchema(readFileSync('schema.graphql', 'utf8'))
const TYPES = Object.values(SCHEMA.getTypeMap())

const textOf = (name: string) => readFileSync(`test/frontend/${name}.graphql`, 'utf8')
const ROW = textOf('MessageRow_message')
const INBOX = gql(textOf('InboxQuery') + ROW)
const SINCE = gql(textOf('SinceQuery') + ROW)
const CHANGES = gql(textOf('ChangesSubscription'))
const MARK_READ = gql(textOf('MarkReadMutation'))
const FLAGS = gql('fragment Flags on Message { id flags }')

/** Apollo Client. */
export function apollo(service: Service, socket: Socket, account: string): Frontend {
  const unions = TYPES.filter(isAbstractType)
  const possibleTypes = Object.fromEntries(
    unions.map((type) => [type.name, SCHEMA.getPossibleTypes(type).map(({ name }) => name)]),
  )
  const cache = new InMemoryCache({ possibleTypes })
  const http = new HttpLink({ uri: `${service.url}/graphql`, headers: { authorization: `Bearer ${service.token}` } })
  const link = ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  )
  const client = new ApolloClient({ cache, link })
  const fetchAll = async (query: typeof INBOX, variables: Record<string, unknown>) => {
    await client.query({ query, variables, fetchPolicy: 'network-only' })
  }
  return {
    fetchInbox: (asOf) => fetchAll(INBOX, { account, asOf }),
    inbox: async (asOf) => rowsOf(cache.readQuery<Inbox>({ query: INBOX, variables: { account, asOf } })),
    fetchSince: (from) => fetchAll(SINCE, { account, from }),
    since: async (from) => differencesOf(cache.readQuery<Since>({ query: SINCE, variables: { account, from } })),
    async markRead(messageIds) {
      await client.mutate({ mutation: MARK_READ, variables: { messageIds } })
    },
    async follow() {
      const shown = cache.readQuery<Inbox>({ query: INBOX, variables: { account, asOf: null } })
      const variables = { account, after: shown?.account.messages.streamCursor }
      const changes = client.subscribe<Changes>({ query: CHANGES, variables })
      changes.subscribe(({ data }) => {
        const change = data?.changes
        if (change?.__typename !== 'MessageFlagsChange') return
        const id = cache.identify({ __typename: 'Message', id: change.messageId })
        cache.modify({ ...(id ? { id } : {}), fields: { flags: () => change.flags ?? [] } })
      })
    },
  }
}

/** urql with Graphcache. */
export function urql(service: Service, socket: Socket, account: string): Frontend {
  const embedded = TYPES.filter((type) => isObjectType(type) && !type.getFields()['id'])
  const cache = cacheExchange({
    schema: introspectionFromSchema(SCHEMA) as never,
    keys: Object.fromEntries(embedded.map(({ name }) => [name, () => null])),
    updates: {
      Subscription: {
        changes(result, _args, store) {
          const { changes } = result as unknown as Changes
          if (changes.__typename === 'MessageFlagsChange')
            store.writeFragment(FLAGS, { id: changes.messageId, flags: changes.flags })
        },
      },
    },
  })
  const client = createClient({
    url: `${service.url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${service.token}` } },
    exchanges: [
      cache,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: query ?? '', variables: variables as Variables }, sink as never),
          }),
        }),
      }),
    ],
  })
  const ask = async <Data>(query: typeof INBOX, variables: AnyVariables, isCached = false) => {
    const requestPolicy = isCached ? 'cache-only' : 'network-only'
    const { data, error } = await client.query<Data>(query, variables, { requestPolicy }).toPromise()
    if (error) throw error
    return data ?? null
  }
  return {
    async fetchInbox(asOf) {
      await ask(INBOX, { account, asOf })
    },
    inbox: async (asOf) => rowsOf(await ask<Inbox>(INBOX, { account, asOf }, true)),
    async fetchSince(from) {
      await ask(SINCE, { account, from })
    },
    since: async (from) => differencesOf(await ask<Since>(SINCE, { account, from }, true)),
    async markRead(messageIds) {
      const { error } = await client.mutation(MARK_READ, { messageIds }).toPromise()
      if (error) throw error
    },
    async follow() {
      const shown = await ask<Inbox>(INBOX, { account, asOf: null }, true)
      client.subscription(CHANGES, { account, after: shown?.account.messages.streamCursor }).subscribe(() => undefined)
    },
  }
}

/** Relay's store. @param artifacts what relay-compiler has made of the documents */
export function relay(service: Service, socket: Socket, account: string, artifacts: string): Frontend {
  const require = createRequire(import.meta.url)
  const artifact = <Artifact = ConcreteRequest>(name: string) =>
    require(join(artifacts, `${name}.graphql.js`)) as Artifact
  const request = async ({ text }: RequestParameters, variables: Variables) =>
    (await service.answer(text ?? '', variables)) as unknown as GraphQLSingularResponse
  const subscribe = ({ text }: RequestParameters, variables: Variables) =>
    Observable.create<GraphQLSingularResponse>((sink) =>
      socket.subscribe({ query: text ?? '', variables }, sink as never),
    )
  const environment = new Environment({
    network: Network.create(request, subscribe),
    store: new Store(new RecordSource()),
  })
  const fetchAll = async (name: string, variables: Variables) => {
    // or the store drops what nobody shows
    environment.retain(createOperationDescriptor(artifact(name), variables))
    await fetchQuery(environment, artifact(name), variables, { fetchPolicy: 'network-only' }).toPromise()
  }
  const read = <Data>(name: string, variables: Variables) =>
    environment.lookup(createOperationDescriptor(artifact(name), variables).fragment).data as Data | undefined
  // what a component would be given by its fragment
  const rowOf = <Node extends object | null>(node: Node) =>
    node &&
    (environment.lookup(getSingularSelector(artifact<ReaderFragment>('MessageRow_message'), node) as never).data as Row)
  return {
    fetchInbox: (asOf) => fetchAll('InboxQuery', { account, asOf }),
    inbox: async (asOf) => rowsOf(read<Inbox>('InboxQuery', { account, asOf })).map((row) => rowOf(row) as Row),
    fetchSince: (from) => fetchAll('SinceQuery', { account, from }),
    since: async (from) =>
      differencesOf(read<Since>('SinceQuery', { account, from })).map(({ messageId, before, after }) => ({
        ...{ messageId, before: rowOf(before), after: rowOf(after) },
      })),
    async markRead(messageIds) {
      const variables = { messageIds }
      const operation = createOperationDescriptor(artifact('MarkReadMutation'), variables)
      await environment.executeMutation({ operation }).toPromise()
    },
    async follow() {
      const shown = read<Inbox>('InboxQuery', { account, asOf: null })
      requestSubscription(environment, {
        subscription: artifact('ChangesSubscription'),
        variables: { account, after: shown?.account.messages.streamCursor },
        updater(store, data) {
          const { changes } = data as Changes
          if (changes.__typename === 'MessageFlagsChange')
            store.get(changes.messageId ?? '')?.setValue(changes.flags ?? [], 'flags')
        },
      })
    },
  }
}

function rowsOf(data: Inbox | null | undefined): Row[] {
  if (!data) throw new Error('the cache has no such list')
  return data.account.messages.edges.map(({ node }) => node)
}

function differencesOf(data: Since | null | undefined): Difference[] {
  if (!data) throw new Error('the cache has no such difference')
  return data.account.difference.nodes
}
