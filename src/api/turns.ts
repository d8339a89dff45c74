/**
 * Lets what takes the event loop for a while begin once a turn of it, client by client, so that a hundred that come in one moment do not hold up
 * everything else for a hundred times as long.
 */
export class Turns {
  private readonly waiting = new Map<string, (() => void)[]>()

  /** Resolves when it is the client's turn. */
  next(client: string): Promise<void> {
    return new Promise((begin) => {
      if (this.waiting.size === 0) setImmediate(() => this.turn())
      const queue = this.waiting.get(client)
      if (queue) queue.push(begin)
      else this.waiting.set(client, [begin])
    })
  }

  private turn(): void {
    const [next] = this.waiting
    if (!next) return
    const [client, queue] = next
    queue.shift()?.()
    // a client that had its turn goes behind the others
    this.waiting.delete(client)
    if (queue.length > 0) this.waiting.set(client, queue)
    if (this.waiting.size > 0) setImmediate(() => this.turn())
  }
}

/** What an operation may cost that never waits for others of its client, since it holds nobody up. */
const SMALL = 1_000

/** Bounds what the operations of a client that go on at once may cost in all; larger ones of its own wait, and those of other clients do not. */
export class Shares {
  private readonly clients = new Map<string, { used: number; waiting: { cost: number; begin: () => void }[] }>()

  /** @param most what a client has; an operation that costs more goes on alone */
  constructor(private readonly most: number) {}

  /** Takes what an operation costs from its client's share. @returns whether it had to wait for it */
  async take(client: string, cost: number): Promise<boolean> {
    const share = this.clients.get(client) ?? { used: 0, waiting: [] }
    this.clients.set(client, share)
    if (cost <= SMALL || (share.waiting.length === 0 && this.fits(share.used, cost))) {
      share.used += cost
      return false
    }
    await new Promise<void>((begin) => share.waiting.push({ cost, begin }))
    return true
  }

  /** Gives it back. */
  give(client: string, cost: number): void {
    const share = this.clients.get(client)
    if (!share) return
    share.used -= cost
    for (let next = share.waiting[0]; next && this.fits(share.used, next.cost); next = share.waiting[0]) {
      share.used += next.cost
      share.waiting.shift()
      next.begin()
    }
    if (share.used <= 0 && share.waiting.length === 0) this.clients.delete(client)
  }

  private fits(used: number, cost: number): boolean {
    return used === 0 || used + cost <= this.most
  }
}
