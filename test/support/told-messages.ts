import { createHash } from 'node:crypto'
import { groupsOf } from '../../src/mailbox/groups.ts'
import type { Dovecot } from './dovecot.ts'
import { PASSWORD } from './imap-server.ts'
import { fillMaildir } from './maildir.ts'
import type { Service } from './service.ts'

/*
 * Accounts of each access model, over both protocols, that have the same messages, and all that is told of these.
 */

/** The access models and protocols. */
export const MODELS = [
  ['OFFLINE', 'POP3'],
  ['OFFLINE', 'IMAP'],
  ['DISCONNECTED', 'IMAP'],
  ['ONLINE', 'IMAP'],
] as const

type Person = { name: string; address: string }
type Part = { part: string; filename: string | null; contentType: string; contentId: string | null; url: string }
type Listed = {
  id: string
  rawUrl: string
  subject: string
  sentAt: string | null
  from: Person[]
  to: Person[]
  cc: Person[]
  attachments: Part[]
  parts: Part[]
}

/** All that is told of a message: its fields, its texts, and the bytes of each part by its number. */
export type Told = Omit<Listed, 'id' | 'rawUrl'> & {
  content: { text: string | null; html: string | null }
  bytes: Readonly<Record<string, Buffer>>
}

const PARTS = '{ part filename contentType contentId url }'
const LIST = `query ($id: ID!, $after: String) { account(id: $id) { messages(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes {
    id rawUrl subject sentAt from { name address } to { name address } cc { name address }
    attachments ${PARTS} parts ${PARTS}
  }
} } }`
const CONTENT = 'query ($id: ID!) { message(id: $id) { content { text html } } }'

/** Connects an account whose INBOX has the given messages, and waits until it has all of them. An ONLINE one has a session. */
export async function connectWith(
  service: Service,
  dovecot: Dovecot,
  [model, protocol]: readonly [model: string, protocol: string],
  raws: readonly Buffer[],
): Promise<string> {
  const username = `told-${model}-${protocol}-${raws.length}`.toLowerCase()
  await fillMaildir(dovecot.mailOf(username), null, raws.length, (number) => raws[number] ?? '')
  const port = protocol === 'POP3' ? dovecot.pop3Port : dovecot.imapPort
  const server = { host: '127.0.0.1', port, security: 'PLAINTEXT', username, password: PASSWORD }
  const id = await service.connect({ ...server, model, protocol })
  await service.synced(id)
  if (model !== 'ONLINE') return id
  const session = 'mutation ($id: ID!) { openSession(input: { accountId: $id }) { errors { __typename } } }'
  await service.ask(session, { id })
  return id
}

async function bytesOf(service: Service, url: string): Promise<Buffer> {
  const answer = await service.fetch(url)
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (answer.status !== 200) throw new Error(`${url} answers ${answer.status}: ${bytes.toString()}`)
  return bytes
}

async function told(service: Service, { id, rawUrl, ...listed }: Listed): Promise<[string, Told]> {
  const { message } = await service.ask<{ message: Pick<Told, 'content'> }>(CONTENT, { id })
  const bytes: Record<string, Buffer> = {}
  for (const { part, url } of listed.parts) bytes[part] = await bytesOf(service, url)
  const raw = await bytesOf(service, rawUrl)
  const name = /^X-Case: (\S+)/m.exec(raw.toString('latin1'))?.[1] ?? ''
  const withoutUrls = (parts: Part[]) => parts.map((part) => ({ ...part, url: '' }))
  const { attachments, parts } = listed
  const shown = { ...listed, attachments: withoutUrls(attachments), parts: withoutUrls(parts) }
  return [name, { ...shown, ...message, bytes }]
}

/** All that is told of an account's messages, by the names in their fields X-Case. */
export async function allTold(service: Service, id: string): Promise<Map<string, Told>> {
  const found = new Map<string, Told>()
  for (let after: string | null = null, isMore = true; isMore;) {
    const answer: Answer = await service.ask<Answer>(LIST, { id, after })
    const { nodes, pageInfo } = answer.account.messages
    for (const group of groupsOf(nodes, 4))
      for (const [name, message] of await Promise.all(group.map((node) => told(service, node))))
        found.set(name, message)
    isMore = pageInfo.hasNextPage
    after = pageInfo.endCursor
  }
  return found
}
type Answer = { account: { messages: Page } }
type Page = { nodes: Listed[]; pageInfo: { hasNextPage: boolean; endCursor: string } }

/** SHA-256 of some bytes, in hexadecimal. */
export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
