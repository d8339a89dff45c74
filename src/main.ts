#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=20
// V8's settings above keep the memory flat; platform/heap.ts lifts the second one when no mail streams in
import { run } from './cli/program.js'

process.exitCode = await run(process.argv)
