import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

/** Milliseconds between two beats of the main thread. */
const BEAT = 250
/** Milliseconds for which the event loop may stand still before the process is ended. */
const STILL = 30_000

/**
 * The program of the watching thread. It counts its own ticks and compares no clocks: a process that was suspended, or a slow machine, holds up both
 * threads alike. It needs nothing of the main thread but the memory that the beats are counted in.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const { writeSync } = require('node:fs')
function end(reason) {
  try { writeSync(2, 'mailfold: ' + reason + ': the process ends itself\\n') } catch {}
  // one that has ended already is no matter
  try { if (companion) process.kill(companion, 'SIGQUIT') } catch {}
  process.kill(process.pid, 'SIGKILL')
}
let companion = 0
let last = -1
let still = 0
setInterval(() => {
  const now = Atomics.load(workerData.beats, 0)
  still = now === last ? still + 1 : 0
  last = now
  if (still * workerData.tick >= workerData.still) end('the event loop has stood still for ' + workerData.still + ' ms')
}, workerData.tick)
parentPort.on('message', (told) => {
  if ('companion' in told) companion = told.companion
  else setTimeout(() => end('the stop has not ended within ' + told.patience + ' ms'), told.patience)
})
`

/**
 * Ends the process, from a thread of its own, when nothing else can: when the event loop stands still, and when a stop does not end. A loop that never
 * gives up its turn keeps all timers and signal handlers of the main thread from running.
 */
export class Watchdog {
  private constructor(private readonly thread: Worker) {}

  /** Starts to watch. @param still milliseconds for which the event loop may stand still */
  static start(still = STILL): Watchdog {
    const beats = new Int32Array(new SharedArrayBuffer(4))
    setInterval(() => Atomics.add(beats, 0, 1), BEAT).unref()
    const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
    const workerData = { beats, tick: BEAT, still }
    const thread = new Worker(PROGRAM, { eval: true, workerData, resourceLimits, execArgv: [], env: {} })
    // without the thread the process is as it was before there was one
    thread.once('error', (error: Error) => writeSync(2, `mailfold: nothing watches the event loop: ${error.message}\n`))
    thread.unref()
    return new Watchdog(thread)
  }

  /** A stop has begun. @param patience milliseconds after which the process is ended, whatever it is doing */
  stopsWithin(patience: number): void {
    this.thread.postMessage({ patience })
  }

  /** A process that is ended (SIGQUIT) together with this one: the embedded Postgres. @param pid its id; 0 when it has ended by itself */
  endsToo(pid: number): void {
    this.thread.postMessage({ companion: pid })
  }
}
