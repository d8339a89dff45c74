/* What the command line says of what cannot be done: one line, the right exit code, and an end. */
import { createServer, type Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { address } from './support/hostile-servers.ts'
import { ScriptedImap, honest } from './support/scripted-imap.ts'
import { mailfold, Service } from './support/service.ts'

let service: Service
let other: Server
let folder: string
let imap: ScriptedImap

beforeAll(async () => {
  service = await Service.start()
  folder = await mkdtemp(join(tmpdir(), 'mailfold-cli-'))
  other = createServer((_, response) => response.end('<html>something else</html>'))
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  imap = await ScriptedImap.start((command, say) => honest(command, say))
})

afterAll(async () => {
  await service?.stop()
  other?.close()
  imap?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a command that has to fail. @returns its exit code, after a look at what it has said: one line, no stack */
async function refused(args: string[], told: RegExp, settings: NodeJS.ProcessEnv = {}, input = ''): Promise<number> {
  const environment = { ...service.clientEnvironment, MAILFOLD_DATA: service.folder, ...settings }
  const { code, stderr } = await mailfold(args, environment, input)
  expect(stderr).toMatch(told)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  return code ?? -1
}

test.each<[string, string[], RegExp, number]>([
  ['a user name with half a character', ['connect', 'imaps://a%ZZ@127.0.0.1', '--model', 'online'], /%25/, 64],
  ['no password', ['connect', 'imaps://a@127.0.0.1:1', '--model', 'online'], /password/, 64],
  ['a cursor that is none', ['tail', '--all', '--after', 'junk'], /no cursor/, 64],
  ['an account beside --blobs', ['verify', '--blobs', 'somebody'], /all accounts/, 64],
  ['a folder where there can be none', ['backup', '/proc/mailfold/backup'], /no such file or folder/, 66],
])('%s is refused', async (_, args, told, code) => {
  expect(await refused(args, told)).toBe(code)
})

test('a service that is not there, or is another one, is said to be so by every command', async () => {
  const nobody = { MAILFOLD_URL: 'http://127.0.0.1:1' }
  const another = { MAILFOLD_URL: `http://127.0.0.1:${(other.address() as { port: number }).port}` }
  for (const command of [['accounts'], ['tail'], ['tail', '--all']]) {
    expect(await refused(command, /no service answers/, nobody)).toBe(69)
    expect(await refused(command, /is not Mailfold/, another)).toBe(69)
  }
})

test('a data folder where there can be none ends the start', async () => {
  expect(await refused(['start'], /cannot be written/, { MAILFOLD_DATA: '/proc/mailfold' })).toBe(73)
})

test('a master key that opens the credentials is not given up', async () => {
  await service.connect({ ...address(imap.port), username: 'ada' })
  expect(await refused(['rotate-key', '--lost', '--beside'], /it is not lost/)).toBe(64)
})
