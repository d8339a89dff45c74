import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { ServerSettings } from '../mailbox/access-model.js'
import { ServerFailed } from '../mailbox/failures.js'

/** How this installation connects to mail servers; milliseconds and bytes. */
export type DialPolicy = {
  allowPlaintext: boolean
  /** whom servers are trusted by: the same for all connections */
  secureContext: SecureContext
  connectTimeout: number
  answerTimeout: number
}

/**
 * Resolves a server's name once, so that the address that was checked is the one that is connected to.
 *
 * @returns the IP address
 * @throws ServerFailed HostNotFound; PlaintextNotAllowed for plain text to an address that is not loopback
 */
export async function resolveServer(server: ServerSettings, policy: DialPolicy): Promise<string> {
  const { address } = await lookup(server.host).catch(() => {
    throw new ServerFailed({ kind: 'HostNotFound', host: server.host })
  })
  if (server.security === 'PLAINTEXT' && !policy.allowPlaintext && !isLoopback(address)) {
    throw new ServerFailed({ kind: 'PlaintextNotAllowed', host: server.host })
  }
  return address
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/** The name that a certificate is checked against and that SNI carries; SNI has no IP addresses (RFC 6066 §3). */
export function nameForTls(host: string): string | undefined {
  return isIP(host) ? undefined : host
}
