/* Ends whatever a test file has started and not ended: a service or a mail server that is left running slows the tests that come after it. */
import { readdirSync, readFileSync } from 'node:fs'
import { TestEnvironment } from 'jest-environment-node'

export default class extends TestEnvironment {
  async teardown() {
    for (const pid of descendants(process.pid)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // it has ended by itself meanwhile
      }
    }
    await super.teardown()
  }
}

/** Processes that a process has started, and those that they have started; without Jest's own. */
function descendants(pid) {
  const parents = new Map()
  for (const name of existing('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = read(`/proc/${name}/stat`)
    // the name in brackets may hold spaces and brackets
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (!read(`/proc/${name}/cmdline`).includes('jest-worker')) parents.set(Number(name), parent)
  }
  const found = [pid]
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child)
  return found.slice(1)
}

function existing(folder) {
  try {
    return readdirSync(folder)
  } catch {
    // no /proc: a macOS machine, where nothing is found
    return []
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
