/* A process whose event loop does not turn any more. */
import { spawn } from 'node:child_process'

const WATCHDOG = new URL('../dist/platform/watchdog.js', import.meta.url).href
/** What a worker without its store did: a loop of microtasks, in which no timer and no signal handler ever runs. */
const SPIN = 'const spin = () => Promise.resolve().then(spin); spin()'

async function ending(program: string): Promise<{ signal: NodeJS.Signals | null; said: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return new Promise((resolve) => child.once('close', (_, signal) => resolve({ signal, said })))
}

test('core 16: a stop that does not end is ended from outside of the main thread', async () => {
  const { signal, said } = await ending(
    `import { Watchdog } from '${WATCHDOG}'; Watchdog.start().stopsWithin(300); ${SPIN}`,
  )
  expect([signal, said]).toEqual([
    'SIGKILL',
    'mailfold: the stop has not ended within 300 ms: the process ends itself\n',
  ])
})

test('core 16: an event loop that stands still ends the process, which says so', async () => {
  const { signal, said } = await ending(`import { Watchdog } from '${WATCHDOG}'; Watchdog.start(1_000); ${SPIN}`)
  expect([signal, said]).toEqual([
    'SIGKILL',
    'mailfold: the event loop has stood still for 1000 ms: the process ends itself\n',
  ])
})

test('a process that has nothing more to do ends, watched or not', async () => {
  expect(await ending(`import { Watchdog } from '${WATCHDOG}'; Watchdog.start(1_000)`)).toEqual({
    signal: null,
    said: '',
  })
})

test('operator 7: a process that is ended from outside of its main thread leaves no companion', async () => {
  const companion = spawn('sleep', ['1000'])
  const ended = new Promise((resolve) => companion.once('exit', (_, signal) => resolve(signal)))
  await ending(
    `import { Watchdog } from '${WATCHDOG}'; const dog = Watchdog.start(); dog.endsToo(${companion.pid}); dog.stopsWithin(300); ${SPIN}`,
  )
  expect(await ended).toBe('SIGQUIT')
})
