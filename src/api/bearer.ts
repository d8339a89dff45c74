import { tokensMatch } from '../platform/secrets.js'

/** Whether an Authorization header carries the API's token (RFC 6750 §2.1). */
export function isAuthorized(header: string | undefined, token: string): boolean {
  const presented = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
  return presented !== undefined && tokensMatch(presented, token)
}
