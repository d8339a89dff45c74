import { createSecureContext } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { makeLogger } from '../src/platform/logs.js'
import { lookupHost } from '../src/protocols/dial.js'
import { HostAddresses } from '../src/protocols/host-addresses.js'
import { ImapConnection } from '../src/protocols/imap/imap-connection.js'
import { honest, ScriptedImap } from './support/scripted-imap.ts'

const TIMES = 10_000

// what is garbage, and only waits to be collected, is no leak
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('reconnecting ten thousand times leaves memory and listeners as they were', async () => {
  const server = await ScriptedImap.start((command, say) => honest(command, say))
  const settings = {
    protocol: 'IMAP',
    host: '127.0.0.1',
    port: server.port,
    security: 'PLAINTEXT',
    username: 'ada',
    authentication: 'PASSWORD',
    certificateFingerprint: null,
  } as const
  const policy = {
    allowPlaintext: false,
    hostAddresses: new HostAddresses(['loopback']),
    lookup: lookupHost,
    secureContext: createSecureContext(),
    connectTimeout: 5_000,
    answerTimeout: 5_000,
  }
  const logger = makeLogger('silent')
  const once = async (turn: number) => {
    const connection = await ImapConnection.open(settings, 'secret', policy, logger)
    await connection.watch('INBOX')
    if (turn % 2 === 0) await connection.close()
    else connection.drop()
  }
  const heap = async () => {
    // what is closed is let go of in later turns of the event loop
    await new Promise((done) => setTimeout(done, 200))
    collectGarbage()
    return process.memoryUsage().heapUsed / 1024 ** 2
  }
  for (let turn = 0; turn < 500; turn++) await once(turn)
  const before = await heap()
  const listeners = process.eventNames().map((name) => process.listenerCount(name))
  for (let turn = 0; turn < TIMES; turn++) await once(turn)
  expect(process.eventNames().map((name) => process.listenerCount(name))).toEqual(listeners)
  expect((await heap()) - before).toBeLessThan(15)
  expect(process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length).toBeLessThan(20)
  server.stop()
}, 240_000)
