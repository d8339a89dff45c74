import { GraphQLError } from 'graphql'
import { isNear } from './moments.js'
import type { StorePlace } from '../event-store/stored-events.js'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** What a node id can name. */
export type NodeType = 'Account' | 'Mailbox' | 'Message' | 'Operation' | 'Session'

/** The error for an argument that no schema type can refuse. */
export function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } })
}

/** A node's id in the whole API (Relay's Global Object Identification). */
export function nodeId(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url')
}

/** Reads any node's id. @throws GraphQLError BAD_USER_INPUT */
export function readNodeId(id: string): { type: NodeType; id: string } {
  const [type, own] = Buffer.from(id, 'base64url').toString().split(':')
  if (isNodeType(type) && own && UUID.test(own)) return { type, id: own }
  throw badInput(`${JSON.stringify(id.slice(0, 100))} is no id of this API.`)
}

function isNodeType(type: string | undefined): type is NodeType {
  return ['Account', 'Mailbox', 'Message', 'Operation', 'Session'].includes(type ?? '')
}

/** Reads the id of a node of one type. @throws GraphQLError BAD_USER_INPUT */
export function readIdOf(type: NodeType, id: string): string {
  const node = readNodeId(id)
  if (node.type !== type) throw badInput(`The id names a ${node.type}, not a ${type}.`)
  return node.id
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
