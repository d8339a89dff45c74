import { Body, Controller, Post, Req, Res } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { PassingContent } from '../../content/passing-content.js'
import { isPieceKey } from '../../mailbox/content-piece.js'
import { AskServer } from '../../mailbox/online-commands.js'
import type { ServerAnswer } from '../../mailbox/server-search.js'
import { Platform } from '../../platform/platform.js'
import { isAuthorized, refuseUnauthorized } from '../bearer.js'

const day = z.iso.datetime().transform((value) => new Date(value))
const text = z.string().nullable()
const bytes = z.number().nullable()

const QUESTION = z.strictObject({
  accountId: z.uuid(),
  question: z.strictObject({
    mailboxes: z.array(z.strictObject({ mailboxId: z.uuid(), path: z.string() })),
    search: z.strictObject({
      ...{ text, body: text, from: text, to: text, subject: text },
      ...{ since: day.nullable(), before: day.nullable() },
      ...{ isUnread: z.boolean().nullable(), isFlagged: z.boolean().nullable() },
      ...{ largerThan: bytes, smallerThan: bytes },
    }),
  }),
})

const PASSING = z.strictObject({ key: z.string() })

/** What processes of the installation ask each other: what only the one that has an account's connection can tell. With the API's token. */
@Controller('peers')
export class PeersController {
  constructor(
    private readonly platform: Platform,
    private readonly passing: PassingContent,
    private readonly commands: CommandBus,
  ) {}

  /** Asks an account's server. */
  @Post('questions')
  async question(@Body() body: unknown, @Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    if (!this.isPeer(request)) return refuseUnauthorized(reply)
    const asked = QUESTION.safeParse(body)
    if (!asked.success) return reply.code(400).send({ error: 'This is no question.' })
    const { accountId, question } = asked.data
    return reply.send(await this.commands.execute<AskServer, ServerAnswer>(new AskServer(accountId, question)))
  }

  /** A raw message of an ONLINE account, or a piece of one, as soon as it passes through this process. */
  @Post('passing')
  async passingContent(@Body() body: unknown, @Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    if (!this.isPeer(request)) return refuseUnauthorized(reply)
    const asked = PASSING.safeParse(body)
    if (!asked.success) return reply.code(400).send({ error: 'This names no message.' })
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const deadline = AbortSignal.timeout(this.platform.settings.MAILFOLD_CONTENT_TIMEOUT)
    await this.passing.arrival(asked.data.key, AbortSignal.any([gone.signal, deadline]))
    const { key } = asked.data
    const content = isPieceKey(key) ? this.passing.take(key) : this.passing.read(key)
    return content ? reply.type('application/octet-stream').send(content) : reply.code(404).send()
  }

  private isPeer(request: FastifyRequest): boolean {
    return isAuthorized(request.headers.authorization, this.platform.token.value)
  }
}
