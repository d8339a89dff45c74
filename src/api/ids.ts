import { GraphQLError } from 'graphql'
import { isNear } from './moments.js'
import type { StorePlace } from '../event-store/stored-events.js'
import type { AsOf } from './schema/as-of.type.js'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** What a node id can name. */
export type NodeType = 'Account' | 'Mailbox' | 'Message' | 'Operation' | 'Session'

/** The error for an argument that no schema type can refuse. */
export function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } })
}

/** An id of a past state was given where something of the present has to be named. */
export class PastId extends GraphQLError {
  constructor() {
    super('The id names a past state, and this is about the present: give its `presentId`.', {
      extensions: { code: 'BAD_USER_INPUT' },
    })
  }
}

/** What a node id names: something as it is now (`at` is null), or as it was at a version of its account's stream. */
export type NodeRef = { type: NodeType; id: string; at: number | null }

/**
 * A node's id in the whole API (Relay's Global Object Identification).
 *
 * @param at the version of a past state, which has an id of its own: caches keep objects by their ids
 */
export function nodeId(type: NodeType, id: string, at: number | null = null): string {
  return Buffer.from(`${type}:${id}${at === null ? '' : `@${at}`}`).toString('base64url')
}

/** Reads any node's id. @throws GraphQLError BAD_USER_INPUT */
export function readNodeId(id: string): NodeRef {
  const [type, own, at, ...rest] = Buffer.from(id, 'base64url').toString().split(/[:@]/)
  const hasState = at === undefined || (hasPast(type) && /^(0|[1-9]\d{0,14})$/.test(at))
  if (isNodeType(type) && own && UUID.test(own) && hasState && rest.length === 0)
    return { type, id: own, at: at === undefined ? null : Number(at) }
  throw badInput(`${JSON.stringify(id.slice(0, 100))} is no id of this API.`)
}

function isNodeType(type: string | undefined): type is NodeType {
  return ['Account', 'Mailbox', 'Message', 'Operation', 'Session'].includes(type ?? '')
}

/** Operations and sessions are only known as they are now. */
function hasPast(type: string | undefined): boolean {
  return ['Account', 'Mailbox', 'Message'].includes(type ?? '')
}

/** Reads the id of a node of one type, as it is now. @throws GraphQLError BAD_USER_INPUT @throws PastId for that of a past state */
export function readIdOf(type: NodeType, id: string): string {
  const { id: own, at } = readRefOf(type, id)
  if (at !== null) throw new PastId()
  return own
}

/**
 * Reads what an id and a moment name together: an id of a past state has its moment in it.
 *
 * @throws GraphQLError BAD_USER_INPUT, also where there are two moments
 */
export function readStateOf(
  type: NodeType,
  id: string,
  asOf: AsOf | null | undefined,
): { id: string; asOf: AsOf | null } {
  const { id: own, at } = readRefOf(type, id)
  if (at === null) return { id: own, asOf: asOf ?? null }
  if (asOf) throw badInput('The id names a past state: give no `asOf` beside it.')
  return { id: own, asOf: { version: at } }
}

function readRefOf(type: NodeType, id: string): NodeRef {
  const ref = readNodeId(id)
  if (ref.type !== type) throw badInput(`The id names a ${ref.type}, not a ${type}.`)
  return ref
}

/** A place in an account's stream, opaque to clients. */
export function streamCursor(accountId: string, version: number): string {
  return Buffer.from(`${accountId}@${version}`).toString('base64url')
}

/** Reads a place in the stream of the given account. @throws GraphQLError BAD_USER_INPUT */
export function readStreamCursor(cursor: string, accountId: string): number {
  const [account, version] = Buffer.from(cursor, 'base64url').toString().split('@')
  if (account !== accountId || !/^\d{1,15}$/.test(version ?? ''))
    throw badInput('`after` is no cursor of this account.')
  return Number(version)
}

/** A place in a list of messages, opaque to clients. */
export function listCursor(place: { internalDate: Date; messageId: string }): string {
  return Buffer.from(`${place.internalDate.getTime()},${place.messageId}`).toString('base64url')
}

/** A place in a list of messages by their sizes, opaque to clients. */
export function sizeCursor(place: { size: number; messageId: string }): string {
  return Buffer.from(`${place.size},${place.messageId}`).toString('base64url')
}

/** Reads a place in a list of messages by their sizes. @throws GraphQLError BAD_USER_INPUT */
export function readSizeCursor(cursor: string): { size: number; messageId: string } {
  const [size, messageId] = Buffer.from(cursor, 'base64url').toString().split(',')
  if (!/^\d{1,15}$/.test(size ?? '') || !UUID.test(messageId ?? ''))
    throw badInput('The cursor is none of a list of messages by their sizes.')
  return { size: Number(size), messageId: messageId as string }
}

/** Reads a place in a list of messages. @throws GraphQLError BAD_USER_INPUT */
export function readListCursor(cursor: string): { internalDate: Date; messageId: string } {
  const [time, messageId] = Buffer.from(cursor, 'base64url').toString().split(',')
  if (!/^-?\d{1,16}$/.test(time ?? '') || !isNear(Number(time)) || !UUID.test(messageId ?? ''))
    throw badInput('The cursor is none of a list of messages.')
  return { internalDate: new Date(Number(time)), messageId: messageId as string }
}

/** A place in a list of operations, opaque to clients. */
export function operationCursor(version: number): string {
  return Buffer.from(`operation ${version}`).toString('base64url')
}

/** Reads a place in a list of operations. @throws GraphQLError BAD_USER_INPUT */
export function readOperationCursor(cursor: string): number {
  const [, version] = /^operation (\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (version === undefined) throw badInput('`after` is no cursor of a list of operations.')
  return Number(version)
}

/** A place among the differences between two moments, opaque to clients. */
export function differenceCursor(place: { version: number; messageId: string }): string {
  return Buffer.from(`${place.version}~${place.messageId}`).toString('base64url')
}

/** Reads a place among differences. @throws GraphQLError BAD_USER_INPUT */
export function readDifferenceCursor(cursor: string): { version: number; messageId: string } {
  const [version, messageId] = Buffer.from(cursor, 'base64url').toString().split('~')
  if (!/^\d{1,15}$/.test(version ?? '') || !UUID.test(messageId ?? ''))
    throw badInput('`after` is no cursor of a difference.')
  return { version: Number(version), messageId: messageId as string }
}

/** A place in the order of the whole store, opaque to clients. */
export function storeCursor({ position, accountId, version }: StorePlace): string {
  return Buffer.from(`${position}/${accountId}@${version}`).toString('base64url')
}

/** Reads a place in the whole store. @throws GraphQLError BAD_USER_INPUT */
export function readStoreCursor(cursor: string): StorePlace {
  const [position, accountId, version] = Buffer.from(cursor, 'base64url').toString().split(/[/@]/)
  if (!/^\d{1,15}$/.test(position ?? '') || !UUID.test(accountId ?? '') || !/^\d{1,15}$/.test(version ?? ''))
    throw badInput('`after` is no cursor of the whole store.')
  return { position: Number(position), accountId: accountId as string, version: Number(version) }
}
