import { setFlagsFromString } from 'node:v8'

/** By how much, in percent, V8 lets the old generation grow between two collections; as in main.ts. 0 is V8's own rule. */
const SMALL_STEPS = 20

/** Milliseconds for which the heap is held on: work of this kind comes in slices. */
const AFTERWARDS = 5_000

let holding = 0
let release: NodeJS.Timeout | undefined

/**
 * Runs work through which much passes and of which nothing stays, with the heap held small: V8 would let it grow to a
 * multiple of what is in use. What answers requests is better off with V8's own rule (docs/performance.md).
 */
export async function withSmallHeap<T>(work: () => Promise<T>): Promise<T> {
  clearTimeout(release)
  if (holding++ === 0) growBy(SMALL_STEPS)
  try {
    return await work()
  } finally {
    if (--holding === 0) release = setTimeout(() => growBy(0), AFTERWARDS).unref()
  }
}

const growBy = (percent: number) => setFlagsFromString(`--heap-growing-percent=${percent}`)
