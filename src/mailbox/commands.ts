import type { ContentPiece } from './content-piece.js'
import { readFingerprint, type AccessModel, type ServerSettings } from './access-model.js'
import type { ServerFailure } from './failures.js'

/** Why an account was not connected, or its credentials not changed. */
export type ConnectFailure =
  | ServerFailure
  | { kind: 'ModelNotPossible'; reason: string }
  | { kind: 'AlreadyConnected'; accountId: string }
  | { kind: 'AccountNotFound' }
  | { kind: 'InvalidSettings'; field: string; reason: string }

/** How connecting ended; a failure has changed nothing. */
export type ConnectOutcome = { accountId: string } | { failure: ConnectFailure }

/** Try these settings, and if they work, connect the account. */
export class ConnectAccount {
  constructor(
    readonly server: ServerSettings,
    readonly model: AccessModel,
    readonly password: string,
  ) {}
}

/** Try this password, and if it works, use it from now on. */
export class ChangeCredentials {
  constructor(
    readonly accountId: string,
    readonly password: string,
    /** the certificate that is trusted from now on, as ServerSettings has it; null for what the authorities say, undefined for what was before */
    readonly certificateFingerprint?: string | null,
  ) {}
}

/** Bring an account up to date now, rather than at its next check. */
export class SyncNow {
  constructor(readonly accountId: string) {}
}

/** Have a message's content fetched; the outcome is an event, or for an ONLINE account passes through memory. */
export class FetchContent {
  constructor(
    readonly accountId: string,
    readonly messageId: string,
    /** only that of it, for an ONLINE account; null for all */
    readonly piece: ContentPiece | null = null,
  ) {}
}

/** Have the contents of several messages of a DISCONNECTED account fetched together. @returns whether it is such an account */
export class FetchContents {
  constructor(
    readonly accountId: string,
    readonly messageIds: readonly string[],
  ) {}
}

/** Have a message's content forgotten, and that of all its copies in the account. */
export class ForgetMessage {
  constructor(
    readonly messageId: string,
    readonly requestedBy: string,
  ) {}
}

/** Have an account forgotten with all that is known of it. */
export class ForgetAccount {
  constructor(
    readonly accountId: string,
    readonly requestedBy: string,
  ) {}
}

/** What was forgotten: the messages, or the whole account; null when there was nothing by that id. */
export type ForgetOutcome = { accountId: string; messageIds: string[] } | null

/** An account, or messages of it, were forgotten just now: whatever of it is in memory is to go. */
export class Forgotten {
  constructor(
    readonly accountId: string,
    readonly messages: 'all' | readonly string[],
    /** whether another process has told of it, which all have heard */
    readonly isHeard = false,
  ) {}
}

/** Something of an account is to be done by a worker: said after the fact that makes it necessary. */
export class WorkNeeded {
  constructor(
    readonly accountId: string,
    readonly model: AccessModel,
    /** whether a pause after a failure is over, since somebody waits */
    readonly isUrgent = false,
  ) {}
}

/** Checks what a client gave as settings. @returns what is wrong with them, null when nothing is */
export function checkSettings(server: ServerSettings, password: string): ConnectFailure | null {
  const invalid = (field: string, reason: string): ConnectFailure => ({ kind: 'InvalidSettings', field, reason })
  if (!/^[^\s/@]{1,253}$/.test(server.host)) return invalid('host', 'must be a host name or an IP address')
  if (!Number.isInteger(server.port) || server.port < 1 || server.port > 65_535)
    return invalid('port', 'must be from 1 to 65535')
  if (server.username === '' || server.username.length > 1_000)
    return invalid('username', 'must have 1 to 1000 characters')
  if (password === '' || password.length > 10_000) return invalid('password', 'must have 1 to 10000 characters')
  // a line break or NUL would end the command that carries the login
  // eslint-disable-next-line no-control-regex
  if (/[\r\n\u0000]/.test(server.username)) return invalid('username', 'must be one line')
  // eslint-disable-next-line no-control-regex
  if (/[\r\n\u0000]/.test(password)) return invalid('password', 'must be one line')
  if (server.certificateFingerprint === null) return null
  if (server.security === 'PLAINTEXT') return invalid('certificateFingerprint', 'there is no certificate without TLS')
  if (readFingerprint(server.certificateFingerprint) !== server.certificateFingerprint)
    return invalid('certificateFingerprint', 'must be a SHA-256: 64 hexadecimal digits')
  return null
}
