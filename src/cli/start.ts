import 'reflect-metadata'
import type { LoggerService } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppModule } from '../app.module.js'
import { serveGraphiql } from '../api/http/graphiql.js'
import { MIGRATIONS } from '../event-store/migrations/index.js'
import type { Logger } from '../platform/logs.js'
import { Platform } from '../platform/platform.js'
import { BadSetting, readSettings, type Settings } from '../platform/settings.js'
import { StartFailure } from '../platform/start-failure.js'
import { startTraces } from '../platform/traces.js'
import { JobQueues } from '../queues/job-queues.js'
import { ShardWorkers } from '../queues/shard-workers.js'
import { bringUpToDate } from './bring-up-to-date.js'
import { ownAddress } from './own-address.js'

/** What sending the last traces may take. */
const LAST_TRACES = 500
/** What a stop may take when the database is gone. */
const SHORTEST_STOP = 500

/** Runs the service until a signal ends it. @returns the exit code */
export async function start(options: { json?: boolean }): Promise<number> {
  // from the first moment on, so that a signal during the start is not lost
  const stopAsked = signalled()
  try {
    const settings = readSettings(process.env)
    const stopTraces = settings.MAILFOLD_TRACES ? await startTraces(settings.MAILFOLD_ROLES.join('-')) : null
    const platform = await Platform.open(settings, MIGRATIONS)
    const { service, url } = await open(platform, settings)
    let patience: number = settings.MAILFOLD_STOP_TIMEOUT
    try {
      announce(url, platform, settings, options)
      const asked = await Promise.race([stopAsked.then(() => true), platform.databaseEnded.then(() => false)])
      if (!asked) {
        // nothing can be put down any more; whoever starts the service again has it recover, as after any crash
        patience = SHORTEST_STOP
        throw new StartFailure('the embedded Postgres has ended by itself, or was killed')
      }
      // whoever sends clients here is to see first that they are to go elsewhere
      platform.stops()
      await sleep(settings.MAILFOLD_DRAIN_DELAY)
    } finally {
      const inTime = await Promise.race([
        close(service, platform).then(() => true),
        sleep(patience, false, { ref: false }),
      ])
      if (!inTime && patience > SHORTEST_STOP)
        process.stderr.write(`mailfold: the stop was cut off after ${patience} ms\n`)
    }
    await Promise.race([stopTraces?.(), sleep(LAST_TRACES, undefined, { ref: false })])
    // whatever a library has left running must not keep the process
    setTimeout(() => process.exit(0), 200).unref()
    return 0
  } catch (error) {
    const expected = error instanceof StartFailure || error instanceof BadSetting
    process.stderr.write(`mailfold: ${expected ? error.message : ((error as Error).stack ?? String(error))}\n`)
    setTimeout(() => process.exit(1), 200).unref()
    return 1
  }
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
}

async function open(platform: Platform, settings: Settings): Promise<{ service: NestFastifyApplication; url: string }> {
  try {
    await bringUpToDate(platform.database, (accountId) =>
      platform.logger.warn(
        { accountId },
        'the tables of an account were folded again: an earlier version had made them',
      ),
    )
    const adapter = new FastifyAdapter({ forceCloseConnections: true, bodyLimit: 1024 * 1024 })
    // files that are imported are read as they come
    for (const type of ['application/mbox', 'application/x-tar'])
      adapter.getInstance().addContentTypeParser(type, (_request, payload, done) => done(null, payload))
    const service = await NestFactory.create<NestFastifyApplication>(AppModule.on(platform), adapter, {
      logger: nestLogger(platform.logger),
      abortOnError: false,
    })
    if (settings.MAILFOLD_GRAPHIQL ?? process.env['NODE_ENV'] !== 'production') {
      await serveGraphiql(adapter.getInstance() as never)
    }
    if (settings.MAILFOLD_QUEUE_BOARD) {
      const { serveQueueBoard } = await import('../api/http/queue-board.js')
      const queues = service.get(JobQueues, { strict: false })
      await serveQueueBoard(adapter.getInstance() as never, platform.token.value, () => queues.all())
    }
    await service.init()
    try {
      // by Fastify itself: Nest would log a port that is taken as an error of its own
      const url = await adapter.getInstance().listen({ port: settings.MAILFOLD_PORT, host: settings.MAILFOLD_HOST })
      if (settings.MAILFOLD_ROLES.includes('worker'))
        await service.get(ShardWorkers, { strict: false }).begin(settings.MAILFOLD_ADDRESS ?? ownAddress(url))
      return { service, url }
    } catch (error) {
      await service.close().catch(() => undefined)
      throw listenFailure(error, settings)
    }
  } catch (error) {
    await platform.close()
    throw error
  }
}

function listenFailure(error: unknown, { MAILFOLD_PORT, MAILFOLD_HOST }: Settings): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return new StartFailure(`port ${MAILFOLD_PORT} of ${MAILFOLD_HOST} is taken: set MAILFOLD_PORT`)
  if (code === 'EACCES') return new StartFailure(`port ${MAILFOLD_PORT} may not be used: set MAILFOLD_PORT`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new StartFailure(`${MAILFOLD_HOST} is no address of this machine: set MAILFOLD_HOST`)
  return error
}

async function close(service: NestFastifyApplication, platform: Platform): Promise<void> {
  await service.close().catch((error: unknown) => platform.logger.error({ err: error }, 'the stop failed'))
  await platform.close().catch((error: unknown) => platform.logger.error({ err: error }, 'the stop failed'))
}

function announce(url: string, platform: Platform, settings: Settings, { json }: { json?: boolean }): void {
  const { value, made } = platform.token
  if (json) {
    process.stdout.write(
      JSON.stringify({ api: `${url}/graphql`, data: settings.MAILFOLD_DATA, ...(made ? { token: value } : {}) }) + '\n',
    )
    return
  }
  const lines = [
    `Mailfold is ready: ${url}/graphql`,
    `Data lies in ${settings.MAILFOLD_DATA}`,
    ...(made ? [`The API's token, shown this once (and kept in the file "token" there): ${value}`] : []),
    'Connect a first mailbox: npx mailfold connect imaps://you@mail.example.org --model disconnected',
  ]
  process.stdout.write(lines.join('\n') + '\n')
}

function nestLogger(logger: Logger): LoggerService {
  const text = (message: unknown) =>
    typeof message === 'string' ? message : String((message as Error)?.message ?? message)
  return {
    log: (message: unknown) => logger.debug(text(message)),
    error: (message: unknown, ...more: unknown[]) => logger.error({ more }, text(message)),
    warn: (message: unknown) => logger.warn(text(message)),
    debug: (message: unknown) => logger.trace(text(message)),
    verbose: (message: unknown) => logger.trace(text(message)),
    fatal: (message: unknown) => logger.fatal(text(message)),
  }
}
