#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=20
// V8's settings above keep the memory flat; docs/performance.md has what they cost
import { run } from './cli/program.js'

process.exitCode = await run(process.argv)
