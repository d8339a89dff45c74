/** A shard, and the worker process that holds it; null where none does, or none that is alive. */
export type ShardState = { shard: number; workerId: string | null }

/** Shards that a worker is to take and to give back, now. */
export type LeasePlan = { take: number[]; release: number[] }

/** Shards that a worker gives back at once to those that have fewer: their accounts log in again elsewhere. */
const MOST_RELEASED = 1

/**
 * What one worker process does so that all have the same number of shards, or one more. Each finds out for itself, and together they come to
 * rest: what nobody holds is taken at once, and what somebody has too many of is given back one after the other.
 *
 * @param workers those that are alive, the one itself among them
 */
export function planLeases(workerId: string, workers: readonly string[], shards: readonly ShardState[]): LeasePlan {
  const mine = shards.filter((each) => each.workerId === workerId).map(({ shard }) => shard)
  const share = shareOf(workerId, workers, shards)
  const free = shards.filter((each) => each.workerId === null).map(({ shard }) => shard)
  return {
    take: free.slice(0, Math.max(0, share - mine.length)),
    release: mine.slice(share).slice(0, MOST_RELEASED),
  }
}

/** Those who hold the most have the one more, so that none moves only for the sake of an order. */
function shareOf(workerId: string, workers: readonly string[], shards: readonly ShardState[]): number {
  const held = new Map(workers.map((each) => [each, 0]))
  for (const { workerId: holder } of shards)
    if (holder !== null && held.has(holder)) held.set(holder, (held.get(holder) ?? 0) + 1)
  const ranked = [...held].sort(([one, ofOne], [other, ofOther]) => ofOther - ofOne || (one < other ? -1 : 1))
  const rank = ranked.findIndex(([each]) => each === workerId)
  const least = Math.floor(shards.length / workers.length)
  return least + (rank < shards.length % workers.length ? 1 : 0)
}
