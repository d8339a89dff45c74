/* The image and the compose file: no container engine is needed to see that what they say is right. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { validate } from 'dockerfile-utils'
import { parse } from 'yaml'
import { settingDefinitions } from '../src/platform/settings.ts'
import { install } from './support/install.ts'
import { OwnServices } from './support/own-services.ts'
import { Service, until } from './support/service.ts'

const run = promisify(execFile)

type Instruction = { name: string; rest: string; stage: number }

/** What a Dockerfile says, by its stages. */
function instructionsOf(path: string): Instruction[] {
  let stage = -1
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', rest = ''] = /^(\w+) (.*)$/.exec(line) ?? []
      if (name === 'FROM') stage++
      return { name, rest, stage }
    })
}

const INSTRUCTIONS = instructionsOf('Dockerfile')
const LAST = INSTRUCTIONS.at(-1)?.stage ?? 0
const commandOf = (name: string) => JSON.parse(ofImage(name)[0]?.rest ?? '') as string[]
const ofImage = (name: string) => INSTRUCTIONS.filter((each) => each.stage === LAST && each.name === name)

describe('the image', () => {
  test('is described as Docker understands it: its linter has nothing to say', () => {
    expect(validate(readFileSync('Dockerfile', 'utf8'))).toEqual([])
    expect(validate('FROM node:24\nCPOY . .\n').length).toBeGreaterThan(0)
  })

  test('is built on pinned bases, all of one version', () => {
    const bases = INSTRUCTIONS.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.replace(/ AS \w+$/, ''))
    expect(bases.length).toBe(2)
    for (const base of bases) expect(base).toMatch(/^node:\d+\.\d+\.\d+-[a-z]+-slim$/)
    expect(new Set(bases).size).toBe(1)
  })

  test('has the files that it needs, and no others', () => {
    const ignored = readFileSync('.dockerignore', 'utf8').split('\n')
    expect(ignored[0]).toBe('*')
    const built = INSTRUCTIONS.filter(({ name, stage }) => name === 'COPY' && stage === 0)
    for (const path of built.flatMap(({ rest }) => rest.split(' ').slice(0, -1))) {
      expect([path, existsSync(path)]).toEqual([path, true])
      expect(ignored).toContain(`!${path}`)
    }
    for (const { rest } of ofImage('COPY'))
      expect(rest).toMatch(/^--from=build \/app\/(package\.json|node_modules|dist) /)
  })

  test('is built by its instructions out of what it copies, and runs: without containers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-image-'))
    const [context, build, app] = ['context', 'build', 'app'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    try {
      // Postgres does not run as root, and looks for its programs here
      await chmod(folder, 0o755)
      // what Docker is given: nothing that is installed or built here
      const copied = readFileSync('.dockerignore', 'utf8').match(/(?<=^!).+$/gm) ?? []
      await Promise.all(copied.map((path) => cp(path, join(context, path), { recursive: true })))
      // what npm has had before it takes from its cache: the instructions are what is tested, not the network
      const environment = { ...process.env, NODE_ENV: undefined, npm_config_prefer_offline: 'true' }
      for (const { name, rest, stage } of INSTRUCTIONS) {
        const [to = '', ...from] = rest.split(' ').reverse()
        if (name === 'COPY' && stage === 0)
          for (const path of from)
            await cp(join(context, path), join(build, to, to.endsWith('/') ? basename(path) : ''), { recursive: true })
        if (name === 'COPY' && stage === LAST)
          await rename(from[0]!.replace('/app', build), join(app, to, to.endsWith('/') ? basename(from[0]!) : ''))
        if (name === 'WORKDIR') await mkdir(stage === LAST ? app : build)
        if (name === 'RUN' && stage === 0) await run('sh', ['-c', rest], { cwd: build, env: environment })
      }
      expect(readdirSync(join(app, 'node_modules'))).not.toContain('jest')

      const [, ...entry] = [...commandOf('ENTRYPOINT'), ...commandOf('CMD')]
      const child = spawn(process.execPath, entry, {
        cwd: app,
        env: { ...environment, NODE_ENV: 'production', MAILFOLD_DATA: join(folder, 'data'), MAILFOLD_PORT: '0' },
      })
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const ended = once(child, 'exit')
      await Promise.race([until(() => said.includes('npx mailfold connect')), ended]).catch(() => undefined)
      expect(said).toContain('npx mailfold connect')
      child.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('has the Node that the tests are run with', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: { node: string } }
    expect(INSTRUCTIONS[0]?.rest).toContain(`node:${dependencies.node}-`)
  })

  test('does not run as root, and runs as a start by hand does', () => {
    expect(ofImage('USER').at(-1)?.rest).toBe('node')
    const [, shebang = ''] = /^#!\/usr\/bin\/env -S (.*)\n/.exec(readFileSync('src/main.ts', 'utf8')) ?? []
    expect(commandOf('ENTRYPOINT')).toEqual([...shebang.split(' '), 'dist/bundle/main.js'])
    expect(commandOf('CMD')).toEqual(['start'])
    for (const [name = ''] of (ofImage('ENV')[0]?.rest ?? '').split(' ').map((each) => each.split('=')))
      if (name !== 'NODE_ENV') expect(Object.keys(settingDefinitions)).toContain(name)
  })

  test('is healthy when the service is ready, and else is not', async () => {
    const command = JSON.parse(/CMD (.*)$/.exec(ofImage('HEALTHCHECK')[0]?.rest ?? '')?.[1] ?? '') as string[]
    const [program = '', flag = '', script = ''] = command
    expect([program, flag]).toEqual(['node', '-e'])
    const ask = (url: string) => run(process.execPath, [flag, script.replace('http://127.0.0.1:4000', url)])
    const service = await Service.start()
    try {
      expect(await ask(service.url)).toEqual({ stdout: '', stderr: '' })
    } finally {
      await service?.stop()
    }
    await expect(ask(service.url)).rejects.toMatchObject({ code: 1 })
  })
})

