import type { FenceToken } from '../event-store/streams.js'

/** What an account's right to append is had from. */
export type FenceTools = {
  /**
   * takes the account for this process
   *
   * @throws FenceRefused where another process has it; StreamNotFound
   */
  takeFence: (accountId: string) => Promise<FenceToken>
}

/** A home's right to append what it learns: taken when it is first needed, and anew for each connection. */
export class Fence {
  private taken: FenceToken | null = null

  constructor(
    private readonly accountId: string,
    private readonly tools: FenceTools,
  ) {}

  /** The token, taken where there is none. */
  async token(): Promise<FenceToken> {
    return this.taken ?? this.renew()
  }

  /** Another token: what work over an earlier connection still wants to append is refused. */
  async renew(): Promise<FenceToken> {
    this.taken = await this.tools.takeFence(this.accountId)
    return this.taken
  }

  /** The token of the present connection. */
  get held(): FenceToken {
    if (!this.taken) throw new Error('nothing has been taken')
    return this.taken
  }

  /** Takes notice that it was refused. */
  lost(): void {
    this.taken = null
  }
}
