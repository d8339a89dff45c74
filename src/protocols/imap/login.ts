import { ImapFlow } from 'imapflow'
import type { Socket } from 'node:net'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed } from '../../mailbox/failures.js'
import type { Logger } from '../../platform/logs.js'
import { certificateCheck, requireTrusted } from '../certificate-trust.js'
import { nameForTls, resolveServer, type DialPolicy } from '../dial.js'
import type { SecretsTold } from '../secrets-told.js'
import { failureOfError } from './failure-of-error.js'

/** Of the time that a server may take to answer, what IDLE goes on for until it is begun anew: that proves the connection alive. */
const IDLE_PART = 0.75

/** A hostile server's bounds: what one line, literal or answer may hold, in bytes. */
const LIMITS = { maxLineLength: 8 * 1024 ** 2, maxLiteralSize: 32 * 1024 ** 2, maxResponseSize: 64 * 1024 ** 2 }

/** What a login takes. */
export type Login = {
  server: ServerSettings
  /** the password, or the access token for XOAUTH2 */
  secret: string
  /** what must not be told of it */
  secrets: SecretsTold
  policy: DialPolicy
  logger: Logger
  /** hears of each answer that could not be parsed */
  unparsed: () => void
}

/** Connects to an IMAP server and logs in. @throws ServerFailed, of every kind */
export async function login({ server, secret, secrets, policy, logger, unparsed }: Login): Promise<ImapFlow> {
  const address = await resolveServer(server, policy)
  const servername = nameForTls(server.host)
  const requireTrust = () => requireTrusted((client as unknown as { socket: Socket }).socket, server)
  const client: ImapFlow = new ImapFlow({
    host: address,
    servername,
    port: server.port,
    secure: server.security === 'IMPLICIT_TLS',
    doSTARTTLS: server.security === 'IMPLICIT_TLS' ? undefined : server.security === 'STARTTLS',
    auth: loginAfter(requireTrust, server, secret),
    qresync: true,
    disableAutoIdle: true,
    clientInfo: { name: 'Mailfold' },
    tls: certificateCheck(server, policy.secureContext),
    connectionTimeout: policy.connectTimeout,
    greetingTimeout: policy.connectTimeout,
    socketTimeout: policy.answerTimeout,
    // before the time-out: at that imapflow ends IDLE for a NOOP, and does not begin it again
    maxIdleTime: policy.answerTimeout * IDLE_PART,
    // an answer that imapflow cannot parse is told to nobody but its log
    logger: listenerForUnparsed(unparsed),
    ...LIMITS,
  })
  client.on('error', (error) =>
    logger.debug({ host: server.host, error: secrets.hide(error.message) }, 'connection failed'),
  )
  // imapflow's time-outs begin again with each byte; this one is for the whole
  let isLate = false
  const deadline = setTimeout(() => {
    isLate = true
    client.close()
  }, policy.connectTimeout + policy.answerTimeout)
  try {
    await client.connect()
    // a server that says PREAUTH has no login
    requireTrust()
  } catch (error) {
    client.close()
    const { host, port } = server
    if (isLate) throw new ServerFailed({ kind: 'ConnectionTimedOut', host, port })
    throw new ServerFailed(failureOfConnect(error, server, secrets))
  } finally {
    clearTimeout(deadline)
  }
  return client
}

/**
 * The login as imapflow reads it. The secret is there only after the server's certificate was compared with the one that the account trusts.
 *
 * @param requireTrust throws where the certificate is another
 */
function loginAfter(requireTrust: () => void, { username, authentication }: ServerSettings, secret: string) {
  const isToken = authentication === 'XOAUTH2'
  const guarded = () => {
    requireTrust()
    return secret
  }
  return {
    user: username,
    get accessToken() {
      return isToken ? guarded() : undefined
    },
    get pass() {
      return isToken ? undefined : guarded()
    },
  }
}

/** Until the login is through, silence and gibberish mean that something else lives on the port. */
function failureOfConnect(error: unknown, server: ServerSettings, secrets: SecretsTold) {
  const failure = failureOfError(error, server, secrets)
  const code = (error as { code?: string }).code ?? ''
  if (failure.kind !== 'ConnectionLost') return failure
  if (/TIMEOUT$/.test(code) && code !== 'GREETING_TIMEOUT')
    return { kind: 'ConnectionTimedOut', host: server.host, port: server.port } as const
  const gibberish =
    /^(GREETING_TIMEOUT|ParserError|InvalidResponse|UnexpectedTag|MissingTag|LineTooLarge|ClosedAfterConnect)/.test(
      code,
    )
  return gibberish ? ({ kind: 'ProtocolNotSpoken', host: server.host, port: server.port } as const) : failure
}

/** A log for imapflow that hears of nothing but answers that could not be parsed. */
function listenerForUnparsed(heard: () => void): Record<'trace' | 'debug' | 'info' | 'warn' | 'error', Log> {
  const ignore: Log = () => undefined
  const error: Log = (entry) => {
    if ((entry as { src?: string; payloadBytes?: number } | undefined)?.src === 's') heard()
  }
  return { trace: ignore, debug: ignore, info: ignore, warn: ignore, error }
}

type Log = (entry?: unknown) => void
