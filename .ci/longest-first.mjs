// Tests that take minutes, longest first: begun last, each of them would keep everybody waiting alone.
const LONG = [
  'disconnected',
  'online-outcomes',
  'disconnected-random',
  'hundred-kills',
  'processes',
  'online',
  'conflicts',
  'containers',
  'offline-cuts',
  'service-kills',
  'staying-current',
  'upload-kills',
  'pop3-servers',
  'offline-kills',
  'hostile-answers',
  'hostile-clients',
  'stop-anywhere',
  'model-change',
  'hostile-servers',
]

const rank = ({ path }) => {
  const at = LONG.findIndex((name) => path.includes(`/${name}.`))
  return at < 0 ? LONG.length : at
}

/** The order in which jest runs test files. */
export default class LongestFirst {
  sort(tests) {
    return [...tests].sort((one, other) => rank(one) - rank(other) || (one.path < other.path ? -1 : 1))
  }

  shard(tests) {
    return tests
  }

  allFailedTests(tests) {
    return tests
  }

  cacheResults() {
    // the order does not depend on earlier runs
  }
}
