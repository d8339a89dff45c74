import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient, type Client } from 'graphql-ws'
import { WebSocket } from 'ws'
import { BadSetting, readSettings } from '../platform/settings.js'

/** The service could not be asked, or said no; the message is one line. */
export class ApiFailure extends Error {}

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
      if (error instanceof BadSetting) throw new ApiFailure(error.message)
      throw new ApiFailure('no token: set MAILFOLD_TOKEN, or MAILFOLD_DATA to the data folder of the service')
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
    const answer = (await response.json()) as { data?: Data; errors?: { message: string }[] }
    if (answer.errors?.length) throw new ApiFailure(answer.errors.map((error) => error.message).join('; '))
    return answer.data as Data
  }

  /** The id of the only account there is. @throws ApiFailure when there are others, or none */
  async onlyAccount(): Promise<string> {
    const { accounts } = await this.ask<{ accounts: { id: string }[] }>('{ accounts { id } }')
    const [account] = accounts
    if (!account || accounts.length > 1)
      throw new ApiFailure(`there are ${accounts.length} accounts: say which (npx mailfold accounts)`)
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
    throw new ApiFailure(error ?? `the service answered ${response.status}`)
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
          throw new ApiFailure(code === 4403 ? 'the token is not the right one' : String((error as unknown[])[0]))
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
