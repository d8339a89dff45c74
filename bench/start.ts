/*
 * From the start of a process until it is ready, as a bundle and as the modules that it is made of: on one data folder, which is
 * not empty, with the embedded Postgres.
 * npm run bench:start [rounds]
 */
import { fileURLToPath } from 'node:url'
import { Service, until } from '../test/support/service.ts'
import { median, table } from './measure.ts'

const [ROUNDS = 10] = process.argv.slice(2).map(Number)

const PROGRAMS = { modules: '../dist/main.js', bundle: '../dist/bundle/main.js' }

const service = await Service.start()
const took: Record<keyof typeof PROGRAMS, number[]> = { modules: [], bundle: [] }
const names = Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]
try {
  for (let round = 0; round <= ROUNDS; round++)
    for (const name of names) {
      await service.end('SIGTERM')
      const began = performance.now()
      await service.launch(fileURLToPath(new URL(PROGRAMS[name], import.meta.url)))
      await until(async () => (await service.fetch('/health/ready')).ok)
      // the first round finds nothing in the memory of the disk
      if (round > 0) took[name].push(performance.now() - began)
    }
} finally {
  await service.stop()
}
const base = median(took.modules)
table(
  [`until ready, ${ROUNDS} rounds`, 'p50 ms', 'modules = 1'],
  names.map((name) => [name, median(took[name]), median(took[name]) / base]),
)
