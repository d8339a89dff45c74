import fc from 'fast-check'
import { planLeases, type ShardState } from './lease-plan.js'

/** Workers that look at the shards in turn, each doing what its plan says. */
class Installation {
  shards: ShardState[]
  moves = 0

  constructor(
    count: number,
    public workers: string[],
  ) {
    this.shards = Array.from({ length: count }, (_, shard) => ({ shard, workerId: null }))
  }

  look(workerId: string): void {
    const { take, release } = planLeases(workerId, this.workers, this.shards)
    for (const shard of take) {
      // a shard has one holder: nothing is taken from one that is alive
      expect(this.shards[shard]?.workerId).toBeNull()
      this.shards[shard] = { shard, workerId }
      this.moves++
    }
    expect(release.length).toBeLessThanOrEqual(1)
    for (const shard of release) this.shards[shard] = { shard, workerId: null }
  }

  settle(): void {
    for (let turn = 0; turn < 2 * this.shards.length + 2; turn++) for (const worker of this.workers) this.look(worker)
  }

  die(workerId: string): void {
    this.workers = this.workers.filter((each) => each !== workerId)
    this.shards = this.shards.map((each) => (each.workerId === workerId ? { ...each, workerId: null } : each))
  }

  held(workerId: string): number {
    return this.shards.filter((each) => each.workerId === workerId).length
  }

  expectBalance(): void {
    const least = Math.floor(this.shards.length / this.workers.length)
    for (const worker of this.workers) {
      expect(this.held(worker)).toBeGreaterThanOrEqual(least)
      expect(this.held(worker)).toBeLessThanOrEqual(least + 1)
    }
    expect(this.shards.filter(({ workerId }) => workerId === null)).toEqual([])
  }
}

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { minLength: 1, maxLength: 8 })
const counts = fc.integer({ min: 1, max: 64 })

test('all shards are held, and all workers have as many as the others, or one more', () => {
  fc.assert(
    fc.property(counts, names, (count, workers) => {
      const installation = new Installation(count, workers)
      installation.settle()
      installation.expectBalance()
    }),
  )
})

test('who joins and who leaves moves no more shards than it has to', () => {
  fc.assert(
    fc.property(counts, names, fc.array(fc.nat(), { maxLength: 6 }), (count, workers, changes) => {
      const installation = new Installation(count, workers)
      installation.settle()
      for (const [turn, change] of changes.entries()) {
        installation.moves = 0
        const leaving = change % 2 === 0 && installation.workers.length > 1 ? installation.workers[0] : undefined
        const bound =
          leaving === undefined ? Math.ceil(count / (installation.workers.length + 1)) : installation.held(leaving)
        if (leaving === undefined) installation.workers = [...installation.workers, `joined-${turn}`]
        else installation.die(leaving)
        installation.settle()
        installation.expectBalance()
        expect(installation.moves).toBeLessThanOrEqual(bound)
      }
    }),
  )
})
