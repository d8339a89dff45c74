import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient, type Client } from 'graphql-ws'
import pg from 'pg'
import { WebSocket } from 'ws'

const MAIN = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url))

/** What a finished command line run has left. */
export type Finished = { code: number | null; stdout: string; stderr: string }

/** Runs the command line to its end. */
export function mailfold(args: string[], environment: NodeJS.ProcessEnv, input = ''): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...environment }, stdio: 'pipe' })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}

/** A GraphQL answer. */
export type Answer<Data> = { data?: Data; errors?: { message: string; extensions?: { code?: string } }[] }

/** What runs now: a test that fails must not leave its service behind. */
const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** The real service in a process of its own, on a free port and in a folder of its own, asked by public clients only. */
export class Service {
  url = ''
  readonly token: string
  readonly folder: string
  private child: ChildProcess | null = null
  private readonly environment: NodeJS.ProcessEnv

  private constructor(folder: string, environment: NodeJS.ProcessEnv) {
    this.folder = folder
    this.token = 'a-token-for-the-tests'
    this.environment = {
      ...process.env,
      NODE_OPTIONS: '',
      MAILFOLD_PORT: '0',
      MAILFOLD_DATA: folder,
      MAILFOLD_TOKEN: this.token,
      MAILFOLD_LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'error',
      MAILFOLD_CHECK_INTERVAL: '2000',
      ...environment,
    }
  }

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<Service> {
    const service = new Service(await mkdtemp(join(tmpdir(), 'mailfold-')), environment)
    await service.launch()
    return service
  }

  /** Starts it (again), on the same folder. @param program what is built of main.ts @param settings others than it was made with */
  async launch(program = MAIN, settings: NodeJS.ProcessEnv = {}): Promise<void> {
    const child = spawn(program, ['start', '--json'], {
      env: { ...this.environment, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000_000)))
    this.said = () => said
    const lines = createInterface({ input: child.stdout })
    const first = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      child.once('close', (code) => reject(new Error(`the service ended with ${code}: ${said}`)))
    })
    this.url = (JSON.parse(first) as { api: string }).api.replace('/graphql', '')
  }

  /** What it has logged. */
  said: () => string = () => ''

  get pid(): number {
    return this.child?.pid ?? 0
  }

  /** Environment for command line calls that talk to it. */
  get clientEnvironment(): NodeJS.ProcessEnv {
    return { NODE_OPTIONS: '', MAILFOLD_URL: this.url, MAILFOLD_TOKEN: this.token }
  }

  /** Sends a signal and waits for the end. @returns milliseconds that it took */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; took: number }> {
    const child = this.child
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return { code: child?.exitCode ?? null, took: 0 }
    const began = performance.now()
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    const code = await ended
    return { code, took: performance.now() - began }
  }

  /** Waits for an end that nobody here asks for. */
  async ended(): Promise<{ code: number | null }> {
    const child = this.child
    if (!child) return { code: null }
    if (child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve))
    return { code: child.exitCode }
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.end('SIGTERM')
    await rm(this.folder, { recursive: true, force: true })
  }

  /** A query or mutation that has to work. */
  async ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const answer = await this.answer<Data>(query, variables)
    if (answer.errors) throw new Error(`${JSON.stringify(answer.errors)}; ${this.said().slice(-2_000)}`)
    return answer.data as Data
  }

  /** A query or mutation, whatever its answer. */
  async answer<Data>(
    query: string,
    variables: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer<Data>> {
    const response = await this.fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
      body: JSON.stringify({ query, variables }),
    })
    return (await response.json()) as Answer<Data>
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string> | undefined) }
    return fetch(`${this.url}${path}`, { ...init, headers })
  }

  /** A WebSocket client; the caller disposes of it. */
  socket(token = this.token): Client {
    return createClient({
      url: `${this.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { authorization: `Bearer ${token}` },
    })
  }

  /** A session with its embedded database, to look where no client can; the caller ends it. */
  async database(): Promise<pg.Client> {
    const [, , , , host] = (await readFile(join(this.folder, 'postgres/postmaster.pid'), 'utf8')).split('\n')
    // Postgres names its working folder where its account cannot enter the data folder by its path
    const socket = host === '/proc/self/cwd' ? join(this.folder, 'postgres') : host
    const client = new pg.Client({ host: socket, user: 'mailfold', database: 'postgres' })
    await client.connect()
    return client
  }

  /** Connects an account. @returns its id */
  async connect(input: Record<string, unknown>): Promise<string> {
    type Payload = { connectAccount: { account: { id: string } | null; errors: { message: string }[] } }
    const { connectAccount } = await this.ask<Payload>(CONNECT, { input: { model: 'DISCONNECTED', ...input } })
    if (!connectAccount.account) throw new Error(JSON.stringify(connectAccount.errors))
    return connectAccount.account.id
  }

  /** Waits until an account's mail has all been read. */
  async synced(account: string): Promise<void> {
    await until(async () => {
      const { account: found } = await this.ask<{ account: { progress: { isComplete: boolean } } }>(
        'query ($id: ID!) { account(id: $id) { progress { isComplete } } }',
        { id: account },
      )
      return found.progress.isComplete
    })
  }
}

/** Connects an account; the errors with their types. */
export const CONNECT = `mutation ($input: ConnectAccountInput!) {
  connectAccount(input: $input) { account { id } errors { __typename ... on UserError { message } } }
}`

/** Milliseconds after which what a test waits for is stuck: no machine that runs the tests takes as long for any of it. */
const STUCK = 120_000

/**
 * Waits for what a test promises. How long it takes is no concern of most tests, and other work on the machine may slow it down: `within` is
 * for the few that promise a time.
 *
 * @throws Error when it has not come about in time
 */
export async function until(holds: () => Promise<boolean> | boolean, within = STUCK): Promise<void> {
  const deadline = performance.now() + within
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it did not come about within ${within} ms: ${holds.toString()}`)
    await sleep(25)
  }
}
