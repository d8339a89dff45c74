import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed, type ServerFailure } from '../../mailbox/failures.js'
import { failureOfNetwork, saysTooMany } from '../network-failure.js'
import { AnswerLost } from './answer-reader.js'

/** A server's `-ERR`: its response code (RFC 2449 §8, RFC 3206) in upper case, empty where there is none, and its words. */
export type Refusal = { code: string; said: string }

/** Reads a status line. @returns null for `+OK`, undefined for what is neither */
export function refusalOf(line: string): Refusal | null | undefined {
  if (/^\+OK\b/i.test(line)) return null
  const said = /^-ERR\b ?(.*)$/i.exec(line)?.[1]
  if (said === undefined) return undefined
  return { code: /^\[([^\]]+)\]/.exec(said)?.[1]?.toUpperCase() ?? '', said: said.slice(0, 500) }
}

/**
 * What a refusal means.
 *
 * @param isLogin whether it came in answer to a login, of which many servers say no more than that it failed
 */
export function failureOfRefusal(
  { code, said }: Refusal,
  command: string,
  host: string,
  isLogin: boolean,
): ServerFailure {
  const serverSaid = said || `${command} was refused`
  if (code === 'IN-USE') return { kind: 'MaildropInUse', host, serverSaid }
  if (code === 'LOGIN-DELAY' || saysTooMany(said)) return { kind: 'Throttled', host, serverSaid, pause: null }
  if (code === 'SYS/TEMP') return { kind: 'ConnectionLost', host, reason: serverSaid }
  if (code === 'SYS/PERM' || !isLogin) return { kind: 'CommandRefused', host, command, serverSaid }
  // servers without RESP-CODES say it in words
  if (code === '' && /\b(lock(ed)?|in use|busy|already (open|active))\b/i.test(said))
    return { kind: 'MaildropInUse', host, serverSaid }
  return { kind: 'LoginRefused', host, serverSaid }
}

/** What an error of a connection means. @param spoke whether the server has greeted as one of POP3 does */
export function failureOfPop3(
  error: unknown,
  { host, port, security }: Pick<ServerSettings, 'host' | 'port' | 'security'>,
  spoke: boolean,
): ServerFailure {
  if (error instanceof ServerFailed) return error.failure
  const problem = error as AnswerLost | NodeJS.ErrnoException
  const isSilence = error instanceof AnswerLost && problem.code === 'ETIMEDOUT'
  // a port that speaks plain text to who begins with TLS, or nothing at all
  if (!spoke && error instanceof AnswerLost && (isSilence || problem.code === undefined))
    return { kind: 'ProtocolNotSpoken', host, port }
  const ofNetwork = isSilence ? null : failureOfNetwork(problem, { host, port })
  if (ofNetwork) return ofNetwork
  if (!spoke && security === 'IMPLICIT_TLS' && problem.code === 'ECONNRESET')
    return { kind: 'TlsNotOffered', host, port }
  return { kind: 'ConnectionLost', host, reason: problem.message }
}
