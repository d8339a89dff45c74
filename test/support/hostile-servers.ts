/* Accounts at mail servers that are broken or hostile, and what each of them costs in memory, events, commands and log lines. */
import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { uuidOf } from './installation.ts'
import { PASSWORD } from './imap-server.ts'
import { headerItem, ScriptedImap, type Script } from './scripted-imap.ts'
import { Service, until } from './service.ts'

/** Megabytes that any server may cost, beyond what the service has taken before. */
export const MOST_MEMORY = 200

type Seen = {
  connection: { state: string; reason: string | null }
  progress: { done: number; isComplete: boolean }
  mailboxes: { path: string; problem: { kind: string; message: string } | null }[]
  messages: { nodes: { uid: number; flags: string[]; defects: string[]; internalDate: string }[] }
}

const STATE = `query ($id: ID!) { account(id: $id) {
  connection { state reason } progress { done isComplete } mailboxes { path problem { kind message } }
  messages(first: 100) { nodes { uid flags defects internalDate } }
} }`

/** A service, and the scripted servers that its accounts are at. */
export class HostileServers {
  service!: Service
  database!: pg.Client
  private made = 0
  private readonly stops: (() => void)[] = []

  /** Starts a service that waits for little, and looks often. */
  async start(settings: NodeJS.ProcessEnv = {}): Promise<void> {
    this.service = await Service.start({
      MAILFOLD_ANSWER_TIMEOUT: '1500',
      MAILFOLD_CONNECT_TIMEOUT: '2000',
      MAILFOLD_CHECK_INTERVAL: '1000',
      MAILFOLD_LOG_LEVEL: 'info',
      ...settings,
    })
    this.database = await this.service.database()
  }

  async stop(): Promise<void> {
    await this.database?.end()
    await this.service?.stop()
    for (const stop of this.stops) stop()
  }

  /** Has something stopped with the rest. */
  stopWith(stop: () => void): void {
    this.stops.push(stop)
  }

  /** A user's name that no other account has. */
  username(): string {
    return `user${++this.made}`
  }

  /** Connects an account at a server that does as the script says. */
  async connected(script: Script): Promise<Case> {
    const commands: string[] = []
    const server = await ScriptedImap.start((command, say) => {
      commands.push(command)
      return script(command, say)
    })
    this.stopWith(() => server.stop())
    const id = await this.service.connect({ ...address(server.port), username: this.username() })
    return new Case(this, id, server, commands)
  }

  /** Megabytes that the service takes. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.service.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  }

  /** Bounds on what cases may cost, all of them together, while something goes on. */
  async bounded(
    cases: Case | readonly Case[],
    bounds: { events: number; commands: number; logLines: number },
    work: () => Promise<unknown>,
  ) {
    const all = [cases].flat()
    const cost = async () => {
      let events = 0
      for (const each of all) events += await each.events()
      return {
        events,
        commands: all.flatMap(({ commands }) => commands).length,
        logLines: this.service.said().split('\n').length,
      }
    }
    const memoryBefore = await this.memory()
    const before = await cost()
    let most = 0
    const watching = setInterval(() => void this.memory().then((now) => (most = Math.max(most, now))), 50)
    await work()
    clearInterval(watching)
    expect(most - memoryBefore).toBeLessThan(MOST_MEMORY)
    const after = await cost()
    expect(after.events - before.events).toBeLessThanOrEqual(bounds.events)
    expect(after.commands - before.commands).toBeLessThanOrEqual(bounds.commands)
    expect(after.logLines - before.logLines).toBeLessThanOrEqual(bounds.logLines)
    expect((await this.service.fetch('/health/ready')).status).toBe(200)
  }
}

/** An account at a server that does as it is told, and what that has cost. */
export class Case {
  private readonly by: HostileServers
  readonly id: string
  readonly server: ScriptedImap
  /** what the service has sent to the server so far */
  readonly commands: string[]

  constructor(by: HostileServers, id: string, server: ScriptedImap, commands: string[]) {
    this.by = by
    this.id = id
    this.server = server
    this.commands = commands
  }

  async state(): Promise<Seen> {
    return (await this.by.service.ask<{ account: Seen }>(STATE, { id: this.id })).account
  }

  async inbox() {
    return (await this.state()).mailboxes.find(({ path }) => path === 'INBOX')
  }

  async uids(): Promise<number[]> {
    return (await this.state()).messages.nodes.map(({ uid }) => uid).sort((one, other) => one - other)
  }

  asked(pattern: RegExp): number {
    return this.commands.filter((command) => pattern.test(command)).length
  }

  /** Waits for so many checks of the mailboxes. */
  async checks(count: number): Promise<void> {
    const before = this.asked(/^LIST.*\*/i)
    await until(() => this.asked(/^LIST.*\*/i) >= before + count)
  }

  async events(): Promise<number> {
    const { rows } = await this.by.database.query<{ count: string }>(
      'select count(*) from events where account_id = $1',
      [uuidOf(this.id)],
    )
    return Number(rows[0]?.count)
  }

  async end(): Promise<void> {
    const query = 'mutation ($input: ForgetAccountInput!) { forgetAccount(input: $input) { errors { __typename } } }'
    await this.by.service.ask(query, { input: { id: this.id, requestedBy: 'the test' } })
    this.server.stop()
  }
}

/** Where a scripted server is, and how to log in to it. */
export const address = (port: number) => ({ host: '127.0.0.1', port, security: 'PLAINTEXT', password: PASSWORD })

const HEADER = headerItem({ Subject: 'fine' })
const STRUCTURE = '("text" "plain" NIL NIL NIL "7bit" 10 1)'
/** When any message came, as a FETCH answer says it. */
export const DATE = 'INTERNALDATE "01-Jan-2026 00:00:00 +0000" '
/** A whole FETCH answer. */
export const message = (uid: number, flags = '', date = DATE) =>
  `* ${uid} FETCH (UID ${uid} FLAGS (${flags}) ${date}RFC822.SIZE 10 ${HEADER} BODYSTRUCTURE ${STRUCTURE})`
