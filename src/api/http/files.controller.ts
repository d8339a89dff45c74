import { Controller, Get, Param, Req, Res } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { GraphQLError } from 'graphql'
import { readAttachment } from '../../content/read-message.js'
import { Platform } from '../../platform/platform.js'
import { isAuthorized } from '../bearer.js'
import { MessageContents, type RawMessage } from '../message-content.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Raw messages and attachments, as bytes. */
@Controller('messages')
export class FilesController {
  constructor(
    private readonly platform: Platform,
    private readonly contents: MessageContents,
  ) {}

  /** The raw message, or the part that a Range header asks for (RFC 9110 §14). */
  @Get(':id/raw')
  async raw(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    const raw = await this.find(id, request, reply)
    if (!raw) return reply
    reply.header('content-type', 'message/rfc822').header('accept-ranges', 'bytes')
    const range = rangeOf(request.headers.range, raw.size)
    if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${raw.size}`).send()
    if (!range) return reply.header('content-length', raw.size).send(raw.read())
    reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${raw.size}`)
    return reply.header('content-length', range.end - range.start + 1).send(raw.read(range))
  }

  /** One attachment, decoded. */
  @Get(':id/attachments/:part')
  async attachment(
    @Param('id') id: string,
    @Param('part') part: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ) {
    const raw = await this.find(id, request, reply)
    if (!raw) return reply
    const attachment = await readAttachment(raw.read(), part)
    if (!attachment) return reply.code(404).send({ error: 'The message has no such attachment.' })
    const type = /^[\w.+-]+\/[\w.+-]+$/.test(attachment.type) ? attachment.type : 'application/octet-stream'
    const name = encodeURIComponent(attachment.filename ?? 'attachment')
    // as an attachment, and never sniffed: it is somebody else's content under this service's origin
    reply
      .header('content-type', type)
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', 'sandbox')
    return reply.header('content-disposition', `attachment; filename*=UTF-8''${name}`).send(attachment.content)
  }

  private async find(id: string, request: FastifyRequest, reply: FastifyReply): Promise<RawMessage | null> {
    if (!isAuthorized(request.headers.authorization, this.platform.token.value)) {
      reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'A bearer token is needed.' })
      return null
    }
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    try {
      const raw = UUID.test(id) ? await this.contents.raw(id, gone.signal) : null
      if (!raw) reply.code(404).send({ error: 'There is no such message.' })
      return raw
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      reply.code(error.extensions['code'] === 'CONTENT_GONE' ? 410 : 503).send({ error: error.message })
      return null
    }
  }
}

/** One range of bytes, both ends included; null for none, or one that may be ignored (RFC 9110 §14.2). */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | 'unsatisfiable' | null {
  const asked = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (!asked || (asked[1] === '' && asked[2] === '')) return null
  const [from, to] = [asked[1] ?? '', asked[2] ?? '']
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  return start > end || start >= size ? 'unsatisfiable' : { start, end }
}
