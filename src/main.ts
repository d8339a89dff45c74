#!/usr/bin/env -S node --max-semi-space-size=8
import { run } from './cli/program.js'

process.exitCode = await run(process.argv)
