import { Controller, Get, Inject, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { Platform } from '../../platform/platform.js'

/** Tells whether the part of the service that does jobs is ready; given by whoever puts the modules together. */
export const WORK_READINESS = Symbol('WORK_READINESS')

/** For load balancers and orchestrators; without a token, and saying nothing that needs one. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly platform: Platform,
    @Inject(WORK_READINESS) private readonly work: { isReady: boolean },
  ) {}

  /** The process runs and answers. */
  @Get('live')
  live(): { status: string } {
    return { status: 'live' }
  }

  /** The database answers, jobs can be taken, and the process is not about to end; 503 otherwise. */
  @Get('ready')
  async ready(@Res() reply: FastifyReply) {
    const database = await this.platform.database.answers()
    const ready = database && this.work.isReady && !this.platform.isStopping
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ready' : 'not ready', database, jobs: this.work.isReady })
  }
}
