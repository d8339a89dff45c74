import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Installs what a test needs where it is missing: on Debian, as root. Test runs that start at once wait for each other.
 *
 * @param files what the packages bring
 * @throws Error elsewhere, with what is needed
 */
export async function install(packages: readonly string[], files: readonly string[]): Promise<void> {
  if ((await Promise.all(files.map(isThere))).every(Boolean)) return
  if (process.getuid?.() !== 0 || !(await isThere('/etc/debian_version'))) {
    throw new Error(`the tests need ${packages.join(', ')}: install them, or run the tests as root on Debian`)
  }
  // a service that a package would start is only in the way
  await alone(`
    if test ! -e /usr/sbin/policy-rc.d; then
      trap 'rm -f /usr/sbin/policy-rc.d' EXIT
      printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    fi
    apt-get update -qq && apt-get install -y -qq --no-install-recommends ${packages.join(' ')}`)
}

/**
 * Unpacks a package that cannot be installed beside another one that is needed as well.
 *
 * @param file what it brings
 * @returns where that is
 */
export async function unpack(name: string, file: string): Promise<string> {
  const path = join(UNPACKED, name, file)
  if (await isThere(path)) return path
  await alone(`
    rm -rf ${UNPACKED}/${name}.new && mkdir -p ${UNPACKED}/${name}.new && cd ${UNPACKED}/${name}.new
    apt-get update -qq && apt-get download -qq ${name} && dpkg-deb -x ${name}_*.deb .
    rm -rf ../${name} && mv ../${name}.new ../${name}`)
  return path
}

const UNPACKED = '/var/cache/mailfold-tests'

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Runs a shell script, one after the other where several are asked for at once. */
async function alone(script: string): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('flock', ['/tmp/mailfold-apt.lock', 'sh', '-ec', script], { env, maxBuffer: 64 * 1024 ** 2 })
}
