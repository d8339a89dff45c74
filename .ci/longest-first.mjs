// Tests that take minutes, longest first: begun last, each of them would keep everybody waiting alone.
const LONG = [
  'fifty-kills',
  'histories',
  'start-stop',
  'kill-nine',
  'conflicts',
  'upload-kills',
  'offline-kills',
  'backup',
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
