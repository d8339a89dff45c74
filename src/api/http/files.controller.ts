import { Controller, Get, Param, Req, Res } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { GraphQLError } from 'graphql'
import type { Readable } from 'node:stream'
import { asFile, type FileContent } from '../../content/open-part.js'
import { partsOf } from '../../mailbox/message.js'
import { Platform } from '../../platform/platform.js'
import { forClient } from '../../platform/client-sessions.js'
import { isAuthorized, refuseUnauthorized } from '../bearer.js'
import { clientOf, Clients, REQUEST_OVER, toldOf } from '../clients.js'
import type { ByteRange } from '../../mailbox/content-piece.js'
import { asDownload, downloadName } from './download.js'
import { comesInPieces, MessageContents, type RawMessage } from '../message-content.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** HTTP status of why a message cannot be had; 503 for others, which may pass. */
const STATUS: Readonly<Record<string, number>> = { CONTENT_GONE: 410, NO_SESSION: 409 }

/** Raw messages and their parts, as bytes. */
@Controller('messages')
export class FilesController {
  constructor(
    private readonly platform: Platform,
    private readonly contents: MessageContents,
    private readonly clients: Clients,
  ) {}

  /** The raw message, or the part that a Range header asks for (RFC 9110 §14). */
  @Get(':id/raw')
  async raw(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    return this.answer(id, request, reply, async (signal) => {
      const online = await this.contents.online(id)
      if (online) {
        const range = rangeOf(request.headers.range, online.size)
        if (range === 'unsatisfiable') return () => unsatisfiable(reply, online.size)
        if (range) {
          const found = await this.contents.range(id, online.accountId, range, signal)
          return () => sendRange(asMessage(reply, id), found.range, online.size, found.content)
        }
        // how many bytes there are is what the server states, and known for certain only at the end
        if (comesInPieces(online)) {
          const content = await this.contents.stream(id, online, signal)
          return content && (() => asMessage(reply, id).send(content))
        }
      }
      const raw = await this.contents.raw(id, signal)
      return raw && (() => sendRaw(asMessage(reply, id), raw, request.headers.range))
    })
  }

  /** One part, decoded. */
  @Get(':id/parts/:part')
  async part(
    @Param('id') id: string,
    @Param('part') number: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ) {
    return this.answer(id, request, reply, async (signal) => {
      const message = await this.contents.open(id, signal)
      if (!message) return null
      const part = partsOf(message.structure).find((each) => each.part.part === number)?.part
      const opened = part ? await message.open(part) : null
      if (!opened) return () => reply.code(404).send({ error: 'The message has no such part.' })
      return () => sendFile(reply, asFile(opened))
    })
  }

  /** @param find finds what the answer is, and returns what sends it; null where there is no such message */
  private async answer(
    id: string,
    request: FastifyRequest,
    reply: FastifyReply,
    find: (signal: AbortSignal) => Promise<Send | null>,
  ): Promise<void> {
    if (!isAuthorized(request.headers.authorization, this.platform.token.value)) return void refuseUnauthorized(reply)
    const gone = new AbortController()
    try {
      const end = this.clients.begin(clientOf(request.ip))
      reply.raw.once('close', () => {
        gone.abort(REQUEST_OVER)
        end()
      })
      const scope = { client: clientOf(request.ip), signal: gone.signal }
      const send = UUID.test(id) ? await forClient(scope, () => find(gone.signal)) : null
      if (send) send()
      else reply.code(404).send({ error: 'There is no such message.' })
    } catch (error) {
      const told = toldOf(error)
      if (told) return void reply.code(told.status).send({ error: told.message })
      if (!(error instanceof GraphQLError)) throw error
      reply.code(STATUS[String(error.extensions['code'])] ?? 503).send({ error: error.message })
    }
  }
}

/** Sends an answer. A reply itself is not returned by what is waited for: Fastify's are promises of the end of the answer, and of nothing. */
type Send = () => unknown

function sendRaw(reply: FastifyReply, raw: RawMessage, header: string | undefined): FastifyReply {
  const range = rangeOf(header, raw.size)
  if (range === 'unsatisfiable') return unsatisfiable(reply, raw.size)
  if (range) return sendRange(reply, range, raw.size, raw.read(range))
  return reply.header('content-length', raw.size).send(raw.read())
}

function sendRange(reply: FastifyReply, { start, end }: ByteRange, size: number, content: Readable): FastifyReply {
  reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`)
  return reply.header('content-length', end - start + 1).send(content)
}

function unsatisfiable(reply: FastifyReply, size: number): FastifyReply {
  return reply.code(416).header('content-range', `bytes */${size}`).send()
}

function asMessage(reply: FastifyReply, id: string): FastifyReply {
  return asDownload(reply, `${id}.eml`).header('content-type', 'message/rfc822').header('accept-ranges', 'bytes')
}

function sendFile(reply: FastifyReply, { content, type: said, filename }: FileContent): FastifyReply {
  const type = /^[\w.+-]+\/[\w.+-]+$/.test(said) ? said : 'application/octet-stream'
  return asDownload(reply, downloadName(filename, 'attachment')).header('content-type', type).send(content)
}

/** One range of bytes, both ends included; null for none, or one that may be ignored (RFC 9110 §14.2). */
function rangeOf(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  const asked = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (!asked || (asked[1] === '' && asked[2] === '')) return null
  const [from, to] = [asked[1] ?? '', asked[2] ?? '']
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  return start > end || start >= size ? 'unsatisfiable' : { start, end }
}
