import 'reflect-metadata'
import type { LoggerService } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppModule } from '../app.module.js'
import { serveGraphiql } from '../api/http/graphiql.js'
import { MIGRATIONS } from '../event-store/migrations/index.js'
import { EXIT } from '../platform/exit-codes.js'
import type { Logger } from '../platform/logs.js'
import { catchTheRest } from '../platform/last-resort.js'
import type { EmbeddedPostgres } from '../platform/embedded-postgres.js'
import { Platform } from '../platform/platform.js'
import { readSettings, type Settings } from '../platform/settings.js'
import { StartFailure } from '../platform/start-failure.js'
import { startTraces } from '../platform/traces.js'
import { Watchdog } from '../platform/watchdog.js'
import { JobQueues } from '../queues/job-queues.js'
import { ShardWorkers } from '../queues/shard-workers.js'
import { bringUpToDate } from './bring-up-to-date.js'
import { ownAddress } from './own-address.js'
import { sayFailure } from './say-failure.js'

/** What sending the last traces may take. */
const LAST_TRACES = 500
/** Milliseconds beyond the time of a stop after which the watchdog ends the process. */
const LAST_RESORT = 400
const POSTGRES_ENDED = 'the embedded Postgres has ended by itself, or was killed'
/** What a stop may take when the database is gone. */
const SHORTEST_STOP = 500
/** Milliseconds of a stop that are for the embedded Postgres, however long the rest of it would take: a third of it at most. */
const POSTGRES_STOP = 1_500

/** Runs the service until a signal ends it. @returns the exit code */
export async function start(options: { json?: boolean }): Promise<number> {
  // from the first moment on, so that a signal during the start is not lost
  const stopAsked = signalled()
  let postgres: EmbeddedPostgres | null = null
  try {
    const settings = readSettings(process.env)
    const watchdog = Watchdog.start()
    // also during the start, which may take longer: whoever stops a process does not know what it is doing
    const longestStop = settings.MAILFOLD_DRAIN_DELAY + settings.MAILFOLD_STOP_TIMEOUT + LAST_RESORT
    void stopAsked.then(() => watchdog.stopsWithin(longestStop))
    const stopTraces = settings.MAILFOLD_TRACES ? await startTraces(settings.MAILFOLD_ROLES.join('-')) : null
    const opening = Platform.open(settings, MIGRATIONS, (spawned) => {
      postgres = spawned
      watchdog.endsToo(spawned.pid ?? 0)
      void spawned.ended.then(() => watchdog.endsToo(0))
    })
    const platform = await Promise.race([opening, stopAsked.then(() => null)])
    const putDown = (patience: number, work: Promise<unknown>) => closeWithin(patience, work, () => postgres)
    if (platform) await runUntilStopped(platform, settings, options, stopAsked, watchdog, putDown)
    // a stop during the start: what is being opened is closed as soon as it is there
    else
      await putDown(
        settings.MAILFOLD_STOP_TIMEOUT,
        opening.then((opened) => opened.close()),
      )
    await within(LAST_TRACES, stopTraces?.())
    // whatever a library has left running must not keep the process
    setTimeout(() => process.exit(0), 200).unref()
    return 0
  } catch (error) {
    const exitCode = sayFailure(error)
    await (postgres as EmbeddedPostgres | null)?.stop()
    setTimeout(() => process.exit(exitCode), 200).unref()
    return exitCode
  }
}

/**
 * Brings the service up, and puts it down when a signal comes, also one that comes before it is up.
 *
 * @throws StartFailure when something else than a signal ends it
 */
async function runUntilStopped(
  platform: Platform,
  settings: Settings,
  options: { json?: boolean },
  stopAsked: Promise<void>,
  watchdog: Watchdog,
  putDown: (patience: number, work: Promise<unknown>) => Promise<boolean>,
): Promise<void> {
  let service: NestFastifyApplication | null = null
  let patience: number = settings.MAILFOLD_STOP_TIMEOUT
  try {
    const failed = new Promise<string>((stop) => catchTheRest(platform.logger, stop))
    const postgresEnded = platform.databaseEnded.then(() => POSTGRES_ENDED)
    const runs = create(platform, settings).then(async (created) => {
      service = created
      announce(await open(created, settings), platform, settings, options)
      return new Promise<never>(() => undefined)
    })
    const failure = await Promise.race([stopAsked, failed, postgresEnded, runs])
    if (failure !== undefined) {
      // without a database nothing can be put down; whoever starts the service again has it recover, as after any crash
      if (failure === POSTGRES_ENDED) patience = SHORTEST_STOP
      throw new StartFailure(failure)
    }
    // whoever sends clients here is to see first that they are to go elsewhere
    platform.stops()
    await sleep(settings.MAILFOLD_DRAIN_DELAY)
  } finally {
    // the last resort is for a stop that does not end, not for one that a slow machine takes longer for
    watchdog.stopsWithin(settings.MAILFOLD_STOP_TIMEOUT + LAST_RESORT)
    const isInTime = await putDown(patience, close(service, platform))
    if (!isInTime && patience > SHORTEST_STOP)
      process.stderr.write(`mailfold: the stop was cut off after ${patience} ms\n`)
  }
}

