/* OpenTelemetry: one trace from a client's operation through the job to the commands to the mail server. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Dovecot } from './support/dovecot.ts'
import { mail } from './support/mail.ts'
import { OnlineAccount } from './support/online.ts'
import { Service, until } from './support/service.ts'

type Span = { traceId: string; spanId: string; parentSpanId?: string; name: string; attributes: unknown[] }
type Sent = { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }

let collector: Server
let dovecot: Dovecot
let service: Service
const spans: Span[] = []

beforeAll(async () => {
  dovecot = await Dovecot.start()
  collector = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      for (const { scopeSpans } of (JSON.parse(body) as Sent).resourceSpans)
        spans.push(...scopeSpans.flatMap((scope) => scope.spans))
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  service = await Service.start({
    MAILFOLD_TRACES: 'true',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  collector?.close()
})

test('a change is traced from the client to the server, and says nothing of the message', async () => {
  await dovecot.fill('traced', { INBOX: [mail(1, { subject: 'unspeakable' })] })
  const mine = await OnlineAccount.connect(service, dovecot, 'traced')
  await mine.session()
  const { id } = await mine.message('unspeakable')
  await service.ask(
    'mutation MarkRead($input: ChangeFlagsInput!) { changeFlags(input: $input) { errors { __typename } } }',
    { input: { messageIds: [id], add: ['\\Seen'] } },
  )
  const above = ({ parentSpanId }: Span) => spans.find(({ spanId }) => spanId === parentSpanId)
  const ancestors = (span: Span): string[] => {
    const parent = above(span)
    return parent ? [...ancestors(parent), parent.name] : []
  }
  const isStore = ({ name }: Span) => name === 'IMAP UID STORE' || name === 'IMAP STORE'
  await until(() => spans.some((span) => isStore(span) && ancestors(span)[0] === 'GraphQL'))
  const store = spans.find((span) => isStore(span) && ancestors(span)[0] === 'GraphQL') as Span
  expect(ancestors(store)).toContain('job operate')
  const [first] = spans.filter(({ traceId, name }) => traceId === store.traceId && name === 'GraphQL')
  expect(JSON.stringify(first?.attributes)).toContain('MarkRead')
  expect(JSON.stringify(spans)).not.toContain('unspeakable')
  await mine.end()
})
