import type { Socket } from 'node:net'
import { TLSSocket, type PeerCertificate, type SecureContext } from 'node:tls'
import type { ServerSettings } from '../mailbox/access-model.js'
import { ServerFailed } from '../mailbox/failures.js'

/** How TLS is to check a server's certificate: against the authorities, unless the account trusts one certificate by its fingerprint. */
export function certificateCheck(
  { certificateFingerprint }: Pick<ServerSettings, 'certificateFingerprint'>,
  secureContext: SecureContext,
): { secureContext: SecureContext; rejectUnauthorized: boolean } {
  // TLS cannot compare fingerprints: requireTrusted does, before anything secret is sent
  return { secureContext, rejectUnauthorized: certificateFingerprint === null }
}

/**
 * Compares the certificate that a server shows with the one that the account trusts by its fingerprint. An account that trusts none has had the
 * certificate checked by TLS.
 *
 * @param socket of the connection, with TLS on it
 * @throws ServerFailed TlsNotTrusted where it is another, or there is none
 */
export function requireTrusted(
  socket: Socket,
  { host, certificateFingerprint }: Pick<ServerSettings, 'host' | 'certificateFingerprint'>,
): void {
  if (certificateFingerprint === null) return
  // getPeerX509Certificate would find none the second time
  const certificate: Partial<PeerCertificate> = socket instanceof TLSSocket ? socket.getPeerCertificate() : {}
  const shown = certificate.fingerprint256 ?? null
  if (shown === certificateFingerprint) return
  const reason = `it is not the one that is trusted by its fingerprint; the server shows ${shown ?? 'none'}`
  throw new ServerFailed({ kind: 'TlsNotTrusted', host, reason, certificateFingerprint: shown })
}
