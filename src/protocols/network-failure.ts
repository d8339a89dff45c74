import type { ServerSettings } from '../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../mailbox/failures.js'

const CERTIFICATE_PROBLEMS = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** What failed, by the code of an error of Node's network and TLS; null for one that is none of these. */
export function failureOfNetwork(
  { code = '', message }: { code?: string | undefined; message: string },
  { host, port }: Pick<ServerSettings, 'host' | 'port'>,
): ServerFailure | null {
  if (CERTIFICATE_PROBLEMS.has(code)) return { kind: 'TlsNotTrusted', host, reason: message }
  if (/^(ERR_SSL_|EPROTO)/.test(code)) return { kind: 'TlsNotOffered', host, port }
  if (code === 'ECONNREFUSED') return { kind: 'ConnectionRefused', host, port }
  if (/^(ENOTFOUND|EAI_)/.test(code)) return { kind: 'HostNotFound', host }
  if (/^(CONNECT_TIMEOUT|UPGRADE_TIMEOUT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code))
    return { kind: 'ConnectionTimedOut', host, port }
  return null
}

/** Whether a server's words mean that it is asked for too much, whatever it calls that. */
export function saysTooMany(said: string): boolean {
  return /throttl|authenticated but not connected|too many (simultaneous )?(connections|logins)|maximum number of connections/i.test(
    said,
  )
}

/** The failure of a connection that may not be used any more, since another process has the account. */
export function takenOver(host: string): ServerFailed {
  return new ServerFailed({ kind: 'ConnectionLost', host, reason: 'another process has the account' })
}
