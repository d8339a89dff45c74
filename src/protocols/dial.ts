import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { ServerSettings } from '../mailbox/access-model.js'
import { ServerFailed } from '../mailbox/failures.js'
import type { HostAddresses } from './host-addresses.js'

/** How this installation connects to mail servers; milliseconds and bytes. */
export type DialPolicy = {
  allowPlaintext: boolean
  /** which addresses mail hosts may have */
  hostAddresses: HostAddresses
  /** the addresses of a host's name, in the order of preference */
  lookup: (host: string) => Promise<readonly string[]>
  /** whom servers are trusted by: the same for all connections */
  secureContext: SecureContext
  connectTimeout: number
  answerTimeout: number
}

/**
 * Resolves a server's name once, so that the address that was checked is the one that is connected to.
 *
 * @returns the IP address
 * @throws ServerFailed HostNotFound; HostNotAllowed where no address of the host is one that mail hosts may have; PlaintextNotAllowed for plain text to an address
 * that is not loopback
 */
export async function resolveServer(server: ServerSettings, policy: DialPolicy): Promise<string> {
  const found = await policy.lookup(server.host).catch(() => [])
  if (found.length === 0) throw new ServerFailed({ kind: 'HostNotFound', host: server.host })
  const address = found.find((each) => policy.hostAddresses.allows(each))
  if (address === undefined) throw new ServerFailed({ kind: 'HostNotAllowed', host: server.host })
  if (server.security === 'PLAINTEXT' && !policy.allowPlaintext && !isLoopback(address)) {
    throw new ServerFailed({ kind: 'PlaintextNotAllowed', host: server.host })
  }
  return address
}

/** Has the system resolve a name. */
export async function lookupHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/** The name that a certificate is checked against and that SNI carries; SNI has no IP addresses (RFC 6066 §3). */
export function nameForTls(host: string): string | undefined {
  return isIP(host) ? undefined : host
}
