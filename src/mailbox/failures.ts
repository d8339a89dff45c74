/** What can be done about a failure; the queue reads this and nothing else of it. */
export type Remedy = 'retry' | 'wait' | 'reauthenticate' | 'change settings' | 'report'

/** An expected failure of talking to a mail server: what happened, and what the server said of it. */
export type ServerFailure =
  | { kind: 'HostNotFound'; host: string }
  | { kind: 'ConnectionRefused'; host: string; port: number }
  | { kind: 'ConnectionTimedOut'; host: string; port: number }
  /** the certificate is not from an authority that is trusted, not for this host, or not valid today */
  | {
      kind: 'TlsNotTrusted'
      host: string
      reason: string
      /** of the certificate that the server showed, as ServerSettings has it; null where nobody looked */
      certificateFingerprint: string | null
    }
  /** STARTTLS is missing from the server's capabilities, or no TLS answered (RFC 8314, RFC 9051 §6.2.1) */
  | { kind: 'TlsNotOffered'; host: string; port: number }
  /** nothing is tried again until the credentials change (RFC 5530 AUTHENTICATIONFAILED) */
  | { kind: 'LoginRefused'; host: string; serverSaid: string }
  | { kind: 'ProtocolNotSpoken'; host: string; port: number }
  | { kind: 'PlaintextNotAllowed'; host: string }
  /** no address of the host is one that this installation connects to */
  | { kind: 'HostNotAllowed'; host: string }
  /** the server asks for a pause; milliseconds where it names them */
  | { kind: 'Throttled'; host: string; serverSaid: string; pause: number | null }
  /** another session has the maildrop open (RFC 2449 IN-USE) */
  | { kind: 'MaildropInUse'; host: string; serverSaid: string }
  | { kind: 'ConnectionLost'; host: string; reason: string }
  /** the server answered NO or BAD to a command that should have worked */
  | {
      kind: 'CommandRefused'
      host: string
      command: string
      serverSaid: string
      /** the response code (RFC 9051 §7.1, RFC 5530), in upper case; null where there is none */
      code?: string | null
    }

/** What a person can do about what keeps an account from being worked on. */
export type ConnectionRemedy =
  | 'RETRIES_BY_ITSELF'
  | 'WAIT'
  | 'CHANGE_CREDENTIALS'
  | 'CHANGE_SETTINGS'
  | 'ASK_MAIL_PROVIDER'
  | 'FREE_DISK_SPACE'
  | 'CHECK_DATABASE'
  | 'CHECK_BLOB_STORE'
  | 'REPORT_BUG'

/** What failed where it was not the mail server: a full disk, the database, the blob store, stored credentials, or Mailfold itself. */
export type WorkFailureKind = 'DISK_FULL' | 'DATABASE' | 'BLOB_STORE' | 'CREDENTIALS' | 'BUG'

/** A failure of the work for an account that is no answer of its mail server. */
export type WorkFailure = {
  /** what failed */
  kind: WorkFailureKind
  /** one sentence for a person */
  reason: string
  /** the id under which the log tells more; a failure that lasts keeps it */
  failureId: string
}

/** What a person can do about a failure of Mailfold's own work. */
export function remedyOfWork(kind: WorkFailureKind): ConnectionRemedy {
  switch (kind) {
    case 'DISK_FULL':
      return 'FREE_DISK_SPACE'
    case 'DATABASE':
      return 'CHECK_DATABASE'
    case 'BLOB_STORE':
      return 'CHECK_BLOB_STORE'
    case 'CREDENTIALS':
      return 'CHANGE_CREDENTIALS'
    case 'BUG':
      return 'REPORT_BUG'
  }
}

/** What a person can do about a failure of a mail server. */
export function remedyForPerson(failure: ServerFailure): ConnectionRemedy {
  switch (remedyOf(failure)) {
    case 'reauthenticate':
      return 'CHANGE_CREDENTIALS'
    case 'wait':
      return 'WAIT'
    case 'change settings':
      return 'CHANGE_SETTINGS'
    case 'report':
      return 'ASK_MAIL_PROVIDER'
    case 'retry':
      return 'RETRIES_BY_ITSELF'
  }
}

/** What may be done about a failure, decided here and nowhere else. */
export function remedyOf(failure: ServerFailure): Remedy {
  switch (failure.kind) {
    case 'LoginRefused':
      return 'reauthenticate'
    case 'Throttled':
    case 'MaildropInUse':
      return 'wait'
    case 'TlsNotTrusted':
    case 'TlsNotOffered':
    case 'PlaintextNotAllowed':
    case 'HostNotAllowed':
      return 'change settings'
    case 'CommandRefused':
      return 'report'
    default:
      return 'retry'
  }
}

/** A failure as one sentence for a person. */
export function describeFailure(failure: ServerFailure): string {
  switch (failure.kind) {
    case 'HostNotFound':
      return `The host ${failure.host} was not found.`
    case 'ConnectionRefused':
      return `${failure.host} refuses connections on port ${failure.port}.`
    case 'ConnectionTimedOut':
      return `${failure.host} did not answer on port ${failure.port} in time.`
    case 'TlsNotTrusted':
      return `The certificate of ${failure.host} is not trusted: ${failure.reason}.`
    case 'TlsNotOffered':
      return `${failure.host} offers no TLS on port ${failure.port}.`
    case 'LoginRefused':
      return `${failure.host} refused the login: ${failure.serverSaid}`
    case 'ProtocolNotSpoken':
      return `What answers on port ${failure.port} of ${failure.host} does not speak the protocol.`
    case 'PlaintextNotAllowed':
      return `A connection without TLS to ${failure.host} is not allowed: it is not on loopback (see MAILFOLD_ALLOW_PLAINTEXT).`
    case 'HostNotAllowed':
      return `Mail hosts may not be where ${failure.host} is: see MAILFOLD_MAIL_HOSTS.`
    case 'Throttled':
      return `${failure.host} asks for a pause: ${failure.serverSaid}`
    case 'MaildropInUse':
      return `Another session has the maildrop on ${failure.host} open: ${failure.serverSaid}`
    case 'ConnectionLost':
      return `The connection to ${failure.host} was lost: ${failure.reason}`
    case 'CommandRefused':
      return `${failure.host} refused ${failure.command}: ${failure.serverSaid}`
  }
}

/** Carries a ServerFailure up through code that can only throw. */
export class ServerFailed extends Error {
  constructor(readonly failure: ServerFailure) {
    super(describeFailure(failure))
  }
}

/** Whether a server has answered that it will not do what it was asked; the connection is as good as before. */
export function isRefusal(
  error: unknown,
): error is ServerFailed & { failure: Extract<ServerFailure, { kind: 'CommandRefused' }> } {
  return error instanceof ServerFailed && error.failure.kind === 'CommandRefused'
}

/** Whether a connection has ended. */
export function isLoss(error: unknown): boolean {
  return error instanceof ServerFailed && error.failure.kind === 'ConnectionLost'
}

/** The failure of a connection that the server has ended. */
export function endedByServer(host: string): ServerFailed {
  return new ServerFailed({ kind: 'ConnectionLost', host, reason: 'the server ended it' })
}
