#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=20
// V8's settings above keep the memory flat; platform/heap.ts lifts the second one when no mail streams in

/** The oldest Node that works, as in package.json and README.md. This file has no imports: an older Node fails at those of the others. */
const OLDEST_NODE = '22.22.3'

/** Whether a version comes before another. */
function isOlder(version: string, than: string): boolean {
  const [given, wanted] = [version, than].map((each) => each.split('.').map(Number))
  const at = wanted?.findIndex((part, index) => part !== given?.[index]) ?? -1
  return at >= 0 && (given?.[at] ?? 0) < (wanted?.[at] ?? 0)
}

if (isOlder(process.versions.node, OLDEST_NODE)) {
  const said = `needs Node ${OLDEST_NODE} or later, and this is ${process.versions.node}: npm start and npx mailfold use the one that npm ci has installed`
  process.stderr.write(`mailfold: ${said}\n`)
  process.exitCode = 69
} else {
  const { run } = await import('./cli/program.js')
  process.exitCode = await run(process.argv)
}

export {}
