/**
 * Bounds how much goes on at once, in all and for each key. What waits is taken up in turn, key by key: many waiting for one host hold up nobody who
 * waits for another.
 */
export class FairLimit {
  private readonly waiting = new Map<string, (() => void)[]>()
  private readonly running = new Map<string, number>()
  private total = 0

  /** @param most works at once @param perKey works at once of one key */
  constructor(
    private readonly most: number,
    private readonly perKey: number,
  ) {}

  /** How many works of a key go on or wait. */
  count(key: string): number {
    return (this.running.get(key) ?? 0) + (this.waiting.get(key)?.length ?? 0)
  }

  /** Whether a work of a key would begin at once. */
  hasPlace(key: string): boolean {
    return this.total < this.most && (this.running.get(key) ?? 0) < this.perKey
  }

  /** Does a work of a key as soon as there is a place for it. @returns what the work returns */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((begin) => {
      const queue = this.waiting.get(key)
      if (queue) queue.push(begin)
      else this.waiting.set(key, [begin])
      this.beginNext()
    })
    try {
      return await work()
    } finally {
      this.total--
      const left = (this.running.get(key) ?? 1) - 1
      if (left > 0) this.running.set(key, left)
      else this.running.delete(key)
      this.beginNext()
    }
  }

  private beginNext(): void {
    for (const [key, queue] of this.waiting) {
      if (this.total >= this.most) return
      const running = this.running.get(key) ?? 0
      if (running >= this.perKey) continue
      const begin = queue.shift()
      // a key that was served goes to the end of the map's order
      this.waiting.delete(key)
      if (queue.length > 0) this.waiting.set(key, queue)
      this.running.set(key, running + 1)
      this.total++
      begin?.()
    }
  }
}
