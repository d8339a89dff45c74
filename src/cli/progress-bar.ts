import cliProgress from 'cli-progress'

/** Bars that are on the terminal now. */
const shown = new Set<cliProgress.SingleBar>()

/** A bar on standard error, where that is a terminal. It hides the cursor. */
export function progressBar(format: string): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({ format, hideCursor: true, noTTYOutput: false, stream: process.stderr })
  return bar.on('start', () => shown.add(bar)).on('stop', () => shown.delete(bar))
}

/** Ends all bars: the cursor is shown again, and no timer keeps the process. */
export function endProgressBars(): void {
  for (const bar of shown) bar.stop()
}

// a signal ends a command wherever it is
process.once('exit', endProgressBars)
