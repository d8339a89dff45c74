import type { FastifyReply } from 'fastify'
import { tokensMatch } from '../platform/secrets.js'

/** Whether an Authorization header carries the API's token (RFC 6750 §2.1). */
export function isAuthorized(header: string | undefined, token: string): boolean {
  const presented = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
  return presented !== undefined && tokensMatch(presented, token)
}

/** Answers a request that carries no token, or a wrong one. */
export function refuseUnauthorized(reply: FastifyReply): FastifyReply {
  return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'A bearer token is needed.' })
}
