/* A worker is told to stop at any point of taking up and putting down shards, while its database or its Redis is slow, silent or gone. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OwnServices } from './support/own-services.ts'
import { Passage, type Fault } from './support/passage.ts'
import { Service } from './support/service.ts'

/** Points for each backend and fault; the long form is MAILFOLD_CASES=60. */
const POINTS = Number(process.env['MAILFOLD_CASES'] ?? 4)
const AT_ONCE = 4
const MAIN = fileURLToPath(new URL('../dist/bundle/main.js', import.meta.url))

let own: OwnServices
let holder: Service
let folder: string

/** A worker that holds all shards, so that the one that comes is given some, and takes them up. */
beforeAll(async () => {
  own = await OwnServices.start()
  folder = await mkdtemp(join(tmpdir(), 'mailfold-stop-'))
})

afterAll(async () => {
  await own?.stop()
  await rm(folder, { recursive: true, force: true })
})

type Ending = { code: number | null; signal: NodeJS.Signals | null; said: string }

/** What the worker says when it first looks for shards; each later packet is a point. */
const FIRST_LOOK = 'insert into workers'

/** Starts a worker, stops it at a point with the fault, and waits for its end. */
async function stoppedAt(at: number, fault: Fault, redis: boolean): Promise<Ending & { struck: boolean }> {
  const passage = await Passage.to(Number(new URL(own.databaseUrl).port))
  const url = new URL(own.databaseUrl)
  url.port = String(passage.port)
  const environment = {
    ...process.env,
    NODE_OPTIONS: '',
    ...own.environment,
    ...(redis ? {} : { REDIS_URL: '' }),
    DATABASE_URL: url.toString(),
    MAILFOLD_DATA: folder,
    MAILFOLD_MASTER_KEY: 'a'.repeat(64),
    MAILFOLD_PORT: '0',
    MAILFOLD_TOKEN: 'a-token-for-the-tests',
    MAILFOLD_SHARDS: '8',
    MAILFOLD_LEASE: '2000',
    MAILFOLD_ROLES: 'worker',
    MAILFOLD_STOP_TIMEOUT: '3000',
  }
  const child = spawn(MAIN, ['start', '--json'], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  let struck = false
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  passage.arm(FIRST_LOOK, at, fault, () => {
    struck = true
    child.kill('SIGTERM')
  })
  const ended = new Promise<Ending>((resolve) => child.once('close', (code, signal) => resolve({ code, signal, said })))
  const ending = await ended
  passage.end()
  return { ...ending, struck }
}

describe.each([
  ['Redis', true],
  ['Postgres', false],
] as const)('queues on %s', (_, redis) => {
  beforeAll(async () => {
    holder = await Service.start({
      ...own.environment,
      ...(redis ? {} : { REDIS_URL: '' }),
      MAILFOLD_MASTER_KEY: 'a'.repeat(64),
      MAILFOLD_SHARDS: '8',
      MAILFOLD_LEASE: '2000',
      MAILFOLD_ROLES: 'worker',
    })
  })
  afterAll(() => holder.stop())

  test.each(['slow', 'silent', 'gone'] as const)(
    'core 16: a worker that is told to stop ends by itself, wherever it is, while its database is %s',
    async (fault) => {
      // the points lie closer together at the beginning, where shards are taken up
      const points = Array.from({ length: POINTS }, (_, index) => Math.round(1.7 ** (index * (10 / POINTS))) + index)
      const endings: object[] = []
      const work = async () => {
        for (let at = points.shift(); at !== undefined; at = points.shift()) {
          const { signal, said, struck } = await stoppedAt(at, fault, redis)
          // where its database fails it during the start, it may say so; that it has to be ended from outside is the fault
          endings.push({ at, struck, signal, isEndedByForce: said.includes('ends itself') })
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
      for (const ending of endings)
        expect(ending).toEqual({ ...ending, struck: true, signal: null, isEndedByForce: false })
    },
    300_000,
  )
})