/**
 * Waits for work that closes connections, then ends the embedded Postgres: in time also where the work does not end, since a statement of
 * it waits in the database. Postgres breaks that off.
 *
 * @returns whether the work ended by itself
 */
async function closeWithin(
  patience: number,
  work: Promise<unknown>,
  postgres: () => EmbeddedPostgres | null,
): Promise<boolean> {
  const began = performance.now()
  const reserved = postgres() ? Math.min(POSTGRES_STOP, patience / 3) : 0
  const isInTime = await within(patience - reserved, work)
  await postgres()?.stop(patience - (performance.now() - began))
  return isInTime
}

/** @returns whether the work ended within so many milliseconds */
async function within(patience: number, work: Promise<unknown> | undefined): Promise<boolean> {
  return Promise.race([Promise.resolve(work).then(() => true), sleep(patience, false, { ref: false })])
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
}

/** The modules, put together and wired to HTTP; nothing runs yet. */
async function create(platform: Platform, settings: Settings): Promise<NestFastifyApplication> {
  await bringUpToDate(platform.database, (accountId) =>
    platform.logger.warn({ accountId }, 'the tables of an account were folded again: an earlier version had made them'),
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
  return service
}

/** Answers clients, and works for the mail servers if that is this process's role. @returns the address it listens on */
async function open(service: NestFastifyApplication, settings: Settings): Promise<string> {
  await service.init()
  try {
    // by Fastify itself: Nest would log a port that is taken as an error of its own
    const listening = { port: settings.MAILFOLD_PORT, host: settings.MAILFOLD_HOST }
    const url = await service.getHttpAdapter().getInstance().listen(listening)
    if (settings.MAILFOLD_ROLES.includes('worker'))
      await service.get(ShardWorkers, { strict: false }).begin(settings.MAILFOLD_ADDRESS ?? ownAddress(url))
    return url
  } catch (error) {
    throw listenFailure(error, settings)
  }
}

function listenFailure(error: unknown, { MAILFOLD_PORT, MAILFOLD_HOST }: Settings): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return new StartFailure(`port ${MAILFOLD_PORT} of ${MAILFOLD_HOST} is taken: set MAILFOLD_PORT`)
  if (code === 'EACCES')
    return new StartFailure(`port ${MAILFOLD_PORT} may not be used: set MAILFOLD_PORT`, EXIT.NOT_PERMITTED)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new StartFailure(`${MAILFOLD_HOST} is no address of this machine: set MAILFOLD_HOST`, EXIT.CONFIG)
  return error
}

async function close(service: NestFastifyApplication | null, platform: Platform): Promise<void> {
  await service?.close().catch((error: unknown) => platform.logger.error({ err: error }, 'the stop failed'))
  await platform.close().catch((error: unknown) => platform.logger.error({ err: error }, 'the stop failed'))
}

function announce(url: string, platform: Platform, settings: Settings, { json }: { json?: boolean }): void {
  const { value, made } = platform.token
  const tokenFile = settings.MAILFOLD_TOKEN === undefined ? join(settings.MAILFOLD_DATA, 'token') : null
  if (json) {
    process.stdout.write(
      JSON.stringify({ api: `${url}/graphql`, data: settings.MAILFOLD_DATA, ...(tokenFile ? { tokenFile } : {}) }) +
        '\n',
    )
    return
  }
  // what does not go to a terminal is kept somewhere: in the log of a container, say
  const isShown = made && process.stdout.isTTY
  const lines = [
    `Mailfold is ready: ${url}/graphql`,
    `Data lies in ${settings.MAILFOLD_DATA}`,
    ...(isShown ? [`The API's token, shown this once: ${value}`] : []),
    ...(tokenFile ? [`The API's token lies in ${tokenFile}`] : []),
    'Connect a first mailbox: npx mailfold connect imaps://you@mail.example.org --model disconnected',
  ]
  process.stdout.write(lines.join('\n') + '\n')
}

function nestLogger(logger: Logger): LoggerService {
  const text = (message: unknown) =>
    typeof message === 'string' ? message : String((message as Error)?.message ?? message)
  return {
    log: (message: unknown) => logger.debug(text(message)),
    // what ends a start is said by the start itself
    error: (message: unknown, ...more: unknown[]) =>
      more.includes('ExceptionHandler') ? undefined : logger.error({ more }, text(message)),
    warn: (message: unknown) => logger.warn(text(message)),
    debug: (message: unknown) => logger.trace(text(message)),
    verbose: (message: unknown) => logger.trace(text(message)),
    fatal: (message: unknown) => logger.fatal(text(message)),
  }
}
