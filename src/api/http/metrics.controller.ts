import { Controller, Get, Req, Res } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Platform } from '../../platform/platform.js'
import { isAuthorized, refuseUnauthorized } from '../bearer.js'

/** What the process counts, for Prometheus; with the API's token, since it tells how much mail there is. */
@Controller('metrics')
export class MetricsController {
  constructor(private readonly platform: Platform) {}

  @Get()
  async metrics(@Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    const { token, metrics } = this.platform
    if (!isAuthorized(request.headers.authorization, token.value)) return refuseUnauthorized(reply)
    const { type, text } = await metrics.text()
    return reply.type(type).send(text)
  }
}
