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

/** A client of a running service, like any other: GraphQL over HTTP and WebSocket, with the token. */
export class ApiClient {
  private constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** Finds the service by MAILFOLD_URL and MAILFOLD_TOKEN, or by the settings of a service on this machine. @throws ApiFailure */
  static async find(environment: NodeJS.ProcessEnv): Promise<ApiClient> {
    try {
      const settings = readSettings(environment)
      const url = environment['MAILFOLD_URL'] ?? `http://127.0.0.1:${settings.MAILFOLD_PORT}`
      const token = settings.MAILFOLD_TOKEN ?? (await readFile(join(settings.MAILFOLD_DATA, 'token'), 'utf8')).trim()
      return new ApiClient(url.replace(/\/$/, ''), token)
    } catch (error) {
      if (error instanceof BadSetting) throw error
      throw new ApiFailure(
        'no token: set MAILFOLD_TOKEN, or MAILFOLD_DATA to the data folder of the service',
        EXIT.CONFIG,
      )
    }
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
    const answer = (await response.json()) as {
      data?: Data
      errors?: { message: string; extensions?: { code?: string } }[]
    }
    if (answer.errors?.length) {
      const code = response.status === 401 ? 401 : answer.errors[0]?.extensions?.code
      throw new ApiFailure(answer.errors.map((error) => error.message).join('; '), refusal(code))
    }
    return answer.data as Data
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

  /** The results of a subscription, across reconnects: `after` goes on from the last cursor that was seen. @throws ApiFailure */
  async *follow<Data>(
    query: string,
    variables: Record<string, unknown>,
    cursorOf: (data: Data) => string,
  ): AsyncGenerator<Data> {
    let after = variables['after']
    for (let pause = 200; ; pause = Math.min(pause * 2, 10_000)) {
      const client = this.socket()
      try {
        for await (const { data, errors } of client.iterate<Data>({ query, variables: { ...variables, after } })) {
          if (errors) throw new ApiFailure(errors.map((error) => error.message).join('; '))
          if (!data) continue
          yield data
          after = cursorOf(data)
          pause = 200
        }
        return
      } catch (error) {
        if (error instanceof ApiFailure) throw error
        // a server that refuses says so by these codes; anything else is a connection that was lost
        const { code } = error as { code?: number }
        if (code === 4403 || Array.isArray(error))
          throw code === 4403
            ? new ApiFailure('the token is not the right one', EXIT.NOT_PERMITTED)
            : new ApiFailure(String((error as unknown[])[0]), EXIT.USAGE)
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