type ComposeService = {
  image?: string
  build?: string
  environment?: Record<string, string>
  entrypoint?: string[]
  command?: string[]
  profiles?: string[]
  volumes?: string[]
  ports?: string[]
  healthcheck?: object
  read_only?: boolean
  cap_drop?: string[]
  depends_on?: Record<string, { condition: string }>
}

describe('the compose file', () => {
  const { services, volumes } = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
    services: Record<string, ComposeService>
    volumes: Record<string, unknown>
  }
  const built = Object.entries(services).filter(([, { build }]) => build !== undefined)

  test('has pinned images that tell of their health, and waits for it', () => {
    for (const [name, service] of Object.entries(services)) {
      expect([name, service.image]).toEqual([name, expect.stringMatching(/:\d+\.\d+/)])
      if (service.build === undefined) expect(service.healthcheck).toBeDefined()
      else expect(service.build).toBe('.')
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(Object.keys(services)).toContain(other)
        expect(condition).toBe('service_healthy')
      }
    }
  })

  test('keeps what lasts in volumes, gives nothing away, and sets what can be set', () => {
    for (const service of Object.values(services)) {
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/)
      for (const volume of service.volumes ?? []) {
        const [from = '', , mode] = volume.split(':')
        if (from.startsWith('./')) expect([existsSync(from), mode]).toEqual([true, 'ro'])
        else expect(Object.keys(volumes)).toContain(from)
      }
    }
    expect(built.map(([name]) => name)).toEqual(['api', 'worker'])
    for (const [, service] of built) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
      expect(service.volumes).toContain('data:/data')
      for (const name of Object.keys(service.environment ?? {})) expect(Object.keys(settingDefinitions)).toContain(name)
    }
  })

  test('operator 9: has a place for certificate authorities of your own', () => {
    for (const [, { environment }] of built) expect(environment?.['MAILFOLD_TLS_CA']).toBe('${MAILFOLD_TLS_CA:-}')
  })

  test('starts processes that are ready, and work together, with what it sets: run without containers', async () => {
    const own = await OwnServices.start()
    const data = await mkdtemp(join(tmpdir(), 'mailfold-compose-'))
    const processes = await Promise.all(
      built.map(([, { environment }]) =>
        Service.start({
          ...environment,
          ...own.environment,
          NODE_ENV: 'production',
          MAILFOLD_DATA: data,
          MAILFOLD_TOKEN: '',
          MAILFOLD_ALLOW_PLAINTEXT: 'false',
          MAILFOLD_TLS_CA: '',
        }),
      ),
    )
    try {
      for (const each of processes) await until(async () => (await each.fetch('/health/ready')).ok)
      const token = (await readFile(join(data, 'token'), 'utf8')).trim()
      const [api] = processes
      const answer = await api?.answer('{ accounts { id } }', {}, { authorization: `Bearer ${token}` })
      expect(answer).toEqual({ data: { accounts: [] } })
    } finally {
      await Promise.all(processes.map((each) => each.stop()))
      await own.stop()
      await rm(data, { recursive: true })
    }
  })

  test('the demo has a mail server with sample mail', async () => {
    await install(['dovecot-imapd', 'dovecot-pop3d'], ['/usr/bin/doveconf'])
    const { demo } = services
    const local = (argument: string) => argument.replace('/demo/', 'test/demo/')
    const root = await mkdtemp(join(tmpdir(), 'mailfold-demo-'))
    const [shell = '', script = ''] = demo?.entrypoint ?? []
    // for what it puts there, twice as for once
    for (let turn = 0; turn < 2; turn++)
      await run(shell, [local(script), 'true'], { env: { ...process.env, MAIL_ROOT: root } })
    const messages = readdirSync(join(root, 'anna/new'))
    expect(messages.length).toBe(10)
    for (const name of messages)
      expect(readFileSync(join(root, 'anna/new', name), 'latin1')).toMatch(
        /^From: .*\r\n(.*\r\n)*\r\nThis is sample mail/,
      )
    await rm(root, { recursive: true })
    const conf = local(demo?.command?.at(-1) ?? '')
    expect((await run('/usr/bin/doveconf', ['-n', '-c', conf])).stdout).toContain('driver = static')
  })
})
