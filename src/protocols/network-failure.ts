import type { ServerSettings } from '../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../mailbox/failures.js'

/** What to do about a certificate that no known authority vouches for; Node's own words give advice for another program. */
const TRUST =
  'if it is your own, trust it by its fingerprint (certificateFingerprint), or name a PEM file with it, or with its authority, in MAILFOLD_TLS_CA'

/** What is wrong with a certificate, by the codes of Node's TLS; null where Node's own words say it. */
const CERTIFICATE_PROBLEMS = new Map<string, string | null>([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', `it is self-signed; ${TRUST}`],
  ['SELF_SIGNED_CERT_IN_CHAIN', `its authority is not known; ${TRUST}`],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    `its authority is not known, or the server does not send the whole chain; ${TRUST}`,
  ],
  ['UNABLE_TO_GET_ISSUER_CERT', `its authority is not known; ${TRUST}`],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', `its authority is not known; ${TRUST}`],
  ['CERT_UNTRUSTED', `its authority is not known; ${TRUST}`],
  ['CERT_HAS_EXPIRED', 'it has expired'],
  ['CERT_NOT_YET_VALID', 'it is not valid yet'],
  ['CERT_REVOKED', 'it was revoked'],
  ['CERT_SIGNATURE_FAILURE', 'its signature is wrong'],
  ['HOSTNAME_MISMATCH', null],
  ['INVALID_CA', 'the certificate of its authority may sign no others'],
  ['INVALID_PURPOSE', 'it is not for servers'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', null],
])

/** What failed, by the code of an error of Node's network and TLS; null for one that is none of these. */
export function failureOfNetwork(
  { code = '', message }: { code?: string | undefined; message: string },
  { host, port }: Pick<ServerSettings, 'host' | 'port'>,
): ServerFailure | null {
  const problem = CERTIFICATE_PROBLEMS.get(code)
  if (problem !== undefined)
    return { kind: 'TlsNotTrusted', host, reason: problem ?? message, certificateFingerprint: null }
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
