import { createSecureContext } from 'node:tls'
import { resolveServer } from './dial.js'
import { HostAddresses } from './host-addresses.js'

const server = {
  protocol: 'IMAP',
  host: 'mail.example',
  port: 993,
  username: 'ada',
  authentication: 'PASSWORD',
  certificateFingerprint: null,
} as const

/** Has a name resolved by a resolver that answers as told. @returns the address, or the kind of the failure */
async function resolved(answers: readonly (readonly string[])[], list: string[], security = 'IMPLICIT_TLS' as const) {
  const left = [...answers]
  const policy = {
    allowPlaintext: false,
    hostAddresses: new HostAddresses(list),
    lookup: () => Promise.resolve(left.shift() ?? []),
    secureContext: createSecureContext(),
    connectTimeout: 1,
    answerTimeout: 1,
  }
  return resolveServer({ ...server, security }, policy).catch(
    (error: { failure: { kind: string } }) => error.failure.kind,
  )
}

test('hostile-servers: of several addresses of a name one is taken that mail hosts may have', async () => {
  expect(await resolved([['127.0.0.1', '10.0.0.1', '8.8.8.8']], ['public'])).toBe('8.8.8.8')
  expect(await resolved([['169.254.169.254', '127.0.0.1']], ['loopback'])).toBe('127.0.0.1')
  expect(await resolved([['127.0.0.1', '169.254.169.254', 'fe80::1']], ['public', 'private'])).toBe('HostNotAllowed')
  expect(await resolved([[]], ['public'])).toBe('HostNotFound')
})

test('hostile-servers: the address that was compared is the one that is connected to, whatever the name resolves to next', async () => {
  expect(await resolved([['8.8.8.8'], ['127.0.0.1']], ['public'])).toBe('8.8.8.8')
})

test('plain text is refused to an address that is allowed, and not loopback', async () => {
  const plain = 'PLAINTEXT' as never
  expect(await resolved([['8.8.8.8']], ['public'], plain)).toBe('PlaintextNotAllowed')
  expect(await resolved([['127.0.0.1']], ['public'], plain)).toBe('HostNotAllowed')
})
