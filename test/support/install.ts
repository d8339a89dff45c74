import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Installs what a test needs where it is missing: on Debian, as root. Test runs that start at once wait for each other.
 *
 * @param files what the packages bring
 * @throws Error elsewhere, with what is needed
 */
export async function install(packages: readonly string[], files: readonly string[]): Promise<void> {
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  if ((await Promise.all(files.map(isThere))).every(Boolean)) return
  if (process.getuid?.() !== 0 || !(await isThere('/etc/debian_version'))) {
    throw new Error(`the tests need ${packages.join(', ')}: install them, or run the tests as root on Debian`)
  }
  // a service that a package would start is only in the way
  const script = `set -e
    if test ! -e /usr/sbin/policy-rc.d; then
      trap 'rm -f /usr/sbin/policy-rc.d' EXIT
      printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    fi
    apt-get update -qq && apt-get install -y -qq --no-install-recommends ${packages.join(' ')}`
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('flock', ['/tmp/mailfold-apt.lock', 'sh', '-c', script], { env, maxBuffer: 64 * 1024 ** 2 })
}
