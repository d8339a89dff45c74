import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Builds dist/ where it is older than the sources, so that tests run what stands in the checkout. Two runs that start at
 * once wait for each other here, and only the first one builds.
 */
export default async function build(): Promise<void> {
  const isStale =
    'test ! -e dist/bundle/main.js || test -n "$(find src package.json .swcrc nest-cli.json .ci/bundle.mjs -newer dist/bundle/main.js | head -1)"'
  await promisify(execFile)('flock', ['package.json', 'sh', '-c', `if ${isStale}; then npm run build; fi`])
}
