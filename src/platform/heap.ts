import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

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

type Collect = (options: { type: 'minor' }) => void

let collect: Collect | null = null

/**
 * Frees buffers that have just been used, in about a millisecond. What lies outside of V8's heap, as all that comes from sockets
 * does, weighs little in its own reckoning: left to that, a stream leaves tens of megabytes behind it.
 */
export function releaseBuffers(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as Collect
  }
  collect({ type: 'minor' })
}
