/*
 * The newest 50 messages with ten fields over HTTP, 8 clients, in a mailbox of 100,000; and paging to any depth.
 * Beside it, an operation that reads nothing: the floor of HTTP, GraphQL and the load itself on this machine.
 * npm run bench:list [messages] [seconds]
 */
import { Agent, request } from 'node:http'
import { Dovecot } from '../test/support/dovecot.ts'
import { PASSWORD } from '../test/support/imap-server.ts'
import { mail } from '../test/support/mail.ts'
import { fillMaildir } from '../test/support/maildir.ts'
import { Service, until } from '../test/support/service.ts'
import { peakMemory, percentile, table } from './measure.ts'

const MESSAGES = Number(process.argv[2] ?? 100_000)
const SECONDS = Number(process.argv[3] ?? 5)
const CLIENTS = 8
const FIELDS = 'id uid subject isUnread isFlagged internalDate size hasAttachment flags from { name address }'
const QUERY = `query ($id: ID!, $after: String) { mailbox(id: $id) { messages(first: 50, after: $after) { nodes { ${FIELDS} } pageInfo { endCursor hasNextPage } } } }`

const dovecot = await Dovecot.start()
const service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '30000' })
const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })

/** One request, by the least that a client can do, so that the load itself takes little of the machine. */
function ask(body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${service.token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const sent = request(`${service.url}/graphql`, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Asks with all clients for some seconds. @returns requests a second and the times of each */
async function load(query: string, next: () => Record<string, unknown>): Promise<{ rate: number; times: number[] }> {
  const times: number[] = []
  const began = performance.now()
  const client = async () => {
    while (performance.now() - began < SECONDS * 1000) {
      const from = performance.now()
      const answer = await ask(JSON.stringify({ query, variables: next() }))
      times.push(performance.now() - from)
      if (answer.startsWith('{"errors"')) throw new Error(answer)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return { rate: times.length / ((performance.now() - began) / 1000), times }
}

try {
  console.log(`filling a mailbox with ${MESSAGES} messages`)
  await fillMaildir(dovecot.mailOf('bench'), null, MESSAGES, (number) => mail(number))
  const began = performance.now()
  const account = await service.connect({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    security: 'PLAINTEXT',
    username: 'bench',
    password: PASSWORD,
  })
  const progress = 'query ($id: ID!) { account(id: $id) { progress { isComplete } mailboxes { id path } } }'
  type Progress = { account: { progress: { isComplete: boolean }; mailboxes: { id: string; path: string }[] } }
  let inbox = ''
  await until(async () => {
    const { account: found } = await service.ask<Progress>(progress, { id: account })
    inbox = found.mailboxes.find((mailbox) => mailbox.path === 'INBOX')?.id ?? ''
    return found.progress.isComplete
  }, 600_000)
  console.log(
    `first sync of ${MESSAGES}: ${((performance.now() - began) / 1000).toFixed(1)} s, peak memory ${(await peakMemory(service.pid)).toFixed(0)} MB`,
  )

  // cursors all the way down, a page apart, in steps that grow
  const cursors: string[] = []
  type Page = { data: { mailbox: { messages: { pageInfo: { endCursor: string; hasNextPage: boolean } } } } }
  for (let after: string | null = null, page = 0; ; page++) {
    const query = QUERY.replace('first: 50', 'first: 500').replace(FIELDS, 'id')
    const { data } = JSON.parse(await ask(JSON.stringify({ query, variables: { id: inbox, after } }))) as Page
    after = data.mailbox.messages.pageInfo.endCursor
    if (!data.mailbox.messages.pageInfo.hasNextPage) break
    cursors.push(after)
  }
  const deep = cursors.slice(-Math.ceil(cursors.length / 10))
  await load(QUERY, () => ({ id: inbox }))
  const floor = await load('{ __typename }', () => ({}))
  const first = await load(QUERY, () => ({ id: inbox }))
  let turn = 0
  const deepest = await load(QUERY, () => ({ id: inbox, after: deep[turn++ % deep.length] }))
  const row = (label: string, { rate, times }: typeof first) => [
    label,
    rate,
    percentile(times, 0.5),
    percentile(times, 0.99),
    rate / floor.rate,
  ]
  table(
    ['', 'requests/s', 'p50 ms', 'p99 ms', 'rate, floor = 1'],
    [
      row('{ __typename }, the floor of HTTP and load', floor),
      row('newest 50, ten fields', first),
      row('50 from the last tenth', deepest),
    ],
  )
  console.log(
    `deep pages, newest = 1: ${(deepest.rate / first.rate).toFixed(2)} of the rate; peak memory ${(await peakMemory(service.pid)).toFixed(0)} MB`,
  )
} finally {
  await service.stop()
  await dovecot.stop()
}
process.exit(0)
