/** How an account is worked with (RFC 1733). */
export type AccessModel = 'OFFLINE' | 'ONLINE' | 'DISCONNECTED'

/** All of them. */
export const ACCESS_MODELS: readonly AccessModel[] = ['OFFLINE', 'ONLINE', 'DISCONNECTED']

/** The protocol that an account speaks. */
export type Protocol = 'IMAP' | 'POP3'

/** How a connection is protected. STARTTLS is required where it is chosen, never only tried. */
export type Security = 'IMPLICIT_TLS' | 'STARTTLS' | 'PLAINTEXT'

/** How an account logs in: with a password, or with an OAuth 2.0 access token (XOAUTH2). */
export type Authentication = 'PASSWORD' | 'XOAUTH2'

/** Where an account's mail is, and how it is reached; the password, or token, is kept elsewhere. */
export type ServerSettings = {
  protocol: Protocol
  host: string
  port: number
  security: Security
  username: string
  authentication: Authentication
  /**
   * SHA-256 of the one certificate that is trusted, in DER: 32 pairs of hexadecimal digits in upper case, with colons between them. Null where the
   * authorities decide whom to trust.
   */
  certificateFingerprint: string | null
}

/**
 * Reads a certificate's fingerprint as people write it: in any case, with colons, spaces or nothing between the pairs.
 *
 * @returns it as ServerSettings has it; null for what is no SHA-256
 */
export function readFingerprint(written: string): string | null {
  const digits = written.replace(/[:\s]/g, '').toUpperCase()
  return /^[\dA-F]{64}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : null
}

/** Why a protocol cannot serve an access model, or null where it can. */
export function whyNotPossible(protocol: Protocol, model: AccessModel): string | null {
  if (protocol === 'IMAP' || model === 'OFFLINE') return null
  return `POP3 has one maildrop without flags or other mailboxes, so an account over it can only be OFFLINE, not ${model}`
}

/** The port that a protocol has under each protection (RFC 8314 §7, RFC 9051 §2.1, RFC 1939 §3). */
export function defaultPort(protocol: Protocol, security: Security): number {
  if (protocol === 'IMAP') return security === 'IMPLICIT_TLS' ? 993 : 143
  return security === 'IMPLICIT_TLS' ? 995 : 110
}

/** The protection of a port when nobody chose one: STARTTLS on the two ports that begin in plain text, else TLS. */
export function defaultSecurity(port: number | undefined): Security {
  return port === 143 || port === 110 ? 'STARTTLS' : 'IMPLICIT_TLS'
}
