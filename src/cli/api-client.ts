import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient, type Client } from 'graphql-ws'
import { WebSocket } from 'ws'
import { nodeId, readIdOf } from '../api/ids.js'
import { EXIT, type ExitCode } from '../platform/exit-codes.js'
import { BadSetting, readSettings } from '../platform/settings.js'

/** The service could not be asked, or said no; the message is one line. */
export class ApiFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode = EXIT.UNAVAILABLE,
  ) {
    super(message)
  }
}

/** Exit codes of what the API refuses, by the code of its error or the status of its answer. */
const REFUSALS: Record<string, ExitCode> = {
  BAD_USER_INPUT: EXIT.USAGE,
  UNAUTHENTICATED: EXIT.NOT_PERMITTED,
  INTERNAL: EXIT.SOFTWARE,
  400: EXIT.USAGE,
  401: EXIT.NOT_PERMITTED,
  403: EXIT.NOT_PERMITTED,
  404: EXIT.NO_INPUT,
  500: EXIT.SOFTWARE,
}

const refusal = (code: unknown): ExitCode => REFUSALS[String(code)] ?? EXIT.UNAVAILABLE

/** An error of a GraphQL answer. */
type Told = { message: string; extensions?: { code?: unknown } }

type GraphqlAnswer<Data> = { data?: Data; errors?: Told[] }

const refused = (errors: readonly Told[]): ApiFailure =>
  new ApiFailure(errors.map((error) => error.message).join('; '), refusal(errors[0]?.extensions?.code))

/** A value in JSON; null for what is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The token that the service made. @throws ApiFailure where it made none there; an error of the file system where it may not be read */
async function tokenIn(folder: string): Promise<string> {
  const token = await readFile(join(folder, 'token'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new ApiFailure(
      'no token: set MAILFOLD_TOKEN, or MAILFOLD_DATA to the data folder of the service',
      EXIT.CONFIG,
    )
  })
  return token.trim()
}

/** A client of a running service, like any other: GraphQL over HTTP and WebSocket, with the token. */
export class ApiClient {
  private constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /**
   * Finds the service by MAILFOLD_URL and MAILFOLD_TOKEN, or by the settings of a service on this machine.
   *
   * @throws ApiFailure where there is no token; BadSetting; an error of the file system where the token may not be read
   */
  static async find(environment: NodeJS.ProcessEnv): Promise<ApiClient> {
    const settings = readSettings(environment)
    const url = environment['MAILFOLD_URL'] || `http://127.0.0.1:${settings.MAILFOLD_PORT}`
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new BadSetting('MAILFOLD_URL: must be a URL that begins with http:// or https://')
    return new ApiClient(url.replace(/\/$/, ''), settings.MAILFOLD_TOKEN ?? (await tokenIn(settings.MAILFOLD_DATA)))
  }

  /** Whether the service is there and takes the token: what would wait for it otherwise says so at once. @throws ApiFailure */
  async reach(): Promise<void> {
    await this.ask('{ __typename }')
  }

  /** Runs a query or mutation. @throws ApiFailure */
  async ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
        authorization: `Bearer ${this.token}`,
      },
      body: JSON.stringify({ query, variables }),
    }).catch(() => {
      throw new ApiFailure(`no service answers at ${this.url}: is it started?`)
    })
    const answer = await this.readAnswer<Data>(response)
    if (answer.errors?.length) throw refused(answer.errors)
    return answer.data as Data
  }

  /** @throws ApiFailure where something else than Mailfold answers, or the answer breaks off */
  private async readAnswer<Data>(response: Response): Promise<GraphqlAnswer<Data>> {
    const body = await response.text().catch(() => {
      throw new ApiFailure(`the service at ${this.url} broke its answer off`)
    })
    const answer = parsed(body) as GraphqlAnswer<Data> | null
    if (answer?.data || answer?.errors) return answer
    throw new ApiFailure(
      `what answers at ${this.url} is not Mailfold (HTTP ${response.status}): see MAILFOLD_URL and MAILFOLD_PORT`,
    )
  }

  /** The id of the account that is named, or of the only one there is. @throws ApiFailure when there is none, or none is named of several */
  async account(named?: string): Promise<string> {
    const { accounts } = await this.ask<{ accounts: { id: string }[] }>('{ accounts { id } }')
    if (named !== undefined)
      return theAccount(
        named,
        accounts.map((account) => readIdOf('Account', account.id)),
      )
    const [account] = accounts
    if (!account) throw new ApiFailure('there is no account yet (npx mailfold connect)', EXIT.NO_INPUT)
    if (accounts.length > 1)
      throw new ApiFailure(`there are ${accounts.length} accounts: say which (npx mailfold accounts)`, EXIT.USAGE)
    return account.id
  }

  /** A request of the API's files. @throws ApiFailure with the service's own words when it was refused */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string> | undefined) }
    const response = await fetch(`${this.url}${path}`, { ...init, headers }).catch((error: Error) => {
      throw new ApiFailure(
        `no service answers at ${this.url}: ${(error.cause as Error | undefined)?.message ?? error.message}`,
      )
    })
    if (response.ok) return response
    const { error } = (await response.json().catch(() => ({}))) as { error?: string }
    throw new ApiFailure(error ?? `the service answered ${response.status}`, refusal(response.status))
  }

  /**
   * The results of a subscription, across reconnects: `after` goes on from the last cursor that was seen. A connection that is lost is told once, on
   * standard error.
   *
   * @throws ApiFailure where the service refuses
   */
  async *follow<Data>(
    query: string,
    variables: Record<string, unknown>,
    cursorOf: (data: Data) => string,
  ): AsyncGenerator<Data> {
    let after = variables['after']
    let isLost = false
    for (let pause = 200; ; pause = Math.min(pause * 2, 10_000)) {
      const client = this.socket()
      try {
        for await (const { data, errors } of client.iterate<Data>({ query, variables: { ...variables, after } })) {
          if (errors) throw refused(errors)
          if (!data) continue
          isLost = false
          yield data
          after = cursorOf(data)
          pause = 200
        }
        return
      } catch (error) {
        if (error instanceof ApiFailure) throw error
        // a server that refuses says so by these codes; anything else is a connection that was lost
        if ((error as { code?: number }).code === 4403)
          throw new ApiFailure('the token is not the right one', EXIT.NOT_PERMITTED)
        if (Array.isArray(error)) throw refused(error as Told[])
        if (!isLost)
          process.stderr.write(`mailfold: no connection to ${this.url}: it is tried again until there is one\n`)
        isLost = true
        await new Promise((resolve) => setTimeout(resolve, pause))
      } finally {
        void client.dispose()
      }
    }
  }

  private socket(): Client {
    const url = `${this.url.replace(/^http/, 'ws')}/graphql`
    return createClient({
      url,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { authorization: `Bearer ${this.token}` },
    })
  }
}

/**
 * Finds an account by the id that a person has named: as the API writes it, or bare.
 *
 * @param all bare ids of all accounts
 * @returns its id as the API writes it
 * @throws ApiFailure when there is no such account
 */
export function theAccount(named: string, all: readonly string[]): string {
  const found = all.find((id) => id === named || nodeId('Account', id) === named)
  if (!found) throw new ApiFailure(`there is no account ${named} (npx mailfold accounts)`, EXIT.NO_INPUT)
  return nodeId('Account', found)
}
