import { setTimeout as sleep } from 'node:timers/promises'
import { uuidOf } from './installation.ts'
import type { Service } from './service.ts'

/** What a subscriber was told. */
export type Told = { version: number; type: string }

type Answer = { changes: Told & { cursor: string } }

const QUERY = `subscription ($id: ID!, $after: String) { changes(accountId: $id, after: $after) {
  ... on Change { cursor version type } } }`

/** Follows an account from its first event on, over whichever process answers, however often that goes. */
export class Follower {
  readonly told: Told[] = []
  private stopped = false
  private cursor: string

  constructor(
    readonly account: string,
    private readonly api: () => Service,
  ) {
    this.cursor = Buffer.from(`${uuidOf(account)}@0`).toString('base64url')
  }

  async follow(): Promise<void> {
    while (!this.stopped) {
      const socket = this.api().socket()
      try {
        const variables = { id: this.account, after: this.cursor }
        for await (const { data } of socket.iterate<Answer>({ query: QUERY, variables })) {
          if (data) this.take(data)
          if (this.stopped) break
        }
      } catch {
        // the process was killed, or is not there yet
      }
      await Promise.resolve(socket.dispose()).catch(() => undefined)
      await sleep(50)
    }
  }

  private take({ changes: { cursor, version, type } }: Answer): void {
    this.cursor = cursor
    this.told.push({ version, type })
  }

  stop(): void {
    this.stopped = true
  }
}
