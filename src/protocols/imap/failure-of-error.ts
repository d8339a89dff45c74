import type { AuthenticationFailure, ImapFlowError } from 'imapflow'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../../mailbox/failures.js'
import { clean } from '../../mailbox/message-bounds.js'
import { SecretsTold } from '../secrets-told.js'
import { failureOfNetwork, saysTooMany } from '../network-failure.js'

/** Reads off a library's error what failed. What is not known is a lost connection, which is tried again. */
export function failureOfError(
  error: unknown,
  server: Pick<ServerSettings, 'host' | 'port' | 'security'>,
  secrets = new SecretsTold([]),
): ServerFailure {
  if (error instanceof ServerFailed) return error.failure
  const problem = error as ImapFlowError & AuthenticationFailure
  const { host, port } = server
  const said = serverSaid(problem, secrets)
  const pause = askedPause(problem, said)
  if (pause !== undefined) return { kind: 'Throttled', host, serverSaid: said, pause }
  if (problem.authenticationFailed) return { kind: 'LoginRefused', host, serverSaid: said }
  const ofNetwork = failureOfNetwork(problem, server)
  // what the certificate is blamed for comes before that there is no TLS
  if (ofNetwork?.kind === 'TlsNotTrusted') return ofNetwork
  if (problem.tlsFailed || problem.code === 'MissingServerExtension' || /STARTTLS/i.test(problem.message ?? ''))
    return { kind: 'TlsNotOffered', host, port }
  if (ofNetwork) return ofNetwork
  if (problem.responseStatus === 'NO' || problem.responseStatus === 'BAD') {
    return {
      kind: 'CommandRefused',
      host,
      command: problem.command ?? problem.executedCommand?.split(' ')[1] ?? 'a command',
      serverSaid: said,
      code: codeOf(problem) || null,
    }
  }
  return { kind: 'ConnectionLost', host, reason: bounded(problem.message ?? String(error), secrets) }
}

function serverSaid(problem: ImapFlowError, secrets: SecretsTold): string {
  const response = typeof problem.response === 'string' ? problem.response : undefined
  return bounded(problem.responseText ?? response ?? problem.reason ?? problem.message ?? '', secrets)
}

/** A server's words as they may be kept; a secret that is cut in two would be told in part. */
function bounded(said: string, secrets: SecretsTold): string {
  return clean(secrets.hide(said.slice(0, 10_000)).slice(0, 500))
}

/** The response code, in upper case; empty where there is none. */
function codeOf(problem: ImapFlowError): string {
  const { attributes } = (problem.response ?? {}) as { attributes?: { section?: { value?: unknown }[] }[] }
  const code = problem.serverResponseCode ?? attributes?.[0]?.section?.[0]?.value
  return typeof code === 'string' ? code.toUpperCase() : ''
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
  if (/^(UNAVAILABLE|LIMIT|INUSE|THROTTLED|OVERQUOTA-CONNECTIONS)$/.test(codeOf(problem))) return null
  if (saysTooMany(said)) return null
  return undefined
}
