import { PassThrough, type Readable } from 'node:stream'
import { Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { readMaildir } from '../../content/formats/maildir.js'
import { readMbox, type Ambiguity } from '../../content/formats/mbox.js'
import { UnreadableFile } from '../../content/formats/message-file.js'
import { ImportMessages, type ImportOutcome } from '../../mailbox/offline-commands.js'
import { Platform } from '../../platform/platform.js'
import { viewAccounts } from '../../projections/account-views.js'
import type { MessageFilter } from '../../mailbox/message-filter.js'
import { viewListSize } from '../../projections/message-views.js'
import { followedFor, forClient } from '../../platform/client-sessions.js'
import { whyNoText } from '../argument-check.js'
import { isAuthorized, refuseUnauthorized } from '../bearer.js'
import { clientOf, Clients, REQUEST_OVER, toldOf } from '../clients.js'
import { readIdOf } from '../ids.js'
import { isNear } from '../moments.js'
import { MessageContents } from '../message-content.js'
import { exportedMessages, FORMATS } from '../message-export.js'
import { asDownload } from './download.js'
import { changeErrorOf } from '../schema/change-mail.type.js'

const flag = z.enum(['true', 'false']).transform((value) => value === 'true')
const time = z.iso
  .datetime({ offset: true })
  .transform((value) => new Date(value))
  .refine((value) => isNear(value.getTime()), 'is no date and time')

/** A text that can be looked for, or that can be a name. */
const text = z.string().superRefine((value, context) => {
  const why = whyNoText(value)
  if (why) context.addIssue(why)
})

const EXPORT = z.strictObject({
  format: z.enum(['mbox', 'maildir', 'zip']),
  mailbox: z.string().optional(),
  isUnread: flag.optional(),
  isFlagged: flag.optional(),
  hasAttachment: flag.optional(),
  from: text.optional(),
  subject: text.optional(),
  since: time.optional(),
  before: time.optional(),
})

const IMPORT = z.strictObject({ format: z.enum(['mbox', 'maildir']), mailbox: text.min(1).default('INBOX') })

/** A request that cannot be served; the message is one sentence. */
class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

/** Ambiguous lines of an mbox that the answer to an import quotes, at most. */
const MOST_AMBIGUOUS = 100

/** Mail as files, out of accounts and into them, streamed. */
@Controller('accounts')
export class TransferController {
  constructor(
    private readonly platform: Platform,
    private readonly contents: MessageContents,
    private readonly commands: CommandBus,
    private readonly clients: Clients,
  ) {}

  /** An account, a mailbox or what a filter leaves of them; headers say how many messages and bytes that is. */
  @Get(':id/export')
  async export(
    @Param('id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ) {
    return this.serve(request, reply, async (signal) => {
      const accountId = await this.accountOf(id)
      const { format, mailbox, ...filter } = checked(EXPORT, query)
      const mailboxId = mailbox === undefined ? null : readId('Mailbox', mailbox)
      const { reads } = this.platform.database
      const size = await viewListSize(reads, accountId, mailboxId, filter as MessageFilter)
      const exported = { accountId, mailboxId, filter: filter as MessageFilter }
      const { type, extension, pack } = FORMATS[format]
      asDownload(reply, `mailfold.${extension}`)
        .header('content-type', type)
        .header('mailfold-messages', size.messages)
        .header('mailfold-bytes', size.bytes)
      const messages = exportedMessages(reads, this.contents, exported, signal)
      return reply.send(pack(followedFor({ client: clientOf(request.ip), signal }, messages)))
    })
  }

  /** Takes an mbox, or a Maildir in a tar, in; answers with a line of JSON for each piece, and a last one with the outcome. */
  @Post(':id/import')
  async import(
    @Param('id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ) {
    return this.serve(request, reply, async () => {
      const accountId = await this.accountOf(id)
      const { format, mailbox } = checked(IMPORT, query)
      const body = request.body as Readable
      const ambiguous = { count: 0, first: [] as Ambiguity[] }
      const noticed = (ambiguity: Ambiguity) => {
        if (ambiguous.count++ < MOST_AMBIGUOUS) ambiguous.first.push(ambiguity)
      }
      const messages = format === 'mbox' ? readMbox(body, noticed) : readMaildir(body)
      const answer = new PassThrough()
      const say = (told: object) => void answer.write(`${JSON.stringify(told)}\n`)
      reply.header('content-type', 'application/x-ndjson').send(answer)
      try {
        const command = new ImportMessages(accountId, mailbox, messages, say)
        const { failure, ...told } = await this.commands.execute<ImportMessages, ImportOutcome>(command)
        say({ ...told, ambiguous, done: failure === null, error: failure && changeErrorOf(failure).message })
      } catch (error) {
        if (!(error instanceof UnreadableFile)) this.platform.logger.warn({ accountId, err: error }, 'an import failed')
        const why = error instanceof UnreadableFile ? error.message : 'The file could not be read to its end.'
        say({ done: false, error: why })
      }
      answer.end()
      return reply
    })
  }

  private async accountOf(id: string): Promise<string> {
    const accountId = readId('Account', id)
    const [account] = await viewAccounts(this.platform.database.reads, [accountId])
    if (!account) throw new Refused(404, 'There is no such account.')
    return accountId
  }

  private async serve(
    request: FastifyRequest,
    reply: FastifyReply,
    work: (signal: AbortSignal) => Promise<FastifyReply>,
  ): Promise<FastifyReply> {
    if (!isAuthorized(request.headers.authorization, this.platform.token.value)) return refuseUnauthorized(reply)
    const gone = new AbortController()
    try {
      const client = clientOf(request.ip)
      const end = this.clients.begin(client)
      reply.raw.once('close', () => {
        gone.abort(REQUEST_OVER)
        end()
      })
      const signal = request.method === 'GET' ? gone.signal : null
      return await forClient({ client, signal }, () => work(gone.signal))
    } catch (error) {
      const told = toldOf(error)
      if (told) return reply.code(told.status).send({ error: told.message })
      if (!(error instanceof Refused)) throw error
      return reply.code(error.status).send({ error: error.message })
    }
  }
}

function readId(type: 'Account' | 'Mailbox', id: string): string {
  try {
    return readIdOf(type, id)
  } catch (error) {
    throw new Refused(400, (error as Error).message)
  }
}

function checked<Shape>(shape: z.ZodType<Shape>, query: unknown): Shape {
  const result = shape.safeParse(query)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new Refused(400, `${issue?.path.join('.') || 'query'}: ${issue?.message}`)
}
