import type { AuthenticationFailure, ImapFlowError } from 'imapflow'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../../mailbox/failures.js'

/** Reads off a library's error what failed. What is not known is a lost connection, which is tried again. */
export function failureOfError(
  error: unknown,
  server: Pick<ServerSettings, 'host' | 'port' | 'security'>,
): ServerFailure {
  if (error instanceof ServerFailed) return error.failure
  const problem = error as ImapFlowError & AuthenticationFailure
  const { host, port } = server
  const said = serverSaid(problem)
  const pause = askedPause(problem, said)
  if (pause !== undefined) return { kind: 'Throttled', host, serverSaid: said, pause }
  if (problem.authenticationFailed) return { kind: 'LoginRefused', host, serverSaid: said }
  const code = problem.code ?? ''
  if (isCertificateProblem(code)) return { kind: 'TlsNotTrusted', host, reason: problem.message }
  if (problem.tlsFailed || code === 'MissingServerExtension' || /STARTTLS/i.test(problem.message ?? ''))
    return { kind: 'TlsNotOffered', host, port }
  if (/^(ERR_SSL_|EPROTO)/.test(code)) return { kind: 'TlsNotOffered', host, port }
  if (code === 'ECONNREFUSED') return { kind: 'ConnectionRefused', host, port }
  if (/^(ENOTFOUND|EAI_)/.test(code)) return { kind: 'HostNotFound', host }
  if (/^(CONNECT_TIMEOUT|UPGRADE_TIMEOUT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code))
    return { kind: 'ConnectionTimedOut', host, port }
  if (problem.responseStatus === 'NO' || problem.responseStatus === 'BAD') {
    return {
      kind: 'CommandRefused',
      host,
      command: problem.command ?? problem.executedCommand?.split(' ')[1] ?? 'a command',
      serverSaid: said,
    }
  }
  return { kind: 'ConnectionLost', host, reason: problem.message ?? String(error) }
}

function serverSaid(problem: ImapFlowError): string {
  const response = typeof problem.response === 'string' ? problem.response : undefined
  return (problem.responseText ?? response ?? problem.reason ?? problem.message ?? '').slice(0, 500)
}

/**
 * The pause that a server asks for: a number of milliseconds, null where it names none, undefined where it asks for none.
 * Microsoft 365 says "Request is throttled. Suggested Backoff Time: 299961 milliseconds", and answers a throttled login
 * with "User is authenticated but not connected": neither is a refused login. UNAVAILABLE, LIMIT, INUSE: RFC 5530.
 */
function askedPause(problem: ImapFlowError, said: string): number | null | undefined {
  if (problem.throttleReset) return problem.throttleReset
  const named = /backoff time:?\s*(\d+)/i.exec(said)
  if (named) return Number(named[1])
  const code = problem.serverResponseCode?.toUpperCase() ?? ''
  if (/^(UNAVAILABLE|LIMIT|INUSE|THROTTLED|OVERQUOTA-CONNECTIONS)$/.test(code)) return null
  if (
    /throttl|authenticated but not connected|too many (simultaneous )?(connections|logins)|maximum number of connections/i.test(
      said,
    )
  )
    return null
  return undefined
}

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
])

function isCertificateProblem(code: string): boolean {
  return CERTIFICATE_PROBLEMS.has(code) || code === 'ERR_TLS_CERT_ALTNAME_INVALID'
}
